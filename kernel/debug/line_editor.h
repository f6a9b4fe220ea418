/* SPDX-License-Identifier: MIT */
/*
 * line_editor.h - one line of input: bytes from a terminal in, text for the terminal and finished lines out.
 *
 * Pure: knows no task, no device and no command, so that every key is tested on the host and random bytes are thrown at
 * it under sanitizers. The terminal is expected to understand CR, BS, BEL and the sequences ESC [ K, ESC [ n C, ESC [ H
 * and ESC [ 2 J, which every terminal since the VT100 does.
 *
 * The line holds whole UTF-8 characters at all times: a character is inserted when its last byte has come, malformed
 * bytes are refused with a bell, and every motion and deletion goes by characters. Each character is taken to be one
 * column wide. A line that is wider than the screen scrolls sideways in its one row.
 *
 * May be used by: this room, tests. Context: any, the caller serialises. Allocates nothing.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "key.h"

enum {
    HX_EDITOR_LINE_MAX = 255, /* bytes of a line; more are refused with a bell */
    HX_EDITOR_HISTORY = 32,   /* lines remembered */
    HX_EDITOR_COLUMNS = 80,   /* of the screen */
    HX_EDITOR_PROMPT_MAX = 48,
};

enum hx_editor_action {
    HX_EDITOR_NONE,
    HX_EDITOR_LINE,   /* hx_editor.line is complete; the terminal's cursor stands at the start of the next row */
    HX_EDITOR_CANCEL, /* Ctrl-C: the line was thrown away; the cursor stands at the start of the next row */
    HX_EDITOR_END,    /* Ctrl-D on an empty line */
};

struct hx_editor_matches;

struct hx_editor_host {
    void *context;
    /* @text: [bytes], for the terminal. Each call is one piece that must not be torn. */
    void (*write)(void *context, const char *text, size_t bytes);
    /* Calls hx_editor_offer() for each word that may stand where the word starting at @line[word_off] stands; @line is cut
     * at the cursor. May be called twice for one key. NULL: no completion. */
    void (*complete)(void *context, const char *line, size_t word_off, struct hx_editor_matches *matches);
};

struct hx_editor {
    const struct hx_editor_host *host;
    char prompt[HX_EDITOR_PROMPT_MAX];
    uint32_t prompt_columns;

    char line[HX_EDITOR_LINE_MAX + 1]; /* always NUL-terminated */
    size_t length;
    size_t cursor;     /* byte offset, at the start of a character */
    size_t window_off; /* first byte that is shown */
    bool overflowed;   /* text found no room, and nothing was erased since: the line is not what was meant */

    struct hx_key_reader keys;

    char history[HX_EDITOR_HISTORY][HX_EDITOR_LINE_MAX + 1];
    uint64_t history_total; /* lines ever remembered; the last HX_EDITOR_HISTORY are there */
    uint32_t browsing;      /* 0: the line is new, n: shows the n-th last */
    char draft[HX_EDITOR_LINE_MAX + 1];
};

/* @host: borrowed, lives as long as @editor. */
void hx_editor_init(struct hx_editor *editor, const struct hx_editor_host *host);

/* Starts an empty line: writes @prompt, which is @columns wide (colours take none) and is copied, cut to fit. */
void hx_editor_begin(struct hx_editor *editor, const char *prompt, uint32_t columns);

/* Takes one byte. After HX_EDITOR_LINE the line stays readable until the next hx_editor_begin(), which must come before
 * the next byte. */
enum hx_editor_action hx_editor_byte(struct hx_editor *editor, uint8_t byte);

/* Makes room for output above the line: hide leaves an empty row with the cursor at its start, show draws the line again
 * as it was. */
void hx_editor_hide(struct hx_editor *editor);
void hx_editor_show(struct hx_editor *editor);

/* From within host.complete: @candidate is a word that fits here; words that do not start as the typed one,
 * and those that are not of printable ASCII without spaces, are ignored. */
void hx_editor_offer(struct hx_editor_matches *matches, const char *candidate);
