/* SPDX-License-Identifier: MIT */
/*
 * callbacks.h - what the kernel calls of a module in thread context: deferred functions, timers, events, tasks, services.
 *
 * A callback belongs to the module's identity, by its key, with all that is pending: a swap goes on with the function of the
 * same key. It is called through the module's sleepable slot `calls'. What is deferred, timers and events are called by one
 * policy task of the module's, NAME:calls, in turn, so that who is slow holds up himself; each declared task has one of its own,
 * NAME:KEY; a request for a service is a call in the task that asks (ipc/message_router.h).
 *
 * Both kinds of tasks wait outside the module while its slot is not open, and end with it. When one was killed, or has ended by
 * its own error, the next version of the module gets another, or the one that comes back.
 *
 * Context: claim, bind and release on CPU 0, by one task at a time; requests in any.
 * Invariant: a callback's operation in the slot is its key's, whatever the version: whoever has chosen it before a swap calls
 *            the same function of the new version.
 */
#pragma once
#include <hal/hx_lock.h>
#include <ipc/event_bus.h>
#include <ipc/message_router.h>
#include <module/module.h>

struct hx_callback {
    struct hx_ledger_node node; /* on the owner's ledger */
    struct hx_module *module;
    char key[HX_NAME_MAX];
    uint32_t kind; /* enum hx_callback_kind */
    uint32_t op;   /* operation of the owner's slot */
    bool bound;    /* the running version has it */
    bool ended;    /* a task's: by an error, until the next version */
    uint64_t number;
    uint64_t pending; /* a: what it has not been called for yet; of events: whether there may be one */
    uint64_t served;  /* what it has been called for, and returned */
    uint64_t lost;    /* the same, and it faulted */
    union {
        struct {
            struct hx_timer timer;
            uint64_t due_ns; /* while it is stopped: how long from going on */
        };
        struct {
            struct hx_subscription subscription;
            struct hx_event event; /* taken, and not told yet */
            bool taken;
        };
        struct hx_service service;
        hx_handle_t task;
    };
};

/* All of a module. */
struct hx_callbacks {
    struct hx_ledger_node node;
    struct hx_module *module;
    struct hx_lock lock;
    struct hx_callback *by_op[HX_OPS_MAX]; /* l */
    struct hx_callback *chosen;            /* l: by NAME:calls; not to be released */
    uint32_t last;                         /* operation that was chosen last: the others' turn comes first */
    hx_handle_t task;                      /* NAME:calls; HX_HANDLE_NONE: not needed yet */
    uint32_t times_opened;                 /* a */
    struct hx_waitq asked;                 /* it waits here for something to do */
    struct hx_waitq opened;                /* declared tasks wait here to be called */
};

/* @tell: for what nobody can be told by an error. */
void hx_callbacks_bind_tell(void (*tell)(bool bad, const char *line));

/*
 * Claims what @version declares and @module does not hold, and makes the version's operations. On refusal some may be claimed:
 * hx_callbacks_release_others() gives them back. HX_E_NOMEM, HX_E_LIMIT; HX_E_INVAL: a key that the module holds for another
 * kind of callback or topic; HX_E_NOENT: no such topic; HX_E_EXIST: another's service is called like that.
 */
HX_NODISCARD hx_status_t hx_callbacks_claim_all(struct hx_module *module, struct hx_version *version,
                                                struct hx_report *report);
/* @version runs: what it does not declare is not due any more. */
void hx_callbacks_bind(struct hx_module *module, const struct hx_version *version);
/* A module has come, or has another name: subscriptions that ask who has published know it. CPU 0, preemption off. */
void hx_callbacks_meet_sources(void);
/* The module has opened: what is pending can be called for again. Any context. */
void hx_callbacks_resume(struct hx_module *module);
/* The running version's tasks that have ended since it was claimed, or while another ran, are made again. Where that fails it is
 * told. Preemption on. */
void hx_callbacks_restore(struct hx_module *module);
/* Nothing becomes due any more: the module has failed, or goes. */
void hx_callbacks_disarm(struct hx_module *module);
/* The module, closed and empty, stands still: its timers keep what is left of their time; and goes on. Thread. */
void hx_callbacks_stop_timers(struct hx_module *module);
void hx_callbacks_continue_timers(struct hx_module *module);
/* Whoever waits for a late reply of the module's gets none: it does not know of him any more. */
void hx_callbacks_forsake(struct hx_module *module);
/* Gives back what @keep does not declare. Waits for tasks to end. */
void hx_callbacks_release_others(struct hx_module *module, const struct hx_version *keep);

/* One more request for the module's deferred function @key. Any context. HX_E_NOENT. */
HX_NODISCARD hx_status_t hx_callback_ask(const struct hx_module *module, const char *key);

/* The module's callback called @key, or NULL. */
const struct hx_callback *hx_callback_find(const struct hx_module *module, const char *key);
/* All of all modules, one after the other; NULL starts and ends. Preemption off on CPU 0. */
const struct hx_callback *hx_callback_next(const struct hx_callback *callback);
