/* SPDX-License-Identifier: MIT */
/*
 * engine.h - the worker: the one task that loads, unloads and swaps, and that answers for faults.
 *
 * Others hand it jobs. A job is the requester's, who waits for it; the queue is served highest priority first, first come
 * first within one, and a second swap of the same module replaces one that has not begun (the first ends with
 * HX_E_CANCELED), unless one of the two is of several modules. Faults and the end of a probation come before jobs.
 */
#pragma once
#include <gate/gate.h>
#include <orchestrator/capability_broker.h>

#include "swap.h"

enum hx_job_kind {
    HX_JOB_LOAD,
    HX_JOB_UNLOAD,
    HX_JOB_RELOAD,
    HX_JOB_COMMIT,
    HX_JOB_ROLLBACK,
    HX_JOB_PAUSE,
    HX_JOB_RESUME,
    HX_JOB_RESTART,
};

/* Another module that a swap replaces in the same step. */
struct hx_job_part {
    char module[HX_NAME_MAX];
    struct hx_slice file;
    bool may_downgrade;
};

struct hx_job {
    /* Filled by the requester. */
    enum hx_job_kind kind;
    uint8_t priority;
    char module[HX_NAME_MAX]; /* all but LOAD */
    struct hx_slice file;     /* LOAD, RELOAD: borrowed while the version lives */
    const char *params;       /* LOAD: "" for none; RELOAD: NULL keeps those of the running version */
    const char *who;
    struct hx_principal *by; /* it must hold HX_CAPABILITY_MODULES; NULL is nobody */
    bool may_downgrade;
    void (*meanwhile)(void); /* called now and then by the requester while it waits; NULL: nothing */
    uint32_t with_count;     /* RELOAD: others that go with it */
    struct hx_job_part with[HX_SET_MAX - 1];

    /* Filled by the worker. */
    hx_status_t result;
    struct hx_report report; /* LOAD, UNLOAD, PAUSE, RESUME; the others too when there is no record; of a RESTART the
                                   message names the users */
    struct hx_swap_record
        swap; /* RELOAD, ROLLBACK, COMMIT, RESTART: a copy, of several the first or the one that was refused;
                                   number 0: it did not come to one */
    char loaded[HX_NAME_MAX]; /* LOAD: the module's name */

    bool done;
    TAILQ_ENTRY(hx_job) link;
};

/* Starts the worker. HX_E_NOMEM. */
HX_NODISCARD hx_status_t hx_engine_start(void);
/* Hands @job over and waits until it is done; returns its result. From a core task (one that can be killed would leave its
 * job behind) that may sleep and is not the worker: otherwise HX_E_STATE. HX_E_DISABLED: reloads are off. HX_E_PERM,
 * HX_E_EXPIRED: who asks may not. */
HX_NODISCARD hx_status_t hx_engine_run(struct hx_job *job);

/* Whether swaps are taken (`reloads on|off`). */
void hx_engine_set_reloads(bool on);
bool hx_engine_reloads(void);

/* Whether a module that has crashed, and has no predecessor to go back to, is restarted once by itself (restart.h). Default:
 * yes. */
void hx_engine_set_restarts(bool on);

/* For hx_exception_bind(): closes the faulting module's slots and has the worker decide. */
void hx_engine_on_fault(const struct hx_gate_frame *frame, const char *description, const char *backtrace);

/* For hx_task_bind_unfit(): so many wrong answers are a fault of the scheduler's. */
void hx_engine_on_unfit(void);

/* The gate's policy (see gate.h): hx_module_gate_wait(), but HX_E_BUSY for the worker, who is the one that opens. */
hx_status_t hx_engine_gate_wait(struct hx_slot *slot);

/* The worker tells of what happened without anybody waiting: "svc_kv reverted to 1.0.0: ...". Bound by the composition root;
 * thread context. */
void hx_engine_bind(void (*tell)(bool bad, const char *line));
