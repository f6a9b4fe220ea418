/* SPDX-License-Identifier: MIT */
/* sched_prio1.c - see module_host.h. */
#include "module_host.h"

#include "../../../modules/sched_prio/sched_prio.c"

MODULE_HOST(sched_prio1, prio, prio_ops, &hx_param_quantum_ms);
