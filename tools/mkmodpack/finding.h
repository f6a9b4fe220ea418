/* SPDX-License-Identifier: MIT */
/*
 * finding.h - what is wrong with the input, one line each on standard error: mkmodpack: FILE: what: why; what to do
 *
 * A command goes on after a finding as far as that makes sense, so that a person sees them all at once.
 */
#pragma once
#include <helix/err.h>

struct hx_mp_findings {
    unsigned int count;
    /* Who gets them instead of standard error: a command that says it in another way, or a test. May be NULL. */
    void (*take)(struct hx_mp_findings *findings, hx_status_t err, const char *file, const char *text);
    void *context; /* of take */
};

/* Control characters in file name and text are shown as '?'. */
__attribute__((format(printf, 3, 4))) void hx_mp_find(struct hx_mp_findings *findings, const char *file,
                                                      const char *format, ...);
/* The same where the kind of error is known and may be asked for. */
__attribute__((format(printf, 4, 5))) void hx_mp_find_error(struct hx_mp_findings *findings, hx_status_t err,
                                                            const char *file, const char *format, ...);
/* The error that comes nearest to one of errno.h. */
hx_status_t hx_mp_status_of(int errno_value);
