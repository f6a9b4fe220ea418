/* SPDX-License-Identifier: MIT */
/* test_records.c - every rule that the records of a linked image must keep, broken one at a time. */
#include "world.h"

#include <criterion/criterion.h>
#include <module/records.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- an image that is linked for the kernel's addresses, and never run ----------------------------------------------- */

enum { SPARE = 1024 }; /* behind each part: for records that a test adds */

static hx_status_t env_alloc(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    uintptr_t va = 0xffffffffa0000000;
    (void)context;
    for (uint32_t i = 0; i < HX_PART_COUNT; i++) {
        if (!part[i].bytes)
            continue;
        part[i].va = va;
        part[i].memory = calloc(1, part[i].bytes + SPARE);
        va += (part[i].bytes + HX_PAGE_BYTES) & ~(uintptr_t)(HX_PAGE_BYTES - 1);
    }
    return HX_OK;
}

static void env_seal(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    (void)context;
    (void)part;
}

static void env_release(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    (void)context;
    for (uint32_t i = 0; i < HX_PART_COUNT; i++)
        free(part[i].memory);
}

static hx_status_t env_resolve(void *context, const char *name, size_t bytes, bool weak, uint64_t *out_value)
{
    (void)bytes;
    (void)context;
    (void)name;
    (void)weak;
    *out_value = 0xffffffff80100000;
    return HX_OK;
}

static void *env_scratch(void *context, size_t bytes)
{
    (void)context;
    return calloc(1, bytes);
}

