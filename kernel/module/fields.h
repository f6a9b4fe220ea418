/* SPDX-License-Identifier: MIT */
/*
 * fields.h - the declared state: which field of one version becomes which of another, and what may stand in it.
 *
 * Pure: records that were checked (records.h) and memory in, no version, no allocation; so the kernel, which converts, and
 * mkmodpack, which says beforehand whether it could, have one set of rules:
 * - a field goes where its name is, or where HX_STATE_WAS of either side says;
 * - one that goes nowhere must be given up by HX_STATE_DROPS, and an array does not shrink;
 * - numbers may change their type as long as each value fits, and lie in the range of the new version;
 * - what does not come from the old version has its default, or what `init' has made of it.
 * Those of a record go where their name is alone, and keep their type (hx_fields_place).
 */
#pragma once
#include <helix/module.h>

enum { HX_FIELD_FAULT_MAX = 160 };

struct hx_fields {
    const struct hx_field_record *field;
    const struct hx_rule_record *rule;
    uint32_t count, rules_count;
};

/* NULL: there is none. */
const struct hx_field_record *hx_fields_find(const struct hx_fields *fields, const char *name);
const struct hx_rule_record *hx_fields_rule(const struct hx_fields *fields, uint32_t kind, const char *field);
/* The field of @to that @old, of @from, becomes; NULL: none. */
const struct hx_field_record *hx_fields_successor(const struct hx_fields *from, const struct hx_field_record *old,
                                                  const struct hx_fields *to);
/* The field, of a record's @to, that takes what @old keeps; NULL: there is none of its name and type and as long. */
const struct hx_field_record *hx_fields_place(const struct hx_field_record *old, const struct hx_fields *to);
/* Why @old cannot be carried over, whatever is in it; NULL: it can, or is given up. */
const char *hx_fields_obstacle(const struct hx_fields *from, const struct hx_field_record *old,
                               const struct hx_fields *to);
/*
 * Carries @old over; adds the bytes of it to @bytes. HX_E_RANGE: @fault says which value does not fit. What was written by then
 * stays.
 */
HX_NODISCARD hx_status_t hx_fields_carry(const struct hx_fields *from, const struct hx_field_record *old,
                                         const uint8_t *from_state, const struct hx_fields *to, uint8_t *to_state,
                                         size_t *bytes, char fault[HX_FIELD_FAULT_MAX]);
/* Whether each value lies in its range; else HX_E_RANGE. */
HX_NODISCARD hx_status_t hx_fields_check(const struct hx_fields *fields, const uint8_t *state,
                                         char fault[HX_FIELD_FAULT_MAX]);
/* Sets what has a default. */
void hx_fields_reset(const struct hx_fields *fields, uint8_t *state);
/* Two states of one schema may be taken for each other: fields, their places and ranges. @seed: of whom. Never 0. */
uint64_t hx_fields_schema(const struct hx_fields *fields, uint64_t seed);
/* Whether @value, as it stands in a record, can stand in a field of @type. */
bool hx_field_holds(uint32_t type, uint64_t value);
/* Of two such, by the order of the type. */
bool hx_field_is_less(uint32_t type, uint64_t a, uint64_t b);
const char *hx_field_type_name(uint32_t type);
