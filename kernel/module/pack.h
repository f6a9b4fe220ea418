/* SPDX-License-Identifier: MIT */
/*
 * pack.h - the initrd as the kernel sees it: which modules there are, and which of them are loaded at boot.
 *
 * A pack is a flat cpio archive (newc) of regular files. The first is called "manifest"; every other one is a module and
 * is named in the manifest exactly once. The manifest is text:
 *
 *     helix-initrd 1
 *     load sched_rr.hxm          # loaded at boot, in this order as far as dependencies leave a choice
 *     load svc_kv.hxm
 *     hold sched_rr-2.hxm        # present for insmod and reload
 *
 * Strictly: the first line is "helix-initrd 1". Every further line is empty or "load FILE" or "hold FILE". Words are
 * separated by spaces or tabs; # starts a comment that ends with the line. Every line, the last included, ends with one
 * line feed; other control characters are refused. FILE is at most HX_PACK_NAME_MAX - 1 characters of [A-Za-z0-9._+-],
 * does not start with '.' or '-', and ends in ".hxm". At most HX_PACK_FILES_MAX files.
 *
 * The bytes are hostile. The index borrows them: they must stay where they are until hx_pack_close().
 * May be used by: L6 and up, mkmodpack, tests. Context: thread. Locks: none; a pack does not change once it is open.
 */
#pragma once
#include <helix/types.h>
#include <lib/slice.h>

enum {
    HX_PACK_FORMAT = 1,       /* number in the manifest's first line */
    HX_PACK_NAME_MAX = 64,    /* of a file's name, NUL included */
    HX_PACK_FILES_MAX = 1024, /* beside the manifest */
};
#define HX_PACK_MANIFEST "manifest"
#define HX_PACK_SUFFIX ".hxm"

struct hx_pack_entry {
    const char *name; /* NUL-terminated, in the archive */
    struct hx_slice content;
    uint32_t name_bytes; /* without the NUL */
    uint32_t line;       /* of the manifest, from 1 */
    bool load;           /* at boot; otherwise held for insmod and reload */
};

struct hx_pack {
    struct hx_slice manifest;
    struct hx_pack_entry *entries; /* [count], in the manifest's order. Owned, with the buckets behind it. */
    uint16_t *buckets;             /* [bucket_mask + 1], index of an entry plus one; 0: empty */
    uint32_t bucket_mask;
    uint32_t count;
    uint32_t load_count; /* of them to be loaded at boot */
};

/* Why a pack was refused: one line without newline, made by the place that refused, such as
 * "manifest line 4: `laod' is no keyword: load or hold is expected". Printable ASCII whatever the pack holds. */
struct hx_pack_report {
    hx_status_t err;
    uint32_t line;   /* of the manifest, 0: not about one */
    uint64_t offset; /* in the archive, of the offending file's header */
    char message[224];
};

/*
 * Checks @initrd (borrowed) and indexes it. On HX_OK @out is filled, to be closed; on refusal nothing is left allocated.
 * @report is always filled.
 * HX_E_FORMAT: not a cpio archive, or a manifest that breaks the rules above. HX_E_UNSUPPORTED: another format number.
 * HX_E_TRUNCATED: the archive or the manifest ends early. HX_E_EXIST: a file twice. HX_E_NOENT: a file that the manifest
 * names is missing. HX_E_LIMIT: more files, or a longer name. HX_E_NOMEM.
 * Cost: linear in manifest and headers, contents are not read; one allocation.
 */
HX_NODISCARD hx_status_t hx_pack_open(struct hx_slice initrd, struct hx_pack *out, struct hx_pack_report *report);
/* Accepts NULL, and a pack that is zeroed or closed. */
void hx_pack_close(struct hx_pack *pack);

/* The content of the module file @name. HX_E_NOENT. By hash. */
HX_NODISCARD hx_status_t hx_pack_find(const struct hx_pack *pack, const char *name, struct hx_slice *out);
/* Entry @index in the manifest's order, borrowed; NULL past the last. */
const struct hx_pack_entry *hx_pack_entry_at(const struct hx_pack *pack, uint32_t index);
/* Whether @name may be the name of a module file in a pack. */
bool hx_pack_name_valid(struct hx_slice name);
