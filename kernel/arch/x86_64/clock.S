/* SPDX-License-Identifier: MIT */
/*
 * clock.S - reading the clock: in assembly because of what an interrupt may do in the middle of it.
 *
 * A counter may differ between CPUs, and so may what is taken off it. Whoever is interrupted between reading the one and the
 * other may go on on another CPU, and then starts again (hx_arch_interrupt() in traps.c).
 */
#include "percpu.h"

    .text
/* uint64_t hx_hal_clock_ns(void) */
    .globl hx_hal_clock_ns, hx_arch_clock_is_read
    .type hx_hal_clock_ns, @function
    .balign 16
hx_hal_clock_ns:
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    sub %gs:hx_arch_cpu + HX_ARCH_TSC_START, %rax
hx_arch_clock_is_read:
    mulq hx_arch_ns_per_tsc
    shrd $32, %rdx, %rax
    ret
    .size hx_hal_clock_ns, . - hx_hal_clock_ns

    .section .note.GNU-stack, "", @progbits
