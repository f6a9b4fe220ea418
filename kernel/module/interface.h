/* SPDX-License-Identifier: MIT */
/*
 * interface.h - the registry of interfaces: what each one's operations are, who provides it, who relies on it.
 *
 * An interface lives while a provider or a user holds it; those that the kernel itself calls live for ever. Its definition
 * is the list of operations as written in the header both sides were built with: the longest of its providers' lists (the
 * kernel's own among them) counts, and one that is not a prefix of it (or the other way round) is another interface by the
 * same name, which is refused. A list goes with its provider, so one that was refused leaves nothing behind.
 *
 * Two majors are two definitions under one name and in one slot. They are there together only while a swap replaces the
 * provider with all users in one step, until it is committed or taken back. Who is linked meanwhile means the newer one, which
 * is what its provider has; the users of the other are linked already. What runs is one of them: the slot shows the vtable of
 * the published version, and a swap publishes provider and users together. The stubs know places, not names, and serve both.
 *
 * Context: thread; one task at a time (the worker, or the boot task). Locks: none.
 */
#pragma once
#include <gate/gate.h>
#include <lib/slice.h>
#include <sys/queue.h>

#include "ops.h"
#include "report.h"

struct hx_module;
struct hx_version;

/* One module's reliance on an interface; embedded in its version. */
struct hx_interface_use {
    struct hx_interface *interface;
    uint32_t version; /* the least it can live with */
    struct hx_version *user;
    TAILQ_ENTRY(hx_interface_use) link;
};

/* One provider's definition; embedded in its version. */
struct hx_interface_offer {
    struct hx_slice ops; /* see struct hx_interface_record; borrowed from the provider's image */
    uint32_t version;
    TAILQ_ENTRY(hx_interface_offer) link;
};

/* An operation's name in the list. */
struct hx_interface_name {
    uint64_t hash;
    const char *text; /* up to the '(' */
    size_t bytes;
};

enum { HX_INTERFACE_PLACES = 2 * HX_OPS_MAX };

struct hx_interface {
    struct hx_slot *slot; /* its name is the prefix */
    struct hx_slice ops;  /* the longest offer's of the newest offer's major */
    uint32_t op_count;
    uint32_t version; /* of that list */
    uint32_t prefix_bytes;
    struct hx_interface_name name[HX_OPS_MAX];
    uint8_t place[HX_INTERFACE_PLACES]; /* by hash: 1 + the index of an operation, 0: free; open addressing */
    uint32_t refs;
    struct hx_interface_offer kernel; /* of those that the kernel calls */
    TAILQ_HEAD(hx_interface_offers, hx_interface_offer) offers;
    uintptr_t stubs_va; /* gate stubs for modules, one an operation; as long as there are users */
    TAILQ_HEAD(, hx_interface_use) uses;
};

/* Knows the kernel's own interfaces after this. HX_E_NOMEM. */
HX_NODISCARD hx_status_t hx_interface_init(void);

/* NULL when nobody holds it. */
struct hx_interface *hx_interface_find(const char *prefix);
/* The interface of slot @index, below HX_SLOTS_MAX; NULL: it has none. For those who look at all of them. */
struct hx_interface *hx_interface_in(uint32_t index);

/*
 * Holds interface @prefix for a provider, creating it (sleepable) when it is new; @offer, filled in by the provider, is
 * borrowed until hx_interface_withdraw(). @replaces: it takes the place of all that other majors were offered by.
 * HX_E_FORMAT: the list is malformed; HX_E_VERSION: another definition, or another major, though it does not replace the
 * others or the kernel is among them; HX_E_NOMEM; HX_E_LIMIT.
 */
HX_NODISCARD hx_status_t hx_interface_offer(const char *prefix, struct hx_interface_offer *offer, bool replaces,
                                            struct hx_interface **out, struct hx_report *report);
void hx_interface_withdraw(struct hx_interface *interface, struct hx_interface_offer *offer);
/* For a user: the interface exists. */
void hx_interface_hold(struct hx_interface *interface);
void hx_interface_release(struct hx_interface *interface);

/* Position of operation @name, [@bytes] long, or HX_E_NOENT. Constant time. */
HX_NODISCARD hx_ret_t hx_interface_op(const struct hx_interface *interface, const char *name, size_t bytes);
/* The same of the operation that modules call as @name, [@bytes]: PREFIX_OPERATION. */
HX_NODISCARD hx_ret_t hx_interface_import(const struct hx_interface *interface, const char *name, size_t bytes);
/* Where a module's call of operation @index goes. HX_E_NOMEM when the stubs cannot be had. */
HX_NODISCARD hx_status_t hx_interface_stub(struct hx_interface *interface, uint32_t index, uintptr_t *out_va);
/* The least version that its provider must have because of the kernel and this machine; 0: any. */
uint32_t hx_interface_least(const struct hx_interface *interface);
/* Whether [@ops] may be provided to, or required by, those who agreed on @version's major of @interface. */
bool hx_interface_agrees(const struct hx_interface *interface, uint32_t version, struct hx_slice ops);
