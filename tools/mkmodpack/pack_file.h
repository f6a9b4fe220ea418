/* SPDX-License-Identifier: MIT */
/* pack_file.h - a pack in a file: read by the kernel's reader, and if wanted its modules linked. */
#pragma once
#include "module_set.h"

#include <module/pack.h>

struct hx_mp_pack {
    struct hx_mp_file file;
    struct hx_pack pack;
    struct hx_mp_set set; /* after hx_mp_pack_link(): one a file, in the manifest's order; record is NULL: refused */
    char **path;          /* [set.count], "PACK(FILE)" as in the messages of ar. Owned. */
};

/* Whether @bytes begin as an archive does; a module does not. */
bool hx_mp_is_pack(struct hx_slice bytes);
/* Reads and checks the archive. A refusal is a finding; @out is to be closed either way. */
bool hx_mp_pack_read(struct hx_mp_pack *out, const char *path, struct hx_mp_findings *findings);
/* The same of a file that was read; takes its contents, also when they are refused. */
bool hx_mp_pack_open(struct hx_mp_pack *out, struct hx_mp_file *file, struct hx_mp_findings *findings);
/* Links every module. What the kernel would refuse in one alone becomes findings. False: not enough memory. */
bool hx_mp_pack_link(struct hx_mp_pack *pack, struct hx_mp_findings *findings);
/* Accepts a zeroed one. */
void hx_mp_pack_close(struct hx_mp_pack *pack);
