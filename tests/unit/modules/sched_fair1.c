/* SPDX-License-Identifier: MIT */
/* sched_fair1.c - see module_host.h. */
#include "module_host.h"

#include "../../../modules/sched_fair/sched_fair.c"

MODULE_HOST(sched_fair1, fair, fair_ops, &hx_param_quantum_ms);
