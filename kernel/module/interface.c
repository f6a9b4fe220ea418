/* SPDX-License-Identifier: MIT */
/* interface.c - see interface.h. */
#include "interface.h"

#include <helix/kv.h>
#include <helix/rtc.h>
#include <helix/sched.h>
#include <lib/fmt.h>
#include <lib/hash.h>
#include <string.h>

/* For every operation there may ever be: a longer list may come while modules hold addresses of stubs. */
enum { STUBS_BYTES = HX_OPS_MAX * HX_STUB_BYTES };

static struct hx_interface *by_slot[HX_SLOTS_MAX];

#define KERNEL_OPS(prefix, PREFIX, sleepable) static const char prefix##_ops_text[] = PREFIX##_OPS(HX_OP_TEXT_);
HX_KERNEL_INTERFACES(KERNEL_OPS)
#undef KERNEL_OPS

/* Enters the names of the list, which is whole. Of two alike the first is found. */
static void index_ops(struct hx_interface *interface)
{
    const char *op = (const char *)interface->ops.data;
    memset(interface->place, 0, sizeof(interface->place));
    for (uint32_t index = 0; index < interface->op_count; index++, op += strlen(op) + 1) {
        size_t bytes = (size_t)((const char *)memchr(op, '(', strlen(op)) - op);
        struct hx_interface_name name = { .hash = hx_hash_name(op, bytes), .text = op, .bytes = bytes };
        size_t at = name.hash % HX_INTERFACE_PLACES;
        while (interface->place[at])
            at = (at + 1) % HX_INTERFACE_PLACES;
        interface->place[at] = (uint8_t)(index + 1);
        interface->name[index] = name;
    }
}

/* The definition of @version's major: the longest list, and of those of one length the oldest. NULL: nobody offers it. */
static const struct hx_interface_offer *definition(const struct hx_interface *interface, uint32_t version)
{
    const struct hx_interface_offer *offer = NULL, *longest = NULL;
    TAILQ_FOREACH(offer, &interface->offers, link)
        if (HX_VERSION_MAJOR(offer->version) == HX_VERSION_MAJOR(version) &&
            (!longest || offer->ops.bytes > longest->ops.bytes))
            longest = offer;
    return longest;
}

static void define(struct hx_interface *interface)
{
    const struct hx_interface_offer *newest = TAILQ_LAST(&interface->offers, hx_interface_offers);
    const struct hx_interface_offer *counts = newest ? definition(interface, newest->version) : NULL;
    interface->ops = counts ? counts->ops : hx_slice_of(NULL, 0);
    interface->op_count = counts ? (uint32_t)hx_ops_count(counts->ops) : 0;
    interface->version = counts ? counts->version : interface->version;
    index_ops(interface);
}

static void enter_offer(struct hx_interface *interface, struct hx_interface_offer *offer)
{
    TAILQ_INSERT_TAIL(&interface->offers, offer, link);
    define(interface);
}

static struct hx_interface *create(struct hx_slot *slot)
{
    struct hx_interface *interface = hx_hal_alloc(sizeof(*interface));
    if (!interface)
        return NULL;
    interface->slot = slot;
    interface->prefix_bytes = (uint32_t)strlen(hx_slot_info(slot)->name);
    TAILQ_INIT(&interface->uses);
    TAILQ_INIT(&interface->offers);
    by_slot[hx_slot_index(slot)] = interface;
    return interface;
}

static hx_status_t create_kernel(struct hx_slot *slot, uint32_t version, struct hx_slice ops)
{
    struct hx_interface *interface = create(slot);
    if (!interface)
        return HX_E_NOMEM;
    interface->kernel.ops = ops;
    interface->kernel.version = version;
    enter_offer(interface, &interface->kernel);
    return HX_OK;
}

