/* SPDX-License-Identifier: MIT */
/*
 * interfaces.h - the interfaces that the kernel itself calls; each has a slot at a fixed place and gate entries of its own.
 *
 * HX_KERNEL_INTERFACE(prefix, PREFIX, sleepable): in order of slot. Interfaces that only modules use get a slot when the
 * first provider or user comes.
 */
#pragma once
#define HX_KERNEL_INTERFACES(HX_KERNEL_INTERFACE)                                                                      \
    HX_KERNEL_INTERFACE(hx_sched, HX_SCHED, 0)                                                                         \
    HX_KERNEL_INTERFACE(hx_rtc, HX_RTC, 1)                                                                             \
    HX_KERNEL_INTERFACE(hx_kv, HX_KV, 1)

#define HX_SLOT_hx_sched 0
#define HX_SLOT_hx_rtc 1
#define HX_SLOT_hx_kv 2
#define HX_SLOTS_STATIC 3
#define HX_SLOTS_MAX 256
