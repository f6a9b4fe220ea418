/* SPDX-License-Identifier: MIT */
/*
 * gate.c - the slots' cold half: names, states, publishing, draining. The hot half is assembly.
 *
 * Locks: none. Slots are created, published and closed by one task at a time (the worker, or the boot task before it). A
 * fault's handler, on any CPU, closes those of a module; between the two stands the lock of the registry of modules.
 */
#include "gate.h"

#include <lib/fmt.h>
#include <lib/hash.h>
#include <stdatomic.h>
#include <string.h>

struct hx_slot hx_slots[HX_SLOTS_MAX] HX_PERCPU_ZERO;

enum { NAME_BUCKETS = 2 * HX_SLOTS_MAX, NAME_FREE = 0, NAME_GONE = 0xffff };

static struct {
    struct hx_slot_info info[HX_SLOTS_MAX];
    uint16_t free_next[HX_SLOTS_MAX]; /* free list of dynamic slots, by index; 0 ends it */
    uint16_t free_first;
    uint16_t by_name[NAME_BUCKETS]; /* open addressing: slot index + 1, NAME_FREE or NAME_GONE */
    const struct hx_gate_policy *policy;
} gate;

static uint32_t name_bucket(const char *name)
{
    return (uint32_t)hx_hash_name(name, strlen(name)) % NAME_BUCKETS;
}

static void name_insert(const char *name, uint32_t index)
{
    uint32_t bucket = name_bucket(name);
    while (gate.by_name[bucket] != NAME_FREE && gate.by_name[bucket] != NAME_GONE)
        bucket = (bucket + 1) % NAME_BUCKETS;
    gate.by_name[bucket] = (uint16_t)(index + 1);
}

static uint16_t *name_find(const char *name)
{
    uint32_t bucket = name_bucket(name);
    for (uint32_t probes = 0; probes < NAME_BUCKETS; probes++, bucket = (bucket + 1) % NAME_BUCKETS) {
        uint16_t entry = gate.by_name[bucket];
        if (entry == NAME_FREE)
            return NULL;
        if (entry != NAME_GONE && strcmp(gate.info[entry - 1].name, name) == 0)
            return &gate.by_name[bucket];
    }
    return NULL;
}

/*
 * See gate.h: on the way in the state comes first, on the way out the vtable. Nothing when the state is not @expected any
 * more: then a fault has been faster, and stores the same vtable.
 */
