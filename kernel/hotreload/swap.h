/* SPDX-License-Identifier: MIT */
/*
 * swap.h - replacing the version of a running module.
 *
 *   link new -> admit -> init new -> reserve | close, drain -> state over -> publish -> replay, open | -> start -> check
 *   -> probation -> commit
 *
 * What stands between the bars is the blackout: constant work and conversion, no allocation. Any refusal up to the open
 * leaves the old version running on its own untouched state; after it, a fault, a failed start or check, or the owner's
 * word takes the new version back, until probation ends.
 * Context: the worker.
 */
#pragma once
#include "history.h"

struct hx_swap_request {
    struct hx_module *module;
    struct hx_slice file; /* borrowed while the version lives */
    const char *params;   /* NULL: those of the running version */
    const char *who;
    bool may_downgrade; /* the owner named the file */
};

/* The length of probation of the swaps to come; 0 commits at once. Default 1,000 ms. */
void hx_swap_set_probation_ns(uint64_t duration_ns);
uint64_t hx_swap_probation_ns(void);

/* Runs a swap up to probation (or commit). Always makes a history entry. A pending probation of the module is committed
 * first. */
HX_NODISCARD hx_status_t hx_swap_run(const struct hx_swap_request *request, struct hx_swap_record **out_record);
/* Ends probation for good. HX_E_NOENT: none is pending. */
HX_NODISCARD hx_status_t hx_swap_commit(struct hx_module *module);
/*
 * Takes the running version back to its predecessor with the state of the swap. @cause says why (its message is kept in
 * history). HX_E_NOENT: there is no predecessor; HX_E_BUSY: somebody stays inside: nothing has changed, but that probation
 * goes on without end, and @report names who; or what the predecessor's start refused to go on with.
 */
HX_NODISCARD hx_status_t hx_swap_revert(struct hx_module *module, const struct hx_report *cause,
                                        struct hx_swap_record **out_record, struct hx_report *report);
/* The record of the swap whose probation is pending, or NULL. */
struct hx_swap_record *hx_swap_pending(const struct hx_module *module);
