/* SPDX-License-Identifier: MIT */
/*
 * plan.h - in which order the modules of a pack are loaded, decided from their descriptors before anything is linked.
 *
 * A module comes after the providers of all that it requires; where that leaves a choice, the manifest's order holds. What
 * cannot be loaded is left out with its reason, and with it what depends on it; the rest is not affected.
 * Context: thread. Locks: none. Cost: one pass over the modules for each link of the longest chain that runs against the
 * manifest's order; mkmodpack writes manifests in order, so one.
 */
#pragma once
#include "pack.h"

#include <modloader/loader.h>

struct hx_plan_item {
    const struct hx_pack_entry *entry;
    char name[HX_NAME_MAX];             /* of the module, "" when the file does not say */
    struct hx_slice provides, requires; /* records, unrelocated */
    hx_status_t err;                    /* HX_OK: it is in the order */
    char message[192];                  /* why not */
};

struct hx_plan {
    struct hx_plan_item *items; /* [count], in the manifest's order. Owned. */
    uint16_t *order;            /* [order_count], indexes of items. Owned. */
    uint32_t count, order_count;
};

/*
 * Plans the `load` entries of @pack. @skips(name) says whether the owner wants a module left out.
 * HX_E_NOMEM is the only error; reasons against single modules are in their items: HX_E_DEPENDENCY, HX_E_VERSION,
 * HX_E_CYCLE, HX_E_EXIST (a second provider of an interface), HX_E_DISABLED (skipped), or why the file cannot be read. Two
 * modules of one name are for the load to refuse.
 */
HX_NODISCARD hx_status_t hx_plan_make(const struct hx_pack *pack, bool (*skips)(const char *name), struct hx_plan *out);
void hx_plan_release(struct hx_plan *plan);
