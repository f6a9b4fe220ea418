/* SPDX-License-Identifier: MIT */
/* fields.c - see fields.h. Values are 64 bits, of signed types with their sign. */
#include "fields.h"

#include <lib/fmt.h>
#include <lib/hash.h>
#include <string.h>

static const struct {
    char name[4];
    uint8_t bytes;
    bool is_signed;
} types[] = {
    [HX_FIELD_u8] = { "u8", 1, false },   [HX_FIELD_u16] = { "u16", 2, false }, [HX_FIELD_u32] = { "u32", 4, false },
    [HX_FIELD_u64] = { "u64", 8, false }, [HX_FIELD_i32] = { "i32", 4, true },  [HX_FIELD_i64] = { "i64", 8, true },
};

const char *hx_field_type_name(uint32_t type)
{
    return type < HX_ARRAY_SIZE(types) ? types[type].name : "?";
}

static uint64_t read_value(uint32_t type, const uint8_t *at)
{
    uint64_t value = 0; /* x86 is little-endian */
    memcpy(&value, at, types[type].bytes);
    return types[type].is_signed && types[type].bytes == 4 ? (uint64_t)(int64_t)(int32_t)value : value;
}

/* What is cut off when @value becomes one of @type is nothing but its sign. */
bool hx_field_holds(uint32_t type, uint64_t value)
{
    return read_value(type, (const uint8_t *)&value) == value;
}

bool hx_field_is_less(uint32_t type, uint64_t a, uint64_t b)
{
    return types[type].is_signed ? (int64_t)a < (int64_t)b : a < b;
}

/* The same number in both types, so not what one means as a negative one. */
static bool converts(uint32_t from, uint32_t to, uint64_t value)
{
    bool same_sense = types[from].is_signed == types[to].is_signed || (int64_t)value >= 0;
    return same_sense && hx_field_holds(to, value);
}

/* ---- what is declared ------------------------------------------------------------------------------------------------ */

const struct hx_field_record *hx_fields_find(const struct hx_fields *fields, const char *name)
{
    for (uint32_t i = 0; i < fields->count; i++)
        if (strcmp(fields->field[i].name, name) == 0)
            return &fields->field[i];
    return NULL;
}

const struct hx_rule_record *hx_fields_rule(const struct hx_fields *fields, uint32_t kind, const char *field)
{
    for (uint32_t i = 0; i < fields->rules_count; i++)
        if (fields->rule[i].kind == kind && strcmp(fields->rule[i].field, field) == 0)
            return &fields->rule[i];
    return NULL;
}

const struct hx_field_record *hx_fields_successor(const struct hx_fields *from, const struct hx_field_record *old,
                                                  const struct hx_fields *to)
{
    const struct hx_field_record *new = hx_fields_find(to, old->name);
    for (uint32_t i = 0; !new &&i < to->rules_count; i++)
        if (to->rule[i].kind == HX_RULE_WAS && strcmp(to->rule[i].was, old->name) == 0 &&
            !hx_fields_find(from, to->rule[i].field))
            new = hx_fields_find(to, to->rule[i].field);
    /* The way back, to a version that knows only the old name. */
    const struct hx_rule_record *was = new ? NULL : hx_fields_rule(from, HX_RULE_WAS, old->name);
    return was && !hx_fields_find(from, was->was) ? hx_fields_find(to, was->was) : new;
}

const struct hx_field_record *hx_fields_place(const struct hx_field_record *old, const struct hx_fields *to)
{
    const struct hx_field_record *new = hx_fields_find(to, old->name);
    return new &&new->type == old->type &&new->count >= old->count ? new : NULL;
}

const char *hx_fields_obstacle(const struct hx_fields *from, const struct hx_field_record *old,
                               const struct hx_fields *to)
{
    const struct hx_field_record *new = hx_fields_successor(from, old, to);
    if (new)
        return new->count < old->count ? "shrinks" : NULL;
    return hx_fields_rule(to, HX_RULE_DROPS, old->name) ? NULL : "has no place in the new version";
}

