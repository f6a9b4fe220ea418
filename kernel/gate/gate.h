/* SPDX-License-Identifier: MIT */
/*
 * gate.h - slots, and the one way into a module.
 *
 * A call goes: entered++ (this CPU), load the slot's vtable, call, left++ (this CPU). A drain goes: publish the closed
 * vtable, have every CPU acknowledge an interrupt, then sum all `left`, then all `entered`; equal means empty.
 *
 * Why that is enough. A caller that the drain must not miss has loaded the open vtable. It bumped `entered` before that
 * load, so the bump is visible to everybody once its CPU has acknowledged the interrupt, which came after the close. A
 * caller that bumps later loads the closed vtable. Summing `left` first: every exit that is counted has its entry counted
 * too, because the entry came before it on some CPU and `entered` is read afterwards; so the sums can be equal only if
 * nobody is inside. One up-down counter would not do: a caller that migrates decrements on another CPU, and a sum taken
 * in between cancels one who is inside against it. The closed vtable's stubs bump `left` before they sleep and start again
 * from the top, `entered` first.
 *
 * Which is why the order "entered, then vtable" in gate.S and "left, then entered" in hx_slot_inside() must stay.
 *
 * May be used by: L4 and up. Knows no task, module or channel: who waits at a closed slot, and what happens to a module
 * that faulted, is decided through struct hx_gate_policy.
 */
#pragma once
#include "interfaces.h"
#include <hal/hx_hal.h>
#include <helix/interface.h>

extern struct hx_slot hx_slots[HX_SLOTS_MAX];

enum hx_slot_state {
    HX_SLOT_FREE,
    HX_SLOT_ABSENT, /* no provider: calls return HX_E_ABSENT */
    HX_SLOT_OPEN,
    HX_SLOT_CLOSED, /* by a swap or unload, which opens it soon: callers wait (sleepable) or get HX_E_CLOSED (atomic) */
    HX_SLOT_FAULTED, /* by a fault; the worker decides: the same for callers, and nobody knows how long */
    HX_SLOT_FAILED,  /* calls return HX_E_FAILED */
};

enum hx_slot_kind {
    HX_SLOT_KIND_INTERFACE, /* operations of an interface */
    HX_SLOT_KIND_CALLBACKS, /* interrupt handlers of a module; atomic */
    HX_SLOT_KIND_HOOKS,     /* init, save, ... of one version; never closed, who calls one handles its fault */
};

/* One vtable as the gate wants it: HX_OPS_MAX pointers, the tail filled with hx_gate_op_unsupported. */
struct hx_gate_vtable {
    const void *op[HX_OPS_MAX];
};

/* What the kernel knows of a slot beside the hot part. */
struct hx_slot_info {
    char name[HX_NAME_MAX]; /* "hx_sched", or "svc_kv:irq" */
    enum hx_slot_kind kind;
    enum hx_slot_state state;
    bool sleepable;
    const struct hx_gate_vtable *open_vtable; /* what is or was published; nested calls into a closing slot go there */
    void *owner;                              /* of the published vtable, opaque here; NULL when absent */
};

/* What the rooms above decide; bound once by the composition root. */
struct hx_gate_policy {
    /* A caller stands at the closed sleepable @slot, counted as outside. Returns HX_OK when it is to try again, or the
     * error that it gets (HX_E_TIMEOUT, HX_E_BUSY for the task that closed it, HX_E_KILLED). May sleep. */
    hx_status_t (*wait)(struct hx_slot *slot);
    /* The innermost call, of @frame, is about to be unwound because it hung while the kernel worked for it. */
    void (*hung)(const struct hx_gate_frame *frame);
    /* The innermost call, of @frame, is unwound: what hx_gate_intercept() would have had done is not to be done. */
    void (*dropped)(const struct hx_gate_frame *frame);
    /* The call of @frame returns and was intercepted. What hx_gate_intercept() returned. */
    uint64_t (*leaving)(struct hx_gate_frame *frame);
};
void hx_gate_bind(const struct hx_gate_policy *policy);

/* Makes the static slots absent. First of all calls here; on the boot CPU, before any gate entry. */
void hx_gate_init(void);

/* A dynamic slot, absent. Interface slots are found by name, the others are not. NULL when all are taken. */
struct hx_slot *hx_slot_create(const char *name, enum hx_slot_kind kind, bool sleepable);
void hx_slot_destroy(struct hx_slot *slot); /* NULL is accepted; must be empty and not static */
uint32_t hx_slot_index(const struct hx_slot *slot);
bool hx_slot_is_static(const struct hx_slot *slot); /* belongs to an interface that the kernel calls itself */
/* The interface slot called @name or NULL; by hash. */
struct hx_slot *hx_slot_find(const char *name);
struct hx_slot_info *hx_slot_info(const struct hx_slot *slot);

/*
 * Each is one store of the vtable plus the bookkeeping of its state. Closing may meet a fault's handler on another CPU; what
 * opens or fails a slot does not, by a lock of the caller's. Who sees a slot shut by its vtable sees by its state what has
 * shut it, and who sees it open by its state calls the new vtable.
 *
 *             of OPEN    of CLOSED  of FAULTED  of FAILED  of ABSENT
 * publish     OPEN       OPEN       OPEN        OPEN       OPEN       after a drain: no fault is under way
 * close       CLOSED     CLOSED     FAULTED     CLOSED     CLOSED
 * fault       FAULTED    FAULTED    FAULTED     FAILED     ABSENT
 * reopen      OPEN       OPEN       FAULTED     OPEN       -
 * fail        FAILED     FAILED     FAILED      FAILED     FAILED
 * retract     ABSENT     ABSENT     ABSENT      ABSENT     ABSENT     after a drain
 */
