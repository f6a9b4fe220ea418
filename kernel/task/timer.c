/* SPDX-License-Identifier: MIT */
/*
 * timer.c - see timer.h.
 *
 * The machine's deadline is moved only when the earliest timer gets earlier, or when it has passed. Disarming leaves it:
 * an interrupt that finds nothing due costs less than programming the machine for every timeout that did not happen.
 * Locks: none; a timer belongs to the CPU that armed it, and the heap is touched with interrupts off.
 */
#include "timer.h"

#include "schedule.h"

static struct heap {
    struct hx_timer *root;
    uint64_t machine_ns; /* what the machine is armed for */
    bool running;        /* hx_timer_run() arms the machine when it is through */
    uint64_t expired;
} heap_template HX_PERCPU = { .machine_ns = UINT64_MAX };

/* Two heaps into one; of equals @a stays above. */
static struct hx_timer *meld(struct hx_timer *a, struct hx_timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (b->deadline_ns < a->deadline_ns) {
        struct hx_timer *swap = a;
        a = b;
        b = swap;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child)
        a->child->prev = b;
    a->child = b;
    return a;
}

/* Siblings into one heap: neighbours first, then the pairs from right to left, which is what bounds the cost. */
static struct hx_timer *meld_siblings(struct hx_timer *first)
{
    struct hx_timer *pairs = NULL, *root = NULL;
    while (first) {
        struct hx_timer *a = first, *b = first->next;
        first = b ? b->next : NULL;
        struct hx_timer *pair = meld(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    while (pairs) {
        struct hx_timer *pair = pairs;
        pairs = pair->next;
        pair->next = NULL;
        root = meld(pair, root);
    }
    if (root)
        root->prev = NULL;
    return root;
}

static void cut(struct heap *heap, struct hx_timer *timer)
{
    struct hx_timer *below = meld_siblings(timer->child);
    if (timer == heap->root) {
        heap->root = below;
    } else {
        if (timer->prev->child == timer)
            timer->prev->child = timer->next;
        else
            timer->prev->next = timer->next;
        if (timer->next)
            timer->next->prev = timer->prev;
        heap->root = meld(heap->root, below);
    }
    timer->child = timer->next = timer->prev = NULL;
    timer->armed = false;
}

static void machine_arm(struct heap *heap, uint64_t deadline_ns)
{
    heap->machine_ns = deadline_ns;
    hx_hal_timer_arm(deadline_ns);
}

void hx_timer_arm_every(struct hx_timer *timer, uint64_t deadline_ns, uint32_t period_ns,
                        void (*expired)(struct hx_timer *timer))
{
    hx_irq_flags_t flags = hx_irq_save();
    struct heap *heap = HX_THIS_CPU(heap_template);
    if (timer->armed)
        cut(heap, timer);
    timer->child = timer->next = timer->prev = NULL;
    timer->deadline_ns = deadline_ns;
    timer->period_ns = period_ns;
    timer->expired = expired;
    timer->armed = true;
    heap->root = meld(heap->root, timer);
    if (deadline_ns < heap->machine_ns && !heap->running)
        machine_arm(heap, deadline_ns);
    hx_irq_restore(flags);
}

void hx_timer_arm(struct hx_timer *timer, uint64_t deadline_ns, void (*expired)(struct hx_timer *timer))
{
    hx_timer_arm_every(timer, deadline_ns, 0, expired);
}

bool hx_timer_disarm(struct hx_timer *timer)
{
    hx_irq_flags_t flags = hx_irq_save();
    bool armed = timer->armed;
    if (armed)
        cut(HX_THIS_CPU(heap_template), timer);
    hx_irq_restore(flags);
    return armed;
}

/* The first timer, which has expired, is to do so again. Alone, as a tick mostly is, it stays where it is. */
static inline void postpone(struct heap *heap, struct hx_timer *timer, uint64_t now_ns)
{
    struct hx_timer *below = timer->child;
    uint64_t deadline_ns = timer->deadline_ns + timer->period_ns;
    timer->deadline_ns = deadline_ns > now_ns ? deadline_ns : now_ns + timer->period_ns;
    if (!below)
        return;
    timer->child = NULL;
    heap->root = meld(meld_siblings(below), timer);
}

void hx_timer_run(uint64_t now_ns)
{
    struct heap *heap = HX_THIS_CPU(heap_template);
    heap->machine_ns = UINT64_MAX; /* what it was armed for has passed */
    heap->running = true;
    while (heap->root && heap->root->deadline_ns <= now_ns) {
        struct hx_timer *timer = heap->root;
        heap->expired++;
        if (timer->period_ns)
            postpone(heap, timer, now_ns);
        else
            cut(heap, timer);
        timer->expired(timer);
    }
    heap->running = false;
    if (heap->root)
        machine_arm(heap, heap->root->deadline_ns);
}

void hx_timer_stats(uint32_t cpu, struct hx_timer_stats *out)
{
    const struct heap *heap = hx_hal_on_cpu(&heap_template, cpu);
    *out = (struct hx_timer_stats){
        .expired = __atomic_load_n(&heap->expired, __ATOMIC_RELAXED),
        .machine_ns = __atomic_load_n(&heap->machine_ns, __ATOMIC_RELAXED),
    };
}
