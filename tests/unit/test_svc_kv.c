/* SPDX-License-Identifier: MIT */
/* test_svc_kv.c - both layouts of the store against a naive model, and the conversions between them. */
#include "modules/module_host.h"

#include <helix/kv.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct module_host *const versions[] = { &svc_kv1, &svc_kv2 };

static const struct hx_kv_ops *ops(const struct module_host *module)
{
    return module->vtable;
}

static void reset(const struct module_host *module)
{
    memset(module->state, 0, module->state_bytes);
    host_record_clear();
}

/* ---- the model: one slot a number, whose key and value are made from it ------------------------------------------------ */
enum { NUMBERS = 2500 };

static struct {
    bool there;
    uint8_t bytes;
    uint8_t value[HX_KV_VALUE_MAX];
    uint64_t modified;
} model[NUMBERS];
static uint32_t model_count;

static void model_reset(void)
{
    memset(model, 0, sizeof(model));
    model_count = 0;
}

/* Keys of all lengths and with any bytes; the number is in the first two, so they differ. */
static uint64_t key_of(uint32_t number, uint8_t key[HX_KV_KEY_MAX])
{
    uint64_t bytes = 2 + number * 7 % (HX_KV_KEY_MAX - 1);
    for (uint32_t i = 0; i < bytes; i++)
        key[i] = (uint8_t)(number * (i + 31) + i);
    key[0] = (uint8_t)number;
    key[1] = (uint8_t)(number >> 8);
    return bytes;
}

static void model_put(const struct module_host *module, uint32_t number)
{
    uint8_t key[HX_KV_KEY_MAX];
    uint64_t key_bytes = key_of(number, key);
    bool full = model_count == HX_KV_ENTRIES_MAX && !model[number].there;
    uint8_t value[HX_KV_VALUE_MAX];
    uint32_t bytes = host_random(HX_KV_VALUE_MAX + 1);
    for (uint32_t i = 0; i < bytes; i++)
        value[i] = (uint8_t)host_random(256);
    host_now_ns += 1000;
    hx_ret_t expected = full ? HX_E_FULL : !model[number].there;
    cr_assert(ops(module)->put(key, key_bytes, value, bytes) == expected);
    if (full)
        return;
    model_count += !model[number].there;
    model[number].there = true;
    model[number].bytes = (uint8_t)bytes;
    model[number].modified = host_now_ns;
    memcpy(model[number].value, value, bytes);
}

static void model_del(const struct module_host *module, uint32_t number)
{
    uint8_t key[HX_KV_KEY_MAX];
    uint64_t key_bytes = key_of(number, key);
    cr_assert(ops(module)->del(key, key_bytes) == (model[number].there ? HX_OK : HX_E_NOENT));
    model_count -= model[number].there;
    model[number].there = false;
}

static void model_get(const struct module_host *module, uint32_t number)
{
    uint8_t key[HX_KV_KEY_MAX], value[HX_KV_VALUE_MAX];
    uint64_t key_bytes = key_of(number, key);
    hx_ret_t got = ops(module)->get(key, key_bytes, value, sizeof(value));
    cr_assert(got == (model[number].there ? model[number].bytes : HX_E_NOENT), "%s: key %u: %d", module->label, number,
              (int)got);
    if (!model[number].there)
        return;
    cr_assert(memcmp(value, model[number].value, model[number].bytes) == 0, "%s: value %u", module->label, number);
    if (module == &svc_kv2)
        cr_assert(ops(module)->modified(key, key_bytes) == (hx_ret_t)model[number].modified);
}

/* Each key exactly once. */
static void model_list(const struct module_host *module)
{
    static uint8_t seen[NUMBERS];
    uint32_t count = 0;
    memset(seen, 0, sizeof(seen));
    uint8_t key[HX_KV_KEY_MAX], expected[HX_KV_KEY_MAX];
    hx_ret_t got = ops(module)->list(0, key, sizeof(key));
    for (; got >= 0; got = ops(module)->list((uint64_t)got >> 8, key, sizeof(key))) {
        uint32_t number = key[0] | (uint32_t)key[1] << 8;
        cr_assert(number < NUMBERS && model[number].there && !seen[number]);
        cr_assert((uint64_t)(got & 0xff) == key_of(number, expected) && memcmp(key, expected, got & 0xff) == 0);
        seen[number] = 1;
        count++;
    }
    cr_assert(got == HX_E_NOENT && count == model_count && ops(module)->count() == count);
}

static void model_compare(const struct module_host *module)
{
    for (uint32_t number = 0; number < NUMBERS; number++)
        model_get(module, number);
    model_list(module);
    host_expect_sound(module);
}

