/* SPDX-License-Identifier: MIT */
/* test_plan.c - in which order modules are loaded, and what is left out with its reason. */
#include "world.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <module/plan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An opened pack of these files, all to be loaded. */
static struct hx_plan plan_of(const char *const *files, uint32_t count, bool (*skips)(const char *name))
{
    static struct hx_pack_entry entries[8];
    struct hx_pack pack = { .entries = entries, .count = count, .load_count = count };
    struct hx_plan plan;
    for (uint32_t i = 0; i < count; i++)
        entries[i] = (struct hx_pack_entry){ .name = files[i], .content = world_file(files[i]), .load = true };
    cr_assert_eq(hx_plan_make(&pack, skips, &plan), HX_OK);
    return plan;
}

#define PLAN(skips, ...)                                                                                               \
    plan_of((const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), skips)

static void begin(void)
{
    hal_host_init();
}

static const struct hx_plan_item *item(const struct hx_plan *plan, uint32_t position)
{
    return &plan->items[plan->order[position]];
}

Test(plan, a_provider_comes_before_its_user_and_the_manifest_decides_the_rest, .init = begin)
{
    struct hx_plan plan = PLAN(NULL, "drv_rtc.hxm", "good_kv_user.hxm", "sched_rr.hxm", "svc_kv.hxm");
    cr_assert_eq(plan.order_count, 4);
    cr_assert_str_eq(item(&plan, 0)->name, "drv_rtc");
    cr_assert_str_eq(item(&plan, 1)->name, "sched_rr");
    cr_assert_str_eq(item(&plan, 2)->name, "svc_kv");
    cr_assert_str_eq(item(&plan, 3)->name, "good_kv_user");
    hx_plan_release(&plan);
    cr_assert_null(hal_host_leftovers(), "%s", hal_host_leftovers());
}

Test(plan, a_cycle_is_left_out_and_the_rest_is_not, .init = begin)
{
    struct hx_plan plan = PLAN(NULL, "cycle_a.hxm", "svc_kv.hxm", "cycle_b.hxm");
    cr_assert_eq(plan.order_count, 1);
    cr_assert_str_eq(item(&plan, 0)->name, "svc_kv");
    cr_assert_eq(plan.items[0].err, HX_E_CYCLE);
    cr_assert_eq(plan.items[2].err, HX_E_CYCLE);
    cr_assert_eq(plan.items[0].because, HX_PLAN_NOBODY);
    cr_assert_eq(plan.items[2].because, 0);
    cr_assert(strstr(plan.items[2].message, "cycle_a -> cycle_b -> cycle_a;"), "%s", plan.items[2].message);
    hx_plan_release(&plan);
    cr_assert_null(hal_host_leftovers(), "%s", hal_host_leftovers());
}

Test(plan, without_or_with_an_old_provider_a_user_is_left_out, .init = begin)
{
    struct hx_plan plan = PLAN(NULL, "good_kv_user.hxm");
    cr_assert_eq(plan.items[0].err, HX_E_DEPENDENCY);
    cr_assert_eq(plan.order_count, 0);
    hx_plan_release(&plan);
    plan = PLAN(NULL, "svc_kv.hxm", "requires_newer.hxm");
    cr_assert_eq(plan.items[1].err, HX_E_VERSION);
    cr_assert_eq(plan.order_count, 1);
    hx_plan_release(&plan);
}

Test(plan, a_second_provider_is_left_out, .init = begin)
{
    struct hx_plan plan = PLAN(NULL, "sched_rr.hxm", "sched_prio.hxm");
    cr_assert_eq(plan.order_count, 1);
    cr_assert_eq(plan.items[1].err, HX_E_EXIST);
    hx_plan_release(&plan);
}

Test(plan, a_second_module_of_one_name_is_left_out, .init = begin)
{
    struct hx_plan plan = PLAN(NULL, "svc_kv-2.hxm", "svc_kv.hxm", "good_kv_user.hxm");
    cr_assert_eq(plan.order_count, 2);
    cr_assert_eq(plan.items[1].err, HX_E_EXIST);
    cr_assert(strstr(plan.items[1].message, "module svc_kv twice: svc_kv-2.hxm"), "%s", plan.items[1].message);
    hx_plan_release(&plan);
}

Test(plan, a_provider_that_is_held_is_named, .init = begin)
{
    static struct hx_pack_entry entries[2];
    struct hx_pack pack = { .entries = entries, .count = 2, .load_count = 1 };
    struct hx_plan plan;
    entries[0] = (struct hx_pack_entry){ .name = "user", .content = world_file("good_kv_user.hxm"), .load = true };
    entries[1] = (struct hx_pack_entry){ .name = "store", .content = world_file("svc_kv.hxm") };
    cr_assert_eq(hx_plan_make(&pack, NULL, &plan), HX_OK);
    cr_assert_eq(plan.items[0].err, HX_E_DEPENDENCY);
    cr_assert(strstr(plan.items[0].message, "store provides it but is held"), "%s", plan.items[0].message);
    hx_plan_release(&plan);
    cr_assert_null(hal_host_leftovers(), "%s", hal_host_leftovers());
}

