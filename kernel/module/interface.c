/* SPDX-License-Identifier: MIT */
/* interface.c - see interface.h. */
#include "interface.h"

#include <helix/kv.h>
#include <helix/rtc.h>
#include <helix/sched.h>
#include <lib/fmt.h>
#include <string.h>

static struct hx_interface *by_slot[HX_SLOTS_MAX];

#define KERNEL_OPS(prefix, PREFIX, sleepable) static const char prefix##_ops_text[] = PREFIX##_OPS(HX_OP_TEXT_);
HX_KERNEL_INTERFACES(KERNEL_OPS)
#undef KERNEL_OPS

hx_ret_t hx_interface_count_ops(struct hx_slice ops)
{
    hx_ret_t count = 0;
    uint64_t offset = 0;
    for (;;) {
        const char *op = hx_slice_string(ops, offset);
        if (!op)
            return HX_E_FORMAT;
        size_t bytes = strlen(op);
        offset += bytes + 1;
        if (bytes == 0)
            return offset == ops.bytes ? count : HX_E_FORMAT;
        if (!memchr(op, '(', bytes) || count == HX_OPS_MAX)
            return HX_E_FORMAT;
        count++;
    }
}

static hx_status_t create(struct hx_slot *slot, uint32_t version, struct hx_slice ops, bool copy_ops)
{
    struct hx_interface *interface = hx_hal_alloc(sizeof(*interface));
    if (!interface)
        return HX_E_NOMEM;
    interface->slot = slot;
    interface->version = version;
    interface->ops_bytes = (uint32_t)ops.bytes;
    interface->op_count = (uint32_t)hx_interface_count_ops(ops);
    TAILQ_INIT(&interface->uses);
    interface->ops = (const char *)ops.data;
    if (copy_ops) {
        interface->owned_ops = hx_hal_alloc(ops.bytes);
        if (!interface->owned_ops) {
            hx_hal_free(interface);
            return HX_E_NOMEM;
        }
        memcpy(interface->owned_ops, ops.data, ops.bytes);
        interface->ops = interface->owned_ops;
    }
    by_slot[hx_slot_index(slot)] = interface;
    return HX_OK;
}

hx_status_t hx_interface_init(void)
{
    hx_status_t err = HX_OK;
#define CREATE(prefix, PREFIX, sleepable)                                                                            \
    if (err == HX_OK)                                                                                                \
        err = create(&hx_slots[HX_SLOT_##prefix], PREFIX##_VERSION,                                                  \
                     hx_slice_of(prefix##_ops_text, sizeof(prefix##_ops_text)), false);
    HX_KERNEL_INTERFACES(CREATE)
#undef CREATE
    return err;
}

struct hx_interface *hx_interface_find(const char *prefix)
{
    struct hx_slot *slot = hx_slot_find(prefix);
    return slot ? by_slot[hx_slot_index(slot)] : NULL;
}

void hx_interface_display(const char *prefix, char out[HX_NAME_MAX])
{
    hx_fmt(out, HX_NAME_MAX, "%s", prefix);
    char *separator = memchr(out, '_', strlen(out));
    if (separator)
        *separator = '.';
}

bool hx_interface_agrees(const struct hx_interface *interface, uint32_t version, struct hx_slice ops)
{
    size_t common = ops.bytes < interface->ops_bytes ? ops.bytes : interface->ops_bytes;
    /* The closing empty name of the shorter list stands where the longer goes on. */
    return HX_VERSION_MAJOR(version) == HX_VERSION_MAJOR(interface->version) && common > 0 &&
           memcmp(ops.data, interface->ops, common - 1) == 0;
}

/* A newer minor brings a longer list; everybody who agreed on the shorter one agrees on it too. */
static hx_status_t grow(struct hx_interface *interface, uint32_t version, struct hx_slice ops)
{
    if (ops.bytes <= interface->ops_bytes)
        return HX_OK;
    char *copy = hx_hal_alloc(ops.bytes);
    if (!copy)
        return HX_E_NOMEM;
    memcpy(copy, ops.data, ops.bytes);
    hx_hal_free(interface->owned_ops);
    interface->owned_ops = copy;
    interface->ops = copy;
    interface->ops_bytes = (uint32_t)ops.bytes;
    interface->op_count = (uint32_t)hx_interface_count_ops(ops);
    interface->version = version;
    return HX_OK;
}

hx_status_t hx_interface_acquire(const char *prefix, uint32_t version, struct hx_slice ops, struct hx_interface **out,
                                 struct hx_report *report)
{
    hx_status_t err = HX_E_INTERNAL;
    if (hx_interface_count_ops(ops) < 0)
        return hx_report_fail(report, HX_E_FORMAT, prefix, "interface %s: its list of operations is malformed", prefix);
    struct hx_interface *interface = hx_interface_find(prefix);
    if (interface) {
        if (!hx_interface_agrees(interface, version, ops))
            return hx_report_fail(report, HX_E_VERSION, prefix,
                                  "interface %s: version %u.%u disagrees with %u.%u, which is in use; build both sides "
                                  "with the same header",
                                  prefix, HX_VERSION_MAJOR(version), HX_VERSION_MINOR(version),
                                  HX_VERSION_MAJOR(interface->version), HX_VERSION_MINOR(interface->version));
        err = grow(interface, version, ops);
    } else {
        struct hx_slot *slot = hx_slot_create(prefix, HX_SLOT_KIND_INTERFACE, true);
        if (!slot)
            return hx_report_fail(report, HX_E_LIMIT, prefix, "interface %s: all %u slots are taken", prefix,
                                  (unsigned)HX_SLOTS_MAX);
        err = create(slot, version, ops, true);
        if (err != HX_OK)
            hx_slot_destroy(slot);
        else
            interface = by_slot[hx_slot_index(slot)];
    }
    if (err != HX_OK)
        return hx_report_fail(report, err, prefix, "interface %s: not enough memory to register it", prefix);
    interface->refs++;
    *out = interface;
    return HX_OK;
}

void hx_interface_release(struct hx_interface *interface)
{
    if (--interface->refs > 0)
        return;
    if (interface->stubs_va)
        hx_hal_image_free(interface->stubs_va, HX_PAGE_BYTES);
    interface->stubs_va = 0;
    if (hx_slot_is_static(interface->slot))
        return;
    by_slot[hx_slot_index(interface->slot)] = NULL;
    hx_slot_destroy(interface->slot);
    hx_hal_free(interface->owned_ops);
    hx_hal_free(interface);
}

hx_ret_t hx_interface_op(const struct hx_interface *interface, const char *name, size_t bytes)
{
    const char *op = interface->ops;
    for (uint32_t index = 0; index < interface->op_count; index++, op += strlen(op) + 1)
        if (strncmp(op, name, bytes) == 0 && op[bytes] == '(')
            return index;
    return HX_E_NOENT;
}

hx_status_t hx_interface_stub(struct hx_interface *interface, uint32_t index, uintptr_t *out_va)
{
    if (!interface->stubs_va) {
        uintptr_t va = 0;
        hx_status_t err = hx_hal_image_alloc(HX_PAGE_BYTES, &va);
        if (err != HX_OK)
            return err;
        for (uint32_t i = 0; i < HX_OPS_MAX; i++)
            hx_hal_stub_write((uint8_t *)va + i * HX_STUB_BYTES, interface->slot, i);
        hx_hal_image_protect(va, HX_PAGE_BYTES, HX_PROT_RX);
        interface->stubs_va = va;
    }
    *out_va = interface->stubs_va + index * HX_STUB_BYTES;
    return HX_OK;
}
