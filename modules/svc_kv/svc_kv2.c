/* SPDX-License-Identifier: MIT */
/*
 * svc_kv2.c - the key-value store, version 2: provides hx.kv 1.1, which tells when a key was last put.
 *
 * Why: another layout than version 1's. Entries stay where they are for life, so a listing is not disturbed by deletions;
 * they hang in chains by hash, and free ones in a chain of their own.
 * State:     links are an entry's number plus 1, 0 for none. Entries from fresh on have never been used, so a zeroed state
 *            is an empty store. key_bytes 0 says free. hash and generation (puts since the entry was taken) are kept beside
 *            the seal, which covers them.
 * Robust:    every number out of the state is checked before it is used as an index, every walk is bounded.
 */
#include "entry.h"

enum { KV_BUCKETS = 1024, KV_BUCKET_MASK = KV_BUCKETS - 1 };

#define KV_FIELDS(SCALAR, ARRAY)                                                                                       \
    SCALAR(u64, changes) /* kept.h */                                                                                  \
    SCALAR(u32, used)                                                                                                  \
    SCALAR(u32, fresh)                                                                                                 \
    SCALAR(u32, free)                                                                                                  \
    ARRAY(u16, bucket, KV_BUCKETS)                                                                                     \
    ARRAY(u16, next, HX_KV_ENTRIES_MAX)                                                                                \
    ARRAY(u32, hash, HX_KV_ENTRIES_MAX)                                                                                \
    ARRAY(u32, seal, HX_KV_ENTRIES_MAX)                                                                                \
    ARRAY(u32, generation, HX_KV_ENTRIES_MAX)                                                                          \
    ARRAY(u64, modified, HX_KV_ENTRIES_MAX)                                                                            \
    ARRAY(u8, key_bytes, HX_KV_ENTRIES_MAX)                                                                            \
    ARRAY(u8, value_bytes, HX_KV_ENTRIES_MAX)                                                                          \
    ARRAY(u8, values, HX_KV_ENTRIES_MAX *HX_KV_VALUE_MAX)                                                              \
    ARRAY(u8, keys, HX_KV_ENTRIES_MAX *HX_KV_KEY_MAX)
HX_STATE(kv, KV_FIELDS);

static struct hx_state_stream kv_stream;
static uint8_t kv_lengths[HX_KV_ENTRIES_MAX][2];

/* ---- entries and chains ---------------------------------------------------------------------------------------------- */
static uint8_t *kv_key(uint32_t entry)
{
    return kv.keys + entry * HX_KV_KEY_MAX;
}

static uint8_t *kv_value(uint32_t entry)
{
    return kv.values + entry * HX_KV_VALUE_MAX;
}

static uint32_t kv_seal_of(uint32_t e)
{
    uint8_t lengths[2] = { kv.key_bytes[e], kv.value_bytes[e] };
    uint32_t seal = entry_hash(kv.hash[e], lengths, sizeof(lengths)); /* the hash stands for the key */
    seal = entry_hash(seal, &kv.generation[e], sizeof(kv.generation[e]));
    seal = entry_hash(seal, &kv.modified[e], sizeof(kv.modified[e]));
    return entry_hash(seal, kv_value(e), lengths[1]);
}

static bool kv_in_use(uint32_t e)
{
    return e < HX_KV_ENTRIES_MAX && entry_fits(kv.key_bytes[e], kv.value_bytes[e]);
}

static bool kv_has_key(uint32_t e, uint32_t hash, const void *key, uint64_t key_bytes)
{
    return kv.hash[e] == hash && kv.key_bytes[e] == key_bytes && __builtin_memcmp(kv_key(e), key, key_bytes) == 0;
}

