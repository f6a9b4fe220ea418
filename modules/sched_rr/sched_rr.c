/* SPDX-License-Identifier: MIT */
/*
 * sched_rr.c - round robin, version 1: every ready task gets the same slice in turn.
 *
 * Why: the simplest policy that is fair; it shows how little a policy has to be, and it is what the machine boots with.
 */
#define RR_ACCOUNTING 0
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

HX_MODULE("sched_rr", HX_VERSION(1, 0, 0), "round-robin scheduler", .init = rr_init, .save = rr_save, .load = rr_load,
          .check = rr_check);
HX_PROVIDES_VERSION(hx_sched, HX_SCHED_VERSION_1_2, HX_SCHED_OPS_1_2, &rr_ops);
