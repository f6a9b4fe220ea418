/* SPDX-License-Identifier: MIT */
/*
 * lifecycle.h - the states of a module, and the transactions load and unload.
 *
 * The legal edges stand in one table (lifecycle.c). A load is a transaction: any refusal undoes all of it, and the same
 * file loads again. Unload, crash and failed load end in the same teardown.
 * Context: the worker, or the boot task before there is one.
 */
#pragma once
#include <helix/ipc.h>
#include <module/module.h>

/* Moves @module to @next, or HX_E_STATE when there is no such edge (the state stays). */
HX_NODISCARD hx_status_t hx_lifecycle_transition(struct hx_module *module, enum hx_module_state next);
bool hx_lifecycle_is_legal(enum hx_module_state from, enum hx_module_state to);

/*
 * Loads the module in @file (borrowed while it is loaded) with @params: link, admit, initialise, publish, arm, start.
 * On refusal everything is undone and @report says where and why.
 */
HX_NODISCARD hx_status_t hx_lifecycle_load(struct hx_slice file, const char *params, struct hx_module **out,
                                           struct hx_report *report);
/*
 * Unloads: refused while others require what it provides (HX_E_IN_USE, naming them) or while somebody does not leave it
 * (HX_E_BUSY), when it runs on as before. One that is paused is stopped without going on. A module in Error goes without its
 * hooks being called; one whose stop faults is in Error after that.
 */
HX_NODISCARD hx_status_t hx_lifecycle_unload(struct hx_module *module, struct hx_report *report);

/* Stops @module for good: its stop hook, unless it is in Error; then it is closed, and nobody is inside, with preemption off, which
 * stays off. A refusal leaves it as it was; a fault, or a start that does not take back what stop did, in Error. */
HX_NODISCARD hx_status_t hx_lifecycle_stop(struct hx_module *module, struct hx_report *report);

/*
 * pause.c: has @module stand still, with everything it has, and go on. Paused it is closed as during a swap: nobody is inside, its
 * tasks wait at its gate, its timers keep what is left of their time, edges of its interrupt lines are counted and levels masked,
 * events stay in their topics. Who calls it waits as long as he may, and then gets HX_E_PAUSED. HX_E_ALREADY; HX_E_STATE: another
 * state, or probation is not over; HX_E_UNSUPPORTED: it provides an atomic interface; HX_E_BUSY: somebody does not leave it; or
 * what its hook refuses with. It is as before then, but in Error when it faults on the way. @report's message, when it is HX_OK,
 * names those who require what it provides, or is empty.
 */
HX_NODISCARD hx_status_t hx_lifecycle_pause(struct hx_module *module, struct hx_report *report);
HX_NODISCARD hx_status_t hx_lifecycle_resume(struct hx_module *module, struct hx_report *report);

/* The names of those who require what @module provides; returns their length, 0: nobody does. */
size_t hx_lifecycle_users(const struct hx_module *module, char *out, size_t bytes);
/* Whether nobody requires what @module provides; otherwise HX_E_IN_USE, naming them. */
HX_NODISCARD hx_status_t hx_lifecycle_may_unload(const struct hx_module *module, struct hx_report *report);
/* Puts @module into Error: its slots answer HX_E_FAILED, its interrupt lines are quiet. It stays until it is unloaded. */
void hx_lifecycle_fail(struct hx_module *module);

/* Closes what the @count modules provide, each after those behind it, which may rely on it, and waits until nobody is inside:
 * sleepable slots, then atomic ones, which leaves preemption off. On HX_E_BUSY everything is as hx_lifecycle_reopen() leaves
 * it and @report names who is inside. */
HX_NODISCARD hx_status_t hx_lifecycle_close(struct hx_module *const *modules, uint32_t count, struct hx_report *report);
/* Undoes the closing, and delivers the interrupts of meanwhile. What a fault has closed stays closed, and who is paused. */
void hx_lifecycle_reopen(struct hx_module *module);
/* After a closing: each module of @set runs its version from now on, under its name, and what both provide is open again, with
 * the interrupts of meanwhile. Preemption stays off. */
void hx_lifecycle_publish(const struct hx_version_set *set);

/* The new version provides what the kernel's own scheduling or another room keeps books on: they are told through these. */
struct hx_lifecycle_observer {
    void (*came)(struct hx_slot *slot); /* a provider that knows nothing yet has been published */
    void (*went)(struct hx_slot *slot); /* the slot has no provider any more */
    /* May be NULL. HX_EVENT_MODULE_*; preemption may be off. */
    void (*happened)(const struct hx_module *module, enum hx_event_type what);
};
/* Who is called after each change of a state, in order; the worker, preemption may be off. HX_E_LIMIT. */
enum { HX_LIFECYCLE_WATCHERS_MAX = 8 };
struct hx_lifecycle_watcher {
    void (*changed)(void *context, const struct hx_module *module, enum hx_module_state before,
                    enum hx_module_state now);
    void *context;
};
HX_NODISCARD hx_status_t hx_lifecycle_watch(const struct hx_lifecycle_watcher *watcher);
void hx_lifecycle_unwatch(const struct hx_lifecycle_watcher *watcher);
void hx_lifecycle_bind(const struct hx_lifecycle_observer *observer);
/* Tells the observer what has become of @module, beyond its state, of which transitions tell. */
void hx_lifecycle_tell(const struct hx_module *module, enum hx_event_type what);
/* Tells the observer about each slot that @version provides and @other (may be NULL) does not. */
void hx_lifecycle_notify(const struct hx_version *version, const struct hx_version *other, bool came);
/* Checks that what @version provides is free or @module's own already, and no version's that probation may bring back; and
 * that it is new enough for the kernel on this machine. */
HX_NODISCARD hx_status_t hx_lifecycle_admit_provides(const struct hx_module *module, const struct hx_version *version,
                                                     struct hx_report *report);