static void convert(const struct module_host *from, const struct module_host *to)
{
    cr_assert(host_convert(from, to) == HX_OK, "%s -> %s", from->label, to->label);
    for (uint32_t number = 0; number < NUMBERS && (from == &svc_kv1 || to == &svc_kv1); number++)
        model[number].modified = 0; /* before times were kept */
    model_compare(to);
}

/* ---- operations ------------------------------------------------------------------------------------------------------ */
Test(svc_kv, random_events_give_the_models_answers)
{
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        reset(versions[v]);
        model_reset();
        for (uint32_t i = 0; i < 60000; i++) {
            uint32_t number = host_random(i % 10000 < 5000 ? 60 : 900), event = host_random(10);
            if (event < 4)
                model_put(versions[v], number);
            else if (event < 7)
                model_del(versions[v], number);
            else
                model_get(versions[v], number);
            if (i % 5000 == 0)
                model_compare(versions[v]);
        }
        model_compare(versions[v]);
    }
}

Test(svc_kv, it_fills_up_to_its_capacity_and_empties_again)
{
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        reset(versions[v]);
        model_reset();
        for (uint32_t number = 0; number < NUMBERS; number++)
            model_put(versions[v], number);
        cr_expect(ops(versions[v])->count() == HX_KV_ENTRIES_MAX);
        model_compare(versions[v]);
        for (uint32_t i = 0; i < NUMBERS; i++)
            model_del(versions[v], i * 7 % NUMBERS);
        cr_expect(ops(versions[v])->count() == 0);
        model_compare(versions[v]);
        for (uint32_t number = 0; number < NUMBERS; number++)
            model_put(versions[v], number);
        model_compare(versions[v]);
    }
}

Test(svc_kv, limits_of_keys_and_values_hold)
{
    char key[HX_KV_KEY_MAX + 1], value[HX_KV_VALUE_MAX + 1], back[HX_KV_VALUE_MAX];
    memset(key, 'k', sizeof(key));
    memset(value, 'v', sizeof(value));
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        const struct hx_kv_ops *op = ops(versions[v]);
        reset(versions[v]);
        cr_expect(op->put(key, 0, value, 1) == HX_E_INVAL);
        cr_expect(op->put(key, HX_KV_KEY_MAX + 1, value, 1) == HX_E_INVAL);
        cr_expect(op->put(key, ~0ull, value, 1) == HX_E_INVAL);
        cr_expect(op->put(key, 1, value, HX_KV_VALUE_MAX + 1) == HX_E_INVAL);
        cr_expect(op->put(key, HX_KV_KEY_MAX, value, HX_KV_VALUE_MAX) == 1);
        cr_expect(op->put(key, 1, value, 0) == 1);
        cr_expect(op->get(key, 1, back, sizeof(back)) == 0);
        cr_expect(op->get(key, 0, back, sizeof(back)) == HX_E_NOENT);
        cr_expect(op->get(key, HX_KV_KEY_MAX + 1, back, sizeof(back)) == HX_E_NOENT);
        cr_expect(op->del(key, 0) == HX_E_NOENT);
        cr_expect(op->list(~0ull, back, sizeof(back)) == HX_E_NOENT);
        memset(back, '#', sizeof(back));
        cr_expect(op->get(key, HX_KV_KEY_MAX, back, 3) == HX_KV_VALUE_MAX && memcmp(back, "vvv#", 4) == 0);
        memset(back, '#', sizeof(back));
        cr_expect((op->list(0, back, 2) & 0xff) == HX_KV_KEY_MAX && memcmp(back, "kk#", 3) == 0);
        cr_expect(op->count() == 2);
        host_expect_sound(versions[v]);
    }
}

Test(svc_kv, version_1_has_no_modified_and_version_2_has)
{
    cr_expect(ops(&svc_kv1)->head.version == HX_KV_VERSION_1_0);
    cr_expect(ops(&svc_kv1)->head.bytes == offsetof(struct hx_kv_ops, modified));
    cr_expect(ops(&svc_kv2)->head.version == HX_KV_VERSION && ops(&svc_kv2)->head.bytes == sizeof(struct hx_kv_ops));
    reset(&svc_kv2);
    cr_expect(ops(&svc_kv2)->modified("x", 1) == HX_E_NOENT);
    host_now_ns = 4242424242;
    cr_expect(ops(&svc_kv2)->put("x", 1, "y", 1) == 1);
    cr_expect(ops(&svc_kv2)->modified("x", 1) == 4242424242);
    host_now_ns = 5000000000;
    cr_expect(ops(&svc_kv2)->put("x", 1, "z", 1) == 0);
    cr_expect(ops(&svc_kv2)->modified("x", 1) == 5000000000);
}