hx_status_t hx_interface_init(void)
{
    hx_status_t err = HX_OK;
#define CREATE(prefix, PREFIX, sleepable)                                                                              \
    if (err == HX_OK)                                                                                                  \
        err = create_kernel(&hx_slots[HX_SLOT_##prefix], PREFIX##_VERSION,                                             \
                            hx_slice_of(prefix##_ops_text, sizeof(prefix##_ops_text)));
    HX_KERNEL_INTERFACES(CREATE)
#undef CREATE
    return err;
}

struct hx_interface *hx_interface_find(const char *prefix)
{
    struct hx_slot *slot = hx_slot_find(prefix);
    return slot ? by_slot[hx_slot_index(slot)] : NULL;
}

struct hx_interface *hx_interface_in(uint32_t index)
{
    return by_slot[index];
}

uint32_t hx_interface_least(const struct hx_interface *interface)
{
    /* On several processors. */
    static const uint32_t least[HX_SLOTS_STATIC] = { [HX_SLOT_hx_sched] = HX_SCHED_VERSION_1_2 };
    uint32_t slot = hx_slot_index(interface->slot);
    return slot < HX_SLOTS_STATIC && hx_hal_cpu_count() > 1 ? least[slot] : 0;
}

bool hx_interface_agrees(const struct hx_interface *interface, uint32_t version, struct hx_slice ops)
{
    const struct hx_interface_offer *agreed = definition(interface, version);
    return agreed && hx_ops_agree(ops, version, agreed->ops, agreed->version);
}

static bool is_welcome(const struct hx_interface *interface, const struct hx_interface_offer *offer, bool replaces)
{
    if (replaces && !hx_slot_is_static(interface->slot) && !definition(interface, offer->version))
        return true;
    return hx_interface_agrees(interface, offer->version, offer->ops);
}

static hx_status_t find_or_create(const char *prefix, const struct hx_interface_offer *offer, bool replaces,
                                  struct hx_interface **out, struct hx_report *report)
{
    struct hx_interface *interface = hx_interface_find(prefix);
    if (interface && !is_welcome(interface, offer, replaces))
        return hx_report_fail(report, HX_E_VERSION, prefix,
                              "interface %s: version %u.%u disagrees with %u.%u, which is in use; build both sides "
                              "with the same header",
                              prefix, HX_VERSION_MAJOR(offer->version), HX_VERSION_MINOR(offer->version),
                              HX_VERSION_MAJOR(interface->version), HX_VERSION_MINOR(interface->version));
    if (!interface) {
        struct hx_slot *slot = hx_slot_create(prefix, HX_SLOT_KIND_INTERFACE, true);
        if (!slot)
            return hx_report_fail(report, HX_E_LIMIT, prefix, "interface %s: all %u slots are taken", prefix,
                                  (unsigned)HX_SLOTS_MAX);
        interface = create(slot);
        if (!interface) {
            hx_slot_destroy(slot);
            return hx_report_fail(report, HX_E_NOMEM, prefix, "interface %s: not enough memory to register it", prefix);
        }
    }
    *out = interface;
    return HX_OK;
}

hx_status_t hx_interface_offer(const char *prefix, struct hx_interface_offer *offer, bool replaces,
                               struct hx_interface **out, struct hx_report *report)
{
    if (hx_ops_count(offer->ops) < 0)
        return hx_report_fail(report, HX_E_FORMAT, prefix, "interface %s: its list of operations is malformed", prefix);
    hx_status_t err = find_or_create(prefix, offer, replaces, out, report);
    if (err != HX_OK)
        return err;
    hx_interface_hold(*out);
    enter_offer(*out, offer);
    return HX_OK;
}

void hx_interface_withdraw(struct hx_interface *interface, struct hx_interface_offer *offer)
{
    TAILQ_REMOVE(&interface->offers, offer, link);
    define(interface);
    hx_interface_release(interface);
}

void hx_interface_hold(struct hx_interface *interface)
{
    interface->refs++;
}

void hx_interface_release(struct hx_interface *interface)
{
    /* Before the interface itself: a user that was refused leaves nothing behind. */
    if (interface->stubs_va && TAILQ_EMPTY(&interface->uses)) {
        hx_hal_piece_free(interface->stubs_va, STUBS_BYTES, HX_PROT_RX);
        interface->stubs_va = 0;
    }
    if (--interface->refs > 0)
        return;
    if (hx_slot_is_static(interface->slot))
        return;
    by_slot[hx_slot_index(interface->slot)] = NULL;
    hx_slot_destroy(interface->slot);
    hx_hal_free(interface);
}

hx_ret_t hx_interface_op(const struct hx_interface *interface, const char *name, size_t bytes)
{
    uint64_t hash = hx_hash_name(name, bytes);
    uint32_t one_more = 0;
    for (size_t at = hash % HX_INTERFACE_PLACES; (one_more = interface->place[at]) != 0;
         at = (at + 1) % HX_INTERFACE_PLACES) {
        const struct hx_interface_name *op = &interface->name[one_more - 1];
        if (op->hash == hash && op->bytes == bytes && memcmp(op->text, name, bytes) == 0)
            return one_more - 1;
    }
    return HX_E_NOENT;
}

hx_ret_t hx_interface_import(const struct hx_interface *interface, const char *name, size_t bytes)
{
    size_t prefix = interface->prefix_bytes;
    if (bytes <= prefix || name[prefix] != '_' || memcmp(name, hx_slot_info(interface->slot)->name, prefix) != 0)
        return HX_E_NOENT;
    return hx_interface_op(interface, name + prefix + 1, bytes - prefix - 1);
}

hx_status_t hx_interface_stub(struct hx_interface *interface, uint32_t index, uintptr_t *out_va)
{
    if (!interface->stubs_va) {
        uintptr_t va = 0;
        uint8_t *memory = NULL;
        hx_status_t err = hx_hal_piece_alloc(STUBS_BYTES, HX_STUB_BYTES, HX_PROT_RX, &va, &memory);
        if (err != HX_OK)
            return err;
        for (uint32_t i = 0; i < HX_OPS_MAX; i++)
            hx_hal_stub_write(memory + i * HX_STUB_BYTES, interface->slot, i);
        hx_hal_piece_seal(va, STUBS_BYTES, HX_PROT_RX);
        interface->stubs_va = va;
    }
    *out_va = interface->stubs_va + index * HX_STUB_BYTES;
    return HX_OK;
}
