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
 *
 * Several modules can be replaced in one step, which an interface's new major needs: provider and all users. Each step is
 * done for all of them before the next begins, and any refusal is everybody's. They are linked against each other's new
 * versions, providers first; closed users first, because who is in one of them may call the others. From the open on they
 * share their probation: what ends it for one ends it for all. `init` runs before anything is published, so what a module
 * calls from there is still the old version, which it must not when that is of another major.
 * Context: the worker.
 */
#pragma once
#include "history.h"

struct hx_swap_part {
    struct hx_module *module;
    struct hx_slice file; /* borrowed while the version lives */
    const char *params;   /* NULL: those of the running version */
    bool may_downgrade;   /* the owner named the file */
};

struct hx_swap_request {
    const char *who;
    uint32_t count; /* 1 to HX_SET_MAX, in any order, none twice */
    struct hx_swap_part part[HX_SET_MAX];
};

/* The length of probation of the swaps to come; 0 commits at once. Default 1,000 ms. */
void hx_swap_set_probation_ns(uint64_t duration_ns);
uint64_t hx_swap_probation_ns(void);

/* Runs a swap up to probation (or commit). Always makes a history entry for each module; @out_record is the first, or the one
 * of the module that was refused. A pending probation of one of them is committed first. */
HX_NODISCARD hx_status_t hx_swap_run(const struct hx_swap_request *request, struct hx_swap_record **out_record);
/* Ends probation for good, for all that share it. HX_E_NOENT: none is pending. */
HX_NODISCARD hx_status_t hx_swap_commit(struct hx_module *module);
/*
 * Takes the running version, and those that share its probation, back to their predecessors with the state of the swap.
 * @cause says why (its message is kept in history). HX_E_NOENT: there is no predecessor; HX_E_BUSY: somebody stays inside:
 * nothing has changed, but that probation goes on without end, and @report names who; or what a predecessor's start refused
 * to go on with: that one is in Error.
 */
HX_NODISCARD hx_status_t hx_swap_revert(struct hx_module *module, const struct hx_report *cause,
                                        struct hx_swap_record **out_record, struct hx_report *report);
/* The record of the swap whose probation is pending, or NULL. */
struct hx_swap_record *hx_swap_pending(const struct hx_module *module);
