/* SPDX-License-Identifier: MIT */
/* test_fields.c - state from one declaration to another: what goes where, and which values do not. */
#include "world.h"

#include <criterion/criterion.h>
#include <module/fields.h>
#include <stdlib.h>
#include <string.h>

/* One field of each side, at another place. */
struct pair {
    struct hx_field_record old, new;
    struct hx_rule_record rule[4];
    struct hx_fields from, to;
    uint8_t from_state[64], to_state[64];
    char fault[HX_FIELD_FAULT_MAX];
    size_t bytes;
};

static uint32_t bytes_of(uint32_t type)
{
    return type == HX_FIELD_u8 ? 1 : type == HX_FIELD_u16 ? 2 : type == HX_FIELD_u32 || type == HX_FIELD_i32 ? 4 : 8;
}

static struct hx_field_record field(const char *name, uint32_t type, uint32_t count, uint32_t offset)
{
    struct hx_field_record out = { .type = type, .elem_bytes = bytes_of(type), .count = count, .offset = offset };
    strncpy(out.name, name, sizeof(out.name) - 1);
    return out;
}

static struct hx_rule_record rule(uint32_t kind, const char *name, const char *was, int64_t first, int64_t second)
{
    struct hx_rule_record out = { .kind = kind, .first = (uint64_t)first, .second = (uint64_t)second };
    strncpy(out.field, name, sizeof(out.field) - 1);
    strncpy(out.was, was, sizeof(out.was) - 1);
    return out;
}

static void pair_open(struct pair *pair, struct hx_field_record old, struct hx_field_record new)
{
    memset(pair, 0, sizeof(*pair));
    pair->old = old;
    pair->new = new;
    pair->from = (struct hx_fields){ .field = &pair->old, .count = 1 };
    pair->to = (struct hx_fields){ .field = &pair->new, .rule = pair->rule, .count = 1 };
}

static void put(struct pair *pair, uint32_t index, uint64_t value)
{
    memcpy(pair->from_state + pair->old.offset + index * pair->old.elem_bytes, &value, pair->old.elem_bytes);
}

static int64_t got(const struct pair *pair, uint32_t index)
{
    int64_t value = 0;
    memcpy(&value, pair->to_state + pair->new.offset + index * pair->new.elem_bytes, pair->new.elem_bytes);
    return pair->new.type == HX_FIELD_i32 ? (int32_t)value : value;
}

static hx_status_t carry(struct pair *pair)
{
    return hx_fields_carry(&pair->from, &pair->old, pair->from_state, &pair->to, pair->to_state, &pair->bytes,
                           pair->fault);
}

static const struct {
    uint32_t type;
    __int128 low, high;
} types[] = {
    { HX_FIELD_u8, 0, UINT8_MAX },   { HX_FIELD_u16, 0, UINT16_MAX },        { HX_FIELD_u32, 0, UINT32_MAX },
    { HX_FIELD_u64, 0, UINT64_MAX }, { HX_FIELD_i32, INT32_MIN, INT32_MAX }, { HX_FIELD_i64, INT64_MIN, INT64_MAX },
};

/* Every type into every type, at every border of any. */
Test(fields, a_number_goes_into_another_type_exactly_when_it_fits)
{
    uint32_t carried = 0, refused = 0;
    for (size_t from = 0; from < HX_ARRAY_SIZE(types); from++)
        for (size_t to = 0; to < HX_ARRAY_SIZE(types); to++)
            for (size_t border = 0; border < 2 * HX_ARRAY_SIZE(types); border++)
                for (int beside = -1; beside <= 1; beside++) {
                    __int128 value = (border & 1 ? types[border / 2].high : types[border / 2].low) + beside;
                    if (value < types[from].low || value > types[from].high)
                        continue;
                    struct pair pair;
                    pair_open(&pair, field("a", types[from].type, 1, 8), field("a", types[to].type, 1, 16));
                    put(&pair, 0, (uint64_t)value);
                    bool fits = value >= types[to].low && value <= types[to].high;
                    cr_assert_eq(carry(&pair), fits ? HX_OK : HX_E_RANGE, "%zu to %zu: %lld", from, to,
                                 (long long)value);
                    if (fits)
                        cr_assert_eq((uint64_t)got(&pair, 0), (uint64_t)value);
                    else
                        cr_assert(strstr(pair.fault, "does not fit"), "%s", pair.fault);
                    carried += fits;
                    refused += !fits;
                }
    cr_assert_gt(carried, 100);
    cr_assert_gt(refused, 100);
}

