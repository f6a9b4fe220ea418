/* SPDX-License-Identifier: MIT */
/*
 * sweep_workload.h - a short, fixed piece of work for a score of tasks, whose digest does not depend on who runs when.
 *
 * Why a digest that is the same under every policy: each actor folds what it alone sees, in its own order, and what several
 * share they fold so that the order does not count. So a lost wake, a task that runs twice or never, or a wrong result
 * changes it (or it never ends), and nothing else does.
 */
#pragma once
#include <task/task.h>

/* Makes all tasks. A core task calls it, so none of them runs before it gives way. HX_E_NOMEM, HX_E_LIMIT. */
HX_NODISCARD hx_status_t hx_sweep_workload_start(void);
/* Until all have ended. HX_E_TIMEOUT. */
HX_NODISCARD hx_status_t hx_sweep_workload_wait(uint64_t deadline_ns);
uint64_t hx_sweep_workload_digest(void);
/* When the last task had done its work, as a time stamp. */
uint64_t hx_sweep_workload_end(void);
/* Calls @each with the name of every task that has not ended, and with the task if it is still there. */
void hx_sweep_workload_unfinished(void (*each)(const char *name, const struct hx_task *task));
