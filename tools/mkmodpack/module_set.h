/* SPDX-License-Identifier: MIT */
/*
 * module_set.h - the modules of one pack together: do they fit each other, and in which order are they loaded.
 */
#pragma once
#include "module_info.h"

struct hx_mp_set {
    struct hx_mp_module *module; /* [count]. Owned, with what they hold. */
    size_t count;
};

/* Sorts by file name, so that nothing depends on the order in which the modules were named. */
void hx_mp_set_sort(struct hx_mp_set *set);
/*
 * Module names and providers taken twice among those loaded at boot, required interfaces that nobody in the pack (for
 * those loaded at boot: nobody else loaded at boot) provides or provides differently, cycles: each becomes a finding.
 * Modules that were refused on their own (record is NULL) are left out.
 */
void hx_mp_set_check(const struct hx_mp_set *set, struct hx_mp_findings *findings);
/*
 * Reorders: those loaded at boot first, providers before users, then those held; by file name where that leaves a choice.
 * Requires a set without findings. False: out of memory.
 */
bool hx_mp_set_order(struct hx_mp_set *set);
void hx_mp_set_free(struct hx_mp_set *set);
