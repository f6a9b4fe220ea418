/* SPDX-License-Identifier: MIT */
/* pack_write.h - from manifest and modules to the bytes of a pack. */
#pragma once
#include "module_set.h"

struct hx_mp_archive {
    struct hx_slice bytes; /* Owned. */
};

/* The manifest of @set in its order. Owned by the caller; NULL: out of memory. */
char *hx_mp_manifest_make(const struct hx_mp_set *set);

/*
 * Builds the archive in memory: the manifest first, then the modules in the set's order. Everything else in it is
 * constant but for the time of modification, which is SOURCE_DATE_EPOCH or 0. @path is what findings call it.
 */
bool hx_mp_archive_make(struct hx_mp_archive *out, const char *path, struct hx_slice manifest,
                        const struct hx_mp_set *set, struct hx_mp_findings *findings);
void hx_mp_archive_free(struct hx_mp_archive *archive);
