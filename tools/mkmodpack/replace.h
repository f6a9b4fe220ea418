/* SPDX-License-Identifier: MIT */
/*
 * replace.h - may one module take the place of another while that runs, and what changes when it does?
 *
 * The rules are those by which the kernel admits a swap (kernel/hotreload). Where the kernel looks who relies on the running
 * module, here everybody is counted who might: whoever was built against the old module must get along with the new one.
 */
#pragma once
#include "module_info.h"

struct hx_mp_change {
    bool refuses;       /* the swap; otherwise it is only to be known */
    const char *aspect; /* what it is about: "interface", "state", ... */
    char *text;         /* one line. Owned. */
};

struct hx_mp_verdict {
    struct hx_mp_change *change; /* [count]. Owned. */
    size_t count, refusals;
    const char *state; /* how the state goes over: "none", "shared", "hooks", "fields", or "refused" */
    bool no_memory;    /* not all are there */
};

/* Both are checked (record is not NULL). */
void hx_mp_judge(struct hx_mp_verdict *out, const struct hx_mp_module *old, const struct hx_mp_module *new);
void hx_mp_verdict_free(struct hx_mp_verdict *verdict);
