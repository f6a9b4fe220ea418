/* SPDX-License-Identifier: MIT */
/*
 * sched_rr2.c - round robin, version 2: the same turns, and it keeps the books: time run and times chosen of each task.
 *
 * Why: its state has another schema than version 1's, so a swap between the two goes through save and load.
 */
#define RR_ACCOUNTING 1
#include "round_robin.h"

static const struct hx_sched_ops rr_ops = {
    HX_OPS_HEAD_UNTIL(hx_sched, HX_SCHED_VERSION_1_2, reserve),
    .ready = rr_ready,
    .pick = rr_pick,
    .tick = rr_tick,
    .remove = rr_remove,
    .adjust = rr_adjust,
    .info = rr_info,
    .turn = rr_turn,
};

HX_MODULE("sched_rr", HX_VERSION(2, 0, 0), "round-robin scheduler with accounting", .init = rr_init, .save = rr_save,
          .load = rr_load, .check = rr_check);
HX_PROVIDES_VERSION(hx_sched, HX_SCHED_VERSION_1_2, HX_SCHED_OPS_1_2, &rr_ops);
