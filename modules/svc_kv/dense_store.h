/* SPDX-License-Identifier: MIT */
/*
 * dense_store.h - version 1's layout: entries without gaps, found by a table with linear probing.
 *
 * Why a header: the includer declares the module; the fixtures that misbehave in one operation are this store otherwise.
 * State:     entries 0 to used - 1; changes counts them (kept.h); table holds an entry's number plus 1, or 0. Table and
 *            entries are both state, so a version with the same layout goes on without rebuilding anything.
 * Invariant: each entry is reached from its key's hash without crossing an empty place. Deleting closes the gap at once,
 *            in the table (no tombstones) and in the entries (the last one moves).
 * Robust:    every number out of the state is checked before it is used as an index, every walk is bounded.
 */
#pragma once
#include "entry.h"

enum { KV_TABLE = 2 * HX_KV_ENTRIES_MAX, KV_TABLE_MASK = KV_TABLE - 1 };

#define KV_FIELDS(SCALAR, ARRAY)                                                                                       \
    SCALAR(u64, changes)                                                                                               \
    SCALAR(u32, used)                                                                                                  \
    ARRAY(u16, table, KV_TABLE)                                                                                        \
    ARRAY(u32, seal, HX_KV_ENTRIES_MAX)                                                                                \
    ARRAY(u8, key_bytes, HX_KV_ENTRIES_MAX)                                                                            \
    ARRAY(u8, value_bytes, HX_KV_ENTRIES_MAX)                                                                          \
    ARRAY(u8, keys, HX_KV_ENTRIES_MAX *HX_KV_KEY_MAX)                                                                  \
    ARRAY(u8, values, HX_KV_ENTRIES_MAX *HX_KV_VALUE_MAX)
HX_STATE(kv, KV_FIELDS);

static struct hx_state_stream kv_stream;
static uint8_t kv_lengths[HX_KV_ENTRIES_MAX][2];

/* ---- entries and table ----------------------------------------------------------------------------------------------- */
static uint8_t *kv_key(uint32_t entry)
{
    return kv.keys + entry * HX_KV_KEY_MAX;
}

static uint8_t *kv_value(uint32_t entry)
{
    return kv.values + entry * HX_KV_VALUE_MAX;
}

static uint32_t kv_home(const void *key, uint64_t key_bytes)
{
    return entry_hash(ENTRY_HASH_START, key, key_bytes) & KV_TABLE_MASK;
}

static uint32_t kv_seal_of(uint32_t entry)
{
    uint8_t lengths[2] = { kv.key_bytes[entry], kv.value_bytes[entry] };
    uint32_t seal = entry_hash(ENTRY_HASH_START, lengths, sizeof(lengths));
    seal = entry_hash(seal, kv_key(entry), lengths[0]);
    return entry_hash(seal, kv_value(entry), lengths[1]);
}

/*
 * Returns the entry of @key, or HX_E_NOENT or HX_E_CORRUPT. *out_place: its place in the table, or the empty one where it
 * would go.
 */
static hx_ret_t kv_find(const void *key, uint64_t key_bytes, uint32_t *out_place)
{
    uint32_t place = kv_home(key, key_bytes);
    for (uint32_t steps = 0; steps < KV_TABLE; steps++, place = (place + 1) & KV_TABLE_MASK) {
        *out_place = place;
        if (kv.table[place] == 0)
            return HX_E_NOENT;
        uint32_t entry = kv.table[place] - 1u;
        if (entry >= HX_KV_ENTRIES_MAX || !entry_fits(kv.key_bytes[entry], kv.value_bytes[entry]))
            return HX_E_CORRUPT;
        if (kv.key_bytes[entry] == key_bytes && __builtin_memcmp(kv_key(entry), key, key_bytes) == 0)
            return entry;
    }
    return HX_E_CORRUPT;
}

