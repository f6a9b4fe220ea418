/* SPDX-License-Identifier: MIT */
/*
 * deferred.h - what a module does later, in thread context, because it must not be done in an interrupt.
 *
 * A function that a module has declared belongs to its identity, by its key, with all requests that are pending: a swap moves
 * them to the new version's function. It is called through the module's sleepable slot `deferred', by one core task for all
 * modules, once for any number of requests.
 *
 * Context: claim, bind and release in thread context on CPU 0, by one task at a time; requests in any.
 * Invariant: a function's operation in the slot is its key's, whatever the version: whoever has chosen it before a swap calls
 *            the same function of the new version.
 */
#pragma once
#include <module/module.h>

struct hx_deferred {
    TAILQ_ENTRY(hx_deferred) link; /* all */
    struct hx_ledger_node node;    /* on the owner's ledger */
    struct hx_module *module;
    char key[HX_NAME_MAX];
    uint32_t op;      /* operation of the owner's slot */
    bool bound;       /* the running version has it */
    uint64_t pending; /* requests that it has not been called for yet */
    uint64_t served;  /* requests that it has been called for, and returned */
    uint64_t lost;    /* the same, and it faulted */
};

/* Claims what @version declares and @module does not hold, and makes the version's operations; on refusal what was claimed here
 * is released again. HX_E_NOMEM, HX_E_LIMIT. */
HX_NODISCARD hx_status_t hx_deferred_claim_all(struct hx_module *module, struct hx_version *version,
                                               struct hx_report *report);
/* @version runs: what it does not declare cannot be asked for. */
void hx_deferred_bind(struct hx_module *module, const struct hx_version *version);
/* Gives back what @keep does not declare. */
void hx_deferred_release_others(struct hx_module *module, const struct hx_version *keep);
/* The module has opened: what is pending can be called for again. */
void hx_deferred_resume(void);

/* One more request for the module's function @key. Any context. HX_E_NOENT. */
HX_NODISCARD hx_status_t hx_deferred_ask(const struct hx_module *module, const char *key);

/* All, one after the other; NULL starts and ends. */
const struct hx_deferred *hx_deferred_next(const struct hx_deferred *deferred);