static void shut(struct hx_slot *slot, enum hx_slot_state expected, enum hx_slot_state state)
{
    struct hx_slot_info *info = hx_slot_info(slot);
    const struct hx_gate_vtable *vtable = info->sleepable ? &hx_gate_vtable_wait : &hx_gate_vtable_closed;
    if (__atomic_compare_exchange_n(&info->state, &expected, state, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        __atomic_store_n(&slot->vtable, vtable->op, __ATOMIC_SEQ_CST);
}

static void set_vtable(struct hx_slot *slot, const struct hx_gate_vtable *vtable, enum hx_slot_state state)
{
    __atomic_store_n(&slot->vtable, vtable->op, __ATOMIC_SEQ_CST);
    __atomic_store_n(&hx_slot_info(slot)->state, state, __ATOMIC_RELEASE);
}

static void slot_init(uint32_t index, const char *name, enum hx_slot_kind kind, bool sleepable)
{
    struct hx_slot_info *info = &gate.info[index];
    memset(info, 0, sizeof(*info));
    hx_fmt(info->name, sizeof(info->name), "%s", name);
    info->kind = kind;
    info->sleepable = sleepable;
    if (kind == HX_SLOT_KIND_INTERFACE)
        name_insert(info->name, index);
    hx_slot_retract(&hx_slots[index]);
}

void hx_gate_init(void)
{
    memset(&gate, 0, sizeof(gate));
#define STATIC_SLOT(prefix, PREFIX, is_sleepable)                                                                      \
    slot_init(HX_SLOT_##prefix, #prefix, HX_SLOT_KIND_INTERFACE, is_sleepable);
    HX_KERNEL_INTERFACES(STATIC_SLOT)
#undef STATIC_SLOT
    for (uint32_t i = HX_SLOTS_MAX - 1; i >= HX_SLOTS_STATIC; i--) {
        gate.free_next[i] = gate.free_first;
        gate.free_first = (uint16_t)i;
    }
}

void hx_gate_bind(const struct hx_gate_policy *policy)
{
    gate.policy = policy;
}

struct hx_slot *hx_slot_create(const char *name, enum hx_slot_kind kind, bool sleepable)
{
    uint32_t index = gate.free_first;
    if (index == 0)
        return NULL;
    gate.free_first = gate.free_next[index];
    slot_init(index, name, kind, sleepable);
    return &hx_slots[index];
}

void hx_slot_destroy(struct hx_slot *slot)
{
    if (!slot)
        return;
    uint32_t index = hx_slot_index(slot);
    if (gate.info[index].kind == HX_SLOT_KIND_INTERFACE)
        *name_find(gate.info[index].name) = NAME_GONE;
    hx_slot_retract(slot);
    gate.info[index].state = HX_SLOT_FREE;
    gate.free_next[index] = gate.free_first;
    gate.free_first = (uint16_t)index;
}

uint32_t hx_slot_index(const struct hx_slot *slot)
{
    return (uint32_t)(slot - hx_slots);
}

bool hx_slot_is_static(const struct hx_slot *slot)
{
    return hx_slot_index(slot) < HX_SLOTS_STATIC;
}

struct hx_slot *hx_slot_find(const char *name)
{
    const uint16_t *entry = name_find(name);
    return entry ? &hx_slots[*entry - 1] : NULL;
}

struct hx_slot_info *hx_slot_info(const struct hx_slot *slot)
{
    return &gate.info[hx_slot_index(slot)];
}

void hx_slot_publish(struct hx_slot *slot, const struct hx_gate_vtable *vtable, void *owner)
{
    struct hx_slot_info *info = hx_slot_info(slot);
    info->open_vtable = vtable;
    info->owner = owner;
    set_vtable(slot, vtable, HX_SLOT_OPEN);
}

enum hx_slot_state hx_slot_state(const struct hx_slot *slot)
{
    return __atomic_load_n(&hx_slot_info(slot)->state, __ATOMIC_ACQUIRE);
}

void hx_slot_close(struct hx_slot *slot)
{
    enum hx_slot_state state = hx_slot_state(slot);
    if (state != HX_SLOT_FAULTED)
        shut(slot, state, HX_SLOT_CLOSED);
}

void hx_slot_fault(struct hx_slot *slot)
{
    if (hx_slot_state(slot) == HX_SLOT_OPEN)
        shut(slot, HX_SLOT_OPEN, HX_SLOT_FAULTED);
    if (hx_slot_state(slot) == HX_SLOT_CLOSED) /* as it was, or since a moment */
        shut(slot, HX_SLOT_CLOSED, HX_SLOT_FAULTED);
}

void hx_slot_reopen(struct hx_slot *slot)
{
    if (hx_slot_info(slot)->state != HX_SLOT_FAULTED)
        set_vtable(slot, hx_slot_info(slot)->open_vtable, HX_SLOT_OPEN);
}

void hx_slot_fail(struct hx_slot *slot)
{
    set_vtable(slot, &hx_gate_vtable_failed, HX_SLOT_FAILED);
}

void hx_slot_retract(struct hx_slot *slot)
{
    struct hx_slot_info *info = hx_slot_info(slot);
    info->open_vtable = NULL;
    info->owner = NULL;
    set_vtable(slot, &hx_gate_vtable_absent, HX_SLOT_ABSENT);
}

static uint64_t left_of(struct hx_slot *slot, uint32_t cpus)
{
    uint64_t left = 0;
    for (uint32_t cpu = 0; cpu < cpus; cpu++)
        left += __atomic_load_n(&hx_hal_slot_on_cpu(slot, cpu)->left, __ATOMIC_ACQUIRE);
    return left;
}

uint64_t hx_slot_inside(struct hx_slot *slot)
{
    uint32_t cpus = hx_hal_cpu_count();
    uint64_t left = left_of(slot, cpus);
    /* All of left before any of entered: see gate.h. */
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t entered = 0;
    for (uint32_t cpu = 0; cpu < cpus; cpu++)
        entered += __atomic_load_n(&hx_hal_slot_on_cpu(slot, cpu)->entered, __ATOMIC_ACQUIRE);
    return entered - left;
}

uint64_t hx_slot_calls(struct hx_slot *slot)
{
    return left_of(slot, hx_hal_cpu_count());
}

static bool is_slot(const struct hx_slot *slot)
{
    uintptr_t off = (uintptr_t)slot - (uintptr_t)hx_slots;
    return off < sizeof(hx_slots) && off % sizeof(*slot) == 0;
}

static bool holds_frame(uintptr_t low, uintptr_t high, const struct hx_gate_frame *frame)
{
    uintptr_t at = (uintptr_t)frame;
    return at >= low && at < high && high - at >= sizeof(*frame) && at % sizeof(uint64_t) == 0;
}

/* A module that overran its stack may have spoiled the frame: what is about to be used of it is looked at first. */
bool hx_gate_is_sound(const struct hx_gate_frame *frame)
{
    uintptr_t low = 0, high = 0;
    hx_hal_stack_bounds(&low, &high);
    if (!holds_frame(low, high, frame) || !is_slot(frame->slot))
        return false;
    return !frame->prev || holds_frame((uintptr_t)(frame + 1), high, frame->prev);
}

bool hx_gate_chain_has(const struct hx_gate_frame *frame, const void *owner)
{
    for (; frame; frame = frame->prev) {
        const struct hx_slot_info *info = hx_slot_info(frame->slot);
        if (info->owner == owner && !frame->waiting)
            return true;
    }
    return false;
}

_Noreturn void hx_gate_killed(void)
{
    struct hx_gate_frame *frame = hx_gate_frame();
    bool hung = frame->kill_pending & HX_KILL_HUNG;
    if (hung && gate.policy && gate.policy->hung)
        gate.policy->hung(frame);
    if (gate.policy && gate.policy->dropped)
        gate.policy->dropped(frame);
    bool again = frame->kill_pending == HX_KILL_RESTART; /* and nothing worse */
    hx_gate_unwind_to(frame, hung ? HX_E_FAULT : again ? HX_E_RESTART : HX_E_KILLED);
}

uint64_t hx_gate_leaving(struct hx_gate_frame *frame)
{
    return gate.policy->leaving(frame);
}

const struct hx_gate_vtable *hx_gate_wait(struct hx_slot *slot)
{
    const struct hx_slot_info *info = hx_slot_info(slot);
    /* A task that is inside the closing module already is waited for by the drain: to stop it here would be a deadlock. */
    if (info->open_vtable && hx_gate_chain_has(hx_gate_frame(), info->owner))
        return info->open_vtable;
    hx_status_t err = gate.policy ? gate.policy->wait(slot) : HX_E_CLOSED;
    if (err != HX_OK)
        return (const struct hx_gate_vtable *)(intptr_t)err;
    return NULL; /* the stub loads the slot again, after entered++ */
}
