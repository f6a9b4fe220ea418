/* SPDX-License-Identifier: MIT */
/*
 * probation.h - after the open: the predecessors of what was swapped in one step lie ready to come back.
 *
 * It ends for all of a step at once. A commit ends it for good: its time is over, the owner says so, or one of them is
 * swapped or unloaded. A revert takes all of them back: one of them faults, does not start or fails its check, or the
 * owner says so. What a predecessor has is untouched until then: image, state, names, interfaces, interrupt lines.
 * Context: the worker.
 */
#pragma once
#include "history.h"

/* @over is called from the timer's interrupt when somebody's time has come: the worker is to call hx_probation_commit_due(). */
void hx_probation_bind(void (*over)(void));
/* The length of the probations to come; 0: swaps commit at once. Default 1,000 ms. */
void hx_probation_set_length_ns(uint64_t duration_ns);
uint64_t hx_probation_length_ns(void);

/* @module runs what @record is about, and @previous is taken into keeping. It goes on until somebody arms it or ends it. */
void hx_probation_begin(struct hx_module *module, struct hx_version *previous, struct hx_swap_record *record);
/* Its time begins, anew. Nothing when @module is not on probation, or one of those that share it is in Error. */
void hx_probation_arm(struct hx_module *module);
/* Commits those whose time is over. After all faults are answered, which may be of others that share a probation. */
void hx_probation_commit_due(void);

/* Those that share @module's probation, in the order of their swap, with their predecessors; count 0: it is on none. */
void hx_probation_members(const struct hx_module *module, struct hx_version_set *out);
/* The record of the swap that put @module on probation; NULL: it is on none, or history has lost it. */
struct hx_swap_record *hx_probation_record(const struct hx_module *module);

/* Ends probation for good, for all that share it. HX_E_NOENT: @module is on none; HX_E_FAULT: one of them has faulted a moment
 * ago, and to what is about to be decided. */
HX_NODISCARD hx_status_t hx_probation_commit(struct hx_module *module);
/*
 * Takes the running version, and those that share its probation, back to their predecessors with the state of the swap.
 * @cause says why (its message is kept in history). HX_E_NOENT: @module is on none; HX_E_BUSY: somebody stays inside:
 * nothing has changed, but that probation goes on without end, and @report names who; or what a predecessor's start refused
 * to go on with: that one is in Error.
 */
HX_NODISCARD hx_status_t hx_probation_revert(struct hx_module *module, const struct hx_report *cause,
                                             struct hx_swap_record **out_record, struct hx_report *report);
