/* SPDX-License-Identifier: MIT */
/*
 * router.h - interrupt lines of modules: who owns one, where it goes, what is waiting.
 *
 * A line belongs to the module's identity, so a swap keeps it with all that is pending. While the module's callbacks are
 * closed, interrupts are acknowledged and counted; they are delivered, in one call that says how many, when it opens. A
 * level-triggered line, which would ask without end, is masked from the first one until then.
 *
 * Context: claim, bind and release in thread context, one task at a time; delivery in interrupt context, lock-free.
 */
#pragma once
#include <module/module.h>

enum { HX_IRQ_LINES = 16 };

struct hx_irq {
    struct hx_ledger_node node; /* on the owner's ledger */
    struct hx_module *module;   /* NULL: nobody's */
    char key[HX_NAME_MAX];
    uint32_t callback; /* operation of the owner's callbacks slot */
    bool armed;
    bool held;          /* armed, but masked until what is pending has been told */
    uint64_t accepted;  /* since it was claimed */
    uint64_t served;    /* told to a handler that returned */
    uint64_t pending;   /* accepted, not told yet */
    uint64_t lost;      /* told to a handler that faulted */
    uint64_t unhandled; /* came while nobody owned the line */
};

/* Claims @line for @module under @key, not armed. HX_E_IN_USE names the owner. */
HX_NODISCARD hx_status_t hx_irq_claim(struct hx_module *module, const char *key, uint32_t line,
                                      struct hx_report *report);
/* Claims every line that @version declares and @module does not hold; on refusal those claimed here are released again. A
 * key that the module holds on another line is refused. */
HX_NODISCARD hx_status_t hx_irq_claim_all(struct hx_module *module, const struct hx_version *version,
                                          struct hx_report *report);
/* Points the module's lines to @version's handlers, and arms them; lines that it does not declare are disarmed. */
void hx_irq_bind(struct hx_module *module, const struct hx_version *version);
/* Disarms all lines of the module: its callbacks have failed. */
void hx_irq_disarm_all(struct hx_module *module);
/* Gives back the lines that @keep does not declare. */
void hx_irq_release_others(struct hx_module *module, const struct hx_version *keep);
/* Delivers what is pending. The callbacks slot is open. Interrupts off. */
void hx_irq_replay(struct hx_module *module);

/* The module's line called @key, or NULL. */
const struct hx_irq *hx_irq_find(const struct hx_module *module, const char *key);
/* For people: the record of a line, owned or not. */
const struct hx_irq *hx_irq_of_line(uint32_t line);
