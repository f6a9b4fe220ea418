/* SPDX-License-Identifier: MIT */
/* test_cmd_system.c - cpus and irq, of a machine that the test makes up. */
#include "world.h"

#include <criterion/criterion.h>
#include <debug/command.h>
#include <debug/console.h>
#include <interrupts/router.h>
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
    return line < 16 ? (size_t)snprintf(text, bytes, "GSI %u level low", line + 10) : 0;
}

static size_t vector_describe(uint32_t vector, char *text, size_t bytes)
{
    return vector == 0xf0 ? (size_t)snprintf(text, bytes, "0xf0 timer 5 7") : 0;
}

static void begin(void)
{
    static const struct hx_console_env env = { .processor_describe = processor_describe,
                                               .line_describe = line_describe,
                                               .vector_describe = vector_describe };
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
    cr_assert_eq(run("irq routes"), HX_OK);
    cr_assert_not_null(strstr(hal_host_console(), "   9 GSI 19 level low\r\n"), "%s", hal_host_console());
    cr_assert_null(strstr(hal_host_console(), "  16 "), "%s", hal_host_console());
}

Test(cmd_system, irq_shows_what_each_line_has_accepted_and_served_in_80_columns)
{
    cr_assert_eq(world_load("irq_handler_says_closed.hxm", NULL), HX_OK);
    hal_host_irq(9);
    hx_irq_disarm_all(hx_module_find("irq_handler_says_closed"));
    hx_hal_irq_unmask(9);
    hal_host_irq(9);
    cr_assert_eq(run("irq"), HX_OK);
    cr_assert(strstr(hal_host_console(),
                     "LINE MODULE          KEY          STATE    ACCEPTED      SERVED PENDING    LOST\r\n"
                     "   9 irq_handler_say line         off             1           1       0       0\r\n"
                     "   9 2 interrupts that nobody called his own, 0 times masked for that\r\n"),
              "%s", hal_host_console());
    for (const char *at = hal_host_console(); *at; at += strcspn(at, "\n") + 1)
        cr_assert_leq(strcspn(at, "\r"), 80, "%s", at);
}

Test(cmd_system, irq_shows_what_each_processor_has_taken)
{
    cr_assert_eq(run("irq cpus"), HX_OK);
    cr_assert_str_eq(hal_host_console(), "0xf0 timer 5 7\r\n");
}

Test(cmd_system, every_command_explains_itself)
{
    cr_assert_eq(run("irq --help"), HX_OK);
    cr_assert_not_null(strstr(hal_host_console(), "irq [cpus|routes]\r\n"), "%s", hal_host_console());
    cr_assert_not_null(strstr(hal_host_console(), "its handler faulted"), "%s", hal_host_console());
}