/* A module file in little: hx_ldr_peek() looks at nothing but the section table and the records. */
static struct hx_slice tiny(uint32_t provides, uint32_t requires, uint32_t name)
{
    enum { SECTIONS = 5, NAMES = 64 };
    struct {
        Elf64_Ehdr header;
        Elf64_Shdr section[SECTIONS];
        char names[NAMES];
        struct hx_module_record module;
        struct hx_interface_record provides, requires;
    } *file = calloc(1, sizeof(*file));
    static const char names[] = "\0.shstrtab\0.hx.module\0.hx.provides\0.hx.requires";
    static const uint32_t name_at[SECTIONS] = { 0, 1, 11, 22, 35 };
    const size_t at[SECTIONS] = { 0, offsetof(__typeof__(*file), names), offsetof(__typeof__(*file), module),
                                  offsetof(__typeof__(*file), provides), offsetof(__typeof__(*file), requires) };
    const size_t bytes[SECTIONS] = { 0, NAMES, sizeof(file->module), provides ? sizeof(file->provides) : 0,
                                     requires ? sizeof(file->requires) : 0 };
    memcpy(file->names, names, sizeof(names));
    memcpy(file->header.e_ident, ELFMAG, SELFMAG);
    file->header.e_ident[EI_CLASS] = ELFCLASS64;
    file->header.e_ident[EI_DATA] = ELFDATA2LSB;
    file->header.e_ident[EI_VERSION] = EV_CURRENT;
    file->header.e_type = ET_REL;
    file->header.e_machine = EM_X86_64;
    file->header.e_version = EV_CURRENT;
    file->header.e_ehsize = sizeof(file->header);
    file->header.e_shentsize = sizeof(Elf64_Shdr);
    file->header.e_shoff = offsetof(__typeof__(*file), section);
    file->header.e_shnum = SECTIONS;
    file->header.e_shstrndx = 1;
    for (uint32_t i = 1; i < SECTIONS; i++)
        file->section[i] = (Elf64_Shdr){ .sh_name = name_at[i],
                                         .sh_type = i == 1 ? SHT_STRTAB : SHT_PROGBITS,
                                         .sh_flags = i == 1 ? 0 : SHF_ALLOC,
                                         .sh_offset = at[i],
                                         .sh_size = bytes[i],
                                         .sh_addralign = 1 };
    snprintf(file->module.name, HX_NAME_MAX, "module_%u", name);
    snprintf(file->provides.prefix, HX_NAME_MAX, "ex_%u", provides);
    snprintf(file->requires.prefix, HX_NAME_MAX, "ex_%u", requires);
    return hx_slice_of(file, sizeof(*file));
}

/* The record of a tiny file that says what it requires is its last. */
static struct hx_interface_record *tiny_requires(struct hx_slice file)
{
    return (struct hx_interface_record *)(uintptr_t)(file.data + file.bytes - sizeof(struct hx_interface_record));
}

Test(plan, a_requires_record_without_a_proper_name_is_left_out, .init = begin)
{
    static struct hx_pack_entry entry;
    struct hx_pack pack = { .entries = &entry, .count = 1, .load_count = 1 };
    struct hx_plan plan;
    entry = (struct hx_pack_entry){ .name = "m", .content = tiny(1, 2, 0), .load = true };
    strcpy(tiny_requires(entry.content)->prefix, "a b");
    cr_assert_eq(hx_plan_make(&pack, NULL, &plan), HX_OK);
    cr_assert_eq(plan.items[0].err, HX_E_FORMAT);
    cr_assert(strstr(plan.items[0].message, "requires record 0 has no proper name"), "%s", plan.items[0].message);
    hx_plan_release(&plan);
}

Test(plan, a_provider_of_a_later_major_is_no_provider, .init = begin)
{
    static struct hx_pack_entry entries[2];
    struct hx_pack pack = { .entries = entries, .count = 2, .load_count = 2 };
    struct hx_plan plan;
    entries[0] = (struct hx_pack_entry){ .name = "p", .content = tiny(2, 0, 0), .load = true };
    entries[1] = (struct hx_pack_entry){ .name = "u", .content = tiny(1, 2, 1), .load = true };
    tiny_requires(entries[0].content)[-1].version = HX_VERSION(2, 0, 0);
    tiny_requires(entries[1].content)->version = HX_VERSION(1, 0, 0);
    cr_assert_eq(hx_plan_make(&pack, NULL, &plan), HX_OK);
    cr_assert_eq(plan.items[1].err, HX_E_VERSION);
    cr_assert(strstr(plan.items[1].message, "requires ex.2 1.0: p provides 2.0"), "%s", plan.items[1].message);
    hx_plan_release(&plan);
}

