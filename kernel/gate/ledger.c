/* SPDX-License-Identifier: MIT */
/* ledger.c - see ledger.h. */
#include "ledger.h"

void hx_ledger_init(struct hx_ledger *ledger)
{
    TAILQ_INIT(&ledger->nodes);
    ledger->count = 0;
}

void hx_ledger_enter(struct hx_ledger *ledger, struct hx_ledger_node *node, const char *kind,
                     void (*release)(struct hx_ledger_node *node))
{
    node->kind = kind;
    node->release = release;
    TAILQ_INSERT_HEAD(&ledger->nodes, node, link);
    ledger->count++;
}

void hx_ledger_strike(struct hx_ledger *ledger, struct hx_ledger_node *node)
{
    TAILQ_REMOVE(&ledger->nodes, node, link);
    ledger->count--;
}

void hx_ledger_release_all(struct hx_ledger *ledger)
{
    struct hx_ledger_node *node;
    while ((node = TAILQ_FIRST(&ledger->nodes))) {
        hx_ledger_strike(ledger, node);
        node->release(node);
    }
}
