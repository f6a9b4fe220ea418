/* SPDX-License-Identifier: MIT */
/*
 * hang.c - see hang.h.
 *
 * Why an NMI may take the locks that a fault takes: it acts only when it has come in a module's own code, and there this
 * processor holds none. In that it is a fault like any other.
 * Locks: none. What processors know of each other is read while it changes; a stale look costs a probe that finds nothing.
 */
#include "hang.h"

#include <hal/hx_hal_entry.h>
#include <hal/hx_import.h>
#include <lib/fmt.h>
#include <orchestrator/record.h>
#include <orchestrator/resource_broker.h>
#include <task/task.h>

#include "exception.h"

/* What a processor has seen of another one. */
struct sight {
    const struct hx_gate_frame *frame;
    uint32_t ticks;
    uint32_t looks; /* that found the same */
};

/* Of this processor. */
struct watch {
    uint32_t counted; /* ticks when it last counted one */
    uint32_t looked;  /* ticks when it last looked around */
    uint32_t idle_looks;
    struct sight seen[HX_CPUS_MAX];
    struct hx_timer timer; /* while it watches and idles */
};
static struct watch watch HX_PERCPU_ZERO;

/* A processor that is being probed, and who does it. */
static struct probe {
    const struct hx_gate_frame *frame; /* a: NULL: it is not */
    uint32_t ticks;
    struct hx_timer timer;
} probes[HX_CPUS_MAX];

static bool is_one_of_many; /* processors; from the first time that one of them idles or stops to */
static uint32_t busy = 1;   /* a: processors that do not idle, a bit each; the first one starts the others */
/*
 * a: id + 1 of the idle one that watches them, or was idle when it began: its timer is armed; 0: none does. One that is busy
 * may never come to its timer, so it counts as none. Who begins or stops to idle changes `busy' first and looks here then;
 * so of two that do so at once one sees the other.
 */
static uint32_t watcher;

static struct watch *watch_here(void)
{
    return hx_hal_on_cpu(&watch, hx_cpu_read(id));
}

static const struct hx_cpu *cpu_of(uint32_t id)
{
    return hx_hal_on_cpu(&hx_cpu, id);
}

/* ---- the call ------------------------------------------------------------------------------------------------------- */

static uint32_t budget_of(const struct hx_gate_frame *frame)
{
    const struct hx_slot_info *info = hx_slot_info(frame->slot);
    if (info->kind == HX_SLOT_KIND_HOOKS)
        return HX_HANG_HOOK_TICKS;
    return info->sleepable ? HX_HANG_SLEEPABLE_TICKS : HX_HANG_ATOMIC_TICKS;
}

static uint32_t elapsed_ms(const struct hx_gate_frame *frame)
{
    return frame->ticks * (uint32_t)(HX_TICK_NS / 1000000);
}

static void count_tick(struct hx_trap *trap, struct hx_gate_frame *frame)
{
    char what[32];
    if (!hx_gate_is_sound(frame) || frame->waiting)
        return;
    if (frame->ticks < UINT8_MAX)
        frame->ticks++;
    if (frame->ticks < budget_of(frame))
        return;
    if (frame->in_import) {
        frame->kill_pending = (uint8_t)(HX_KILL_HUNG | frame->in_import); /* whatever else was to end it */
    } else if (hx_exception_is_modules(trap, frame)) {
        hx_fmt(what, sizeof(what), "hang: %u ms", elapsed_ms(frame));
        hx_exception_tell(trap, frame, what);
        hx_record_drop(frame);
        hx_hal_trap_unwind(trap, frame, HX_E_FAULT);
    }
}

void hx_hang_ended(const struct hx_gate_frame *frame)
{
    char what[64];
    uint32_t import = frame->kill_pending & ~(uint32_t)HX_KILL_HUNG;
    hx_fmt(what, sizeof(what), "hang: %u ms, at last in %s", elapsed_ms(frame),
           import && import <= hx_import_count ? hx_import_table[import - 1].name : "the kernel");
    hx_exception_tell(NULL, frame, what);
}

/* ---- other processors ----------------------------------------------------------------------------------------------- */

static void probe_again(struct hx_timer *timer)
{
    struct probe *probe = (struct probe *)((char *)timer - offsetof(struct probe, timer));
    uint32_t id = (uint32_t)(probe - probes);
    const struct hx_cpu *cpu = cpu_of(id);
    if (cpu->frame != probe->frame || cpu->ticks != probe->ticks) {
        __atomic_store_n(&probe->frame, NULL, __ATOMIC_RELEASE);
        return;
    }
    hx_hal_cpu_probe(id);
    hx_timer_arm(timer, hx_hal_clock_ns() + HX_HANG_PROBE_NS, probe_again);
}

