/* SPDX-License-Identifier: MIT */
/* test_cmd_symbols.c - sym: addresses and names, of a core that the test makes up and of a module that is loaded. */
#include "world.h"

#include <criterion/criterion.h>
#include <debug/command.h>
#include <debug/console.h>
#include <hal/hx_import.h>
#include <module/where.h>
#include <stdio.h>
#include <string.h>

/* The core: two functions with a hole behind them, and a piece that a compiler split off. */
static const struct hx_label core[] = { { "core_first", 0x1000, 0x40 },
                                        { "core_second", 0x1040, 0x20 },
                                        { "core_first.cold", 0x2000, 0x10 } };

static bool core_function(uint32_t index, struct hx_label *out, char name[HX_LABEL_NAME_BYTES])
{
    if (index >= HX_ARRAY_SIZE(core))
        return false;
    snprintf(name, HX_LABEL_NAME_BYTES, "%s", core[index].name);
    *out = core[index];
    out->name = name;
    return true;
}

static bool core_function_at(uintptr_t va, struct hx_label *out, char name[HX_LABEL_NAME_BYTES])
{
    for (uint32_t i = 0; core_function(i, out, name); i++)
        if (va - out->va < out->bytes)
            return true;
    return false;
}

static void begin(void)
{
    static const struct hx_console_env env = { .core_function_at = core_function_at, .core_function = core_function };
    world_begin(1000);
    hx_console_bind(&env);
    hx_console_set_color(false);
}

TestSuite(cmd_symbols, .init = begin);

static hx_status_t run_line(void *line)
{
    return hx_command_run(hx_command_table, line);
}

static hx_status_t run(const char *text)
{
    char line[256];
    snprintf(line, sizeof(line), "%s", text);
    hal_host_console_clear();
    return world_run(run_line, line);
}

static void expect(const char *text)
{
    cr_assert_not_null(strstr(hal_host_console(), text), "`%s' is not in: %s", text, hal_host_console());
}

static void expect_lines(uint32_t count)
{
    uint32_t lines = 0;
    for (const char *at = hal_host_console(); (at = strchr(at, '\n')); at++)
        lines++;
    cr_assert_eq(lines, count, "%s", hal_host_console());
}

struct search {
    const char *name;
    struct hx_label found;
};

static bool is_named(const struct hx_label *label, void *context)
{
    struct search *search = context;
    if (strcmp(label->name, search->name) != 0)
        return true;
    search->found = *label;
    return false;
}

static struct hx_label label_of(const struct hx_version *version, const char *name)
{
    struct search search = { .name = name };
    hx_image_for_each_symbol(version->image, version->file, is_named, &search);
    cr_assert_not_null(search.found.name, "%s has no %s", version->module->name, name);
    return search.found;
}

static hx_status_t run_address(uintptr_t va)
{
    char line[64];
    snprintf(line, sizeof(line), "sym 0x%lx", va);
    return run(line);
}

Test(cmd_symbols, an_address_in_the_core_has_function_offset_and_size)
{
    cr_assert_eq(run("sym 0x1051 0x1000"), HX_OK);
    cr_assert_str_eq(hal_host_console(), "0x0000000000001051 core_second+0x11/0x20 (kernel)\r\n"
                                         "0x0000000000001000 core_first+0x0/0x40 (kernel)\r\n");
}

Test(cmd_symbols, an_address_in_a_module_has_its_function_or_variable_and_part)
{
    char expected[128];
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    const struct hx_version *version = hx_module_find("svc_kv")->running;
    struct hx_label find = label_of(version, "kv_find"), kv = label_of(version, "kv");
    cr_assert_eq(run_address(find.va + 3), HX_OK);
    snprintf(expected, sizeof(expected), "0x%016lx kv_find+0x3/0x%zx (svc_kv 1.0.0, text)\r\n", find.va + 3,
             find.bytes);
    cr_assert_str_eq(hal_host_console(), expected);
    cr_assert_eq(run_address(kv.va), HX_OK);
    snprintf(expected, sizeof(expected), "kv+0x0/0x%zx (svc_kv 1.0.0, state)", kv.bytes);
    expect(expected);
}

Test(cmd_symbols, an_address_between_a_modules_functions_is_of_its_part)
{
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    const struct hx_image *image = hx_module_find("svc_kv")->running->image;
    struct hx_label label;
    uintptr_t va = image->part[HX_PART_TEXT].va;
    while (hx_image_symbol(image, hx_module_find("svc_kv")->running->file, va, &label) == HX_OK)
        va++;
    cr_assert_eq(run_address(va), HX_OK);
    expect(" text+0x");
    expect("(svc_kv 1.0.0, text)");
}

Test(cmd_symbols, an_address_of_nothing_is_refused_with_a_hint)
{
    cr_assert_eq(run("sym 0x1060"), HX_E_NOENT);
    cr_assert_str_eq(hal_host_console(), "sym: 0x1060: neither text of the kernel nor a part of a module is there; "
                                         "modinfo tells where a module's parts lie\r\n");
    cr_assert_eq(run("sym 0x12345678123456789"), HX_E_RANGE);
    cr_assert_eq(run("sym 0x"), HX_E_INVAL);
    cr_assert_eq(run("sym 12ab"), HX_E_INVAL);
    cr_assert_eq(run("sym"), HX_E_INVAL);
}

