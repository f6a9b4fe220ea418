/* SPDX-License-Identifier: MIT */
/*
 * task.h - tasks and what makes them run: the mechanism under every scheduling policy.
 *
 * A task is a kernel stack, a context and a state. Three classes: core tasks (worker, console) run before all others, on
 * CPU 0, and are ordered by the core alone; policy tasks are ordered by whoever provides hx.sched, and by the core's first-
 * in-first-out list while nobody does or when the answer is wrong; a CPU's idle task runs when nothing is ready. The core
 * keeps its list of ready tasks of every class at all times, so a policy can be checked and replaced at any moment.
 *
 * A task is on one CPU at a time, and that CPU alone changes it. Others reach it through that CPU's mailbox: what only makes
 * it ready is taken out in an interrupt; what needs the policy is an errand, done at the CPU's next decision while the other
 * waits. Ready tasks move: to idle CPUs, and where they are allowed to be.
 *
 * Policy operations are called with preemption off and interrupts on, never nested: what interrupts report meanwhile
 * (wakes, ticks) waits in the CPU's inbox and is told to the policy at the next decision. So does a wake that the policy
 * said it need not hear of before (HX_SCHED_LATER).
 *
 * May be used by: L5 and up. Context: thread, if not said otherwise.
 */
#pragma once
#include <hal/hx_hal.h>
#include <helix/sched.h>
#include <sys/queue.h>

#include "timer.h"

enum hx_task_class { HX_TASK_CORE, HX_TASK_POLICY, HX_TASK_IDLE };

enum hx_task_state { HX_TASK_READY, HX_TASK_RUNNING, HX_TASK_BLOCKED, HX_TASK_SLEEPING, HX_TASK_DEAD };

/* What is to be considered when the running task stops. */
enum hx_task_heed {
    HX_TASK_QUICK = 0,     /* nothing: a policy task, not killed, and no tick came */
    HX_TASK_SLOW = 1 << 0, /* everything */
    HX_TASK_NEWS = 1 << 1, /* the policy has not heard of `woke` */
};

TAILQ_HEAD(hx_task_list, hx_task);

/* A doubly linked ring with a head in it: unlike a tail queue's, its members leave and are replaced without looking for it. */
struct hx_task_ring {
    struct hx_task_ring *next, *prev;
};

/* waiters.next is the queue's lock, too: see waitq.c. */
struct hx_waitq {
    struct hx_task_ring waiters; /* by priority, first come first within one */
};
#define HX_WAITQ_INIT(q)                                                                                               \
    {                                                                                                                  \
        {                                                                                                              \
            &(q).waiters, &(q).waiters                                                                                 \
        }                                                                                                              \
    }

/* Of a task that calls through the gate: how long that call, none within it, may stand at a closed slot. */
struct hx_task_patience {
    const struct hx_gate_frame *frame; /* in which it calls; NULL: outside every module */
    uint64_t deadline_ns;
    uint64_t passed_ns; /* when it began to call, or the gate let it go on */
};

/*
 * An entry of the table of tasks: its memory is used again for others and never given back, so a stale pointer finds a task,
 * and the handle says whether it is the one that was meant. Only the CPU that it is on changes it, with interrupts off.
 */
struct hx_task {
    struct hx_task_ring
        wait_ring; /* on a wait queue; first, so that it and the task are one pointer. The queue's lock */
    /* what a switch touches */
    hx_handle_t handle; /* HX_HANDLE_NONE: nobody's */
    struct hx_hal_context context;
    struct hx_gate_frame *frame; /* saved hx_cpu.frame while not running */
    uint64_t run_ns;             /* CPU time, up to started_ns */
    uint64_t started_ns;         /* running: since when; ready: about when it last ran, 0 where nobody has looked yet */
    uint64_t switches;
    uint8_t heed; /* bits of enum hx_task_heed; beside state, so that one comparison sees both */
    /* these four side by side: one store writes them all */
    uint8_t state;    /* enum hx_task_state */
    bool in_inbox;    /* to be told; never while running */
    bool doubted;     /* the policy may have it queued though nobody told it so: the core chose without asking */
    bool told;        /* the policy has it queued */
    uint8_t cpu;      /* where it is; beside told and class, each of which is asked together with it */
    uint8_t class;    /* enum hx_task_class */
    uint8_t priority; /* 255 is highest; of those who wait for it, too: see mutex.h */
    uint8_t news;     /* enum hx_sched_reason by which it became ready */
    uint8_t allowed;  /* CPUs on which it may be, a bit each; one that runs elsewhere is on its way */
    bool kill_pending;
    bool on_its_way;                 /* ready, and sent to `cpu`, whose books it is not in yet */
    uint8_t base;                    /* the priority of its own */
    bool forgotten;                  /* only with HX_CHECKS: the policy need not know it until it is told again */
    TAILQ_ENTRY(hx_task) core_link;  /* core tasks: in the core's list, while ready */
    struct hx_task_ring ring;        /* policy tasks: in the core's list, while ready and while running */
    TAILQ_ENTRY(hx_task) inbox_link; /* ready, and the policy has not been told */
    struct hx_task *woke;            /* became ready while this one runs, and is in no list yet: HX_TASK_NEWS */
    struct hx_task *mail_next; /* in a CPU's mailbox; taken off a queue with others; nobody's: the next free entry */
    /* waiting */
    struct hx_waitq *waiting_on; /* blocked: NULL or the queue that it is on; ready: NULL or the one that woke it */
    struct hx_timer timeout;
    hx_status_t wait_result;
    struct hx_gate_frame *restartable; /* of the call whose wait may be broken off; NULL: none may. Written by itself */
    void *place;        /* of who waits for something to be handed over: see handover.h, which marks that it has been */
    hx_handle_t joined; /* the task whose end it waited for, and how that ended */
    hx_status_t joined_status;
    struct hx_task_patience *patience; /* the innermost; NULL: it has as much as anybody */
    /* life */
    hx_status_t (*body)(void *argument);
    void *argument;
    void *stack;
    void *owner;      /* opaque here: the module whose ledger it is on, or NULL */
    uint64_t told_ns; /* of run_ns: who keeps the owner's books has been told */
    char name[HX_NAME_MAX];
    /* what follows outlives the task */
    uint32_t generation;
    struct hx_waitq joiners;        /* those who wait for its end; one who came too late may be on it for a moment */
    struct hx_mutex *held, *wanted; /* NULL when it ends. wanted: mutex.c's lock */
    hx_handle_t settle_for;         /* atomic; it stands in a list of tasks whose priority is to be settled */
    struct hx_task *settle_next;
};

