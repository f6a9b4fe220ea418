/* SPDX-License-Identifier: MIT */
/*
 * rtc.h - hx.rtc: the wall clock.
 *
 * Slot: sleepable. Context: thread.
 */
#pragma once
#ifndef __ASSEMBLER__ /* assembly takes the list of operations alone */
#include <helix/interface.h>
#endif

#define HX_RTC_VERSION HX_VERSION(1, 1, 0)

/*
 * now:   returns the seconds since 1970-01-01 00:00:00 UTC. HX_E_HARDWARE when the clock does not settle.
 * ticks: returns the periodic interrupts served since the module was first loaded, by all its versions together.
 * rate:  returns the interrupts per second that the clock is programmed for.
 * now_ns (1.1): returns the nanoseconds since then: the clock's time at boot and the monotonic clock since. Never goes back,
 *        whatever becomes of the clock, and costs no access to it. HX_E_HARDWARE when there was no time at boot.
 */
#define HX_RTC_OPS(OP)                                                                                                 \
    OP(hx_rtc, 0, now, HX_NOTHING)                                                                                     \
    OP(hx_rtc, 1, ticks, HX_NOTHING)                                                                                   \
    OP(hx_rtc, 2, rate, HX_NOTHING)                                                                                    \
    OP(hx_rtc, 3, now_ns, HX_NOTHING)

#ifndef __ASSEMBLER__
HX_INTERFACE(hx_rtc, HX_RTC_VERSION, HX_RTC_OPS)
#endif
