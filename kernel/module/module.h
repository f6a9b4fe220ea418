/* SPDX-License-Identifier: MIT */
/*
 * module.h - the identity of a module, and the registry of all of them.
 *
 * Everything outside refers to the identity: slots are owned by it, interrupt lines hang on its ledger. Its version cell
 * is `running`; replacing a version is one store of it with all the module's slots closed. The name follows the running
 * version: when a swap brings in an image of another name that provides the same, the identity is renamed.
 *
 * Context: thread. Changed by one task at a time (the worker, or the boot task before it, on CPU 0). Others on CPU 0 read with
 * preemption off.
 * Locks: the registry's. Traps look modules up on every CPU and hold it while they use what they found: the list and the
 * names change under it, and a version is freed only after whoever held it has let go (hx_version_destroy). It also stands
 * between the worker and a fault's handler, who both change the state of a module's slots.
 */
#pragma once
#include <ipc/handle.h>
#include <task/task.h>

#include "version.h"

enum { HX_MODULE_HANDLES_MAX = HX_HANDLES_MAX / 8 };

enum hx_module_state {
    HX_MODULE_LOADING,
    HX_MODULE_LOADED,
    HX_MODULE_INITIALIZING,
    HX_MODULE_RUNNING,
    HX_MODULE_PAUSED,
    HX_MODULE_STOPPING,
    HX_MODULE_STOPPED,
    HX_MODULE_UNLOADING,
    HX_MODULE_ERROR,
    HX_MODULE_STATE_COUNT,
};

struct hx_module {
    TAILQ_ENTRY(hx_module) link;     /* all, in order of loading */
    LIST_ENTRY(hx_module) name_link; /* its bucket */
    char name[HX_NAME_MAX];
    struct hx_principal *principal; /* orchestrator/capability_broker.h; NULL: nothing of it was admitted yet */
    enum hx_module_state state;
    struct hx_version *running;            /* the version cell */
    struct hx_version *previous;           /* while the running one is on probation */
    struct hx_slot *callbacks;             /* interrupt handlers; atomic */
    struct hx_slot *calls;                 /* the other callbacks; sleepable. NULL: it has not had any */
    struct hx_callbacks *called;           /* they: orchestrator/callbacks.h; NULL: likewise */
    LIST_HEAD(, hx_declared_claim) claims; /* r: channels and topics that it declares: orchestrator/declared.c */
    struct hx_ledger ledger;               /* identity half: what outlives versions */
    struct hx_ledger_node callbacks_node, calls_node, handles_node;
    struct hx_holder holder; /* of its handles; holder.self is its own */
    bool faulted;            /* r: slots were closed by a fault; the worker decides */
    uint32_t faults;         /* r: that the text below stands for: the first one's, and others before it was answered */
    char fault[128]; /* r: what the last fault was that was not a hook's, and in which function; kept while faulted */
    char backtrace[168]; /* r: of the same: its functions, innermost first */
    uint64_t loaded_ns;
    uint32_t swaps;           /* versions published after the first */
    uint32_t restarts;        /* of them none: versions that began again */
    uint64_t restart_turn_ns; /* when a crash may lead to a restart by itself again: hotreload's */
    uint64_t calls_before;    /* that its slots had served when it was published: others' */
    bool marked;              /* in the walk over dependencies that is under way */
    bool leaving;             /* it is drained, and not empty yet */

    /* The swap whose probation is pending (previous is not NULL): hotreload's. */
    uint64_t pending_swap;        /* its number in history */
    uint64_t pending_transaction; /* the number that it shares with those that were swapped in the same step */
    uint32_t pending_way;         /* how its state came over */
    uint64_t calls_at_swap;
    struct hx_timer probation;
    bool probation_over; /* the timer has fired; the worker commits */

    struct hx_resource_holder *resources; /* what it has and may have: orchestrator/resource_broker.h */
};

