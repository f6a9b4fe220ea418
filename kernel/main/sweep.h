/* SPDX-License-Identifier: MIT */
/*
 * sweep.h - the scheduler is swapped at one instruction after another of a fixed workload.
 *
 * With -icount shift=0 a nanosecond is an instruction, so a timer hits each of them; and a run can be had again.
 */
#pragma once
#include <module/pack.h>

/*
 * In the benchmark's kernel alone; NULL elsewhere. @options: ",COUNT": at COUNT instructions, evenly spread over the
 * workload; ",COUNT,NUMBER": only at the one of this number. Prints a line for each deviation, and in the end one JSON
 * object. Task context, core class.
 */
HX_NODISCARD hx_status_t hx_sweep_run(const char *options, const struct hx_pack *pack);
