/* SPDX-License-Identifier: MIT */
/* input_file.h - a whole file in memory. */
#pragma once
#include "finding.h"

#include <lib/slice.h>

struct hx_mp_file {
    char *path;            /* as given, with the directory of -C in front. Owned. */
    const char *name;      /* its last component, in path */
    struct hx_slice bytes; /* Owned. */
};

/* Reads @path, below @directory when that is not NULL and @path is relative. Refusals become findings. */
bool hx_mp_file_read(struct hx_mp_file *out, const char *directory, const char *path, struct hx_mp_findings *findings);
/* Accepts a zeroed one. */
void hx_mp_file_free(struct hx_mp_file *file);