static void probe_begin(uint32_t id, const struct sight *seen)
{
    const struct hx_gate_frame *nobody = NULL;
    struct probe *probe = &probes[id];
    if (!__atomic_compare_exchange_n(&probe->frame, &nobody, seen->frame, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return;
    probe->ticks = seen->ticks;
    hx_timer_arm(&probe->timer, hx_hal_clock_ns() + HX_HANG_PROBE_NS, probe_again);
}

void hx_hang_probed(struct hx_trap *trap)
{
    struct hx_gate_frame *frame = hx_gate_frame();
    if (frame && frame == __atomic_load_n(&probes[hx_cpu_read(id)].frame, __ATOMIC_ACQUIRE))
        count_tick(trap, frame);
}

static void look_at(struct sight *seen, uint32_t id)
{
    const struct hx_cpu *cpu = cpu_of(id);
    if (!cpu->frame || cpu->frame != seen->frame || cpu->ticks != seen->ticks) {
        *seen = (struct sight){ .frame = cpu->frame, .ticks = cpu->ticks };
        return;
    }
    if (++seen->looks >= HX_HANG_LOOKS)
        probe_begin(id, seen);
}

static void look_around(struct watch *self)
{
    uint32_t here = hx_cpu_read(id), count = hx_hal_cpu_count();
    for (uint32_t id = 0; id < count; id++)
        if (id != here)
            look_at(&self->seen[id], id);
}

/* ---- who looks ------------------------------------------------------------------------------------------------------ */

static bool is_idle(uint32_t id)
{
    return !(__atomic_load_n(&busy, __ATOMIC_SEQ_CST) >> id & 1);
}

static bool is_watched(uint32_t who)
{
    return who && is_idle(who - 1);
}

static bool watch_goes(uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(&watcher, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static void watch_on(struct hx_timer *timer);

static void watch_begin(void)
{
    uint32_t who = __atomic_load_n(&watcher, __ATOMIC_SEQ_CST);
    struct watch *self = watch_here();
    if (is_watched(who) || !watch_goes(who, hx_cpu_read(id) + 1))
        return;
    self->idle_looks = 0;
    hx_timer_arm(&self->timer, hx_hal_clock_ns() + HX_HANG_WATCH_NS, watch_on);
}

/* An idle processor is asked to; one that is busy looks at each of its ticks. */
static void find_watcher(void)
{
    for (uint32_t id = 0; id < hx_hal_cpu_count(); id++) {
        if (is_idle(id)) {
            hx_hal_cpu_poke(id);
            return;
        }
    }
}

static void watch_on(struct hx_timer *timer)
{
    struct watch *self = watch_here();
    uint32_t me = hx_cpu_read(id) + 1;
    if (__atomic_load_n(&watcher, __ATOMIC_SEQ_CST) != me)
        return; /* another one has taken over */
    bool any_busy = __atomic_load_n(&busy, __ATOMIC_SEQ_CST) != 0;
    self->idle_looks = any_busy ? 0 : self->idle_looks + 1;
    if (!is_idle(me - 1) || self->idle_looks >= HX_HANG_LINGER_LOOKS) {
        if (watch_goes(me, 0) && __atomic_load_n(&busy, __ATOMIC_SEQ_CST))
            find_watcher();
        return;
    }
    look_around(self);
    hx_timer_arm(timer, hx_hal_clock_ns() + HX_HANG_WATCH_NS, watch_on);
}

void hx_hang_idle_changed(bool idle)
{
    uint32_t bit = 1u << hx_cpu_read(id);
    if (hx_hal_cpu_count() == 1)
        return;
    is_one_of_many = true;
    if (idle) {
        if (__atomic_and_fetch(&busy, ~bit, __ATOMIC_SEQ_CST))
            watch_begin();
    } else {
        (void)__atomic_or_fetch(&busy, bit, __ATOMIC_SEQ_CST);
        if (!is_watched(__atomic_load_n(&watcher, __ATOMIC_SEQ_CST)))
            find_watcher();
    }
}

/* Not a tick, perhaps; and somebody may want an idle processor to watch. */
static __attribute__((noinline)) void tick_of_many(void)
{
    struct watch *self = watch_here();
    uint32_t ticks = hx_cpu_read(ticks);
    if (ticks != self->looked) {
        self->looked = ticks;
        look_around(self);
    }
    if (is_idle(hx_cpu_read(id)) && __atomic_load_n(&busy, __ATOMIC_RELAXED))
        watch_begin();
}

static __attribute__((noinline)) void tick_inside(struct hx_trap *trap, struct hx_gate_frame *frame)
{
    uint32_t ticks = hx_cpu_read(ticks);
    struct watch *self = watch_here();
    if (ticks == self->counted)
        return;
    self->counted = ticks;
    if (hx_gate_is_sound(frame) && !frame->waiting)
        hx_resource_tick(frame);
    count_tick(trap, frame);
}

/* Most interrupts come outside of every module, and leave at once. */
void hx_entry_tick(struct hx_trap *trap)
{
    if (is_one_of_many)
        tick_of_many();
    if (hx_gate_frame())
        tick_inside(trap, hx_gate_frame());
}