static void env_scratch_free(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static const struct hx_ldr_env env = {
    .low = 0xffffffffa0000000,
    .high = 0xffffffffa2000000,
    .alloc = env_alloc,
    .seal = env_seal,
    .settle = env_seal,
    .release = env_release,
    .resolve = env_resolve,
    .scratch = env_scratch,
    .scratch_free = env_scratch_free,
};

/* What was told. */
struct told {
    uint32_t count;
    uint32_t stop_after;
    hx_status_t err[16];
    char subject[16][64];
    char message[16][400];
};

static bool tell(void *context, hx_status_t err, const char *subject, const char *message)
{
    struct told *told = context;
    cr_assert_lt(told->count, 16);
    told->err[told->count] = err;
    strncpy(told->subject[told->count], subject, 63);
    strncpy(told->message[told->count], message, 399);
    cr_expect(strstr(message, "; "), "says nothing to do: %s", message);
    for (const char *c = message; *c; c++)
        cr_assert(*c >= ' ' && *c <= '~', "control character in a message");
    return ++told->count != told->stop_after;
}

/* The good module, its records as a test may write to them. */
struct good {
    struct hx_slice file;
    struct hx_image *image;
    struct hx_records records;
    struct hx_module_record *module;
    struct hx_interface_record *provides, *requires;
    struct hx_irq_record *bell, *gong;
    struct hx_ports_record *ports;
    struct hx_param_record *params;
    struct hx_field_record *fields;
    struct hx_rule_record *rule[HX_RULE_KINDS]; /* by kind */
    uint64_t *constructors, *destructors;
    uint8_t *vtable; /* of what it provides */
};

static void *writable(const void *memory)
{
    return (void *)(uintptr_t)memory;
}

static hx_status_t check(struct good *good, struct told *told)
{
    const struct hx_records_sink sink = { .violation = tell, .context = told };
    return hx_records_check(good->image, good->file, &sink, &good->records);
}

static struct good good_open(void)
{
    struct good good = { .file = world_file("declares_all.hxm") };
    struct hx_ldr_report report;
    struct told told = { 0 };
    cr_assert_eq(hx_ldr_load(good.file, &env, &good.image, &report), HX_OK, "%s", report.message);
    cr_assert_eq(check(&good, &told), HX_OK, "%s", told.message[0]);
    cr_assert_eq(told.count, 0);
    good.module = writable(good.records.module);
    good.provides = writable(good.records.provides);
    good.requires = writable(good.records.requires);
    /* Compilers order them as they like. */
    struct hx_irq_record *irqs = writable(good.records.irqs);
    bool turned = strcmp(irqs[0].key, "gong") == 0;
    good.bell = &irqs[turned];
    good.gong = &irqs[!turned];
    good.ports = writable(good.records.ports);
    good.params = writable(good.records.params);
    good.fields = writable(good.records.fields.field);
    for (uint32_t i = 0; i < good.records.fields.rules_count; i++)
        good.rule[good.records.fields.rule[i].kind] = writable(&good.records.fields.rule[i]);
    good.constructors = writable(good.records.constructors);
    good.destructors = writable(good.records.destructors);
    good.vtable = writable(hx_image_at(good.image, (uintptr_t)good.provides->vtable, 8));
    return good;
}

static void *va_of(const struct good *good, enum hx_image_part part)
{
    cr_assert_neq(good->image->part[part].bytes, 0, "no part %s", hx_image_part_name(part));
    return (void *)good->image->part[part].va;
}

Test(records, of_a_good_module_are_found)
{
    struct good good = good_open();
    const struct hx_records *r = &good.records;
    const void *op[HX_OPS_MAX];
    cr_assert_str_eq(r->module->name, "declares_all");
    cr_assert_eq(r->provides_count, 1);
    cr_assert_eq(r->requires_count, 1);
    cr_assert_eq(r->irqs_count, 2);
    cr_assert_eq(r->ports_count, 1);
    cr_assert_eq(r->params_count, 1);
    cr_assert_eq(r->fields.count, 2);
    cr_assert_eq(r->fields.rules_count, 4);
    cr_assert_eq(r->constructors_count, 1);
    cr_assert_eq(r->destructors_count, 1);
    cr_assert_eq(r->state_bytes, 68);
    cr_assert_eq(hx_records_vtable(good.image, r->provides, op), 4);
    cr_assert(hx_image_in_part(good.image, (uintptr_t)op[2], HX_PART_TEXT));
    cr_assert_eq(hx_ops_index(hx_records_ops(good.image, r->provides), "rate", 4), 2);
    cr_assert_not_null(hx_records_hook(r->module, HX_HOOK_START));
    cr_assert_null(hx_records_hook(r->module, HX_HOOK_FINI));
    hx_ldr_unload(good.image, &env);
}

/* One rule is broken by the statements, on `g'; told once. */
#define BROKEN(name, error, about, says, ...)                                                                          \
    Test(records, name)                                                                                                \
    {                                                                                                                  \
        struct good good = good_open(), *g = &good;                                                                    \
        struct told told = { 0 };                                                                                      \
        __VA_ARGS__;                                                                                                   \
        cr_assert_eq(check(g, &told), error, "%d: %s", told.err[0], told.message[0]);                                  \
        cr_assert_eq(told.count, 1, "%u times, then: %s", told.count, told.message[1]);                                \
        cr_assert_eq(told.err[0], error);                                                                              \
        cr_assert_str_eq(told.subject[0], about);                                                                      \
        cr_assert(strstr(told.message[0], says), "%s", told.message[0]);                                               \
        hx_ldr_unload(g->image, &env);                                                                                 \
    }
#define RECORDS(kind) g->image->records[HX_RECORDS_##kind]
#define SET_OP(index, function) memcpy(g->vtable + 8 + 8 * (index), &(const void *){ function }, 8)

BROKEN(a_half_record_is_refused, HX_E_FORMAT, ".hx.irqs", "no whole records of 48", RECORDS(IRQS).bytes -= 1)
BROKEN(unaligned_records_are_refused, HX_E_FORMAT, ".hx.fields", "no whole records", RECORDS(FIELDS).off += 1)
BROKEN(records_outside_the_constants_are_refused, HX_E_FORMAT, ".hx.ports", "no whole records",
       RECORDS(PORTS).off = g->image->part[HX_PART_RODATA].bytes)
BROKEN(too_many_records_are_refused, HX_E_LIMIT, ".hx.ports", "at most 4",
       RECORDS(PORTS) = (struct hx_image_range){ .off = 0, .bytes = 5 * sizeof(struct hx_ports_record) })
BROKEN(a_second_descriptor_is_refused, HX_E_FORMAT, ".hx.module", "2, at most 1",
       RECORDS(MODULE) = (struct hx_image_range){ .off = 0, .bytes = 2 * sizeof(struct hx_module_record) })
BROKEN(a_missing_descriptor_is_refused, HX_E_FORMAT, ".hx.module", "not a Helix module", RECORDS(MODULE).bytes = 0)
BROKEN(another_magic_is_refused, HX_E_FORMAT, ".hx.module", "magic is 0x00000005", g->module->magic = 5)
BROKEN(another_major_of_the_abi_is_refused, HX_E_ABI, "abi", "wrong ABI: built for 1.0",
       g->module->abi = HX_VERSION(1, 0, 0))
BROKEN(a_newer_abi_is_refused, HX_E_ABI, "abi", "wrong ABI", g->module->abi = HX_ABI + 1)
BROKEN(a_descriptor_of_another_size_is_refused, HX_E_ABI, "abi", "descriptor of 8 bytes", g->module->bytes = 8)
BROKEN(a_name_with_a_space_is_refused, HX_E_FORMAT, ".hx.module", "name must be", g->module->name[3] = ' ')
BROKEN(a_name_without_an_end_is_refused, HX_E_FORMAT, ".hx.module", "name must be",
       memset(g->module->name, 'a', HX_NAME_MAX))
BROKEN(a_summary_with_a_control_character_is_refused, HX_E_FORMAT, ".hx.module", "summary",
       g->module->summary[0] = '\n')
BROKEN(an_older_major_of_the_abi_is_refused, HX_E_ABI, "abi", "wrong ABI: built for 0.1",
       g->module->abi = HX_VERSION(0, 1, 0))
BROKEN(a_summary_with_a_delete_character_is_refused, HX_E_FORMAT, ".hx.module", "summary", g->module->summary[0] = 0x7f)
BROKEN(records_behind_the_constants_are_refused, HX_E_FORMAT, ".hx.ports", "no whole records",
       RECORDS(PORTS).off = (g->image->part[HX_PART_RODATA].bytes + 16) & ~(size_t)7)
BROKEN(constructors_behind_the_constants_are_refused, HX_E_FORMAT, "constructor", "no whole addresses",
       g->image->constructors.off = (g->image->part[HX_PART_RODATA].bytes + 16) & ~(size_t)7)
BROKEN(unaligned_constructors_are_refused, HX_E_FORMAT, "constructor", "no whole addresses",
       g->image->part[HX_PART_RODATA].bytes += 8;
       g->image->constructors.off += 4)
BROKEN(a_vtable_in_code_that_is_given_back_is_refused, HX_E_RANGE, "hx_rtc", "given back after init",
       g->image->part[HX_PART_INIT_TEXT].bytes = 4096;
       g->provides->vtable = va_of(g, HX_PART_INIT_TEXT))
BROKEN(a_field_of_no_type_and_no_size_is_refused, HX_E_RANGE, "used", "type or place", g->fields[0].type = 0;
       g->fields[0].elem_bytes = 0)
BROKEN(a_name_that_the_file_does_not_have_is_refused, HX_E_FORMAT, "name", "relocation", g->module->name[0] = 'x')
BROKEN(a_version_that_the_file_does_not_have_is_refused, HX_E_FORMAT, "requires", "relocation", g->requires->version++)
BROKEN(a_hook_outside_is_refused, HX_E_RANGE, "start", "broken hook start: 0x5 is outside",
       g->module->hooks.start = (hx_ret_t(*)(uint64_t))5)
BROKEN(a_hook_in_data_is_refused, HX_E_RANGE, "init", "outside",
       g->module->hooks.init = (hx_ret_t(*)(void))va_of(g, HX_PART_DATA))
BROKEN(a_hook_that_is_given_back_is_refused, HX_E_RANGE, "fini", "given back after init",
       g->module->hooks.fini = (hx_ret_t(*)(void))va_of(g, HX_PART_INIT_TEXT))
BROKEN(a_constructor_in_data_is_refused, HX_E_RANGE, "constructor", "broken constructor 0",
       g->constructors[0] = (uintptr_t)va_of(g, HX_PART_DATA))
BROKEN(half_a_constructor_is_refused, HX_E_FORMAT, "constructor", "no whole addresses",
       g->image->constructors.bytes = 4)
BROKEN(a_destructor_that_is_given_back_is_refused, HX_E_RANGE, "destructor", "given back after init",
       g->destructors[0] = (uintptr_t)va_of(g, HX_PART_INIT_TEXT))
BROKEN(operations_outside_are_refused, HX_E_RANGE, "hx_rtc", "list of operations lies outside",
       g->provides->ops = (const char *)5)
BROKEN(operations_that_reach_outside_are_refused, HX_E_RANGE, "hx_kv", "list of operations lies outside",
       g->requires->ops_bytes = UINT32_MAX)
BROKEN(operations_that_are_given_back_are_refused, HX_E_RANGE, "hx_rtc", "outside the image's constants",
       g->provides->ops = va_of(g, HX_PART_INIT_DATA);
       g->provides->ops_bytes = 1)
BROKEN(operations_that_may_change_are_refused, HX_E_RANGE, "hx_rtc", "outside the image's constants",
       g->provides->ops = va_of(g, HX_PART_DATA);
       g->provides->ops_bytes = 1)
BROKEN(operations_without_an_end_are_refused, HX_E_FORMAT, "hx_rtc", "malformed", g->provides->ops_bytes--)
BROKEN(a_vtable_outside_is_refused, HX_E_RANGE, "hx_rtc", "broken vtable of hx.rtc: it lies outside",
       g->provides->vtable = NULL)
BROKEN(a_vtable_that_reaches_outside_is_refused, HX_E_RANGE, "hx_rtc", "broken vtable",
       g->provides->vtable = (uint8_t *)va_of(g, HX_PART_RODATA) + g->image->part[HX_PART_RODATA].bytes - 8)
BROKEN(a_vtable_that_is_given_back_is_refused, HX_E_RANGE, "hx_rtc", "given back after init",
       g->image->part[HX_PART_INIT_DATA].bytes = 4096;
       g->provides->vtable = va_of(g, HX_PART_INIT_DATA))
BROKEN(a_vtable_of_another_length_is_refused, HX_E_FORMAT, "hx_rtc", "HX_OPS_HEAD", g->vtable[4] = 16)
BROKEN(a_vtable_of_another_version_is_refused, HX_E_FORMAT, "hx_rtc", "HX_OPS_HEAD", g->vtable[0]++)
BROKEN(a_missing_operation_is_refused, HX_E_RANGE, "hx_rtc", "operation 2 of hx.rtc is missing", SET_OP(2, NULL))
BROKEN(an_operation_in_data_is_refused, HX_E_RANGE, "hx_rtc", "broken operation 1 of hx.rtc",
       SET_OP(1, va_of(g, HX_PART_DATA)))
BROKEN(an_operation_that_is_given_back_is_refused, HX_E_RANGE, "hx_rtc", "given back after init",
       SET_OP(0, va_of(g, HX_PART_INIT_TEXT)))
BROKEN(an_interrupt_line_past_15_is_refused, HX_E_RANGE, "irq", ": line 16", g->gong->line = 16)
BROKEN(interrupt_flags_are_refused, HX_E_RANGE, "irq", "flags 0x80", g->bell->flags = 0x80)
BROKEN(an_interrupt_of_no_isa_line_is_refused, HX_E_RANGE, "irq", "line 16, flags 0x0", g->bell->line = 16)
BROKEN(an_isa_line_that_says_edge_is_refused, HX_E_RANGE, "irq", "flags 0x2", g->bell->flags = HX_IRQ_EDGE)
BROKEN(a_gsi_that_is_an_isa_line_is_refused, HX_E_RANGE, "irq", "lines are 0 to 15", g->bell->flags = HX_IRQ_GSI)
BROKEN(a_gsi_past_the_last_is_refused, HX_E_RANGE, "irq", "line 64, flags 0x1",
       (g->bell->flags = HX_IRQ_GSI, g->bell->line = 64))
BROKEN(a_gsi_with_other_flags_is_refused, HX_E_RANGE, "irq", "line 20, flags 0x81",
       (g->bell->flags = HX_IRQ_GSI | 0x80, g->bell->line = 20))
BROKEN(an_interrupt_without_a_key_is_refused, HX_E_RANGE, "irq", "no proper key", g->bell->key[0] = 0)
BROKEN(an_interrupt_key_twice_is_refused, HX_E_EXIST, "bell", "declared twice", strcpy(g->gong->key, "bell"))
BROKEN(a_handler_outside_is_refused, HX_E_RANGE, "gong", "outside", g->gong->handler = NULL)
BROKEN(a_handler_that_is_given_back_is_refused, HX_E_RANGE, "bell", "given back after init",
       g->bell->handler = (hx_ret_t(*)(uint64_t))va_of(g, HX_PART_INIT_TEXT))
BROKEN(an_empty_port_range_is_refused, HX_E_RANGE, "ports", "0x70 to 0x6f", g->ports->last = 0x6f)
BROKEN(a_parameter_without_a_name_is_refused, HX_E_RANGE, "parameter", "record 0", g->params->name[0] = 0)
BROKEN(a_parameter_with_an_odd_summary_is_refused, HX_E_RANGE, "parameter", "record 0", g->params->summary[0] = 27)
BROKEN(a_parameter_of_three_bytes_is_refused, HX_E_RANGE, "limit", "1, 2, 4 or 8", g->params->bytes = 3)
BROKEN(a_parameter_among_the_constants_is_refused, HX_E_RANGE, "limit", "no variable",
       g->params->variable = va_of(g, HX_PART_RODATA))
BROKEN(a_parameter_that_is_given_back_is_refused, HX_E_RANGE, "limit", "no variable",
       g->params->variable = va_of(g, HX_PART_INIT_DATA))
BROKEN(a_parameter_that_reaches_outside_is_refused, HX_E_RANGE, "limit", "no variable",
       g->params->variable = (uint8_t *)va_of(g, HX_PART_DATA) + g->image->part[HX_PART_DATA].bytes - 1)
BROKEN(a_field_without_a_name_is_refused, HX_E_FORMAT, "state", "field 0", g->fields[0].name[0] = 0)
BROKEN(a_field_of_an_unknown_type_is_refused, HX_E_RANGE, "keys", "type or place", g->fields[1].type = 99)
BROKEN(a_field_of_another_size_is_refused, HX_E_RANGE, "used", "type or place", g->fields[0].elem_bytes = 8)
BROKEN(a_field_without_elements_is_refused, HX_E_RANGE, "keys", "type or place", g->fields[1].count = 0)
BROKEN(a_field_past_the_state_is_refused, HX_E_RANGE, "keys", "type or place", g->fields[1].count = UINT32_MAX)
BROKEN(a_field_behind_the_state_is_refused, HX_E_RANGE, "used", "type or place", g->fields[0].offset = UINT32_MAX)
BROKEN(a_state_larger_than_its_fields_is_refused, HX_E_FORMAT, HX_STATE_SECTION, "only HX_STATE may put",
       g->image->part[HX_PART_STATE].bytes += 8)
BROKEN(a_rule_without_a_name_is_refused, HX_E_FORMAT, "state", "state rule", g->rule[HX_RULE_WAS]->field[0] = 0)
BROKEN(a_rule_whose_name_does_not_end_is_refused, HX_E_FORMAT, "state", "state rule",
       memset(g->rule[HX_RULE_DROPS]->field, 'x', HX_NAME_MAX))
BROKEN(a_rule_of_an_unknown_kind_is_refused, HX_E_RANGE, "used", "kind is unknown",
       g->rule[HX_RULE_WAS]->kind = HX_RULE_KINDS)
BROKEN(a_rule_for_no_field_is_refused, HX_E_RANGE, "gone", "no such field",
       strcpy(g->rule[HX_RULE_DEFAULT]->field, "gone"))
BROKEN(a_name_before_that_is_none_is_refused, HX_E_RANGE, "used", "name before",
       memset(g->rule[HX_RULE_WAS]->was, '*', HX_NAME_MAX))
BROKEN(a_default_that_does_not_fit_is_refused, HX_E_RANGE, "used", "does not fit",
       g->rule[HX_RULE_DEFAULT]->first = (uint64_t)UINT32_MAX + 1)
BROKEN(a_range_turned_round_is_refused, HX_E_RANGE, "used", "no such range", g->rule[HX_RULE_RANGE]->first = 10)
BROKEN(a_range_past_the_type_is_refused, HX_E_RANGE, "used", "no such range",
       g->rule[HX_RULE_RANGE]->second = UINT64_MAX)
BROKEN(a_field_both_kept_and_given_up_is_refused, HX_E_RANGE, "used", "still",
       strcpy(g->rule[HX_RULE_DROPS]->field, "used"))
BROKEN(two_rules_of_a_kind_are_refused, HX_E_EXIST, "used", "two rules",
       *g->rule[HX_RULE_WAS] = *g->rule[HX_RULE_RANGE])
BROKEN(a_state_without_fields_is_refused, HX_E_FORMAT, HX_STATE_SECTION, "without fields", RECORDS(FIELDS).bytes = 0;
       RECORDS(RULES).bytes = 0)

Test(records, an_interface_without_a_name_is_refused)
{
    struct good good = good_open();
    struct told told = { 0 };
    good.provides->prefix[0] = 0;
    cr_assert_eq(check(&good, &told), HX_E_FORMAT);
    cr_assert_eq(told.count, 2, "it is no longer the file's name either");
    cr_assert(strstr(told.message[1], "no proper name"), "%s", told.message[1]);
    hx_ldr_unload(good.image, &env);
}

Test(records, an_interface_twice_is_refused)
{
    struct good good = good_open();
    struct told told = { 0 };
    struct hx_image_piece *rodata = &good.image->part[HX_PART_RODATA];
    size_t off = (rodata->bytes + 7) & ~(size_t)7;
    struct hx_interface_record *two = (struct hx_interface_record *)(rodata->memory + off);
    two[0] = two[1] = *good.provides;
    rodata->bytes = off + 2 * sizeof(*two);
    good.image->records[HX_RECORDS_PROVIDES] = (struct hx_image_range){ off, 2 * sizeof(*two) };
    cr_assert_eq(check(&good, &told), HX_E_FORMAT, "the file has but one");
    cr_assert_eq(told.count, 2);
    cr_assert_eq(told.err[1], HX_E_EXIST, "%s", told.message[1]);
    hx_ldr_unload(good.image, &env);
}

/* Two callbacks, as good as the rest. */
static struct hx_callback_record *call_two(struct good *good)
{
    struct hx_image_piece *rodata = &good->image->part[HX_PART_RODATA];
    size_t off = (rodata->bytes + 7) & ~(size_t)7;
    struct hx_callback_record *two = (struct hx_callback_record *)(rodata->memory + off);
    memset(two, 0, 2 * sizeof(*two));
    strcpy(two[0].key, "soon");
    strcpy(two[1].key, "later");
    two[0].function.count = two[1].function.count = good->bell->handler;
    two[0].kind = two[1].kind = HX_CALLBACK_DEFERRED;
    rodata->bytes = off + 2 * sizeof(*two);
    good->image->records[HX_RECORDS_CALLBACKS] = (struct hx_image_range){ off, 2 * sizeof(*two) };
    return two;
}

static void expect_callbacks(void (*spoil)(struct hx_callback_record *two), hx_status_t err, const char *text)
{
    struct good good = good_open();
    struct told told = { 0 };
    struct hx_callback_record *two = call_two(&good);
    if (spoil)
        spoil(two);
    cr_assert_eq(check(&good, &told), err, "%s", told.message[0]);
    cr_assert_eq(told.count, err != HX_OK);
    cr_assert(err == HX_OK || strstr(told.message[0], text), "%s", told.message[0]);
    hx_ldr_unload(good.image, &env);
}

static void unname(struct hx_callback_record *two)
{
    two[1].key[0] = 0;
}

static void lead_nowhere(struct hx_callback_record *two)
{
    two[0].function.count = NULL;
}

static void name_alike(struct hx_callback_record *two)
{
    strcpy(two[1].key, "soon");
}

static void be_no_kind(struct hx_callback_record *two)
{
    two[1].kind = HX_CALLBACK_KINDS;
}

static void hurry(struct hx_callback_record *two)
{
    two[0].kind = HX_CALLBACK_TIMER;
    two[0].number = HX_TIMER_PERIOD_MIN_NS - 1;
}

static void never_come(struct hx_callback_record *two)
{
    two[0].kind = HX_CALLBACK_TIMER;
    two[0].number = HX_TIMER_PERIOD_MAX_NS + 1;
}

static void tick_well(struct hx_callback_record *two)
{
    two[0].kind = two[1].kind = HX_CALLBACK_TIMER;
    two[0].number = HX_TIMER_PERIOD_MIN_NS;
    two[1].number = HX_TIMER_PERIOD_MAX_NS;
}

static void listen_nowhere(struct hx_callback_record *two)
{
    two[1].kind = HX_CALLBACK_EVENT;
    two[1].number = 1;
}

static void listen_to_nothing(struct hx_callback_record *two)
{
    two[1].kind = HX_CALLBACK_EVENT;
    strcpy(two[1].topic, "hx.time");
}

static void be_too_urgent(struct hx_callback_record *two)
{
    two[1].kind = HX_CALLBACK_TASK;
    two[1].number = 256;
}

Test(records, callbacks_have_keys_of_their_own_and_lie_in_the_image)
{
    expect_callbacks(NULL, HX_OK, "");
    expect_callbacks(unname, HX_E_RANGE, "broken callback 1, a deferred: its key is no name");
    expect_callbacks(lead_nowhere, HX_E_RANGE, "broken callback 0, a deferred: its function is");
    expect_callbacks(name_alike, HX_E_EXIST, "soon is declared twice");
}

Test(records, what_a_callback_is_due_for_makes_sense)
{
    expect_callbacks(be_no_kind, HX_E_RANGE, "there is no such kind");
    expect_callbacks(tick_well, HX_OK, "");
    expect_callbacks(hurry, HX_E_RANGE, "its period is shorter");
    expect_callbacks(never_come, HX_E_RANGE, "or longer");
    expect_callbacks(listen_nowhere, HX_E_RANGE, "its topic is no name");
    expect_callbacks(listen_to_nothing, HX_E_RANGE, "takes no type of event");
    expect_callbacks(be_too_urgent, HX_E_RANGE, "its priority is above 255");
}

/* @count records of @bytes, zeroes, as good as any other. */
static void *append_records(struct good *good, enum hx_image_records kind, size_t count, size_t bytes)
{
    struct hx_image_piece *rodata = &good->image->part[HX_PART_RODATA];
    size_t off = (rodata->bytes + 7) & ~(size_t)7;
    memset(rodata->memory + off, 0, count * bytes);
    rodata->bytes = off + count * bytes;
    good->image->records[kind] = (struct hx_image_range){ off, count * bytes };
    return rodata->memory + off;
}

static void expect_channels(const char *first, uint32_t capacity, const char *second, hx_status_t err, const char *text)
{
    struct good good = good_open();
    struct told told = { 0 };
    struct hx_channel_record *two = append_records(&good, HX_RECORDS_CHANNELS, 2, sizeof(*two));
    strcpy(two[0].key, first);
    strcpy(two[1].key, second);
    two[0].capacity = capacity;
    two[1].capacity = 1;
    cr_assert_eq(check(&good, &told), err, "%s", told.message[0]);
    cr_assert(err == HX_OK || strstr(told.message[0], text), "%s", told.message[0]);
    hx_ldr_unload(good.image, &env);
}

Test(records, channels_have_keys_and_a_capacity)
{
    expect_channels("in", HX_CHANNEL_CAPACITY_MAX, "out", HX_OK, "");
    expect_channels("", 1, "out", HX_E_RANGE, "broken channel record 0");
    expect_channels("in", 0, "out", HX_E_RANGE, "the capacity 1 to 1024");
    expect_channels("in", HX_CHANNEL_CAPACITY_MAX + 1, "out", HX_E_RANGE, "broken channel record 0");
    expect_channels("in", 1, "in", HX_E_EXIST, "channel in is declared twice");
}

static void expect_topics(const char *first, const char *second, hx_status_t err, const char *text)
{
    struct good good = good_open();
    struct told told = { 0 };
    struct hx_topic_record *two = append_records(&good, HX_RECORDS_TOPICS, 2, sizeof(*two));
    const char *module = good.module->name;
    snprintf(two[0].name, sizeof(two[0].name), "%s%s", module, first);
    snprintf(two[1].name, sizeof(two[1].name), "%s%s", second[0] == '.' ? module : "", second);
    cr_assert_eq(check(&good, &told), err, "%s", told.message[0]);
    cr_assert(err == HX_OK || strstr(told.message[0], text), "%s", told.message[0]);
    hx_ldr_unload(good.image, &env);
}

Test(records, a_topic_begins_with_its_modules_name)
{
    expect_topics(".news", ".weather", HX_OK, "");
    expect_topics(".news", ".news", HX_E_EXIST, "is declared twice");
    expect_topics(".news", "hx.modules", HX_E_RANGE, "broken topic record 1: its name does not begin with");
    expect_topics("x.news", ".weather", HX_E_RANGE, "broken topic record 0");
    expect_topics(".", ".weather", HX_E_RANGE, "broken topic record 0");
    expect_topics(".bad news", ".weather", HX_E_RANGE, "broken topic record 0");
}

/* @count sources of @key that are alike. */
static void expect_sources(const char *key, const char *source, size_t count, hx_status_t err)
{
    struct good good = good_open();
    struct told told = { 0 };
    struct hx_callback_record *one = append_records(&good, HX_RECORDS_CALLBACKS, 1, sizeof(*one));
    *one = (struct hx_callback_record){ .key = "ear",
                                        .topic = "hx.time",
                                        .kind = HX_CALLBACK_EVENT,
                                        .number = 1,
                                        .function = {
                                            .count = (hx_ret_t(*)(uint64_t))(uintptr_t)good.module->hooks.start } };
    struct hx_source_record *record = append_records(&good, HX_RECORDS_SOURCES, count, sizeof(*record));
    for (size_t i = 0; i < count; i++) {
        snprintf(record[i].key, sizeof(record[i].key), "%s", key);
        snprintf(record[i].source, sizeof(record[i].source), "%s", source);
    }
    cr_assert_eq(check(&good, &told), err, "%s", told.message[0]);
    cr_assert(err == HX_OK || strstr(told.message[0], "broken source record"), "%s", told.message[0]);
    hx_ldr_unload(good.image, &env);
}

Test(records, a_source_is_a_name_for_a_subscription_which_has_four_at_most)
{
    expect_sources("ear", "svc_kv", 1, HX_OK);
    expect_sources("ear", "", 1, HX_E_RANGE);
    expect_sources("nose", "svc_kv", 1, HX_E_RANGE);
    expect_sources("ear", "svc_kv", HX_SOURCES_OF_ONE_MAX, HX_OK);
    expect_sources("ear", "svc_kv", HX_SOURCES_OF_ONE_MAX + 1, HX_E_RANGE);
}

Test(records, a_topic_of_a_name_as_long_as_the_modules_is_not_its_own)
{
    struct good good = good_open();
    struct told told = { 0 };
    struct hx_topic_record *one = append_records(&good, HX_RECORDS_TOPICS, 1, sizeof(*one));
    snprintf(one->name, sizeof(one->name), "%s.news", good.module->name);
    one->name[0] ^= 1;
    cr_assert_eq(check(&good, &told), HX_E_RANGE, "%s", told.message[0]);
    hx_ldr_unload(good.image, &env);
}

/* A record of 24 bytes with one field, if nothing else is said, and a pointer in the module's data. */
static void expect_record(void (*spoil)(struct hx_record_record *record, struct hx_field_record *field,
                                        const struct hx_image_piece *data),
                          hx_status_t err, const char *text)
{
    struct good good = good_open();
    struct told told = { 0 };
    struct hx_image_piece *data = &good.image->part[HX_PART_DATA];
    append_records(&good, HX_RECORDS_RECORD, 1, sizeof(struct hx_record_record));
    append_records(&good, HX_RECORDS_RECORD_FIELDS, 1, sizeof(struct hx_field_record));
    uint8_t *rodata = good.image->part[HX_PART_RODATA].memory;
    struct hx_record_record *record = (void *)(rodata + good.image->records[HX_RECORDS_RECORD].off);
    struct hx_field_record *field = (void *)(rodata + good.image->records[HX_RECORDS_RECORD_FIELDS].off);
    uintptr_t end = (data->va + data->bytes) & ~(uintptr_t)7;
    *record = (struct hx_record_record){ .bytes = 24, .pointer = (void *)(end - 8) };
    *field = (struct hx_field_record){ "count", HX_FIELD_u64, 8, 2, 8 };
    data->bytes = end - data->va;
    if (spoil)
        spoil(record, field, data);
    cr_assert_eq(check(&good, &told), err, "%d: %s", told.err[0], told.message[0]);
    cr_assert(err == HX_OK || strstr(told.message[0], text), "%s", told.message[0]);
    hx_ldr_unload(good.image, &env);
}

#define SPOIL(name, ...)                                                                                               \
    static void spoil_##name(struct hx_record_record *record, struct hx_field_record *field,                           \
                             const struct hx_image_piece *data)                                                        \
    {                                                                                                                  \
        (void)record, (void)field, (void)data;                                                                         \
        __VA_ARGS__;                                                                                                   \
    }
