/* SPDX-License-Identifier: MIT */
/* test_cmd_system.c - cpus and irq, of a machine that the test makes up. */
#include "world.h"

#include <criterion/criterion.h>
#include <debug/command.h>
#include <debug/console.h>
#include <stdio.h>
#include <string.h>

static size_t processor_describe(uint32_t index, char *text, size_t bytes)
{
    static const char *const lines[] = { "    0       8 runs the kernel", "    1       0 enabled, not used",
                                         "2 processors found, 1 used" };
    return index < HX_ARRAY_SIZE(lines) ? (size_t)snprintf(text, bytes, "%s", lines[index]) : 0;
}

static size_t line_describe(uint32_t line, char *text, size_t bytes)
{
    return (size_t)snprintf(text, bytes, "GSI %u level low", line + 10);
}

static void begin(void)
{
    static const struct hx_console_env env = { .processor_describe = processor_describe,
                                               .line_describe = line_describe };
    world_begin(1000);
    hx_console_bind(&env);
    hx_console_set_color(false);
}

TestSuite(cmd_system, .init = begin);

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

Test(cmd_system, cpus_lists_every_processor_and_which_one_runs_the_kernel)
{
    cr_assert_eq(run("cpus"), HX_OK);
    cr_assert_str_eq(hal_host_console(), "INDEX APIC ID STATE\r\n"
                                         "    0       8 runs the kernel\r\n"
                                         "    1       0 enabled, not used\r\n"
                                         "2 processors found, 1 used\r\n");
}

Test(cmd_system, cpus_says_so_where_nobody_knows_the_processors)
{
    static const struct hx_console_env nothing;
    hx_console_bind(&nothing);
    cr_assert_eq(run("cpus"), HX_E_UNSUPPORTED);
}

Test(cmd_system, irq_says_where_a_line_enters)
{
    cr_assert_eq(world_load("irq_handler_says_closed.hxm", NULL), HX_OK);
    cr_assert_eq(run("irq"), HX_OK);
    cr_assert_not_null(strstr(hal_host_console(), "GSI 19 level low\r\n"), "%s", hal_host_console());
}
