/* SPDX-License-Identifier: MIT */
/*
 * demo_task.h - tasks that do nothing but count, so that a person sees who runs.
 *
 * Each is an ordinary task under the scheduling policy: it counts, spins a little, and gives way now and then.
 * May be used by: this room, boot tests. Context: one task at a time (the console).
 */
#pragma once
#include <helix/types.h>
#include <stdbool.h>

enum { HX_DEMO_TASKS_MAX = 256 };

/* @name: copied. HX_E_LIMIT: HX_DEMO_TASKS_MAX live; HX_E_NOMEM. */
HX_NODISCARD hx_status_t hx_demo_spawn(const char *name, uint8_t priority, hx_handle_t *out);
/* From now on it is @module's, which pays for it, and ends with it. HX_E_NOENT: one of them is gone, or it has an owner;
 * HX_E_STATE: @module does not run. */
HX_NODISCARD hx_status_t hx_demo_give(hx_handle_t task, const char *module);
/* How far demo task @task has counted; false when it is none. */
bool hx_demo_counter(hx_handle_t task, uint64_t *out);
