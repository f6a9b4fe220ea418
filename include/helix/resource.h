/* SPDX-License-Identifier: MIT */
/*
 * resource.h - how much of the machine a module may have, has, and has used.
 *
 *     HX_CAP_RESOURCE("licences");                                      // may take of the pool that is called so
 *     hx_ret_t taken = hx_res_allocate(HX_TEXT("licences"), 4);         // a handle, or HX_E_QUOTA, HX_E_EXHAUSTED, ...
 *     hx_res_look(HX_TEXT("licences"), &account, sizeof(account));      // what is left
 *     hx_handle_drop((hx_handle_t)taken);                               // gives it back
 *
 * Pools: "memory" (bytes) and "cpu" (ns a second) are there always; the owner adds "io", "files", "connections" and others by
 * a name of his own (command `pool'). Of memory and CPU time the kernel charges a module for what it really has; what it takes of
 * them by hx_res_allocate() is reserved for it on top. The functions are listed in helix/kernel.h.
 */
#pragma once
#include <helix/types.h>

enum { HX_RES_ALLOCATIONS_MAX = 64 }; /* of one module, at one time; those for its versions' memory included */
#define HX_QUOTA_NONE UINT64_MAX      /* as much as there is */

enum hx_resource {
    HX_RESOURCE_MEMORY,      /* bytes */
    HX_RESOURCE_CPU_TIME,    /* ns a second: a rate */
    HX_RESOURCE_IO,          /* bytes a second: a rate */
    HX_RESOURCE_FILES,       /* open ones */
    HX_RESOURCE_CONNECTIONS, /* of the network */
    HX_RESOURCE_CUSTOM,      /* and up: those that have been given a name */
    HX_RESOURCES_MAX = 12,
};

/* What a module has of one resource. */
struct hx_resource_account {
    uint64_t total, available; /* of the pool: there is, and nobody has */
    uint64_t quota;            /* the module's; HX_QUOTA_NONE: none */
    uint64_t allocated;        /* held by the module, what it is charged for included */
    uint64_t used;             /* of that; of a rate: since the module was loaded */
    uint64_t throttled;        /* how often the module wanted more than its quota */
};
