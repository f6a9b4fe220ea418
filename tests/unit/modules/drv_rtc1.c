/* SPDX-License-Identifier: MIT */
/* drv_rtc1.c - see module_host.h. */
#include "module_host.h"

#include "../../../modules/drv_rtc/drv_rtc.c"

MODULE_HOST(drv_rtc1, rtc, rtc_ops, &hx_param_rate_hz);

hx_ret_t (*const drv_rtc1_interrupt)(uint64_t count) = rtc_interrupt;
uint32_t *const drv_rtc1_pair = &pair;