/* Returns the entry of @key, or HX_E_NOENT or HX_E_CORRUPT. *out_link: the link that leads to it. */
static hx_ret_t kv_find(const void *key, uint64_t key_bytes, hx_u16 **out_link)
{
    uint32_t hash = entry_hash(ENTRY_HASH_START, key, key_bytes);
    hx_u16 *link = &kv.bucket[hash & KV_BUCKET_MASK];
    for (uint32_t steps = 0; steps <= HX_KV_ENTRIES_MAX; steps++) {
        if (*link == 0)
            return HX_E_NOENT;
        uint32_t e = *link - 1u;
        if (!kv_in_use(e))
            return HX_E_CORRUPT;
        *out_link = link;
        if (kv_has_key(e, hash, key, key_bytes))
            return e;
        link = &kv.next[e];
    }
    return HX_E_CORRUPT;
}

/* A free entry, taken off where it was. HX_E_FULL, HX_E_CORRUPT. */
static hx_ret_t kv_take(void)
{
    if (kv.free != 0) {
        uint32_t e = kv.free - 1;
        if (e >= HX_KV_ENTRIES_MAX || kv.key_bytes[e] != 0)
            return HX_E_CORRUPT;
        kv.free = kv.next[e];
        return e;
    }
    return kv.fresh < HX_KV_ENTRIES_MAX ? (hx_ret_t)kv.fresh++ : HX_E_FULL;
}

static void kv_write_value(uint32_t e, const void *value, uint64_t value_bytes, uint64_t modified_ns)
{
    kv.value_bytes[e] = (uint8_t)value_bytes;
    __builtin_memmove(kv_value(e), value, value_bytes);
    kv.modified[e] = modified_ns;
    kv.generation[e]++;
    kv.seal[e] = kv_seal_of(e);
    entry_touch(e);
}

static hx_ret_t kv_insert(const void *key, uint64_t key_bytes, const void *value, uint64_t value_bytes,
                          uint64_t modified_ns)
{
    hx_ret_t e = kv_take();
    if (e < 0)
        return e;
    uint32_t hash = entry_hash(ENTRY_HASH_START, key, key_bytes);
    kv.hash[e] = hash;
    kv.generation[e] = 0;
    kv.key_bytes[e] = (uint8_t)key_bytes;
    __builtin_memcpy(kv_key((uint32_t)e), key, key_bytes);
    kv_write_value((uint32_t)e, value, value_bytes, modified_ns);
    kv.next[e] = kv.bucket[hash & KV_BUCKET_MASK];
    kv.bucket[hash & KV_BUCKET_MASK] = (hx_u16)(e + 1);
    kv.used++;
    return 1;
}

/* ---- operations ------------------------------------------------------------------------------------------------------ */
static hx_ret_t kv_get(const void *key, uint64_t key_bytes, void *value, uint64_t value_bytes)
{
    hx_u16 *link;
    hx_ret_t e = kv_find(key, key_bytes, &link);
    if (e < 0)
        return e;
    entry_copy_cut(value, value_bytes, kv_value((uint32_t)e), kv.value_bytes[e]);
    return kv.value_bytes[e];
}

static hx_ret_t kv_put_at(const void *key, uint64_t key_bytes, const void *value, uint64_t value_bytes,
                          uint64_t modified_ns)
{
    if (!entry_fits(key_bytes, value_bytes))
        return HX_E_INVAL;
    hx_u16 *link;
    hx_ret_t e = kv_find(key, key_bytes, &link);
    if (e == HX_E_NOENT)
        return kv_insert(key, key_bytes, value, value_bytes, modified_ns);
    if (e < 0)
        return e;
    kv_write_value((uint32_t)e, value, value_bytes, modified_ns);
    return 0;
}

static hx_ret_t kv_del(const void *key, uint64_t key_bytes)
{
    hx_u16 *link;
    hx_ret_t e = kv_find(key, key_bytes, &link);
    if (e < 0)
        return e;
    *link = kv.next[e];
    kv.key_bytes[e] = 0;
    kv.value_bytes[e] = 0;
    kv.next[e] = (hx_u16)kv.free;
    kv.free = (uint32_t)e + 1;
    kv.used--;
    entry_touch((uint32_t)e);
    return HX_OK;
}

