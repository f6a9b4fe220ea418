/* SPDX-License-Identifier: MIT */
/* ipi.h - what CPUs ask of each other, on the side of who is asked. May be used by: kernel/arch/x86_64 alone. */
#pragma once
#include "trap.h"

#include <stdbool.h>

/* Does what interrupt @vector asks for; false: it is none of these. */
bool hx_arch_ipi(uint32_t vector);
/* A non-maskable interrupt: does not return when it was sent to stop this CPU, and notes in @trap when it is a probe. Returns
 * whether all is done that it was sent for. */
bool hx_arch_nmi(struct hx_trap *trap);
