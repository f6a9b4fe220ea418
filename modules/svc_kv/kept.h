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

static const struct kept_entry *kept_at(uint32_t e)
{
    return (const struct kept_entry *)(const void *)kept->entries + e;
}

static bool kept_in_use(uint32_t e)
{
    return entry_fits(kept_at(e)->key_bytes, kept_at(e)->value_bytes);
}

/* Entry @to becomes @entry, as far as its value goes. */
static hx_ret_t kept_write(uint32_t to, const struct kept_entry *entry)
{
    return hx_record_put(HX_RECORD_AT(kept, entries[to * sizeof(*entry)]), entry,
                         offsetof(struct kept_entry, value) + entry->value_bytes);
}

/* The store's entry @e, or that there is none. */
static hx_ret_t kept_put(uint32_t e)
{
    struct kept_entry entry = { .modified = kv_modified_of(e),
                                .key_bytes = kv.key_bytes[e],
                                .value_bytes = kv.value_bytes[e] };
    if (!entry_fits(entry.key_bytes, entry.value_bytes) && (entry.key_bytes | entry.value_bytes) != 0)
        return HX_E_CORRUPT;
    __builtin_memcpy(entry.key, kv_key(e), entry.key_bytes);
    __builtin_memcpy(entry.value, kv_value(e), entry.value_bytes);
    return kept_write(e, &entry);
}

static hx_ret_t kept_put_changes(void)
{
    return hx_record_put(HX_RECORD_AT(kept, changes), &kv.changes, sizeof(kv.changes));
}

/* The last entry goes to @hole, in one change, so that it is never twice or nowhere. */
static hx_ret_t kept_move(uint32_t hole, uint32_t last)
{
    static const struct kept_entry none;
    hx_ret_t err = kept_write(hole, kept_at(last));
    if (err == HX_OK)
        err = kept_write(last, &none);
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
    for (uint32_t e = 0; result == 1 && e < count; e++) {
        const struct kept_entry *entry = kept_at(e);
        result = kv_put_at(entry->key, entry->key_bytes, entry->value, entry->value_bytes, entry->modified);
    }
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