/* ---- start ---------------------------------------------------------------------------------------------------------- */
/* Turns the running boot context into the idle task of this CPU, after hx_gate_init(); CPU 0 comes first. From here on tasks
 * may be put on it. Interrupts off. HX_E_LIMIT. */
HX_NODISCARD hx_status_t hx_task_init(void);
/* What the boot context does when it has nothing left to do: tickless, it waits for interrupts. */
_Noreturn void hx_task_idle(void);
/* @changed(true) is called when a CPU begins to wait for interrupts, @changed(false) when it has something to do again: on
 * that CPU, interrupts off. Bound once, before tasks are made. */
void hx_task_bind_idle(void (*changed)(bool idle));
/* @told is called with each task that has been made and has not run, and with each that ends: interrupts off. Bound once. */
void hx_task_bind_life(void (*told)(const struct hx_task *task, bool begins));

/* ---- life ----------------------------------------------------------------------------------------------------------- */
/*
 * Makes a task that runs @body(@argument) once and exits with what it returns. @name is copied.
 * HX_E_NOMEM; HX_E_LIMIT: HX_TASKS_MAX live.
 */
HX_NODISCARD hx_status_t hx_task_create(enum hx_task_class class, const char *name, uint8_t priority,
                                        hx_status_t (*body)(void *argument), void *argument, hx_handle_t *out);
_Noreturn void hx_task_exit(hx_status_t status);
/*
 * Ends a task. One that stands in no module and does not run ends at once, ready, asleep or waiting; so a policy task's body
 * must hold nothing that outlives it. One inside a module is marked: its wait ends with HX_E_KILLED, its gate frames are
 * unwound on the way back from the next import, and then, like one that runs or is the caller, it ends at the next wait,
 * yield or preemption. Its stack and entry are released; joiners get HX_E_KILLED.
 * HX_E_STALE; HX_E_PERM for core and idle tasks; HX_E_STATE as hx_task_set_priority(). Thread context.
 */
HX_NODISCARD hx_status_t hx_task_kill(hx_handle_t task);
/* Breaks off the restartable waits of tasks that wait innermost in a slot of @owner: they end with HX_E_RESTART, unless what they
 * wait for is there. One that is only about to wait is passed over. Thread context. */
void hx_task_break_waits(const void *owner);
/* Waits for the end of @task and gives its exit status. HX_E_STALE: it is gone already; HX_E_INVAL: it is the caller;
 * HX_E_TIMEOUT, HX_E_KILLED, HX_E_STATE as hx_waitq_wait(). */
HX_NODISCARD hx_status_t hx_task_join(hx_handle_t task, uint64_t deadline_ns, hx_status_t *out_status);
/* HX_E_STALE; HX_E_STATE: it is on another CPU, and for that one's answer nobody may wait here (preemption off, an
 * interrupt). */
HX_NODISCARD hx_status_t hx_task_set_priority(hx_handle_t task, uint8_t priority);
/* Lets it be on @cpus only, a bit each; one that is elsewhere goes there at once, or when it is next interrupted. HX_E_INVAL:
 * none of them runs; HX_E_PERM: a core or idle task; HX_E_STALE, HX_E_STATE as above. */
HX_NODISCARD hx_status_t hx_task_set_affinity(hx_handle_t task, uint32_t cpus);
/* Asks the policy for @runtime_ns in every @period_ns, each within @deadline_ns (all 0: no longer). What the policy says,
 * HX_E_UNSUPPORTED by one that makes no promises; otherwise as above. */