Test(svc_kv, deleting_does_not_disturb_a_listing_of_version_2)
{
    char key[HX_KV_KEY_MAX];
    uint32_t listed = 0;
    reset(&svc_kv2);
    model_reset();
    for (uint32_t number = 0; number < 100; number++)
        model_put(&svc_kv2, number);
    hx_ret_t got = ops(&svc_kv2)->list(0, key, sizeof(key));
    for (; got >= 0; got = ops(&svc_kv2)->list((uint64_t)got >> 8, key, sizeof(key))) {
        cr_assert(ops(&svc_kv2)->del(key, (uint64_t)got & 0xff) == HX_OK);
        listed++;
    }
    cr_expect(listed == 100 && ops(&svc_kv2)->count() == 0);
}

Test(svc_kv, generations_count_the_puts_of_each_key)
{
    reset(&svc_kv2);
    for (uint32_t i = 1; i <= 3; i++) {
        cr_assert(ops(&svc_kv2)->put("x", 1, "y", 1) >= 0);
        cr_expect(host_field_get(&svc_kv2, "generation", 0) == i);
    }
    cr_assert(ops(&svc_kv2)->del("x", 1) == HX_OK);
    cr_assert(ops(&svc_kv2)->put("z", 1, "y", 1) == 1);
    cr_expect(host_field_get(&svc_kv2, "generation", 0) == 1, "the entry begins anew");
}

/* ---- conversions ----------------------------------------------------------------------------------------------------- */
Test(svc_kv, a_thousand_keys_survive_every_pair_of_versions_byte_for_byte)
{
    reset(&svc_kv1);
    model_reset();
    for (uint32_t number = 0; number < 1200; number++)
        model_put(&svc_kv1, number);
    for (uint32_t number = 0; number < 1200; number += 6)
        model_del(&svc_kv1, number); /* so that the order in memory is not that of insertion */
    cr_assert(model_count == 1000);
    convert(&svc_kv1, &svc_kv2);
    convert(&svc_kv2, &svc_kv2);
    convert(&svc_kv2, &svc_kv1);
    convert(&svc_kv1, &svc_kv1);
}

Test(svc_kv, times_survive_a_conversion_between_stores_that_keep_them)
{
    reset(&svc_kv2);
    model_reset();
    for (uint32_t number = 0; number < 500; number++)
        model_put(&svc_kv2, number);
    for (uint32_t number = 0; number < 500; number += 3)
        model_del(&svc_kv2, number);
    convert(&svc_kv2, &svc_kv2); /* model_get compares the times */
    for (uint32_t number = 0; number < 500; number += 3)
        model_put(&svc_kv2, number);
    model_compare(&svc_kv2);
}

Test(svc_kv, a_full_store_and_an_empty_one_convert)
{
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        reset(versions[v]);
        model_reset();
        convert(versions[v], versions[1 - v]);
        for (uint32_t number = 0; number < HX_KV_ENTRIES_MAX; number++)
            model_put(versions[1 - v], number);
        convert(versions[1 - v], versions[v]);
    }
}

static void good_blob(void)
{
    uint64_t modified[2] = { 5, 6 };
    host_blob_clear(1 << 20);
    host_blob_put(HX_KV_STATE_LENGTHS, "\1\2\2\0", 4);
    host_blob_put(HX_KV_STATE_BYTES, "axxbb", 5);
    host_blob_put(HX_KV_STATE_MODIFIED, modified, sizeof(modified));
}