enum { MANY = 1000 };
static struct hx_pack_entry many[MANY];

static struct hx_plan plan_many(void)
{
    struct hx_pack pack = { .entries = many, .count = MANY, .load_count = MANY };
    struct hx_plan plan;
    cr_assert_eq(hx_plan_make(&pack, NULL, &plan), HX_OK);
    return plan;
}

Test(plan, a_thousand_modules_each_before_its_provider_are_turned_round, .init = begin)
{
    for (uint32_t i = 0; i < MANY; i++)
        many[i] =
            (struct hx_pack_entry){ .name = "m", .content = tiny(i + 1, i + 1 < MANY ? i + 2 : 0, i), .load = true };
    struct hx_plan plan = plan_many();
    cr_assert_eq(plan.order_count, MANY);
    for (uint32_t i = 0; i < MANY; i++)
        cr_assert_eq(plan.order[i], MANY - 1 - i);
    hx_plan_release(&plan);
}

Test(plan, a_circle_of_a_thousand_is_cut_short_in_the_message_and_who_hangs_on_it_is_told, .init = begin)
{
    for (uint32_t i = 0; i < MANY; i++)
        many[i] =
            (struct hx_pack_entry){ .name = "m", .content = tiny(i + 1, i + 1 < MANY ? i + 2 : 11, i), .load = true };
    struct hx_plan plan = plan_many();
    cr_assert_eq(plan.order_count, 0);
    for (uint32_t i = 0; i < 10; i++) {
        cr_assert_eq(plan.items[i].err, HX_E_DEPENDENCY, "%s", plan.items[i].message);
        cr_assert_eq(plan.items[i].because, i + 1);
    }
    for (uint32_t i = 10; i < MANY; i++) {
        cr_assert_eq(plan.items[i].err, HX_E_CYCLE);
        cr_assert_eq(plan.items[i].because, i == 10 ? HX_PLAN_NOBODY : 10);
    }
    cr_assert(strstr(plan.items[10].message, "cycle: module_10 -> module_11 -> "), "%s", plan.items[10].message);
    cr_assert(strstr(plan.items[10].message, " -> ... -> module_10; hold one"), "%s", plan.items[10].message);
    hx_plan_release(&plan);
    cr_assert_null(hal_host_leftovers(), "%s", hal_host_leftovers());
}

static bool skips_kv(const char *name)
{
    return strcmp(name, "svc_kv") == 0;
}

Test(plan, what_the_owner_skips_takes_its_users_with_it, .init = begin)
{
    struct hx_plan plan = PLAN(skips_kv, "svc_kv.hxm", "good_kv_user.hxm", "sched_rr.hxm");
    cr_assert_eq(plan.items[0].err, HX_E_DISABLED);
    cr_assert_eq(plan.items[1].err, HX_E_DEPENDENCY);
    cr_assert_eq(plan.items[1].because, 0);
    cr_assert_eq(plan.order_count, 1);
    hx_plan_release(&plan);
}

Test(plan, a_file_without_a_proper_name_is_left_out, .init = begin)
{
    struct hx_plan plan =
        PLAN(NULL, "descriptor_missing.hxm", "name_unprintable.hxm", "name_unterminated.hxm", "svc_kv.hxm");
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_neq(plan.items[i].err, HX_OK, "%s", plan.items[i].entry->name);
        for (const char *c = plan.items[i].message; *c; c++)
            cr_assert(*c >= ' ' && *c <= '~', "%s: message has a control character", plan.items[i].entry->name);
    }
    cr_assert_eq(plan.order_count, 1);
    hx_plan_release(&plan);
}

Test(plan, every_failed_allocation_is_reported_and_leaves_nothing, .init = begin)
{
    static struct hx_pack_entry entry;
    struct hx_plan plan;
    entry = (struct hx_pack_entry){ .name = "svc_kv.hxm", .content = world_file("svc_kv.hxm"), .load = true };
    struct hx_pack pack = { .entries = &entry, .count = 1, .load_count = 1 };
    for (uint64_t n = 1;; n++) {
        hal_host_fail_at(n);
        hx_status_t err = hx_plan_make(&pack, NULL, &plan);
        bool failed = hal_host_has_failed();
        hal_host_fail_at(0);
        if (!failed) {
            cr_assert_gt(n, 1u);
            break;
        }
        cr_assert_eq(err, HX_E_NOMEM);
        cr_assert_null(hal_host_leftovers(), "%s", hal_host_leftovers());
    }
    hx_plan_release(&plan);
    cr_assert_null(hal_host_leftovers(), "%s", hal_host_leftovers());
}
