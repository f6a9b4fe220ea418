/* SPDX-License-Identifier: MIT */
/*
 * swap.h - replacing the version of a running module.
 *
 *   link new -> admit -> init new -> reserve | close, drain -> state over -> publish -> replay, open | -> start -> check
 *   -> probation -> commit
 *
 * What stands between the bars is the blackout: constant work and conversion, no allocation. Any refusal up to the open
 * leaves the old version running on its own untouched state; after it, probation decides (probation.h).
 *
 * Several modules can be replaced in one step, which an interface's new major needs: provider and all users. Each step is
 * done for all of them before the next begins, and any refusal is everybody's. They are linked against each other's new
 * versions, providers first; closed users first, because who is in one of them may call the others. From the open on they
 * share their probation. `init` runs before anything is published, so what a module calls from there is still the old
 * version, which it must not when that is of another major.
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

/* Runs a swap up to the beginning of probation's time (or commit). Always makes a history entry for each module; @out_record
 * is the first, or the one of the module that was refused. A pending probation of one of them is committed first. */
HX_NODISCARD hx_status_t hx_swap_run(const struct hx_swap_request *request, struct hx_swap_record **out_record);
