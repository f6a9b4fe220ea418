/* SPDX-License-Identifier: MIT */
/*
 * audit.h - what a new version has taken over, held against what the kernel knows. Only where HX_CHECKS is 1.
 *
 * Of hx.sched alone: its state is in a language that the kernel knows. In the blackout, when the state is carried and nothing
 * is published, the new version saves it as if it were to be replaced in its turn, and each task that it names, and each that
 * it does not, is looked at.
 */
#pragma once
#include "state.h"

/* Reserves what the audit of @transfer needs, if there is to be one. HX_E_NOMEM. */
HX_NODISCARD hx_status_t hx_audit_prepare(struct hx_state_transfer *transfer, struct hx_report *report);
/* After the carrying, all slots closed. HX_E_CORRUPT names the task, or says that the new version finds its state damaged;
 * HX_E_FAULT: in its save. One that cannot save for another reason is not audited. No allocation, no sleep. */
HX_NODISCARD hx_status_t hx_audit_run(struct hx_state_transfer *transfer, struct hx_report *report);
