/* SPDX-License-Identifier: MIT */
/*
 * compose_core.h - the rooms that name no CPU, bound to each other.
 *
 * Why: one list for all who compose a Helix: the kernel (compose.c), the unit tests' world and the SDK's library for tests on
 * the host. What differs between these is a tie.
 */
#pragma once
#include <helix/capability.h>
#include <helix/ipc.h>
#include <module/module.h>

/* Who is told; NULL: nobody. */
struct hx_compose_ties {
    void (*tell)(bool bad, const char *line); /* what engine and callbacks say, a line at a time */
    void (*module_happened)(const struct hx_module *module, enum hx_event_type what);
    void (*capability_happened)(const struct hx_principal *principal, enum hx_capability_event what, uint32_t type,
                                uint64_t first);
    void (*line_stormed)(uint32_t line, const struct hx_module *module);
};

/* Once, before any gate entry; heap and clock work, interrupts are off. HX_E_NOMEM, HX_E_LIMIT: an interface of the kernel's. */
HX_NODISCARD hx_status_t hx_compose_core(const struct hx_compose_ties *ties);
