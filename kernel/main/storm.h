/* SPDX-License-Identifier: MIT */
/*
 * storm.h - tasks are created, killed, sleep and wake on all CPUs, as fast as they can, while the scheduler is swapped.
 *
 * Of the benchmark's kernel alone: boot with `bench=storm[,SWAPS[,SEED]]'. One JSON line says what happened; one line each,
 * beginning with `storm: ', what should not have.
 */
#pragma once
#include <module/pack.h>

/* @arguments: "" or ",SWAPS" or ",SWAPS,SEED". HX_OK: nothing was found. On a boot task; ends with the tasks that it found. */
HX_NODISCARD hx_status_t hx_storm_run(const char *arguments, const struct hx_pack *initrd);
