/* SPDX-License-Identifier: MIT */
/*
 * traffic.h - tasks that do with channels whatever can be done, and are killed meanwhile; and what must hold all the same.
 *
 * Of the benchmark's kernel alone: boot with `bench=traffic[,SECONDS[,SEED]]', with svc_traffic_a and svc_traffic_b of
 * tests/fixtures/modules loaded, and both versions of each in the initrd. One JSON line says what happened; one line each,
 * beginning with `traffic: ', what should not have.
 */
#pragma once
#include <module/pack.h>

/* @arguments: what stands behind `traffic'. HX_OK: nothing was found. On a boot task. */
HX_NODISCARD hx_status_t hx_traffic_run(const char *arguments, const struct hx_pack *initrd);