/* Empties @hole and moves later places up, those that would be cut off from their home. */
static hx_ret_t kv_table_close(uint32_t hole)
{
    uint32_t place = hole;
    for (uint32_t steps = 0; steps < KV_TABLE; steps++) {
        place = (place + 1) & KV_TABLE_MASK;
        if (kv.table[place] == 0) {
            kv.table[hole] = 0;
            return HX_OK;
        }
        uint32_t entry = kv.table[place] - 1u;
        if (entry >= HX_KV_ENTRIES_MAX || !entry_fits(kv.key_bytes[entry], kv.value_bytes[entry]))
            return HX_E_CORRUPT;
        uint32_t home = kv_home(kv_key(entry), kv.key_bytes[entry]);
        if (((place - home) & KV_TABLE_MASK) >= ((place - hole) & KV_TABLE_MASK)) {
            kv.table[hole] = kv.table[place];
            hole = place;
        }
    }
    return HX_E_CORRUPT;
}

static void kv_write(uint32_t entry, const void *key, uint64_t key_bytes, const void *value, uint64_t value_bytes)
{
    kv.key_bytes[entry] = (uint8_t)key_bytes;
    kv.value_bytes[entry] = (uint8_t)value_bytes;
    __builtin_memmove(kv_key(entry), key, key_bytes);
    __builtin_memmove(kv_value(entry), value, value_bytes);
    kv.seal[entry] = kv_seal_of(entry);
    entry_touch(entry);
}

/* The last entry fills the gap at @entry. */
static hx_ret_t kv_entries_close(uint32_t entry)
{
    uint32_t last = kv.used - 1, place;
    if (last >= HX_KV_ENTRIES_MAX)
        return HX_E_CORRUPT;
    if (entry != last) {
        hx_ret_t found = kv_find(kv_key(last), kv.key_bytes[last], &place);
        if (found != last)
            return HX_E_CORRUPT;
        kv.table[place] = (hx_u16)(entry + 1);
        kv_write(entry, kv_key(last), kv.key_bytes[last], kv_value(last), kv.value_bytes[last]);
    }
    kv.key_bytes[last] = 0;
    kv.value_bytes[last] = 0;
    entry_touch(last);
    kv.used = last;
    return HX_OK;
}

/* ---- operations ------------------------------------------------------------------------------------------------------ */
static hx_ret_t kv_get(const void *key, uint64_t key_bytes, void *value, uint64_t value_bytes)
{
    uint32_t place;
    hx_ret_t entry = kv_find(key, key_bytes, &place);
    if (entry < 0)
        return entry;
    entry_copy_cut(value, value_bytes, kv_value((uint32_t)entry), kv.value_bytes[entry]);
    return kv.value_bytes[entry];
}

static hx_ret_t kv_put(const void *key, uint64_t key_bytes, const void *value, uint64_t value_bytes)
{
    if (!entry_fits(key_bytes, value_bytes))
        return HX_E_INVAL;
    uint32_t place;
    hx_ret_t entry = kv_find(key, key_bytes, &place);
    if (entry >= 0) {
        kv_write((uint32_t)entry, key, key_bytes, value, value_bytes);
        return 0;
    }
    if (entry != HX_E_NOENT)
        return entry;
    if (kv.used >= HX_KV_ENTRIES_MAX)
        return HX_E_FULL;
    kv_write(kv.used, key, key_bytes, value, value_bytes);
    kv.table[place] = (hx_u16)(++kv.used);
    return 1;
}

static hx_ret_t kv_del(const void *key, uint64_t key_bytes)
{
    uint32_t place;
    hx_ret_t entry = kv_find(key, key_bytes, &place);
    if (entry < 0)
        return entry;
    hx_ret_t err = kv_table_close(place);
    return err == HX_OK ? kv_entries_close((uint32_t)entry) : err;
}

static hx_ret_t kv_list(uint64_t cursor, void *key, uint64_t key_bytes)
{
    if (cursor >= kv.used || cursor >= HX_KV_ENTRIES_MAX)
        return HX_E_NOENT;
    uint8_t length = kv.key_bytes[cursor];
    if (!entry_key_fits(length))
        return HX_E_CORRUPT;
    entry_copy_cut(key, key_bytes, kv_key((uint32_t)cursor), length);
    return (hx_ret_t)((cursor + 1) << 8 | length);
}

static hx_ret_t kv_count(void)
{
    return kv.used;
}

