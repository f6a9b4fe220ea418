/* SPDX-License-Identifier: MIT */
/*
 * history.h - what became of each swap and restart: a fixed ring; what falls out is counted.
 */
#pragma once
#include <module/report.h>
#include <orchestrator/record.h>

#include "state.h"

enum { HX_HISTORY_ENTRIES = 64 };

enum hx_swap_outcome {
    HX_SWAP_REFUSED,   /* the old version never stopped */
    HX_SWAP_PROBATION, /* published; a fault still takes it back */
    HX_SWAP_COMMITTED,
    HX_SWAP_REVERTED,
    HX_SWAP_RESTARTED, /* of a restart: the new version runs; report.message: the crash that it answered, if any */
    HX_SWAP_FAILED,    /* likewise: it did not start; the module is in Error */
};

/* Steps of a swap that take time, in their order. The gate is closed from DRAIN to PUBLISH. */
enum hx_swap_phase {
    HX_PHASE_LINK,
    HX_PHASE_ADMIT,
    HX_PHASE_INIT,
    HX_PHASE_RESERVE,
    HX_PHASE_DRAIN,
    HX_PHASE_SAVE, /* by the old version's hook */
    HX_PHASE_LOAD, /* by the new one's, or by the kernel */
    HX_PHASE_PUBLISH,
    HX_PHASE_START,
    HX_PHASE_CHECK,
    HX_SWAP_PHASES,
};

struct hx_swap_record {
    uint64_t number;      /* from 1 */
    uint64_t transaction; /* the number of the first of those that were swapped in one step; they follow each other */
    uint64_t at_ns;
    char who[16]; /* "console", "fault", ... asked for it */
    char old_name[HX_NAME_MAX], new_name[HX_NAME_MAX];
    uint32_t old_version, new_version;
    uint64_t old_hash, new_hash; /* XXH64 of the files */
    enum hx_state_way way;
    uint64_t state_bytes;
    uint64_t total_ns;    /* from the request's start to the open gate */
    uint64_t blackout_ns; /* from the closed gate to the open one */
    uint64_t open_ns;     /* when the gate opened; 0: it has not closed */
    uint64_t decided_ns;  /* when probation ended; 0: it has not */
    uint64_t phase_ns[HX_SWAP_PHASES];
    uint64_t calls_since; /* reverted: calls that the new version had served */
    enum hx_swap_outcome outcome;
    enum hx_record_state found; /* restarted: what it has begun from */
    struct hx_report report;    /* refused or reverted: step, error, subject, message */
};

/* A new entry, zeroed and numbered; good until HX_HISTORY_ENTRIES later. */
struct hx_swap_record *hx_history_add(void);
/* The entry by its number, or NULL when it is gone or has not been. */
struct hx_swap_record *hx_history_get(uint64_t number);
uint64_t hx_history_last(void); /* number of the newest, 0: none */
const char *hx_swap_outcome_name(enum hx_swap_outcome outcome);
