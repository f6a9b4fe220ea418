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
 * (HX_E_BUSY), when it runs on as before. A module in Error goes without its hooks being called; one whose stop faults is
 * in Error after that.
 */
HX_NODISCARD hx_status_t hx_lifecycle_unload(struct hx_module *module, struct hx_report *report);

/* Whether nobody requires what @module provides; otherwise HX_E_IN_USE, naming them. */
HX_NODISCARD hx_status_t hx_lifecycle_may_unload(const struct hx_module *module, struct hx_report *report);
/* Puts @module into Error: its slots answer HX_E_FAILED, its interrupt lines are quiet. It stays until it is unloaded. */
void hx_lifecycle_fail(struct hx_module *module);

/* Closes what the @count modules provide, each after those behind it, which may rely on it, and waits until nobody is inside:
 * sleepable slots, then atomic ones, which leaves preemption off. On HX_E_BUSY everything is as hx_lifecycle_reopen() leaves
 * it and @report names who is inside. */
HX_NODISCARD hx_status_t hx_lifecycle_close(struct hx_module *const *modules, uint32_t count, struct hx_report *report);
/* Undoes the closing, and delivers the interrupts of meanwhile. What a fault has closed stays closed. */
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
void hx_lifecycle_bind(const struct hx_lifecycle_observer *observer);
/* Tells the observer what has become of @module, beyond its state, of which transitions tell. */
void hx_lifecycle_tell(const struct hx_module *module, enum hx_event_type what);
/* Tells the observer about each slot that @version provides and @other (may be NULL) does not. */
void hx_lifecycle_notify(const struct hx_version *version, const struct hx_version *other, bool came);
/* Checks that what @version provides is free or @module's own already, and no version's that probation may bring back; and
 * that it is new enough for the kernel on this machine. */
HX_NODISCARD hx_status_t hx_lifecycle_admit_provides(const struct hx_module *module, const struct hx_version *version,
                                                     struct hx_report *report);