void hx_module_registry_init(void);
/* For who is not on CPU 0 in a thread with preemption off: while it is held, what is found stays. Any context but that of an
 * NMI; a panic, which has stopped the others, does without. Rank HX_RANK_REGISTRY. */
HX_NODISCARD hx_irq_flags_t hx_module_registry_lock(void);
void hx_module_registry_unlock(hx_irq_flags_t flags);

/* A new identity in Loading with an empty version cell. HX_E_EXIST, HX_E_NOMEM, HX_E_LIMIT. */
HX_NODISCARD hx_status_t hx_module_create(const char *name, struct hx_module **out, struct hx_report *report);
/* Releases the identity's ledger and forgets it. Its versions are gone already. */
void hx_module_destroy(struct hx_module *module);

/* Has the slot `calls' made, absent, if there is none. HX_E_LIMIT. */
HX_NODISCARD hx_status_t hx_module_need_calls(struct hx_module *module);

/* By hash; NULL. */
struct hx_module *hx_module_find(const char *name);
/* The module that is called @name, or would be again if its probation ended in a revert; NULL. */
struct hx_module *hx_module_holding(const char *name);
void hx_module_rename(struct hx_module *module, const char *name);
/* Next in order of loading; NULL starts and ends. */
struct hx_module *hx_module_next(const struct hx_module *module);
uint32_t hx_module_count(void);
/* Who provides @interface now, or NULL. */
struct hx_module *hx_module_providing(const struct hx_interface *interface);
/* Who provides it, or would again if its probation ended in a revert; NULL. */
struct hx_module *hx_module_claiming(const struct hx_interface *interface);
/* The version in whose image @va lies, or NULL. */
struct hx_version *hx_module_version_at(uintptr_t va);
/* The module in which the innermost gate frame of this CPU stands, with its version; NULL: none. */
struct hx_version *hx_module_calling(void);

/* ---- slots of a module, all together --------------------------------------------------------------------------------- */
/* Publishes @version's vtables in every slot that it provides, and its callbacks. */
void hx_module_open(struct hx_module *module, struct hx_version *version);
/* Closes the slots of the running version: sleepable ones, or atomic ones. */
void hx_module_close(struct hx_module *module, bool atomic);
/* A fault's: closes all of them, has the module `faulted` and keeps the texts of the first fault until it is answered. False:
 * nobody has to answer this one; it came before the answer to another, or to a module in Error. Any context, any CPU. */
bool hx_module_fault(struct hx_module *module, const char *description, const char *backtrace);
/* Undoes hx_module_close for both, unless a fault came in between. */
void hx_module_reopen(struct hx_module *module);
/* The fault is answered: its slots have failed. */
void hx_module_fail(struct hx_module *module);
/* Back to absent: slots that @version provides and @keep (may be NULL) does not. */
void hx_module_retract(struct hx_module *module, const struct hx_version *version, const struct hx_version *keep);
/* Whether somebody is inside the slots of the running version of that kind; meaningful after hx_hal_cpu_sync(). */
bool hx_module_is_inside(const struct hx_module *module, bool atomic);
/* Waits until nobody is, or HX_E_TIMEOUT. It looks when it is told that somebody has left; the gate does not tell, so that is
 * not always. */
HX_NODISCARD hx_status_t hx_module_wait_empty(const struct hx_module *module, bool atomic, uint64_t deadline_ns);
void hx_module_was_left(void);
/* Calls that the module's slots have served so far. */
uint64_t hx_module_calls(const struct hx_module *module);

/* The gate's policy (see gate.h): waits for @slot to be open, failed or absent, at most five seconds, or only as long as the
 * task has patience for (task.h); while its module is paused all of that, and then it is HX_E_PAUSED. HX_E_CLOSED for who
 * waits inside a module that others wait to see empty: they may be the same that would open the slot. */
hx_status_t hx_module_gate_wait(struct hx_slot *slot);
/* Whoever waits there looks again. */
void hx_module_wake_callers(void);
const char *hx_module_state_name(enum hx_module_state state);
