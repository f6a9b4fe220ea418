/* SPDX-License-Identifier: MIT */
/*
 * report.h - why a load or a swap ended as it did, for the one place that prints it.
 *
 * Filled by whoever refuses, on the way out; the rooms below print nothing.
 */
#pragma once
#include <helix/types.h>

struct hx_report {
    const char *step;  /* "link", "admit", ...; static text */
    hx_status_t err;   /* HX_E_INTERNAL until somebody says otherwise */
    char subject[64];  /* the offending symbol, field, interface, task or line; may be empty */
    char message[320]; /* what, why, what to do: one line without newline */
};

void hx_report_init(struct hx_report *report);
/* Fills the report (the step stays) and returns @err. */
__attribute__((format(printf, 4, 5))) hx_status_t hx_report_fail(struct hx_report *report, hx_status_t err,
                                                                 const char *subject, const char *format, ...);
/* @cause, which befell @culprit, as others tell it who share the outcome. */
void hx_report_share(struct hx_report *report, const struct hx_report *cause, const char *culprit);
