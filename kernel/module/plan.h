/* SPDX-License-Identifier: MIT */
/*
 * plan.h - in which order the modules of a pack are loaded, decided from their descriptors before anything is linked.
 *
 * A module comes after the providers of all that it requires; where that leaves a choice, the manifest's order holds. What
 * cannot be loaded is left out with its reason, and with it what depends on it; the rest is not affected. mkmodpack shows
 * the same reasons before the pack is made.
 * Context: thread. Locks: none. Cost: O(n log n) in modules and interface records.
 */
#pragma once
#include "pack.h"

#include <modloader/loader.h>

#define HX_PLAN_NOBODY UINT32_MAX

struct hx_plan_item {
    const struct hx_pack_entry *entry;
    char name[HX_NAME_MAX];             /* of the module, "" when the file does not say */
    struct hx_slice provides, requires; /* records, unrelocated */
    hx_status_t err;                    /* HX_OK: it is in the order */
    uint32_t because;                   /* the item whose refusal refuses this one too; HX_PLAN_NOBODY: its own fault */
    char message[256];                  /* why not, and what to do */
};

struct hx_plan {
    struct hx_plan_item *items; /* [count], in the manifest's order. Owned. */
    uint32_t *order;            /* [order_count], indexes of items. Owned. */
    uint32_t count, order_count;
};

/*
 * Plans the `load` entries of @pack. @skips(name) says whether the owner wants a module left out; NULL: none.
 * HX_E_NOMEM is the only error; reasons against single modules are in their items: HX_E_DEPENDENCY, HX_E_VERSION,
 * HX_E_CYCLE, HX_E_EXIST (a second module of one name, or provider of one interface), HX_E_DISABLED (skipped), or why the
 * file cannot be read. Of modules that depend on each other in a circle the first is at fault and names them all.
 */
HX_NODISCARD hx_status_t hx_plan_make(const struct hx_pack *pack, bool (*skips)(const char *name), struct hx_plan *out);
void hx_plan_release(struct hx_plan *plan);
