/* SPDX-License-Identifier: MIT */
/*
 * exports.h - what the implementations of the kernel's exports (exports*.c) share.
 *
 * A call of an export acts for the identity of the module in whose innermost frame it comes. Spans are copied by hx_hal_copy()
 * before they are looked at.
 */
#pragma once
#include <helix/ipc.h>
#include <module/module.h>

/* Copies a span that names something: at most HX_NAME_MAX - 1 bytes, NUL appended. HX_E_INVAL, HX_E_FAULT. */
HX_NODISCARD hx_status_t hx_export_copy_name(char out[HX_NAME_MAX], const void *name, uint64_t name_bytes);

/* The wait that begins may be broken off for a swap, if who has called the module can call it again: a callback's. */
void hx_export_wait_restartable(void);

/*
 * The deadline of what a module wants to wait for, for @timeout_ns as it gave it; 0: not at all, UINT64_MAX: for ever. What waits
 * ends with hx_export_wait_end(), in which HX_E_RESTART becomes the gate's answer instead of the module's.
 */
static inline uint64_t hx_export_wait_begin(uint64_t timeout_ns)
{
    uint64_t length_ns = timeout_ns & ~HX_WAIT_RESTARTABLE;
    if (length_ns == HX_WAIT_NOT)
        return 0;
    if (timeout_ns & HX_WAIT_RESTARTABLE)
        hx_export_wait_restartable();
    return length_ns == HX_WAIT_FOREVER ? UINT64_MAX : hx_hal_clock_ns() + length_ns;
}

static inline hx_ret_t hx_export_wait_end(hx_ret_t result)
{
    struct hx_task *task = hx_task_current();
    struct hx_gate_frame *frame = hx_gate_frame();
    if (task->restartable != frame) /* in an interrupt it is another's */
        return result;
    task->restartable = NULL;
    if (result == HX_E_RESTART && !frame->kill_pending) /* else it ends in any case */
        frame->kill_pending = HX_KILL_RESTART;          /* takes effect when the import returns */
    return result;
}

/* hx_handle_drop() of what hx_res_allocate() has returned. HX_E_STALE. */
hx_ret_t hx_export_allocation_drop(hx_handle_t allocation);
