/* SPDX-License-Identifier: MIT */
/* stack.h - how stacks come up; what they offer stands in hx_hal.h and mm.h. May be used by: kernel/mm. */
#pragma once
#include <helix/types.h>

/* HX_E_NOMEM. */
HX_NODISCARD hx_status_t hx_stack_init(void);