SPOIL(nothing_in_it, record->bytes = 0; field->count = 0)
SPOIL(too_long, record->bytes = HX_RECORD_BYTES_MAX + 1)
SPOIL(longest, record->bytes = HX_RECORD_BYTES_MAX)
SPOIL(before_data, record->pointer = (void *)(data->va - 8))
SPOIL(behind_data, record->pointer = (void *)(data->va + data->bytes))
SPOIL(half_behind_data, ((struct hx_image_piece *)(uintptr_t)data)->bytes -= 4)
SPOIL(unaligned, record->pointer = (uint8_t *)record->pointer - 4)
SPOIL(field_behind, field->offset = 16)
SPOIL(field_name, field->name[0] = ' ')
#undef SPOIL

Test(records, a_record_has_fields_and_a_pointer_that_the_kernel_can_write)
{
    expect_record(NULL, HX_OK, "");
    expect_record(spoil_longest, HX_OK, "");
    expect_record(spoil_nothing_in_it, HX_E_RANGE, "its record has 0 bytes");
    expect_record(spoil_too_long, HX_E_RANGE, "it may have 1 to 1048576");
    expect_record(spoil_before_data, HX_E_RANGE, "not among the module's data");
    expect_record(spoil_behind_data, HX_E_RANGE, "not among the module's data");
    expect_record(spoil_half_behind_data, HX_E_RANGE, "not among the module's data");
    expect_record(spoil_unaligned, HX_E_RANGE, "not among the module's data");
    expect_record(spoil_field_behind, HX_E_RANGE, "broken record field count: its type or place");
    expect_record(spoil_field_name, HX_E_FORMAT, "broken record field 0: it has no proper name");
}

