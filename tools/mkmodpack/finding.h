/* SPDX-License-Identifier: MIT */
/*
 * finding.h - what is wrong with the input, one line each on standard error: mkmodpack: FILE: what: why; what to do
 *
 * A command goes on after a finding as far as that makes sense, so that a person sees them all at once.
 */
#pragma once

struct hx_mp_findings {
    unsigned int count;
};

/* Control characters in the text are shown as '?'. */
__attribute__((format(printf, 3, 4))) void hx_mp_find(struct hx_mp_findings *findings, const char *file,
                                                      const char *format, ...);
