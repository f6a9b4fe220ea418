/* SPDX-License-Identifier: MIT */
/*
 * capability_check.c - the way of every check; see capability_broker.h.
 *
 * Why separate: it runs at each use of a port or a request, the rest once a load.
 * Invariant: a grant's memory stays a grant's. Lists have no circle at any time, so that a walk through one that changes ends;
 *            what it found counts only if nothing has changed meanwhile. A change has interrupts off on its CPU.
 */
#include "capability_broker.h"

#include <string.h>

bool hx_capability_warns;

static __attribute__((noinline, cold)) hx_status_t deny(struct hx_principal *principal, uint32_t type, uint64_t first,
                                                        hx_status_t err)
{
    if (type == HX_CAPABILITY_NONE)
        return HX_OK;
    if (!principal)
        return HX_E_PERM;
    __atomic_fetch_add(&principal->denied, 1, __ATOMIC_RELAXED);
    principal->denied_type = type;
    principal->denied_first = first;
    hx_capability_tell(principal, err == HX_E_EXPIRED ? HX_CAPABILITY_EXPIRED : HX_CAPABILITY_DENIED, type, first);
    return hx_capability_warns ? HX_OK : err;
}

static bool is_live(const struct hx_capability_grant *grant)
{
    return grant->expires_ns == HX_CAPABILITY_NEVER || hx_hal_clock_ns() < grant->expires_ns;
}

/* What is_unchanged() compares with: an odd one never comes back. */
static uint32_t begin_reading(void)
{
    return atomic_load_explicit(&hx_capability_sequence, memory_order_acquire) & ~1u;
}

static bool is_unchanged(uint32_t sequence)
{
    atomic_thread_fence(memory_order_acquire);
    return sequence == atomic_load_explicit(&hx_capability_sequence, memory_order_relaxed);
}

static bool covers(const struct hx_capability_grant *grant, uint32_t rights, uint64_t first, uint64_t last)
{
    return grant->what.first <= first && last <= grant->what.last && !(rights & ~grant->what.rights);
}

hx_status_t hx_capability_look(const struct hx_principal *principal, uint32_t type, uint32_t rights, uint64_t first,
                               uint64_t last)
{
    if (!principal || type >= HX_CAPABILITY_TYPE_COUNT)
        return HX_E_PERM;
    if (first > last)
        return HX_E_INVAL;
    for (;;) {
        uint32_t sequence = begin_reading();
        hx_status_t err = HX_E_PERM;
        const struct hx_capability_grant *grant = principal->first[type];
        for (; grant; grant = grant->next) {
            if (!covers(grant, rights, first, last))
                continue;
            if (is_live(grant))
                break;
            err = HX_E_EXPIRED;
        }
        if (is_unchanged(sequence))
            return grant ? HX_OK : err;
    }
}

/* The whole of it, for all that is not an everyday yes. */
static __attribute__((noinline)) hx_status_t check_slowly(struct hx_principal *principal, uint32_t type,
                                                          uint32_t rights, uint64_t first, uint64_t last)
{
    hx_status_t err = hx_capability_look(principal, type, rights, first, last);
    return err == HX_OK || err == HX_E_INVAL ? err : deny(principal, type, first, err);
}

hx_status_t hx_capability_check(struct hx_principal *principal, uint32_t type, uint32_t rights, uint64_t first,
                                uint64_t last)
{
    uint32_t sequence = begin_reading();
    if (__builtin_expect(!principal, 0) || __builtin_expect(type >= HX_CAPABILITY_TYPE_COUNT, 0) ||
        __builtin_expect(first > last, 0))
        return check_slowly(principal, type, rights, first, last);
    for (const struct hx_capability_grant *grant = principal->first[type]; grant; grant = grant->next)
        if (covers(grant, rights, first, last) && grant->expires_ns == HX_CAPABILITY_NEVER && is_unchanged(sequence))
            return HX_OK;
    return check_slowly(principal, type, rights, first, last);
}

hx_status_t hx_capability_look_path(const struct hx_principal *principal, uint32_t type, uint32_t rights,
                                    const char *path)
{
    hx_status_t err = HX_E_PERM;
    if (!principal || type >= HX_CAPABILITY_TYPE_COUNT)
        return HX_E_PERM;
    if (type == HX_CAPABILITY_IPC && principal->kind == HX_PRINCIPAL_MODULE &&
        hx_capability_path_covers(type, principal->name, path))
        return HX_OK;
    for (;;) {
        uint32_t sequence = begin_reading();
        const struct hx_capability_grant *grant = principal->first[type];
        for (err = HX_E_PERM; grant; grant = grant->next) {
            char prefix[HX_CAPABILITY_PATH_MAX]; /* one that changes may have no end */
            memcpy(prefix, grant->what.path, sizeof(prefix));
            prefix[sizeof(prefix) - 1] = '\0';
            if ((rights & ~grant->what.rights) || !hx_capability_path_covers(type, prefix, path))
                continue;
            if (is_live(grant))
                break;
            err = HX_E_EXPIRED;
        }
        if (is_unchanged(sequence))
            return grant ? HX_OK : err;
    }
}

hx_status_t hx_capability_check_path(struct hx_principal *principal, uint32_t type, uint32_t rights, const char *path)
{
    hx_status_t err = hx_capability_look_path(principal, type, rights, path);
    return err == HX_OK ? HX_OK : deny(principal, type, 0, err);
}