Test(records, a_record_without_fields_and_fields_without_one_are_refused)
{
    static const enum hx_image_records kinds[] = { HX_RECORDS_RECORD, HX_RECORDS_RECORD_FIELDS };
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(kinds); i++) {
        struct good good = good_open();
        struct told told = { 0 };
        append_records(&good, kinds[i], 1, i ? sizeof(struct hx_field_record) : sizeof(struct hx_record_record));
        cr_assert_eq(check(&good, &told), HX_E_FORMAT, "%s", told.message[0]);
        cr_assert(strstr(told.message[0], "a record without fields"), "%s", told.message[0]);
        hx_ldr_unload(good.image, &env);
    }
}

static void break_three(struct good *good)
{
    good->ports->last = 0;
    good->bell->line = 99;
    good->module->hooks.start = NULL;
    good->module->hooks.stop = (hx_ret_t(*)(void))1;
}

Test(records, all_violations_are_told_or_the_first_alone)
{
    struct good good = good_open();
    struct told all = { 0 }, first = { .stop_after = 1 };
    break_three(&good);
    cr_assert_eq(check(&good, &all), HX_E_RANGE);
    cr_assert_eq(all.count, 3);
    cr_assert_eq(check(&good, &first), HX_E_RANGE);
    cr_assert_eq(first.count, 1);
    cr_assert_str_eq(first.message[0], all.message[0]);
    hx_ldr_unload(good.image, &env);
}

/* Whatever stands in memory behind the table of types. */
Test(records, a_field_of_a_type_behind_the_last_is_refused_whatever_its_size)
{
    struct good good = good_open();
    for (uint32_t type = HX_FIELD_i64 + 1; type < 64; type++)
        for (uint32_t bytes = 0; bytes <= 64; bytes++) {
            struct told told = { 0 };
            good.fields[1].type = (__typeof__(good.fields[1].type))type;
            good.fields[1].elem_bytes = (__typeof__(good.fields[1].elem_bytes))bytes;
            good.fields[1].count = 1;
            cr_assert_eq(check(&good, &told), HX_E_RANGE);
            cr_assert_str_eq(told.subject[0], "keys");
        }
    hx_ldr_unload(good.image, &env);
}
