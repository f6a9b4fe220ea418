/* SPDX-License-Identifier: MIT */
/*
 * restart.h - a module begins again, from the bytes and with the parameters of the version that runs: by hand, or by itself
 * after a crash.
 *
 *   link new -> admit -> init new -> reserve | stop, close, drain -> publish, open | -> fini and destroy old -> start
 *
 * The identity stays, and with it handles, users, what is declared and what is pending for that, and its record, if that is
 * whole; the state does not. Up to the stop any refusal leaves the module as it was. What fails behind it has no way back:
 * the module is in Error.
 * Context: the worker.
 */
#pragma once
#include "history.h"

/* A module that has restarted itself is not restarted so again for that long, unless somebody does it by hand or swaps it. */
#define HX_RESTART_RENEWS_NS UINT64_C(60000000000)

/*
 * Restarts @module, which is Running, Paused, in Error, or has faulted and waits for an answer; always makes a history entry,
 * @out_record. HX_E_STATE: it is on probation. Otherwise what the steps refuse with.
 */
HX_NODISCARD hx_status_t hx_restart_run(struct hx_module *module, const char *who, struct hx_swap_record **out_record);
/* Whether @module, which has faulted, may be restarted without anybody's asking; once, then its time must renew. */
HX_NODISCARD bool hx_restart_take_turn(struct hx_module *module);
