/* SPDX-License-Identifier: MIT */
/*
 * entry.h - what both layouts of svc_kv know of an entry: its limits, its hash, and its seal.
 *
 * A seal is a checksum over an entry, made whenever it is written, by which `check` finds what was spoiled behind the
 * module's back. Any single wrong byte changes it: each step of FNV-1a is a bijection.
 * Source: IETF draft-eastlake-fnv, 32-bit parameters.
 */
#pragma once
#include <helix/kv.h>
#include <helix/module.h>
#include <helix/state.h>

/* An entry as it is kept, in one piece: so a change is one put, and touches one or two blocks of the record. */
struct __attribute__((may_alias)) kept_entry {
    uint64_t modified;
    uint8_t key_bytes; /* 0: there is no entry (kept.h) */
    uint8_t value_bytes;
    uint8_t key[HX_KV_KEY_MAX];
    uint8_t value[HX_KV_VALUE_MAX];
};

/* What every store keeps, whatever its layout. */
#define KEPT_FIELDS(SCALAR, ARRAY)                                                                                     \
    SCALAR(u64, changes)                                                                                               \
    ARRAY(u8, entries, HX_KV_ENTRIES_MAX * sizeof(struct kept_entry))
HX_RECORD(kept, KEPT_FIELDS);

/* The entries that the call under way has changed, for it to keep. */
static uint32_t entry_touched[2], entry_touched_count;

static inline void entry_touch(uint32_t entry)
{
    if (entry_touched_count < HX_ARRAY_SIZE(entry_touched))
        entry_touched[entry_touched_count++] = entry;
}

#define ENTRY_HASH_START 0x811c9dc5u

static inline uint32_t entry_hash(uint32_t hash, const void *data, uint64_t bytes)
{
    const uint8_t *from = (const uint8_t *)data;
    for (uint64_t i = 0; i < bytes; i++)
        hash = (hash ^ from[i]) * 0x01000193u;
    return hash;
}

static inline bool entry_key_fits(uint64_t key_bytes)
{
    return key_bytes >= 1 && key_bytes <= HX_KV_KEY_MAX;
}

static inline bool entry_fits(uint64_t key_bytes, uint64_t value_bytes)
{
    return entry_key_fits(key_bytes) && value_bytes <= HX_KV_VALUE_MAX;
}

static inline void entry_copy_cut(void *out, uint64_t out_bytes, const void *from, uint64_t bytes)
{
    __builtin_memcpy(out, from, bytes < out_bytes ? bytes : out_bytes);
}
