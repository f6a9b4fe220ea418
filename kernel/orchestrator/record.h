/* SPDX-License-Identifier: MIT */
/*
 * record.h - what a module may not lose: its record region, kept by the kernel (HX_RECORD in helix/module.h).
 *
 * A record belongs to the identity: versions that declare the same fields share it, the last of them takes it along. One call at
 * a time changes it. What that call puts is noted here, not in the record, and copied when the call is left by a return; so a
 * crash at any moment leaves either all of a change or nothing. The copying is the kernel's, within the gate: nobody unwinds it,
 * and a drain waits for it, so a restart and a swap find no half of one.
 *
 * A CRC-32C of each KiB says whether somebody else has written there. It is looked at before a change touches the block, that a
 * change hides no damage, and before anything is built upon the record: a restart, a swap that converts it.
 *
 *             after a crash         after a swap            after its revert
 * same fields the last commit       as it is, not copied    the last commit, the new version's
 * others      -                     copied by their names   as at the swap
 *
 * Context: as said. Locks: HX_RANK_RECORDS, for who is who; what is in a record is the holding call's.
 */
#pragma once
#include <module/module.h>

/* How long a call waits for another one to be done with the record. */
#define HX_RECORD_WAIT_NS UINT64_C(1000000000)
enum { HX_RECORD_BLOCK_BYTES = 1024 };

/* What a version that has been begun again found. */
enum hx_record_state {
    HX_RECORD_NONE, /* it has no record, or has never put anything there */
    HX_RECORD_SOUND,
    HX_RECORD_DAMAGED, /* it was: it is zeros again */
};

struct hx_record_info {
    size_t bytes;
    uint64_t commits;
    bool damaged; /* a change has met with damage */
};

/* ---- the worker's ---------------------------------------------------------------------------------------------------- */
/*
 * Gives @version the record of @module's running version, or one of its own, and tells it where that is; charges @module for a
 * new one. Until the version is destroyed. HX_E_SCHEMA: what is kept has no place in it; HX_E_NOMEM; HX_E_QUOTA, HX_E_EXHAUSTED.
 */
HX_NODISCARD hx_status_t hx_record_admit(struct hx_module *module, struct hx_version *version,
                                         struct hx_report *report);
/* Nobody is inside: @to, whose fields are others, gets what is kept in @from's. Constant when they share it. HX_E_CORRUPT. No
 * allocation, no sleep. */
HX_NODISCARD hx_status_t hx_record_carry(const struct hx_version *from, const struct hx_version *to,
                                         struct hx_report *report);
/* Nobody is inside, and @version begins again: is its record whole? One that is not becomes zeros. */
enum hx_record_state hx_record_recover(const struct hx_version *version);
/* "clean", "from its record", "clean, its record was damaged" */
const char *hx_record_state_text(enum hx_record_state state);
/* Of @version, which has one. Preemption off. */
void hx_record_look(const struct hx_version *version, struct hx_record_info *out);

/* ---- for the gate (gate.h) and who unwinds ---------------------------------------------------------------------------- */
/* The call of @frame is unwound: what it has put is forgotten, and the record is the next one's. In a trap, too. */
void hx_record_drop(const struct hx_gate_frame *frame);
/* It returns: what it has put is kept. Returns where it goes on. */
uint64_t hx_record_leave(struct hx_gate_frame *frame);
