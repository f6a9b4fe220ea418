/* SPDX-License-Identifier: MIT */
/* sched_rr1.c - see module_host.h. */
#include "module_host.h"

#include "../../../modules/sched_rr/sched_rr.c"

MODULE_HOST(sched_rr1, rr, rr_ops, &hx_param_quantum_ms);