HX_NODISCARD hx_status_t hx_task_reserve(hx_handle_t task, uint64_t runtime_ns, uint64_t period_ns,
                                         uint64_t deadline_ns);

/* NULL for a stale handle. The entry may be another's soon, if the task is on another CPU or preemption is on. */
struct hx_task *hx_task_of(hx_handle_t task);
static inline struct hx_task *hx_task_current(void)
{
    return hx_cpu_read(current);
}
/* Calls @each for every live task in order of index, until it returns false. What is seen of tasks on other CPUs may be of
 * several moments. Not from interrupts. */
void hx_task_for_each(bool (*each)(struct hx_task *task, void *context), void *context);
uint32_t hx_task_count(void);
const char *hx_task_state_name(enum hx_task_state state);

/* ---- giving way ----------------------------------------------------------------------------------------------------- */
/* Lets others go first. Interrupts and preemption on. */
void hx_task_yield(void);
/* HX_E_KILLED, HX_E_STATE as hx_waitq_wait(). A deadline that has passed gives way once. */
hx_status_t hx_task_sleep_until(uint64_t deadline_ns);

static inline void hx_preempt_disable(void)
{
    hx_cpu_add32(preempt_off, 1);
}
/* Switches at once when a switch has become due. */
void hx_preempt_enable(void);

/* ---- owners --------------------------------------------------------------------------------------------------------- */
/*
 * @ran is told what a task of @owner has run since it was last asked: when it stops, unless another policy task follows at once,
 * and when it may be preempted. It returns until when tasks of @owner are to sleep, or 0: a policy task that holds no mutex
 * then sleeps where it may be preempted, HX_THROTTLE_NS at most before it is asked again. Interrupts off. Bound once, before
 * tasks are made.
 */
enum { HX_THROTTLE_NS = 50000000 };
void hx_task_bind_owners(uint64_t (*ran)(void *owner, uint64_t ran_ns, uint64_t now_ns));

/* ---- wait queues ---------------------------------------------------------------------------------------------------- */
void hx_waitq_init(struct hx_waitq *queue);

/*
 * Waits until @condition(@context) is true, a deadline (UINT64_MAX: none) or a kill. The condition is evaluated with
 * interrupts off, while the caller is queued already, so that who makes it true and then wakes, on whatever CPU, finds him; it
 * may be evaluated more than once. It is cheaper to look before one calls, if it is likely to be true.
 * HX_OK; HX_E_TIMEOUT; HX_E_KILLED: inside a module, unwind; HX_E_STATE: this context may not wait (preemption off, an
 * interrupt, the idle task).
 */
HX_NODISCARD hx_status_t hx_waitq_wait(struct hx_waitq *queue, bool (*condition)(void *context), void *context,
                                       uint64_t deadline_ns);
/* Makes the first waiter, or all, ready. Any context, interrupts included. Returns how many. In a thread that may be
 * preempted the switch, when one is due, happens in here. A waiter that is killed before it has run passes its wake on to
 * the next: a queue must outlive those whom it woke until they have run or are gone. */
uint32_t hx_waitq_wake_one(struct hx_waitq *queue);
uint32_t hx_waitq_wake_all(struct hx_waitq *queue);
/* How many wait there, for a person. */
uint32_t hx_waitq_count(struct hx_waitq *queue);

/* ---- the policy ----------------------------------------------------------------------------------------------------- */
enum {
    HX_TICK_NS = 2000000,            /* how often a policy is asked about the running task */
    HX_SCHED_STARVE_NS = 1000000000, /* a task that is ready for longer than that and not chosen gets a turn */
    HX_SCHED_WRONG_NS = 1000000000,  /* so many wrong answers of a CPU's policy within that time are no accident */
    HX_SCHED_WRONG_MAX = 16,
};
/* @unfit is called when they are as many, once in that time: the policy's CPU, preemption off, interrupts on. */
void hx_task_bind_unfit(void (*unfit)(void));

struct hx_sched_stats {
    uint64_t decisions;   /* asked of a policy */
    uint64_t fallbacks;   /* decided by the core: no policy, closed, failed or wrong */
    uint64_t bad_answers; /* errors and wrong answers of operations */
    uint64_t starved;     /* of the fallbacks: for a task that the policy let wait for HX_SCHED_STARVE_NS */
    uint64_t switches;
};
void hx_sched_stats(struct hx_sched_stats *out); /* of all CPUs together */
void hx_sched_stats_of(uint32_t cpu, struct hx_sched_stats *out);
/*
 * The policy has been replaced by one that does not know what is ready: a first provider, one that came without its
 * predecessor's state, one whose state is of an earlier time (a revert). Tells it of every ready policy task, in the core's
 * order, this CPU's at once and the others' at their next decisions; what it believes about others is put right when it
 * answers with one of them. Preemption off, slot open.
 */
void hx_sched_announce_all(void);
/* The policy went away: nobody has been told anything. */
void hx_sched_forget_all(void);