Test(fields, a_value_out_of_the_new_range_is_refused_and_named)
{
    static const uint32_t of[] = { HX_FIELD_i32, HX_FIELD_i64 };
    for (size_t i = 0; i < HX_ARRAY_SIZE(of); i++) {
        struct pair pair;
        pair_open(&pair, field("low", HX_FIELD_i32, 3, 0), field("low", of[i], 3, 0));
        pair.rule[pair.to.rules_count++] = rule(HX_RULE_RANGE, "low", "", -5, 5);
        put(&pair, 0, (uint64_t)-5);
        put(&pair, 1, 5);
        cr_assert_eq(carry(&pair), HX_OK, "%s", pair.fault);
        put(&pair, 2, (uint64_t)-6);
        cr_assert_eq(carry(&pair), HX_E_RANGE);
        cr_assert_str_eq(pair.fault, "low[2] is -6, which is out of its range");
        put(&pair, 2, 6);
        cr_assert_eq(carry(&pair), HX_E_RANGE);
    }
}

Test(fields, a_range_without_a_sign_is_one_without_a_sign)
{
    struct pair pair;
    pair_open(&pair, field("a", HX_FIELD_u64, 1, 0), field("a", HX_FIELD_u64, 1, 0));
    pair.rule[pair.to.rules_count++] = rule(HX_RULE_RANGE, "a", "", 1, -2);
    put(&pair, 0, UINT64_MAX - 1);
    cr_assert_eq(carry(&pair), HX_OK, "%s", pair.fault);
    put(&pair, 0, UINT64_MAX);
    cr_assert_eq(carry(&pair), HX_E_RANGE);
    cr_assert_str_eq(pair.fault, "a[0] is 18446744073709551615, which is out of its range");
    cr_assert_eq(hx_fields_check(&pair.to, pair.to_state, pair.fault), HX_E_RANGE);
}

Test(fields, a_field_is_found_under_its_old_name_and_back)
{
    struct pair pair;
    pair_open(&pair, field("count", HX_FIELD_u32, 1, 0), field("used", HX_FIELD_u32, 1, 4));
    cr_assert_null(hx_fields_successor(&pair.from, &pair.old, &pair.to));
    cr_assert_str_eq(hx_fields_obstacle(&pair.from, &pair.old, &pair.to), "has no place in the new version");
    pair.rule[pair.to.rules_count++] = rule(HX_RULE_WAS, "used", "count", 0, 0);
    cr_assert_eq(hx_fields_successor(&pair.from, &pair.old, &pair.to), &pair.new);
    cr_assert_eq(hx_fields_successor(&pair.to, &pair.new, &pair.from), &pair.old, "back");
    put(&pair, 0, 77);
    cr_assert_eq(carry(&pair), HX_OK);
    cr_assert_eq(got(&pair, 0), 77);
}

Test(fields, a_name_that_both_have_goes_before_one_that_was)
{
    struct hx_field_record old[] = { field("count", HX_FIELD_u32, 1, 0), field("used", HX_FIELD_u32, 1, 4) };
    struct hx_field_record new[] = { field("used", HX_FIELD_u32, 1, 0) };
    struct hx_rule_record was = rule(HX_RULE_WAS, "used", "count", 0, 0);
    struct hx_fields from = { .field = old, .count = 2 };
    struct hx_fields to = { .field = new, .rule = &was, .count = 1, .rules_count = 1 };
    cr_assert_eq(hx_fields_successor(&from, &old[1], &to), &new[0]);
    cr_assert_null(hx_fields_successor(&from, &old[0], &to), "two would go to one place");
    from.count = 1;
    cr_assert_eq(hx_fields_successor(&to, &new[0], &from), &old[0], "back, where only the old name is");
}

Test(fields, what_is_gone_must_be_given_up_and_an_array_may_not_shrink)
{
    struct pair pair;
    pair_open(&pair, field("hits", HX_FIELD_u32, 1, 0), field("other", HX_FIELD_u32, 1, 0));
    pair.rule[pair.to.rules_count++] = rule(HX_RULE_DROPS, "hits", "", 0, 0);
    cr_assert_null(hx_fields_obstacle(&pair.from, &pair.old, &pair.to));
    put(&pair, 0, 9);
    cr_assert_eq(carry(&pair), HX_OK);
    cr_assert_eq(got(&pair, 0), 0, "nothing is written for it");
    pair_open(&pair, field("a", HX_FIELD_u8, 5, 0), field("a", HX_FIELD_u16, 4, 0));
    cr_assert_str_eq(hx_fields_obstacle(&pair.from, &pair.old, &pair.to), "shrinks");
    pair.new.count = 6;
    cr_assert_null(hx_fields_obstacle(&pair.from, &pair.old, &pair.to));
}

Test(fields, defaults_stand_in_every_element_and_nowhere_else)
{
    struct hx_field_record list[] = { field("a", HX_FIELD_i32, 3, 4), field("b", HX_FIELD_u16, 1, 16) };
    struct hx_rule_record is = rule(HX_RULE_DEFAULT, "a", "", -9, 0);
    struct hx_fields fields = { .field = list, .rule = &is, .count = 2, .rules_count = 1 };
    int32_t state[5] = { 1, 1, 1, 1, 1 };
    hx_fields_reset(&fields, (uint8_t *)state);
    static const int32_t expected[] = { 1, -9, -9, -9, 1 };
    cr_assert_eq(memcmp(state, expected, sizeof(state)), 0);
}