static hx_ret_t kv_list(uint64_t cursor, void *key, uint64_t key_bytes)
{
    for (; cursor < kv.fresh && cursor < HX_KV_ENTRIES_MAX; cursor++) {
        uint8_t length = kv.key_bytes[cursor];
        if (length == 0)
            continue;
        if (!entry_key_fits(length))
            return HX_E_CORRUPT;
        entry_copy_cut(key, key_bytes, kv_key((uint32_t)cursor), length);
        return (hx_ret_t)((cursor + 1) << 8 | length);
    }
    return HX_E_NOENT;
}

static hx_ret_t kv_count(void)
{
    return kv.used;
}

static hx_ret_t kv_modified(const void *key, uint64_t key_bytes)
{
    hx_u16 *link;
    hx_ret_t e = kv_find(key, key_bytes, &link);
    return e < 0 ? e : (hx_ret_t)kv.modified[e];
}

/* ---- state ----------------------------------------------------------------------------------------------------------- */
enum kv_part { KV_PART_LENGTHS, KV_PART_BYTES, KV_PART_MODIFIED };

static hx_ret_t kv_save_entry(uint32_t e, enum kv_part part)
{
    uint8_t lengths[2] = { kv.key_bytes[e], kv.value_bytes[e] };
    if (part == KV_PART_LENGTHS)
        return hx_state_stream_put(&kv_stream, lengths, sizeof(lengths));
    if (part == KV_PART_MODIFIED)
        return hx_state_stream_put(&kv_stream, &kv.modified[e], sizeof(kv.modified[e]));
    hx_ret_t err = hx_state_stream_put(&kv_stream, kv_key(e), lengths[0]);
    return err == HX_OK ? hx_state_stream_put(&kv_stream, kv_value(e), lengths[1]) : err;
}

static hx_ret_t kv_save_part(const void *name, uint64_t name_bytes, enum kv_part part)
{
    hx_state_stream_begin(&kv_stream, name, name_bytes);
    for (uint32_t e = 0; e < kv.fresh; e++) {
        if (kv.key_bytes[e] == 0)
            continue;
        hx_ret_t err = kv_in_use(e) ? kv_save_entry(e, part) : HX_E_CORRUPT;
        if (err < 0)
            return err;
    }
    return hx_state_stream_flush(&kv_stream);
}

static hx_ret_t kv_save(void)
{
    if (kv.fresh > HX_KV_ENTRIES_MAX)
        return HX_E_CORRUPT;
    hx_ret_t err = kv_save_part(HX_TEXT(HX_KV_STATE_LENGTHS), KV_PART_LENGTHS);
    if (err == HX_OK)
        err = kv_save_part(HX_TEXT(HX_KV_STATE_BYTES), KV_PART_BYTES);
    return err == HX_OK ? kv_save_part(HX_TEXT(HX_KV_STATE_MODIFIED), KV_PART_MODIFIED) : err;
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
    return kv_put_at(key, lengths[0], value, lengths[1], 0) == 1 ? HX_OK : HX_E_SCHEMA; /* 0: there already */
}

/* Into an empty store entries go in order, so entry e of the field is entry e here. */
static hx_ret_t kv_load_modified(uint64_t count)
{
    hx_ret_t bytes = hx_state_get_array(HX_TEXT(HX_KV_STATE_MODIFIED), kv.modified, count * sizeof(kv.modified[0]),
                                        sizeof(kv.modified[0]));
    if (bytes < 0)
        return bytes;
    if (bytes != 0 && (uint64_t)bytes != count * sizeof(kv.modified[0]))
        return HX_E_SCHEMA;
    for (uint32_t e = 0; bytes != 0 && e < count; e++)
        kv.seal[e] = kv_seal_of(e);
    return HX_OK;
}