uint64_t hx_fields_schema(const struct hx_fields *fields, uint64_t seed)
{
    uint64_t schema = hx_hash_xxh64(fields->field, fields->count * sizeof(*fields->field), seed);
    for (uint32_t i = 0; i < fields->rules_count; i++)
        if (fields->rule[i].kind == HX_RULE_RANGE)
            schema = hx_hash_xxh64(&fields->rule[i], sizeof(fields->rule[i]), schema);
    return schema | 1;
}

/* ---- values ---------------------------------------------------------------------------------------------------------- */

static hx_status_t refuse_value(char fault[HX_FIELD_FAULT_MAX], const struct hx_field_record *field, uint32_t index,
                                uint32_t type, uint64_t value, const char *what)
{
    hx_fmt(fault, HX_FIELD_FAULT_MAX, types[type].is_signed ? "%s[%u] is %lld, %s" : "%s[%u] is %llu, %s", field->name,
           index, (unsigned long long)value, what);
    return HX_E_RANGE;
}

static bool lies_in(const struct hx_rule_record *range, uint32_t type, uint64_t value)
{
    return !range || (!hx_field_is_less(type, value, range->first) && !hx_field_is_less(type, range->second, value));
}

static hx_status_t check_field(const struct hx_fields *fields, const struct hx_field_record *field,
                               const uint8_t *state, char fault[HX_FIELD_FAULT_MAX])
{
    const struct hx_rule_record *range = hx_fields_rule(fields, HX_RULE_RANGE, field->name);
    for (uint32_t i = 0; range && i < field->count; i++) {
        uint64_t value = read_value(field->type, state + field->offset + (size_t)i * field->elem_bytes);
        if (!lies_in(range, field->type, value))
            return refuse_value(fault, field, i, field->type, value, "which is out of its range");
    }
    return HX_OK;
}

hx_status_t hx_fields_check(const struct hx_fields *fields, const uint8_t *state, char fault[HX_FIELD_FAULT_MAX])
{
    hx_status_t err = HX_OK;
    for (uint32_t i = 0; i < fields->count && err == HX_OK; i++)
        err = check_field(fields, &fields->field[i], state, fault);
    return err;
}

static hx_status_t convert(const struct hx_field_record *old, const uint8_t *from, const struct hx_field_record *new,
                           uint8_t *to, char fault[HX_FIELD_FAULT_MAX])
{
    for (uint32_t i = 0; i < old->count; i++, from += old->elem_bytes, to += new->elem_bytes) {
        uint64_t value = read_value(old->type, from);
        if (!converts(old->type, new->type, value))
            return refuse_value(fault, new, i, old->type, value, "which does not fit its type");
        memcpy(to, &value, new->elem_bytes);
    }
    return HX_OK;
}

hx_status_t hx_fields_carry(const struct hx_fields *from, const struct hx_field_record *old, const uint8_t *from_state,
                            const struct hx_fields *to, uint8_t *to_state, size_t *bytes,
                            char fault[HX_FIELD_FAULT_MAX])
{
    const struct hx_field_record *new = hx_fields_successor(from, old, to);
    hx_status_t err = HX_OK;
    if (!new) /* given up */
        return HX_OK;
    if (new->type == old->type)
        memcpy(to_state + new->offset, from_state + old->offset, (size_t)old->count * old->elem_bytes);
    else
        err = convert(old, from_state + old->offset, new, to_state + new->offset, fault);
    if (err == HX_OK)
        err = check_field(to, new, to_state, fault);
    *bytes += (size_t)old->count * old->elem_bytes;
    return err;
}

void hx_fields_reset(const struct hx_fields *fields, uint8_t *state)
{
    for (uint32_t i = 0; i < fields->rules_count; i++) {
        const struct hx_rule_record *rule = &fields->rule[i];
        const struct hx_field_record *field =
            rule->kind == HX_RULE_DEFAULT ? hx_fields_find(fields, rule->field) : NULL;
        for (uint32_t j = 0; field && j < field->count; j++)
            memcpy(state + field->offset + (size_t)j * field->elem_bytes, &rule->first, field->elem_bytes);
    }
}
