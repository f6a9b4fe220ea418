/* SPDX-License-Identifier: MIT */
/* view.h - what a command of the kernel shows: its text for a person, its rows for a program. */
#pragma once
#include "peer.h"

/*
 * Runs @command and prints what it gives, as --json says. @endless: until it is interrupted, which is then no failure. The
 * kernel's refusal is complained of.
 */
enum hx_ctl_exit hx_ctl_view(struct hx_ctl_peer *peer, const char *command, bool endless);
/* The rows of @command as an array. Owned; NULL unless OK. */
enum hx_ctl_exit hx_ctl_rows(struct hx_ctl_peer *peer, const char *command, json_t **out);
/* Text that is gathered, for those who want all of it. */
struct hx_ctl_text {
    char *text; /* ends with NUL, or NULL. Owned. */
    size_t bytes;
};
void hx_ctl_text_add(void *text, const char *data, size_t bytes);
/* Rows out of lines of JSON; NULL: a line is none, and @out_line is its number. */
json_t *hx_ctl_rows_parse(const char *text, size_t bytes, unsigned int *out_line);
