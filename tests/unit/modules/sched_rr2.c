/* SPDX-License-Identifier: MIT */
/* sched_rr2.c - see module_host.h. */
#include "module_host.h"

#include "../../../modules/sched_rr/sched_rr2.c"

MODULE_HOST(sched_rr2, rr, rr_ops, &hx_param_quantum_ms);
