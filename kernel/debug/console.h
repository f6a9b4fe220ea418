/* SPDX-License-Identifier: MIT */
/*
 * console.h - the person's console: one task that reads lines, runs commands and shows what the kernel logs.
 *
 * The task is of the core class, so that no scheduling policy can lock the owner out. Everything that is shown while it
 * runs goes through it: a log line that arrives while a line is being typed is printed above it, never into it.
 *
 * The control channel's task (control.c) runs commands too, at the same time. What a command prints, and by whom it was given,
 * is found by the task that runs it: its sink.
 *
 * Functions of console_output.c (printing) and rows.c are for these two tasks, that is: for commands.
 * May be used by: the composition root, this room.
 */
#pragma once
#include <helix/types.h>
#include <lib/label.h>
#include <stdbool.h>

#define HX_CONSOLE_PROMPT "helix> "

struct hx_pack;

/* What the console shows but this room does not know. Bound once by the composition root; every member may be NULL. */
struct hx_console_env {
    const struct hx_pack *pack; /* files for insmod and reload */
    /* Walks all page tables. One line about the outcome into @text; HX_E_CORRUPT when a rule is broken. */
    hx_status_t (*memory_audit)(char *text, size_t bytes);
    /* The core's own functions: the one that holds @va; that of number @index, ascending by address. False: none.
     * The label's name lies in @name. */
    bool (*core_function_at)(uintptr_t va, struct hx_label *out, char name[HX_LABEL_NAME_BYTES]);
    bool (*core_function)(uint32_t index, struct hx_label *out, char name[HX_LABEL_NAME_BYTES]);
    /* A line about processor @index: index, APIC id, state; behind the last one "4 processors found, 1 used", then 0. */
    size_t (*processor_describe)(uint32_t index, char *text, size_t bytes);
    /* Where an interrupt line enters the machine: "GSI 2 edge high". */
    size_t (*line_describe)(uint32_t line, char *text, size_t bytes);
    /* "0x38 line 8" and how often each CPU has taken vector @vector < 256; 0: none has. */
    size_t (*vector_describe)(uint32_t vector, char *text, size_t bytes);
};
void hx_console_bind(const struct hx_console_env *env); /* borrowed */
const struct hx_console_env *hx_console_env(void);

/* ---- sinks ----------------------------------------------------------------------------------------------------------- */
struct hx_principal;
struct hx_task;

enum { HX_SINK_ERROR_MAX = 320 };

struct hx_sink {
    struct hx_principal *principal;                    /* who gives the commands */
    void (*write)(const char *text, size_t bytes);     /* as it is to go out */
    bool (*pause)(uint64_t deadline_ns, bool any_key); /* see hx_console_pause() */
    void (*poll)(void);                                /* looks for what interrupts; NULL: that comes by itself */
    void (*meanwhile)(void);                           /* of jobs for the engine (struct hx_job); may be NULL */
    void (*finish)(void);                              /* the machine ends in this command; may be NULL */
    bool is_terminal;                                  /* colours, CR before LF, the log between lines */
    bool wants_rows;                                   /* objects, one a line, not text */
    bool has_rows;                                     /* see hx_console_table() */
    bool inside_line;                                  /* the last thing printed was not a newline */
    _Atomic bool interrupted;
    const struct hx_task *task;
    char error[HX_SINK_ERROR_MAX]; /* the last one printed, without colours; cut */
};

extern struct hx_sink hx_console_own_sink;
/* That of the running task; the console's for all but the one that has bound another. */
struct hx_sink *hx_console_sink(void);
/* What the running task prints goes to @sink from here on. One task, for good. */
void hx_console_bind_sink(struct hx_sink *sink);

/* ---- the task (console.c) -------------------------------------------------------------------------------------------- */
/* Makes the task; from its first run on the log goes through it. HX_E_NOMEM, HX_E_LIMIT. */
HX_NODISCARD hx_status_t hx_console_start(void);
/* Whether Ctrl-C has come since the running command began: long commands ask between steps. */
bool hx_console_interrupted(void);
/*
 * For commands that go on until they are stopped: waits until @deadline_ns, for Ctrl-C, and, with @any_key, for a key. Returns
 * whether the command is to stop. A q, a blank or Enter that stopped it is gone; another key begins the next line.
 */
bool hx_console_pause(uint64_t deadline_ns, bool any_key);
/* Received bytes that found no place. */
uint64_t hx_console_bytes_lost(void);

/* ---- printing (console_output.c) ------------------------------------------------------------------------------------- */
/* '\n' goes out as CR LF on a terminal. Log lines that are due are printed there before it when it starts a line. Cut at 511
 * bytes. */
__attribute__((format(printf, 1, 2))) void hx_console_printf(const char *format, ...);
/* The same for finished text of any length. */
void hx_console_text(const char *text, size_t bytes);
/* The same for a line "@command: @what: @why", which the sink keeps. */
void hx_console_error(const char *command, const char *what, const char *why);
/* A line of its own above a table. */
void hx_console_heading(const char *text);
/* The same above rows, or NULL; where these are wanted, what is printed from here on is for people, and goes nowhere. */
void hx_console_table(const char *heading);
/* Goes to the start of a line if it is not there. */
void hx_console_fresh_line(void);

enum hx_console_style {
    HX_STYLE_PLAIN, /* back to normal */
    HX_STYLE_PROMPT,
    HX_STYLE_STRONG,
    HX_STYLE_FAINT,
    HX_STYLE_WARNING,
    HX_STYLE_ERROR,
};
/* The escape sequence that begins @style, or "" while colours are off. */
const char *hx_console_style(enum hx_console_style style);
void hx_console_set_color(bool on); /* on at first */
bool hx_console_color(void);
/* "on" or "off", as in the boot option color. HX_E_INVAL. */
HX_NODISCARD hx_status_t hx_console_switch_parse(const char *text, bool *out);

/* The console starts to show the log from here on; what was logged before is on the screen already. */
void hx_console_log_begin(void);
/* Whether lines wait to be shown. */
bool hx_console_log_is_due(void);
/* Shows them; the terminal's cursor must stand at the start of an empty row. */
void hx_console_log_show(void);

/* ---- rows (rows.c) --------------------------------------------------------------------------------------------------- */
/*
 * A row of a table. As text: @format, as hx_console_printf(). Where rows are wanted: an object whose members are called by
 * @keys, words separated by a blank, one for each conversion of @format in its order, without what stands around them: %s
 * makes a string, or null of "-"; %x strings of hexadecimal digits, others numbers. A key of - leaves its value out.
 */
__attribute__((format(printf, 2, 3))) void hx_console_row(const char *keys, const char *format, ...);
/* Whether rows are wanted: for commands that give them otherwise than they print. */
bool hx_console_wants_rows(void);
/* A row that is not printed as text. */
__attribute__((format(printf, 2, 3))) void hx_console_object(const char *keys, const char *format, ...);
/* What is printed while rows are wanted, each line as {"text": ...}. */
void hx_console_text_rows(struct hx_sink *sink, const char *text, size_t bytes);
/* @text as a JSON string, quotes and all, by @write. Source: RFC 8259, section 7. What is not ASCII is taken as Latin-1. */
void hx_console_json_string(const struct hx_sink *sink, const char *text, size_t bytes);
