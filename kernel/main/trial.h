/* SPDX-License-Identifier: MIT */
/*
 * trial.h - what the trials have in common: the schedulers, swapping them, saying what came of it, and what must be there
 * again afterwards. Of the benchmark's kernel alone.
 */
#pragma once
#include <module/pack.h>

extern const struct hx_trial_scheduler {
    const char *name, *file;
} hx_trial_schedulers[];
enum { HX_TRIAL_SCHEDULERS = 5 };

struct hx_trial {
    const char *name;
    const struct hx_pack *pack;
    char module[HX_NAME_MAX]; /* the scheduler's name now */
    uint32_t swaps;           /* so far */
};

/* sched_rr runs, and swaps are for good from now on. */
void hx_trial_begin(struct hx_trial *trial, const char *name, const struct hx_pack *pack);
/* Prints why when it is refused. A core task. */
HX_NODISCARD hx_status_t hx_trial_swap(struct hx_trial *trial, const struct hx_trial_scheduler *to);

/* On the console, at once. */
__attribute__((format(printf, 1, 2))) void hx_trial_print(const char *format, ...);
/* Reads ",NUMBER" from the front of @text, of which little more than @most is looked at; @otherwise for none, or 0. */
uint64_t hx_trial_number(const char **text, uint64_t otherwise, uint64_t most);
void hx_trial_sleep(uint64_t duration_ns);

struct hx_trial_census {
    uint64_t tasks, heap_objects, heap_bytes, frames_free;
};
struct hx_trial_census hx_trial_census(void);
/* Calls @differs for each figure with what there is and what there was: free frames apart, which vary. */
void hx_trial_compare(const struct hx_trial_census *wanted,
                      void (*differs)(const char *what, uint64_t now, uint64_t wanted));