Test(svc_kv, bad_blobs_are_refused)
{
    static const uint8_t lengths[2 * HX_KV_ENTRIES_MAX + 2];
    static const struct {
        const char *field;
        const void *data;
        size_t bytes;
        bool both; /* or only by the version that reads the field */
    } cases[] = {
        { HX_KV_STATE_LENGTHS, NULL, 0, true },
        { HX_KV_STATE_BYTES, NULL, 0, true },
        { HX_KV_STATE_LENGTHS, "\1\2\2", 3, true },
        { HX_KV_STATE_LENGTHS, "\1\2", 2, true },
        { HX_KV_STATE_LENGTHS, "\0\3\2\0", 4, true },
        { HX_KV_STATE_LENGTHS, "\x21\2\2\0", 4, true },
        { HX_KV_STATE_LENGTHS, "\1\xc1\2\0", 4, true },
        { HX_KV_STATE_LENGTHS, lengths, sizeof(lengths), true },
        { HX_KV_STATE_BYTES, "axxb", 4, true },
        { HX_KV_STATE_BYTES, "axxbbb", 6, true },
        { HX_KV_STATE_BYTES, "axx", 3, true },
        { HX_KV_STATE_MODIFIED, "12345678", 8, false },
        { HX_KV_STATE_MODIFIED, "123456781234567", 15, false },
        { HX_KV_STATE_MODIFIED, "123456781234567812345678", 24, false },
    };
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        good_blob();
        cr_expect(host_load(versions[v]) == HX_OK);
        cr_expect(ops(versions[v])->count() == 2);
        for (size_t i = 0; i < HX_ARRAY_SIZE(cases); i++) {
            good_blob();
            if (cases[i].data)
                host_blob_put(cases[i].field, cases[i].data, cases[i].bytes);
            else
                host_blob_drop(cases[i].field);
            hx_ret_t err = host_load(versions[v]);
            hx_ret_t expected = cases[i].both || versions[v] == &svc_kv2 ? HX_E_SCHEMA : HX_OK;
            /* A field of bytes that is not there is found out when the first is asked for. */
            cr_expect(err == expected || (!cases[i].data && err == HX_E_NOENT), "%s: case %zu: %d", versions[v]->label,
                      i, (int)err);
        }
        good_blob();
        host_blob_put(HX_KV_STATE_LENGTHS, "\1\1\1\0", 4);
        host_blob_put(HX_KV_STATE_BYTES, "axa", 3);
        cr_expect(host_load(versions[v]) == HX_E_SCHEMA, "%s: one key twice", versions[v]->label);
    }
}

/* ---- check ----------------------------------------------------------------------------------------------------------- */
/* Entries 0 to 9, "key0" to "key9"; in version 2, 3 and then 5 are deleted. */
static void prepare(const struct module_host *module)
{
    reset(module);
    for (uint32_t i = 0; i < 10; i++) {
        char key[8], value[8];
        int key_bytes = snprintf(key, sizeof(key), "key%u", i),
            value_bytes = snprintf(value, sizeof(value), "is %u", i);
        cr_assert(ops(module)->put(key, (uint64_t)key_bytes, value, (uint64_t)value_bytes) == 1);
    }
    if (module == &svc_kv2) {
        cr_assert(ops(module)->del("key3", 4) == HX_OK);
        cr_assert(ops(module)->del("key5", 4) == HX_OK);
    }
    host_expect_sound(module);
}

/* Any place that satisfies @taken. */
static uint32_t table_index(const struct module_host *module, const char *field, bool taken)
{
    uint32_t i = 0;
    while ((host_field_get(module, field, i) != 0) != taken)
        i++;
    return i;
}

Test(svc_kv, check_finds_seeded_corruptions_of_version_1)
{
    prepare(&svc_kv1);
    uint32_t taken = table_index(&svc_kv1, "table", true), empty = table_index(&svc_kv1, "table", false);
    uint64_t entry = host_field_get(&svc_kv1, "table", taken);
    const struct corruption list[] = {
        { "used", 0, 9 },          { "used", 0, 11 },
        { "used", 0, 0 },          { "used", 0, ~0u },
        { "table", taken, 0 },     { "table", taken, entry % 10 + 1 },
        { "table", taken, 11 },    { "table", taken, 0xffff },
        { "table", empty, 1 },     { "table", empty, 0xffff },
        { "seal", 4, 0 },          { "key_bytes", 2, 0 },
        { "key_bytes", 2, 3 },     { "key_bytes", 2, 5 },
        { "key_bytes", 2, 255 },   { "key_bytes", 10, 4 },
        { "value_bytes", 7, 0 },   { "value_bytes", 7, 5 },
        { "value_bytes", 7, 193 }, { "value_bytes", 2047, 1 },
        { "keys", 0, 'K' },        { "keys", 9 * HX_KV_KEY_MAX + 3, '8' },
        { "values", 0, 'I' },      { "values", 9 * HX_KV_VALUE_MAX + 3, '8' },
    };
    host_expect_found(&svc_kv1, list, HX_ARRAY_SIZE(list));
}

