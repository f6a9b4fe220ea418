/* SPDX-License-Identifier: MIT */
/* pack_diff.h - what changed from one pack to another, file by file, and whether the modules may replace each other. */
#pragma once
#include "pack_file.h"
#include "replace.h"

enum hx_mp_file_change { HX_MP_FILE_ADDED, HX_MP_FILE_REMOVED, HX_MP_FILE_CHANGED };

struct hx_mp_pack_change {
    enum hx_mp_file_change kind;
    const struct hx_mp_module *old, *new; /* borrowed from the packs; NULL: not there */
    bool moved;                           /* loaded at boot in one, held in the other */
    bool judged;                          /* contents differ, and both could be linked */
    struct hx_mp_verdict verdict;         /* when judged */
};

struct hx_mp_pack_diff {
    struct hx_mp_pack_change *change; /* [count], by file name. Owned. */
    size_t count;
    size_t refusals; /* files whose module may not take its predecessor's place */
};

/* Both packs are linked. False: not enough memory. */
bool hx_mp_pack_compare(struct hx_mp_pack_diff *out, const struct hx_mp_pack *old, const struct hx_mp_pack *new);
void hx_mp_pack_diff_free(struct hx_mp_pack_diff *diff);