static hx_ret_t kv_load(void)
{
    hx_ret_t bytes = hx_state_size(HX_TEXT(HX_KV_STATE_LENGTHS));
    if (bytes < 0)
        return bytes == HX_E_NOENT ? HX_E_SCHEMA : bytes;
    bytes = hx_state_get_array(HX_TEXT(HX_KV_STATE_LENGTHS), kv_lengths, sizeof(kv_lengths), sizeof(kv_lengths[0]));
    if (bytes < 0)
        return bytes;
    uint64_t count = (uint64_t)bytes / sizeof(kv_lengths[0]);
    hx_ret_t total = 0;
    hx_state_stream_begin(&kv_stream, HX_TEXT(HX_KV_STATE_BYTES));
    for (uint64_t e = 0; e < count; e++) {
        hx_ret_t err = kv_load_entry(kv_lengths[e]);
        if (err < 0)
            return err;
        total += kv_lengths[e][0] + kv_lengths[e][1];
    }
    return hx_state_size(HX_TEXT(HX_KV_STATE_BYTES)) == total ? kv_load_modified(count) : HX_E_SCHEMA;
}

/* ---- check ----------------------------------------------------------------------------------------------------------- */
static bool kv_entry_sound(uint32_t e, uint64_t now_ns)
{
    return kv_in_use(e) && e < kv.fresh && kv.hash[e] == entry_hash(ENTRY_HASH_START, kv_key(e), kv.key_bytes[e]) &&
           kv.seal[e] == kv_seal_of(e) && kv.modified[e] <= now_ns;
}

static bool kv_bucket_sound(uint32_t bucket, uint64_t now_ns, uint32_t *count)
{
    for (uint32_t link = kv.bucket[bucket]; link != 0; link = kv.next[link - 1]) {
        if (link > HX_KV_ENTRIES_MAX || !kv_entry_sound(link - 1, now_ns))
            return false;
        if ((kv.hash[link - 1] & KV_BUCKET_MASK) != bucket || ++*count > kv.used) /* also ends a cycle */
            return false;
    }
    return true;
}

static bool kv_free_sound(void)
{
    uint32_t count = 0;
    for (uint32_t link = kv.free; link != 0; link = kv.next[link - 1])
        if (link > kv.fresh || kv.key_bytes[link - 1] != 0 || kv.value_bytes[link - 1] != 0 ||
            ++count > kv.fresh - kv.used)
            return false;
    return count == kv.fresh - kv.used;
}

/* All entries below fresh hang in a bucket or are free, once each: the counts say so. */
static hx_ret_t kv_check(void)
{
    if (kv.fresh > HX_KV_ENTRIES_MAX || kv.used > kv.fresh)
        return HX_E_CORRUPT;
    uint64_t now_ns = (uint64_t)hx_clock_ns();
    uint32_t count = 0;
    for (uint32_t bucket = 0; bucket < KV_BUCKETS; bucket++)
        if (!kv_bucket_sound(bucket, now_ns, &count))
            return HX_E_CORRUPT;
    for (uint32_t e = kv.fresh; e < HX_KV_ENTRIES_MAX; e++)
        if ((kv.key_bytes[e] | kv.value_bytes[e] | kv.next[e]) != 0)
            return HX_E_CORRUPT;
    return count == kv.used && kv_free_sound() ? HX_OK : HX_E_CORRUPT;
}

static uint64_t kv_modified_of(uint32_t e)
{
    return kv.modified[e];
}

#include "served.h"

static hx_ret_t kv_op_modified(const void *key, uint64_t key_bytes)
{
    hx_ret_t err = kv_enter_to_look();
    return err < 0 ? err : kv_leave(kv_modified(key, key_bytes));
}

static const struct hx_kv_ops kv_ops = {
    HX_OPS_HEAD(hx_kv), .get = kv_op_get,     .put = kv_op_put,           .del = kv_op_del,
    .list = kv_op_list, .count = kv_op_count, .modified = kv_op_modified,
};

HX_MODULE("svc_kv", HX_VERSION(2, 0, 0), "key-value store with times", .save = kv_save, .load = kv_load,
          .check = kv_check_at_rest);
HX_PROVIDES(hx_kv, HX_KV_OPS, &kv_ops);
