/* SPDX-License-Identifier: MIT */
/*
 * pack_build.h - from the names of module files to a pack: read, checked alone and together, ordered, written.
 *
 * All findings come at once, and nothing is written when there are any.
 */
#pragma once
#include "finding.h"

#include <stdbool.h>
#include <stdio.h>

struct hx_mp_build {
    const char *output;
    const char *directory; /* of relative module paths; NULL: the current one */
    const char *manifest;  /* NULL: made from the modules */
    const char *depfile;   /* NULL: none is written */
    const char **path;     /* [count] as named. Owned by the caller. */
    bool *hold;            /* [count]: not loaded at boot. Owned by the caller. */
    size_t count;
    bool strip;         /* pack modules without debug information */
    bool require_types; /* refuse modules whose types are not recorded */
    bool dry;           /* write nothing */
    FILE *verbose;      /* told what goes into the pack; NULL: nobody is */
};

bool hx_mp_build_run(const struct hx_mp_build *build, struct hx_mp_findings *findings);
