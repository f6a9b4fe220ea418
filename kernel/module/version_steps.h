/* SPDX-License-Identifier: MIT */
/*
 * version_steps.h - what the files that make a version owe each other. Not for other rooms.
 *
 * Policy: steps do not clean up; hx_version_create() owns every failure path, by way of the ledger.
 */
#pragma once
#include "version.h"

#define HX_VERSION_OF(node, member) ((struct hx_version *)((char *)(node)-offsetof(struct hx_version, member)))

/* version_link.c: holds what the file requires, and links it. */
HX_NODISCARD hx_status_t hx_version_link(struct hx_version *version, const struct hx_version_set *set,
                                         struct hx_report *report);
/* For the ledger: unlinks the image, if there is one. */
void hx_version_release_image(struct hx_ledger_node *image_node);
/* The same file: hx_ldr_settle(). */
void hx_version_settle_image(struct hx_version *version);
/* version_records.c: checks and reads the linked image's records, sets @params, makes the hooks callable. */
HX_NODISCARD hx_status_t hx_version_read_records(struct hx_version *version, const struct hx_version_set *set,
                                                 const char *params, struct hx_report *report);