Test(cmd_symbols, a_name_of_the_core_is_found_with_what_compilers_split_off)
{
    cr_assert_eq(run("sym core_first"), HX_OK);
    cr_assert_str_eq(hal_host_console(), "0x0000000000001000 core_first+0x0/0x40 (kernel)\r\n"
                                         "0x0000000000002000 core_first.cold+0x0/0x10 (kernel)\r\n");
}

Test(cmd_symbols, an_export_is_found_at_its_stub)
{
    char expected[128];
    cr_assert_eq(run("sym hx_log"), HX_OK);
    snprintf(expected, sizeof(expected), "0x%016lx hx_log+0x0 (kernel, export: the stub that modules call)\r\n",
             (uintptr_t)hx_import_table[0].stub);
    cr_assert_str_eq(hal_host_console(), expected);
}

Test(cmd_symbols, an_import_stub_is_found_by_name_and_by_address_as_long_as_somebody_imports)
{
    char expected[128];
    uintptr_t va = 0;
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    cr_assert_eq(run("sym hx_kv_put"), HX_E_NOENT);
    cr_assert_eq(world_load("good_kv_user.hxm", NULL), HX_OK);
    struct hx_interface *kv = hx_interface_find("hx_kv");
    cr_assert_eq(hx_interface_stub(kv, (uint32_t)hx_interface_op(kv, "put", 3), &va), HX_OK);
    cr_assert_eq(run("sym hx_kv_put"), HX_OK);
    snprintf(expected, sizeof(expected), "0x%016lx hx_kv_put+0x0/0x20 (import stub of hx.kv)\r\n", va);
    cr_assert_str_eq(hal_host_console(), expected);
    cr_assert_eq(run_address(va + 0x1f), HX_OK);
    snprintf(expected, sizeof(expected), "0x%016lx hx_kv_put+0x1f/0x20 (import stub of hx.kv)\r\n", va + 0x1f);
    cr_assert_str_eq(hal_host_console(), expected);
    cr_assert_eq(run_address(kv->stubs_va + kv->op_count * HX_STUB_BYTES), HX_E_NOENT, "of no operation");
    cr_assert_eq(run("sym hx_kv_ptu"), HX_E_NOENT);
    expect("did you mean `hx_kv_put'?");
    cr_assert_eq(world_unload("good_kv_user", NULL), HX_OK);
    cr_assert_eq(run_address(va), HX_E_NOENT);
    cr_assert_eq(run("sym hx_kv_put"), HX_E_NOENT);
}

Test(cmd_symbols, a_name_of_both_versions_on_probation_is_found_in_both)
{
    char expected[128];
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    cr_assert_eq(world_reload("svc_kv", "svc_kv-2.hxm", NULL), HX_OK);
    const struct hx_module *module = hx_module_find("svc_kv");
    cr_assert_not_null(module->previous);
    cr_assert_eq(run("sym kv_op_put"), HX_OK);
    expect_lines(2);
    const struct hx_version *versions[] = { module->previous, module->running };
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(versions); i++) {
        struct hx_label put = label_of(versions[i], "kv_op_put");
        snprintf(expected, sizeof(expected), "0x%016lx kv_op_put+0x0/0x%zx (svc_kv %u.0.0, text)\r\n", put.va,
                 put.bytes, i + 1);
        expect(expected);
    }
}

Test(cmd_symbols, a_name_in_several_modules_is_found_in_each)
{
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    cr_assert_eq(world_load("sched_rr.hxm", NULL), HX_OK);
    cr_assert_eq(run("sym hx_module_record"), HX_OK);
    expect("(svc_kv 1.0.0, rodata)");
    expect("(sched_rr 1.0.0, rodata)");
    expect_lines(2);
    cr_assert_eq(world_unload("svc_kv", NULL), HX_OK);
    cr_assert_eq(run("sym hx_module_record"), HX_OK);
    expect_lines(1);
}

Test(cmd_symbols, an_unknown_name_is_refused_with_the_nearest)
{
    cr_assert_eq(run("sym core_frist"), HX_E_NOENT);
    expect("sym: core_frist: there is no such symbol; did you mean `core_first'? Else give an address");
    cr_assert_eq(run("sym hx_lgo"), HX_E_NOENT);
    expect("did you mean `hx_log'?");
    cr_assert_eq(run("sym kv_finnd"), HX_E_NOENT);
    expect("there is no such symbol; give an address");
    cr_assert_eq(world_load("svc_kv.hxm", NULL), HX_OK);
    cr_assert_eq(run("sym kv_finnd"), HX_E_NOENT);
    expect("did you mean `kv_find'?");
    expect_lines(1);
}

Test(cmd_symbols, of_several_arguments_each_is_answered)
{
    cr_assert_eq(run("sym nothing_at_all core_second 0x1"), HX_E_NOENT);
    expect_lines(3);
    expect("0x0000000000001040 core_second+0x0/0x20 (kernel)");
}