Test(svc_kv, check_finds_seeded_corruptions_of_version_2)
{
    prepare(&svc_kv2);
    uint32_t taken = table_index(&svc_kv2, "bucket", true), empty = table_index(&svc_kv2, "bucket", false);
    uint64_t entry = host_field_get(&svc_kv2, "bucket", taken);
    const struct corruption list[] = {
        { "used", 0, 7 },
        { "used", 0, 9 },
        { "used", 0, ~0u },
        { "fresh", 0, 9 },
        { "fresh", 0, 11 },
        { "fresh", 0, ~0u },
        { "free", 0, 0 },
        { "free", 0, 1 },
        { "free", 0, 4 },
        { "free", 0, ~0u },
        { "bucket", taken, 0 },
        { "bucket", taken, entry % 10 + 1 },
        { "bucket", taken, 0xffff },
        { "bucket", empty, 1 },
        { "next", (uint32_t)entry - 1, (uint32_t)entry },
        { "next", 5, 0 },
        { "next", 5, 6 },
        { "next", 3, 6 },
        { "next", 2000, 1 },
        { "hash", 0, 0 },
        { "seal", 4, 0 },
        { "generation", 4, 0 },
        { "generation", 4, 2 },
        { "modified", 4, 0 },
        { "modified", 4, ~0ull },
        { "key_bytes", 2, 0 },
        { "key_bytes", 2, 3 },
        { "key_bytes", 2, 255 },
        { "key_bytes", 3, 4 },
        { "key_bytes", 10, 4 },
        { "value_bytes", 7, 0 },
        { "value_bytes", 7, 193 },
        { "value_bytes", 5, 1 },
        { "keys", 0, 'K' },
        { "keys", 9 * HX_KV_KEY_MAX + 3, '8' },
        { "values", 0, 'I' },
        { "values", 9 * HX_KV_VALUE_MAX + 3, '8' },
    };
    host_expect_found(&svc_kv2, list, HX_ARRAY_SIZE(list));
}

Test(svc_kv, check_finds_every_single_wrong_bit_of_what_is_stored)
{
    for (size_t v = 0; v < HX_ARRAY_SIZE(versions); v++) {
        prepare(versions[v]);
        for (uint32_t e = 0; e < 3; e++)
            for (uint32_t bit = 0; bit < 4 * 8; bit++) {
                const char *const fields[] = { "keys", "values" };
                const uint32_t strides[] = { HX_KV_KEY_MAX, HX_KV_VALUE_MAX };
                for (size_t f = 0; f < 2; f++) {
                    uint32_t at = e * strides[f] + bit / 8;
                    struct corruption c = { fields[f], at,
                                            host_field_get(versions[v], fields[f], at) ^ (1u << bit % 8) };
                    host_expect_found(versions[v], &c, 1);
                }
            }
    }
}

Test(svc_kv, spoiled_links_are_errors_not_wild_accesses)
{
    char value[8];
    prepare(&svc_kv1);
    for (uint32_t i = 0; i < 2 * HX_KV_ENTRIES_MAX; i++)
        host_field_set(&svc_kv1, "table", i, 0xffff);
    cr_expect(ops(&svc_kv1)->get("key1", 4, value, sizeof(value)) == HX_E_CORRUPT);
    cr_expect(ops(&svc_kv1)->put("key1", 4, "x", 1) == HX_E_CORRUPT);
    cr_expect(ops(&svc_kv1)->del("key1", 4) == HX_E_CORRUPT);
    host_field_set(&svc_kv1, "used", 0, ~0u);
    cr_expect(host_save(&svc_kv1) == HX_E_CORRUPT);
    cr_expect(ops(&svc_kv1)->list(HX_KV_ENTRIES_MAX, value, sizeof(value)) == HX_E_NOENT);
    prepare(&svc_kv1);
    for (uint32_t i = 0; i < 2 * HX_KV_ENTRIES_MAX; i++)
        host_field_set(&svc_kv1, "table", i, 1); /* full: no empty place ends a search */
    cr_expect(ops(&svc_kv1)->get("none", 4, value, sizeof(value)) == HX_E_CORRUPT);

    prepare(&svc_kv2);
    for (uint32_t i = 0; i < 1024; i++)
        host_field_set(&svc_kv2, "bucket", i, 0xffff);
    cr_expect(ops(&svc_kv2)->get("key1", 4, value, sizeof(value)) == HX_E_CORRUPT);
    cr_expect(ops(&svc_kv2)->put("key1", 4, "x", 1) == HX_E_CORRUPT);
    prepare(&svc_kv2);
    host_field_set(&svc_kv2, "free", 0, 0xffff);
    cr_expect(ops(&svc_kv2)->put("new", 3, "x", 1) == HX_E_CORRUPT);
    prepare(&svc_kv2);
    for (uint32_t i = 0; i < 1024; i++)
        host_field_set(&svc_kv2, "bucket", i, 1);
    host_field_set(&svc_kv2, "next", 0, 1); /* a chain that never ends */
    cr_expect(ops(&svc_kv2)->get("none", 4, value, sizeof(value)) == HX_E_CORRUPT);
    host_field_set(&svc_kv2, "fresh", 0, ~0u);
    cr_expect(host_save(&svc_kv2) == HX_E_CORRUPT);
}
