/* SPDX-License-Identifier: MIT */
/*
 * export_needs.h - what a module must ask for to import an export: one line for every name in HX_EXPORTS.
 *
 * NONE is for what harms nobody but the module itself. Whether a call is allowed with its arguments is decided when it is made;
 * here it is that nobody imports what he has not asked for. An export without a line does not build.
 */
#pragma once
#include <helix/capability.h>
#include <helix/kernel.h>

#define HX_EXPORT_NEEDS(NEEDS)                                                                                         \
    NEEDS(hx_channel_create, NONE)                                                                                     \
    NEEDS(hx_channel_clone, NONE)                                                                                      \
    NEEDS(hx_channel_send, NONE)                                                                                       \
    NEEDS(hx_channel_receive, NONE)                                                                                    \
    NEEDS(hx_channel_select, NONE)                                                                                     \
    NEEDS(hx_channel_count, NONE)                                                                                      \
    NEEDS(hx_channel_is_open, NONE)                                                                                    \
    NEEDS(hx_channel_close, NONE)                                                                                      \
    NEEDS(hx_handle_drop, NONE)                                                                                        \
    NEEDS(hx_publish, NONE)                                                                                            \
    NEEDS(hx_topic_history, IPC)                                                                                       \
    NEEDS(hx_service_find, IPC)                                                                                        \
    NEEDS(hx_request, IPC)                                                                                             \
    NEEDS(hx_reply, NONE)                                                                                              \
    NEEDS(hx_grant_create, NONE)                                                                                       \
    NEEDS(hx_grant_look, NONE)                                                                                         \
    NEEDS(hx_channel_mine, NONE)                                                                                       \
    NEEDS(hx_channel_connect, IPC)                                                                                     \
    NEEDS(hx_memory_map, MEMORY)                                                                                       \
    NEEDS(hx_cap_find, NONE)                                                                                           \
    NEEDS(hx_cap_derive, NONE)                                                                                         \
    NEEDS(hx_cap_revoke, NONE)                                                                                         \
    NEEDS(hx_res_allocate, RESOURCE)                                                                                   \
    NEEDS(hx_res_use, NONE)                                                                                            \
    NEEDS(hx_res_spend, NONE)                                                                                          \
    NEEDS(hx_res_look, NONE)                                                                                           \
    NEEDS(hx_log, NONE)                                                                                                \
    NEEDS(hx_clock_ns, NONE)                                                                                           \
    NEEDS(hx_port_read8, IO_PORT)                                                                                      \
    NEEDS(hx_port_write8, IO_PORT)                                                                                     \
    NEEDS(hx_irq_count, NONE)                                                                                          \
    NEEDS(hx_state_put, NONE)                                                                                          \
    NEEDS(hx_state_get, NONE)                                                                                          \
    NEEDS(hx_state_size, NONE)                                                                                         \
    NEEDS(hx_record_begin, NONE)                                                                                       \
    NEEDS(hx_record_put, NONE)                                                                                         \
    NEEDS(hx_record_commit, NONE)                                                                                      \
    NEEDS(hx_sleep_ns, NONE)                                                                                           \
    NEEDS(hx_defer, NONE)

#define HX_EXPORT_NEED_(name, type) HX_NEED_##name = HX_CAPABILITY_##type,
enum hx_export_need { HX_EXPORT_NEEDS(HX_EXPORT_NEED_) };

/* Each export has its line, and each line its export. */
#define HX_EXPORT_HAS_NEED_(name, ...) +1 + 0 * (int)HX_NEED_##name
#define HX_EXPORT_NEED_COUNT_(name, type) +1
HX_STATIC_ASSERT((0 HX_EXPORTS(HX_EXPORT_HAS_NEED_)) == (0 HX_EXPORT_NEEDS(HX_EXPORT_NEED_COUNT_)),
                 "a line of HX_EXPORT_NEEDS names no export");