void hx_slot_publish(struct hx_slot *slot, const struct hx_gate_vtable *vtable, void *owner);
void hx_slot_close(struct hx_slot *slot);
void hx_slot_fault(struct hx_slot *slot);
void hx_slot_reopen(struct hx_slot *slot); /* undoes hx_slot_close */
void hx_slot_fail(struct hx_slot *slot);
void hx_slot_retract(struct hx_slot *slot); /* back to absent */
/* May change at any moment: for those who wait for it to. */
enum hx_slot_state hx_slot_state(const struct hx_slot *slot);
/* Closed by a swap or by a fault, until somebody has decided what comes next. */
static inline bool hx_slot_is_undecided(enum hx_slot_state state)
{
    return state == HX_SLOT_CLOSED || state == HX_SLOT_FAULTED;
}

/* Callers inside now, all CPUs; only meaningful after hx_hal_cpu_sync(). */
uint64_t hx_slot_inside(struct hx_slot *slot);
/* Calls ever completed. */
uint64_t hx_slot_calls(struct hx_slot *slot);

/*
 * Calls operation @index of @slot with up to four words: for hooks and callbacks, which have no typed entry.
 * Typed operations of kernel interfaces have entries of their own, hx_kv_get() and so on, of the same shape.
 * Returns what the operation returns, or HX_E_FAULT when it was unwound.
 */
HX_NODISCARD hx_ret_t hx_gate_call(struct hx_slot *slot, uint32_t index, uint64_t a, uint64_t b, uint64_t c,
                                   uint64_t d);

/* For a thread that called a typed entry: @result, and none of the flags that the module may have left behind. */
static inline hx_ret_t hx_gate_left(hx_ret_t result)
{
    hx_irq_enable_only();
    return result;
}

/* ---- recovery ------------------------------------------------------------------------------------------------------- */
/* Innermost frame on this CPU, or NULL. */
static inline struct hx_gate_frame *hx_gate_frame(void)
{
    return hx_cpu_read(frame);
}
/* Whether @frame, the innermost, can be one: it lies on the current stack, and names a slot and a predecessor. */
bool hx_gate_is_sound(const struct hx_gate_frame *frame);
/* Whether it may be unwound to now: it is sound and control is in the module, not in an import. */
static inline bool hx_gate_may_unwind(const struct hx_gate_frame *frame)
{
    return hx_gate_is_sound(frame) && !frame->in_import && !frame->waiting;
}
/* Whether the chain from @frame (NULL: empty) outwards stands inside a slot of @owner. It is this task's, or of one that does
 * not run meanwhile. */
bool hx_gate_chain_has(const struct hx_gate_frame *frame, const void *owner);
/* Called by import stubs (assembly) whose frame has kill_pending when the import returns. */
_Noreturn void hx_gate_killed(void);

/* ---- on the way out ------------------------------------------------------------------------------------------------- */
/*
 * Has hx_gate_policy.leaving() called when the call of @frame, the innermost, has returned: before it is counted out, so that a
 * drain waits for it, and in the core, so that nothing unwinds it. Costs nothing where nobody asks for it: it takes the place
 * of the module's way back, the word below the frame. Returns that word, which leaving() returns.
 */
extern const char hx_gate_intercepted[]; /* gate.S */
static inline uint64_t hx_gate_intercept(struct hx_gate_frame *frame)
{
    uint64_t *back = (uint64_t *)(void *)frame - 1, was = *back;
    *back = (uint64_t)(uintptr_t)hx_gate_intercepted;
    return was;
}
/* Undoes it. */
static inline void hx_gate_let_go(struct hx_gate_frame *frame, uint64_t back)
{
    ((uint64_t *)(void *)frame)[-1] = back;
}
/* Called by hx_gate_intercepted (assembly). */
uint64_t hx_gate_leaving(struct hx_gate_frame *frame);

/* ---- what assembly provides (gate.S) -------------------------------------------------------------------------------- */
extern const struct hx_gate_vtable hx_gate_vtable_wait;   /* closed, sleepable: wait and start again */
extern const struct hx_gate_vtable hx_gate_vtable_closed; /* closed, atomic: HX_E_CLOSED */
extern const struct hx_gate_vtable hx_gate_vtable_absent;
extern const struct hx_gate_vtable hx_gate_vtable_failed;
hx_ret_t hx_gate_op_unsupported(void);   /* HX_E_UNSUPPORTED */
extern const char hx_gate_stack_short[]; /* where a module's call faults that finds too little of the stack left */
/* Where the trap handler sends an unwound frame: rsp at the frame, rax the result, GS this CPU's. */
extern const char hx_gate_resume[];
/* Goes on behind @frame's entry with @result, as an unwound trap would. */
_Noreturn void hx_gate_unwind_to(struct hx_gate_frame *frame, hx_ret_t result);
/*
 * Called by hx_gate_vtable_wait's stubs with @slot closed, after left++. Returns NULL: bump `entered` and load the slot's
 * vtable again; a vtable, for a task that is inside the closing module already: go on with that version, which the task's
 * outer frame keeps from being drained; or an error number -4095..-1 as a pointer.
 */
const struct hx_gate_vtable *hx_gate_wait(struct hx_slot *slot);
