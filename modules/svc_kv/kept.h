/* SPDX-License-Identifier: MIT */
/*
 * kept.h - the store's record: what was put, and said to have been, survives a crash and a revert.
 *
 * The record is a plain array, the same for both layouts, and entry e of the store is entry e of it. A call that changes the
 * store has the record from before that until it is left, and puts there each entry that it has touched; so the changes are
 * recorded in the order in which they are made. Both count them: a store that is behind its record is one that was begun again,
 * or came back by a revert; one that is ahead has seen a call end by a kill. Either is built anew from the record.
 *
 * The includer has the layout: kv, kv_key(), kv_value(), kv_modified_of(), kv_put_at(). What is here expects the record to be
 * the call's, but for what is said to need nothing.
 */
#pragma once
#include "entry.h"

#define KEPT_PUT(member, data, bytes) hx_record_put(HX_RECORD_AT(kept, member), (data), (bytes))

static bool kept_in_use(uint32_t e)
{
    return entry_fits(kept->key_bytes[e], kept->value_bytes[e]);
}

/* Entry @to becomes this one. */
static hx_ret_t kept_write(uint32_t to, const uint8_t lengths[2], const uint8_t *key, const uint8_t *value,
                           uint64_t modified)
{
    hx_ret_t err = KEPT_PUT(key_bytes[to], &lengths[0], 1);
    if (err == HX_OK)
        err = KEPT_PUT(value_bytes[to], &lengths[1], 1);
    if (err == HX_OK)
        err = KEPT_PUT(modified[to], &modified, sizeof(modified));
    if (err == HX_OK)
        err = KEPT_PUT(keys[to * HX_KV_KEY_MAX], key, lengths[0]);
    return err == HX_OK ? KEPT_PUT(values[to * HX_KV_VALUE_MAX], value, lengths[1]) : err;
}

/* The store's entry @e, or that there is none. */
static hx_ret_t kept_put(uint32_t e)
{
    const uint8_t lengths[2] = { kv.key_bytes[e], kv.value_bytes[e] };
    return kept_write(e, lengths, kv_key(e), kv_value(e), kv_modified_of(e));
}

static hx_ret_t kept_put_changes(void)
{
    return KEPT_PUT(changes, &kv.changes, sizeof(kv.changes));
}

/* The last entry goes to @hole, in one change, so that it is never twice or nowhere. */
static hx_ret_t kept_move(uint32_t hole, uint32_t last)
{
    const uint8_t lengths[2] = { kept->key_bytes[last], kept->value_bytes[last] }, none = 0;
    hx_ret_t err = kept_write(hole, lengths, kept->keys + last * HX_KV_KEY_MAX, kept->values + last * HX_KV_VALUE_MAX,
                              kept->modified[last]);
    if (err == HX_OK)
        err = KEPT_PUT(key_bytes[last], &none, 1);
    if (err == HX_OK)
        err = hx_record_commit();
    return err == HX_OK ? hx_record_begin() : err;
}

/* Without gaps, as an empty store takes entries. Returns how many there are. */
static hx_ret_t kept_close_gaps(void)
{
    uint32_t hole = 0, end = HX_KV_ENTRIES_MAX;
    for (;;) {
        while (hole < end && kept_in_use(hole))
            hole++;
        while (end > hole && !kept_in_use(end - 1))
            end--;
        if (hole == end)
            return hole;
        hx_ret_t err = kept_move(hole, end - 1);
        if (err < 0)
            return err;
    }
}

/* The store is what the record says. Nobody else is inside; imports nothing. */
static hx_ret_t kept_restore(uint32_t count)
{
    hx_ret_t result = 1;
    __builtin_memset(&kv, 0, sizeof(kv));
    for (uint32_t e = 0; result == 1 && e < count; e++)
        result = kv_put_at(kept->keys + e * HX_KV_KEY_MAX, kept->key_bytes[e], kept->values + e * HX_KV_VALUE_MAX,
                           kept->value_bytes[e], kept->modified[e]);
    kv.changes = kept->changes;
    return result == 1 ? HX_OK : HX_E_CORRUPT;
}

/* A store that comes from one without a record, all of it. */
static hx_ret_t kept_put_all(void)
{
    hx_ret_t err = HX_OK;
    for (uint32_t e = 0; err == HX_OK && e < HX_KV_ENTRIES_MAX; e++) {
        if (kv.key_bytes[e] == 0)
            continue;
        err = kept_put(e);
        if (err == HX_OK)
            err = hx_record_commit();
        if (err == HX_OK)
            err = hx_record_begin();
    }
    return err;
}
