/* SPDX-License-Identifier: MIT */
/* report.c - see report.h. */
#include "report.h"

#include <lib/fmt.h>
#include <string.h>

void hx_report_init(struct hx_report *report)
{
    memset(report, 0, sizeof(*report));
    report->step = "request";
    report->err = HX_E_INTERNAL;
}

hx_status_t hx_report_fail(struct hx_report *report, hx_status_t err, const char *subject, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    hx_fmt_v(report->message, sizeof(report->message), format, arguments);
    va_end(arguments);
    hx_fmt(report->subject, sizeof(report->subject), "%s", subject);
    report->err = err;
    return err;
}

void hx_report_share(struct hx_report *report, const struct hx_report *cause, const char *culprit)
{
    report->step = cause->step;
    hx_report_fail(report, cause->err, cause->subject, "with %s: %s", culprit, cause->message);
}
