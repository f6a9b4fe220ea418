/* SPDX-License-Identifier: MIT */
/*
 * pair.h - two modules that can only be swapped together: a provider and its user, of two majors of their interface.
 *
 * depot provides hx.depot, shop requires it and provides hx.kv, by which the tests call it: put adds to the depot's sum,
 * count reads it. The majors have their operations at other places.
 */
#pragma once
#include "world.h"

enum { PAIR_PROBATION_MS = 1000 };

/* A world in which depot 1 and shop 1 run, and the depot has a sum of 10. @params are shop's. */
void pair_begin(const char *params);
/* Bodies for world_run(): adds 5 by the key, which may have shop do something else first; the sum. */
hx_status_t pair_put(void *key);
hx_status_t pair_count(void *argument);

/* A reload of @module to @file, and others that go with it. */
struct hx_job pair_job_of(const char *module, const char *file);
void pair_add(struct hx_job *job, const char *module, const char *file);
hx_status_t pair_run(struct hx_job *job);
/* Both to 2. */
hx_status_t pair_swap(struct hx_job *job);
/* Both run, @version, and the sum is @sum. */
void pair_assert_runs(const char *version, int sum);