/* ---- state ----------------------------------------------------------------------------------------------------------- */
static hx_ret_t kv_save(void)
{
    hx_ret_t err = kv.used <= HX_KV_ENTRIES_MAX ? HX_OK : HX_E_CORRUPT;
    hx_state_stream_begin(&kv_stream, HX_TEXT(HX_KV_STATE_LENGTHS));
    for (uint32_t e = 0; err == HX_OK && e < kv.used; e++) {
        uint8_t lengths[2] = { kv.key_bytes[e], kv.value_bytes[e] };
        err = entry_fits(lengths[0], lengths[1]) ? hx_state_stream_put(&kv_stream, lengths, sizeof(lengths))
                                                 : HX_E_CORRUPT;
    }
    if (err == HX_OK)
        err = hx_state_stream_flush(&kv_stream);
    hx_state_stream_begin(&kv_stream, HX_TEXT(HX_KV_STATE_BYTES));
    for (uint32_t e = 0; err == HX_OK && e < kv.used; e++) {
        err = hx_state_stream_put(&kv_stream, kv_key(e), kv.key_bytes[e]);
        if (err == HX_OK)
            err = hx_state_stream_put(&kv_stream, kv_value(e), kv.value_bytes[e]);
    }
    return err == HX_OK ? hx_state_stream_flush(&kv_stream) : err;
}

static hx_ret_t kv_load_entry(const uint8_t lengths[2])
{
    uint8_t key[HX_KV_KEY_MAX], value[HX_KV_VALUE_MAX];
    if (!entry_fits(lengths[0], lengths[1]))
        return HX_E_SCHEMA;
    hx_ret_t err = hx_state_stream_get(&kv_stream, key, lengths[0]);
    if (err == HX_OK)
        err = hx_state_stream_get(&kv_stream, value, lengths[1]);
    if (err < 0)
        return err;
    return kv_put(key, lengths[0], value, lengths[1]) == 1 ? HX_OK : HX_E_SCHEMA; /* 0: the key was there already */
}

static hx_ret_t kv_load(void)
{
    hx_ret_t bytes = hx_state_size(HX_TEXT(HX_KV_STATE_LENGTHS));
    if (bytes < 0)
        return bytes == HX_E_NOENT ? HX_E_SCHEMA : bytes;
    bytes = hx_state_get_array(HX_TEXT(HX_KV_STATE_LENGTHS), kv_lengths, sizeof(kv_lengths), sizeof(kv_lengths[0]));
    if (bytes < 0)
        return bytes;
    hx_ret_t total = 0;
    hx_state_stream_begin(&kv_stream, HX_TEXT(HX_KV_STATE_BYTES));
    for (uint64_t e = 0; e < (uint64_t)bytes / sizeof(kv_lengths[0]); e++) {
        hx_ret_t err = kv_load_entry(kv_lengths[e]);
        if (err < 0)
            return err;
        total += kv_lengths[e][0] + kv_lengths[e][1];
    }
    return hx_state_size(HX_TEXT(HX_KV_STATE_BYTES)) == total ? HX_OK : HX_E_SCHEMA;
}

/* ---- check ----------------------------------------------------------------------------------------------------------- */
static bool kv_entry_sound(uint32_t entry)
{
    uint32_t place;
    if (entry >= kv.used)
        return kv.key_bytes[entry] == 0 && kv.value_bytes[entry] == 0;
    return entry_fits(kv.key_bytes[entry], kv.value_bytes[entry]) && kv.seal[entry] == kv_seal_of(entry) &&
           kv_find(kv_key(entry), kv.key_bytes[entry], &place) == entry;
}

/* Each entry is found, and as many places are taken as there are entries: so no place is wrong. */
static hx_ret_t kv_check(void)
{
    if (kv.used > HX_KV_ENTRIES_MAX)
        return HX_E_CORRUPT;
    for (uint32_t entry = 0; entry < HX_KV_ENTRIES_MAX; entry++)
        if (!kv_entry_sound(entry))
            return HX_E_CORRUPT;
    uint32_t taken = 0;
    for (uint32_t place = 0; place < KV_TABLE; place++)
        taken += kv.table[place] != 0;
    return taken == kv.used ? HX_OK : HX_E_CORRUPT;
}
