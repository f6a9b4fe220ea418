/* SPDX-License-Identifier: MIT */
/* sched_edf1.c - see module_host.h. */
#include "module_host.h"

#include "../../../modules/sched_edf/sched_edf.c"

MODULE_HOST(sched_edf1, edf, edf_ops, &hx_param_quantum_ms);
uint32_t *const sched_edf1_period_ms = &period_ms;
uint32_t *const sched_edf1_shares = &shares;
