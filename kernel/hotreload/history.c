/* SPDX-License-Identifier: MIT */
/* history.c - see history.h. */
#include "history.h"

#include <string.h>

static struct hx_swap_record ring[HX_HISTORY_ENTRIES];
static uint64_t last;

struct hx_swap_record *hx_history_add(void)
{
    struct hx_swap_record *record = &ring[++last % HX_HISTORY_ENTRIES];
    memset(record, 0, sizeof(*record));
    record->number = last;
    record->at_ns = hx_hal_clock_ns();
    hx_report_init(&record->report);
    return record;
}

struct hx_swap_record *hx_history_get(uint64_t number)
{
    struct hx_swap_record *record = &ring[number % HX_HISTORY_ENTRIES];
    return number && record->number == number ? record : NULL;
}

uint64_t hx_history_last(void)
{
    return last;
}

const char *hx_swap_outcome_name(enum hx_swap_outcome outcome)
{
    static const char *const names[] = { "refused", "probation", "committed", "reverted", "restarted", "failed" };
    return outcome < HX_ARRAY_SIZE(names) ? names[outcome] : "?";
}
