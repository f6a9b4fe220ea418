/* SPDX-License-Identifier: MIT */
/*
 * ledger.h - what somebody holds, as a list of typed nodes that know how to give themselves back.
 *
 * A module's identity and each of its versions have one each; unload, crash, failed load and swap end in the same walk,
 * newest first. Nodes are embedded in what they stand for, so entering one cannot fail.
 * Context: thread. Locks: none; a ledger belongs to whoever has its owner busy.
 */
#pragma once
#include <helix/types.h>
#include <sys/queue.h>

struct hx_ledger_node {
    TAILQ_ENTRY(hx_ledger_node) link;
    const char *kind; /* "slot", "irq line": for people */
    /* Gives back what the node stands for; the node is off the ledger already and may be freed. */
    void (*release)(struct hx_ledger_node *node);
};

struct hx_ledger {
    TAILQ_HEAD(, hx_ledger_node) nodes;
    uint32_t count;
};

void hx_ledger_init(struct hx_ledger *ledger);
void hx_ledger_enter(struct hx_ledger *ledger, struct hx_ledger_node *node, const char *kind,
                     void (*release)(struct hx_ledger_node *node));
/* Takes a node off without releasing it. */
void hx_ledger_strike(struct hx_ledger *ledger, struct hx_ledger_node *node);
/* Releases everything, newest first. */
void hx_ledger_release_all(struct hx_ledger *ledger);
