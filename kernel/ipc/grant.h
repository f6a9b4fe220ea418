/* SPDX-License-Identifier: MIT */
/*
 * grant.h - memory that goes from one holder to another without being copied.
 *
 * A grant is up to 2 MiB of zeroed pages with a page table of their own; mapped for one holder at a time, in a slot of the
 * grants' window, and never executable. Giving it away takes it out of its slot: from then on an access there faults on every
 * CPU. Accepting puts it into another slot with the permissions that were given. Either is one entry of a page directory,
 * whatever the size; taking also has each CPU forget its translations, and waits for that.
 *
 * A channel takes before it locks its queue and accepts after it has unlocked it. Take waits for the other CPUs as every loss
 * of a mapping does: no holder of a lock keeps it waiting, as who waits for a lock answers meanwhile; so a lock below
 * HX_RANK_HANDLE may be held, but makes others wait with it.
 * Context: thread; interrupts may be off. Locks: HX_RANK_GRANT, and HX_RANK_HANDLE before it, not together.
 */
#pragma once
#include "handle.h"

/* Once, before the first grant: a handle that is given up ends its grant. */
void hx_grant_init(void);

/* Of @bytes, rounded up to pages, readable and writable for @owner. HX_E_INVAL (0 or more than HX_GRANT_BYTES_MAX), HX_E_NOMEM,
 * HX_E_LIMIT (grants, slots or handles), HX_E_STATE (in an interrupt). Cost: clearing the pages. */
HX_NODISCARD hx_status_t hx_grant_make(uint64_t bytes, struct hx_holder *owner, hx_handle_t *out, uintptr_t *out_va);
/* Registers of a device from physical @first on, whole pages, with bits of enum hx_grant_permission. It cannot be taken for a
 * message. Errors as above; HX_E_PERM: there is memory. */
HX_NODISCARD hx_status_t hx_grant_make_device(uint64_t first, uint64_t bytes, uint32_t permissions,
                                              struct hx_holder *owner, hx_handle_t *out);
/* Ends those of @owner's of which @may says no. Thread. */
void hx_grant_check_devices(struct hx_holder *owner,
                            bool (*may)(uint64_t first, uint64_t last, uint32_t permissions, void *context),
                            void *context);
/* Where it is, how large and what its holder may do. HX_E_STALE, HX_E_INVAL (a handle of another type). Any context. */
HX_NODISCARD hx_status_t hx_grant_describe(hx_handle_t grant, const struct hx_holder *owner,
                                           struct hx_message_memory *out);

/* Takes it from @owner, for a message: unmapped on every CPU when this returns, the handle stale. @permissions: at most what the
 * owner has, HX_GRANT_READ among them. HX_E_STALE, HX_E_PERM (more than that, or a device), HX_E_INVAL (without reading, or a
 * handle of another type), HX_E_STATE: in an interrupt; then nothing has happened. One of two who take the same grant gets it. */
struct hx_grant;
HX_NODISCARD hx_status_t hx_grant_take(hx_handle_t grant, const struct hx_holder *owner, uint32_t permissions,
                                       struct hx_grant **out);
/* Maps it for @owner under a new handle. HX_E_LIMIT (slots, or the owner's handles); then it is as it was. */
HX_NODISCARD hx_status_t hx_grant_accept(struct hx_grant *grant, struct hx_holder *owner,
                                         struct hx_message_memory *out);
/* Gives back one that nobody accepts. */
void hx_grant_drop(struct hx_grant *grant);

struct hx_grant_stats {
    uint32_t live;
    uint64_t pages;
};
void hx_grant_stats(struct hx_grant_stats *out);
