/* SPDX-License-Identifier: MIT */
/*
 * terminal.h - what a person sees: colours where there is a terminal and nobody has said NO_COLOR, a bar while much is sent,
 * complaints.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum hx_ctl_style { HX_CTL_PLAIN, HX_CTL_STRONG, HX_CTL_GOOD, HX_CTL_BAD };
/* The sequence that begins @style on @to, or "". */
const char *hx_ctl_style(FILE *to, enum hx_ctl_style style);

/* One line on standard error: "helixctl: ...". */
__attribute__((format(printf, 1, 2))) void hx_ctl_complain(const char *format, ...);
/* Text of the kernel's: control characters but line feeds and tabs are shown as '?'. The first line is a heading. */
void hx_ctl_print_text(FILE *to, const char *text, size_t bytes, bool heading);

struct hx_ctl_bar {
    const char *label;
    uint64_t begun_ns, shown_ns;
    bool wanted, visible;
};
/* Nothing is shown before a third of a second is over, nor where there is no terminal. */
void hx_ctl_bar_begin(struct hx_ctl_bar *bar, const char *label, bool quiet);
void hx_ctl_bar_show(struct hx_ctl_bar *bar, uint64_t done, uint64_t all);
void hx_ctl_bar_end(struct hx_ctl_bar *bar);
