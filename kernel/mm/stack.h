/* SPDX-License-Identifier: MIT */
/* stack.h - how stacks come up; what they offer stands in hx_hal.h and mm.h. May be used by: kernel/mm. */
#pragma once
#include <helix/types.h>
#include <stdbool.h>

/* HX_E_NOMEM. */
HX_NODISCARD hx_status_t hx_stack_init(void);

/* Frames of stacks that are mapped and nobody's. Locks: hx_mm_lock. */
uint32_t hx_stack_kept_frames(void);
/* Gives them back; whether there were any. Locks: hx_mm_lock. */
bool hx_stack_give_kept(void);
