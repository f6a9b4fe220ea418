/* SPDX-License-Identifier: MIT */
/*
 * router.h - interrupt lines of modules: who has claimed one, where it goes, what is waiting.
 *
 * A claim belongs to the module's identity, so a swap keeps it with all that is pending. While the module's callbacks are
 * closed, interrupts are acknowledged and counted; they are delivered, in one call that says how many, when it opens. A
 * level-triggered line, which would ask without end, is masked from the first one until then.
 *
 * An edge-triggered line has one claim: whoever comes late cannot know whether an edge was its own. A level-triggered one may
 * have several, of one module or many: each interrupt is told to all, and each handler says by its result whether it was its
 * device's (helix/module.h). Interrupts that nobody calls his own, HX_IRQ_STORM in a row, end in the line being masked until
 * one of its modules is replaced.
 *
 * Context: claim, bind and release in thread context on CPU 0, by one task at a time. Delivery in interrupt context on CPU 0,
 *          where all lines go, without a lock: what it follows is changed with interrupts off there.
 * Invariant: accepted == served + pending + lost, of every claim, whenever interrupts are on.
 */
#pragma once
#include <module/module.h>

enum { HX_IRQ_LINES = HX_HAL_LINES, HX_IRQ_STORM = 100 };

/* A line that a module has declared. */
struct hx_irq {
    struct hx_irq *next;  /* armed, on the same line */
    struct hx_slot *slot; /* the owner's callbacks */
    uint32_t callback;    /* operation of it */
    uint32_t line;
    uint64_t accepted; /* since it was claimed */
    uint64_t served;   /* told to a handler that returned */
    uint64_t pending;  /* accepted, not told yet */
    uint64_t lost;     /* told to a handler that faulted */
    uint64_t refused;  /* of those served: its handler said that they were not its own */
    struct hx_module *module;
    bool armed;
    char key[HX_NAME_MAX];
    struct hx_ledger_node node; /* on the owner's ledger */
    LIST_ENTRY(hx_irq) link;    /* all */
};

struct hx_irq_line {
    struct hx_irq *first; /* of those armed */
    uint64_t unhandled;   /* interrupts that nobody called his own, or that came while nobody had claimed the line */
    uint32_t in_a_row;    /* of them, since one was handled */
    uint32_t storms;      /* how often it was masked for that */
    bool unmasked;
    bool held;    /* masked until what is pending has been told */
    bool stormed; /* masked for good */
};

/* What others decide and say; bound once by the composition root, none of it needed. */
struct hx_irq_policy {
    /* Why @module may not have line @line, as "it is the kernel's console"; NULL: it may. */
    const char *(*refusal)(const struct hx_module *module, uint32_t line);
    /* Line @line was masked after a storm; @module: one that has claimed it. Interrupt context. */
    void (*stormed)(uint32_t line, const struct hx_module *module);
};
void hx_irq_bind_policy(const struct hx_irq_policy *policy);

/*
 * Claims every line that @version declares and @module does not hold, not armed; on refusal those claimed here are released
 * again. HX_E_PERM: by the policy; HX_E_NOENT: the machine has no such line; HX_E_IN_USE names the owner, or the ISA line that a
 * GSI is; HX_E_INVAL: a key that the module holds on another line; HX_E_NOMEM.
 */
HX_NODISCARD hx_status_t hx_irq_claim_all(struct hx_module *module, struct hx_version *version,
                                          struct hx_report *report);
/* Points the module's claims to @version's handlers, and arms them; what it does not declare is disarmed. */
void hx_irq_bind(struct hx_module *module, const struct hx_version *version);
/* Disarms all claims of the module: its callbacks have failed. */
void hx_irq_disarm_all(struct hx_module *module);
/* Gives back what @keep does not declare. */
void hx_irq_release_others(struct hx_module *module, const struct hx_version *keep);
/* Delivers what is pending. The callbacks slot is open. Interrupts off. */
void hx_irq_replay(struct hx_module *module);

/* The module's claim called @key, or NULL. */
const struct hx_irq *hx_irq_find(const struct hx_module *module, const char *key);
/* All claims, one after the other; NULL starts and ends. */
const struct hx_irq *hx_irq_next(const struct hx_irq *irq);
/* One claim on line @line, or NULL. */
const struct hx_irq *hx_irq_of_line(uint32_t line);
/* @line < HX_IRQ_LINES. */
const struct hx_irq_line *hx_irq_line(uint32_t line);