Test(fields, a_schema_tells_fields_and_ranges_apart_but_not_names_before)
{
    struct hx_field_record list[] = { field("a", HX_FIELD_i32, 3, 4) };
    struct hx_rule_record range = rule(HX_RULE_RANGE, "a", "", 0, 5), was = rule(HX_RULE_WAS, "a", "b", 0, 0);
    struct hx_fields plain = { .field = list, .count = 1 };
    struct hx_fields ranged = { .field = list, .rule = &range, .count = 1, .rules_count = 1 };
    struct hx_fields renamed = { .field = list, .rule = &was, .count = 1, .rules_count = 1 };
    uint64_t schema = hx_fields_schema(&plain, 1);
    cr_assert_neq(schema, hx_fields_schema(&plain, 4), "whose it is");
    cr_assert_neq(schema, hx_fields_schema(&ranged, 1));
    cr_assert_eq(schema, hx_fields_schema(&renamed, 1));
    list[0].count = 2;
    cr_assert_neq(schema, hx_fields_schema(&plain, 1));
}

/* ---- in a swap ------------------------------------------------------------------------------------------------------- */
static const uint8_t *state_at(const char *name)
{
    const struct hx_version *version = hx_module_find("shelf")->running;
    return version->state + hx_fields_find(&version->fields, name)->offset;
}

static uint64_t value_of(const char *name, uint32_t bytes, uint32_t index)
{
    uint64_t value = 0;
    memcpy(&value, state_at(name) + index * bytes, bytes);
    return value;
}

Test(fields, a_swap_renames_widens_lengthens_gives_up_and_adds)
{
    struct hx_job job;
    world_begin(1000);
    cr_assert_eq(world_load("shelf_1.hxm", &job), HX_OK, "%s", job.report.message);
    cr_assert_eq(world_reload("shelf", "shelf_2.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_str_eq(world_version("shelf"), "2.0.0");
    cr_assert_eq(value_of("used", 8, 0), 7);
    cr_assert_eq(value_of("quantum", 4, 0), 10);
    cr_assert_eq(value_of("low", 8, 0), (uint64_t)-2);
    static const uint16_t level[] = { 1, 2, 3, 4, 300, 300 };
    cr_assert_eq(memcmp(state_at("level"), level, sizeof(level)), 0);
}

Test(fields, a_swap_whose_values_are_out_of_range_is_refused_and_nothing_changes)
{
    struct hx_job job;
    world_begin(1000);
    cr_assert_eq(world_load("shelf_1.hxm", NULL), HX_OK);
    struct census before = world_census();
    cr_assert_eq(world_reload("shelf", "shelf_3.hxm", &job), HX_E_RANGE);
    cr_assert(strstr(job.swap.report.message, "level[3] is 4, which is out of its range"), "%s",
              job.swap.report.message);
    cr_assert_str_eq(world_version("shelf"), "1.0.0");
    cr_assert_eq(value_of("level", 1, 3), 4);
    ASSERT_CENSUS(before);
}

Test(fields, a_swap_that_would_lose_something_is_refused_and_says_what_to_declare)
{
    struct hx_job job;
    world_begin(0);
    cr_assert_eq(world_load("shelf_1.hxm", NULL), HX_OK);
    cr_assert_eq(world_reload("shelf", "shelf_2.hxm", NULL), HX_OK);
    cr_assert_eq(world_reload("shelf", "shelf_1.hxm", &job), HX_E_SCHEMA);
    cr_assert(strstr(job.swap.report.message, "state field quantum has no place"), "%s", job.swap.report.message);
    cr_assert(strstr(job.swap.report.message, "HX_STATE_DROPS"), "%s", job.swap.report.message);
}

/* Pages are shared between versions of one schema, so nothing is converted; what the old one left there is looked at. */
Test(fields, what_stands_in_shared_pages_is_held_against_its_range)
{
    struct hx_job job;
    world_begin(1000);
    cr_assert_eq(world_load("shelf_1.hxm", NULL), HX_OK);
    cr_assert_eq(world_reload("shelf", "shelf_2.hxm", NULL), HX_OK);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "shelf", NULL), HX_OK);
    *(uint16_t *)(uintptr_t)state_at("level") = 301;
    cr_assert_eq(world_reload("shelf", "shelf_2.hxm", &job), HX_E_RANGE);
    cr_assert(strstr(job.swap.report.message, "level[0] is 301"), "%s", job.swap.report.message);
    cr_assert_str_eq(job.swap.report.step, "check");
}
