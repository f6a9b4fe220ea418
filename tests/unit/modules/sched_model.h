/* SPDX-License-Identifier: MIT */
/*
 * sched_model.h - a naive scheduler that every policy is compared with, and a machine that drives both.
 *
 * The model keeps the order in which tasks were queued as numbers and searches all of them; the policies keep lists and
 * heaps. Of sched_edf it does not foresee the choice: any ready task is right here, the deadlines are the test's affair.
 */
#pragma once
#include "module_host.h"

#include <helix/sched.h>

struct sched_model_task {
    hx_handle_t handle; /* as the policy knows it; 0: not known */
    uint8_t priority;
    bool queued;
    uint64_t order;
    uint64_t runtime;
    uint32_t picks;
    int64_t vruntime; /* sched_fair */
};

struct sched_model {
    const struct module_host *module;
    struct sched_model_task task[HX_TASKS_MAX];
    uint64_t order;
    hx_handle_t running;    /* as the policy knows it */
    int64_t clock, reached; /* sched_fair */
};

/* What the machine itself thinks; it is what the kernel would be. */
struct sched_machine {
    struct sched_model model;
    enum { TASK_NONE, TASK_READY, TASK_RUNNING, TASK_BLOCKED } state[HX_TASKS_MAX];
    hx_handle_t handle[HX_TASKS_MAX];
    uint32_t generation;
    hx_handle_t running;
    uint32_t tasks; /* indexes in use are below */
};

/* @module from zeroed state. */
void sched_model_init(struct sched_model *model, const struct module_host *module);
/* Each does the operation on both and expects the same answer. */
void sched_model_ready(struct sched_model *model, hx_handle_t task, uint8_t priority, enum hx_sched_reason reason);
hx_handle_t sched_model_pick(struct sched_model *model, hx_handle_t prev, enum hx_sched_reason reason, uint64_t ran_ns);
void sched_model_tick(struct sched_model *model, hx_handle_t task, uint64_t ran_ns);
void sched_model_remove(struct sched_model *model, hx_handle_t task);
void sched_model_adjust(struct sched_model *model, hx_handle_t task, uint8_t priority);
void sched_model_info(struct sched_model *model, hx_handle_t task);
/* Converts the policy's state to @to; the model follows. */
void sched_model_convert(struct sched_model *model, const struct module_host *to);
/* sched_fair's weight of a priority. */
uint32_t sched_model_weight(uint8_t priority);
/* Takes everything off the queue and compares the order; the state is used up. */
void sched_model_drain(struct sched_model *model);

/* A machine with indexes 0 to @tasks - 1, and one random event in it. */
void sched_machine_init(struct sched_machine *machine, const struct module_host *module, uint32_t tasks);
void sched_machine_step(struct sched_machine *machine);

/* The tests that every policy has to pass. */
void sched_test_random(const struct module_host *module, uint32_t tasks, uint32_t steps);
void sched_test_bad_arguments(const struct module_host *module);
void sched_test_bad_blobs(const struct module_host *module);
void sched_test_full(const struct module_host *module);
