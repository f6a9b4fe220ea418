/* SPDX-License-Identifier: MIT */
/*
 * test_console.c - the console's task as a person meets it: bytes in by interrupt, text out.
 */
#include <debug/console.h>
#include <debug/demo_task.h>
#include <debug/log.h>
#include <gate/gate.h>
#include <hal/hx_hal_entry.h>
#include <task/task.h>

#include "../host/hal_host.h"
#include <criterion/criterion.h>
#include <orchestrator/capability_broker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void settle(void)
{
    hx_task_yield();
}

static void start(void)
{
    hal_host_init();
    hx_capability_init();
    hx_gate_init();
    hx_irq_disable();
    cr_assert_eq(hx_task_init(), HX_OK);
    hx_irq_enable();
    hx_console_set_color(false);
    cr_assert_eq(hx_console_start(), HX_OK);
    settle();
}

TestSuite(console, .init = start, .timeout = 20);

/* As the interrupt does: all bytes, then the chance to switch. */
static void receive(const char *text, size_t bytes)
{
    hx_irq_disable();
    for (size_t i = 0; i < bytes; i++)
        hx_entry_console_byte((uint8_t)text[i]);
    hx_irq_enable();
    settle();
}

static void type(const char *text)
{
    hal_host_console_clear();
    receive(text, strlen(text));
}

struct search {
    uint32_t index;
    hx_handle_t found;
};

static bool is_sought(struct hx_task *task, void *context)
{
    struct search *search = context;
    if (hx_handle_index(task->handle) == search->index)
        search->found = task->handle;
    return search->found == HX_HANDLE_NONE;
}

static hx_handle_t find_task(uint32_t index)
{
    struct search search = { .index = index };
    hx_task_for_each(is_sought, &search);
    return search.found;
}

static void expect(const char *text)
{
    cr_assert_not_null(strstr(hal_host_console(), text), "`%s' is not in: %s", text, hal_host_console());
}

Test(console, it_greets_with_one_hint_and_a_prompt)
{
    cr_assert_str_eq(hal_host_console(), "Type help for commands, Tab completes.\r\nhelix> ");
}

Test(console, a_line_runs_and_the_prompt_comes_back)
{
    type("color\r");
    cr_assert_str_eq(hal_host_console(), "color\r\ncolor off\r\nhelix> ");
}

Test(console, several_lines_at_once_run_in_order)
{
    type("color\ncolor on\ncolor\n");
    expect("color\r\ncolor off\r\nhelix> color on\r\n");
    expect("color on\r\n\033[1;36mhelix> \033[0m");
}

Test(console, a_log_line_is_printed_above_the_line_being_typed)
{
    type("rel");
    hal_host_console_clear();
    hx_log_line(HX_LOG_INFO, "drv_rtc", "tick");
    settle();
    const char *text = hal_host_console();
    cr_assert_eq(strncmp(text, "\r\033[K[", 5), 0, "erased first: %s", text);
    expect("] drv_rtc: tick\r\n\rhelix> rel\033[K");
}

Test(console, a_log_line_that_is_not_for_the_console_leaves_the_line_alone)
{
    type("rel");
    hal_host_console_clear();
    hx_log_line(HX_LOG_DEBUG, "drv_rtc", "tick");
    settle();
    cr_assert_str_eq(hal_host_console(), "");
}

Test(console, only_lines_up_to_the_level_are_shown)
{
    hal_host_console_clear();
    hx_log_line(HX_LOG_DEBUG, NULL, "fine");
    hx_log_line(HX_LOG_INFO, NULL, "coarse");
    settle();
    expect("coarse");
    cr_assert_null(strstr(hal_host_console(), "fine"));
}

Test(console, more_log_lines_than_the_ring_holds_are_counted)
{
    hal_host_console_clear();
    hx_preempt_disable();
    for (int i = 0; i < HX_LOG_LINES + 7; i++)
        hx_log_line(HX_LOG_INFO, NULL, "line %d", i);
    hx_preempt_enable();
    settle();
    expect("(7 lines of the log came too fast to be shown)");
    expect("kernel: line 7\r\n");
    cr_assert_null(strstr(hal_host_console(), "kernel: line 6\r\n"));
}

Test(console, bytes_that_come_too_fast_are_counted_and_their_line_is_not_run)
{
    static char flood[6000];
    memset(flood, '#', sizeof(flood));
    for (size_t i = 99; i < sizeof(flood); i += 100)
        flood[i] = '\n';
    memcpy(flood + 5900, "color on   ", 11); /* after the loss */
    hal_host_console_clear();
    receive(flood, 5900);
    uint64_t lost = hx_console_bytes_lost();
    cr_assert_eq(lost, 5900 - 4096);
    type("color on\r");
    expect("console: input: bytes came faster than they were read, the line is not whole; send it again");
    cr_assert_not(hx_console_color());
    type("color on\r");
    cr_assert(hx_console_color());
    cr_assert_eq(hx_console_bytes_lost(), lost);
}

Test(console, a_line_that_is_too_long_is_refused_instead_of_run_in_part)
{
    char text[400];
    memset(text, 'x', sizeof(text));
    memcpy(text, "version # ", 10);
    memcpy(text + sizeof(text) - 2, "\r", 2);
    type(text);
    expect("console: line: it is longer than 255 bytes, what was beyond is missing; ");
    cr_assert_null(strstr(hal_host_console(), "module ABI"));
    text[sizeof(text) - 2] = '\x7f'; /* who erases has seen where the line ends */
    type(text);
    type("\r");
    expect("module ABI");
    text[sizeof(text) - 2] = '\x03';
    type(text);
    type("version\r");
    expect("module ABI");
}

Test(console, ctrl_c_begins_a_new_line)
{
    type("color on\003");
    expect("^C\r\nhelix> ");
    type("color\r");
    expect("color off");
}

Test(console, ctrl_d_on_an_empty_line_rings)
{
    type("\004");
    cr_assert_str_eq(hal_host_console(), "\a");
}

Test(console, tab_completes_commands)
{
    type("unam\tupt\t");
    expect("\a");
    type("\025upt\t");
    expect("uptime ");
}

Test(console, mem_prints_comparable_lines)
{
    type("mem\r");
    expect("\r\nmem: frames ");
    expect(" bytes in ");
    expect(
        " objects, images 0 pages\r\nmem: shared pages: code 0 (0 bytes), constants 0 (0), data 0 (0); 0 tables, placed by ");
    char first[512];
    strncpy(first, hal_host_console(), sizeof(first) - 1);
    first[sizeof(first) - 1] = '\0';
    type("ps\rsched\rtimers\rtop 1\rlsmod\rmodinfo\rmodinfo nobody\rreload nobody\rinsmod nothing\rhelp\rswaps\r"
         "kill \t\003reload \t\003");
    hal_host_advance(1000000000);
    settle();
    type("mem\r");
    cr_assert_str_eq(hal_host_console(), first, "nothing leaks from a command");
}

static void expect_80_columns(void)
{
    for (const char *at = hal_host_console(); *at; at += strcspn(at, "\n") + (strchr(at, '\n') != NULL))
        cr_assert_leq(strcspn(at, "\r\n"), 80, "%s", at);
}

Test(console, ps_shows_the_tasks_in_80_columns)
{
    type("ps\r");
    expect(" NUM NAME             CLASS  STATE    CPU PRIO      CPU-MS   SWITCHES    COUNTER\r\n");
    expect("\r\n   1 console          core   running    0  255 ");
    expect_80_columns();
}

Test(console, sched_says_that_nobody_is_the_policy)
{
    type("sched\r");
    expect("sched: policy nobody, first come first served, slot absent\r\n");
    expect("\r\n  0     1           0 ");
    expect("\r\nall     1           0 ");
    expect(" console\r\n");
    expect_80_columns();
    type("sched now\r");
    expect("sched: arguments: expected `sched'; type help sched");
}

static hx_status_t sleep_until(void *deadline_ns)
{
    return hx_task_sleep_until(*(const uint64_t *)deadline_ns);
}

Test(console, timers_lists_who_waits_the_earliest_first)
{
    static uint64_t late = 5000000000, early = 3000000000;
    hx_handle_t task;
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "late", 9, sleep_until, &late, &task), HX_OK);
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "early", 9, sleep_until, &early, &task), HX_OK);
    settle();
    type("timers\r");
    expect("CPU        NEXT-MS      EXPIRED\r\n  0 ");
    expect("timers: 2 tasks wait with a deadline\r\n");
    const char *first = strstr(hal_host_console(), " early              0 sleeping       2999.9");
    const char *second = strstr(hal_host_console(), " late               0 sleeping       4999.9");
    cr_assert(first && second && first < second, "%s", hal_host_console());
    expect_80_columns();
}

Test(console, affinity_and_reserve_refuse_what_makes_no_sense)
{
    type("affinity 1\r");
    expect("affinity: 1 console: CPUs all, now on 0\r\n");
    type("affinity 1 0\r");
    expect("affinity: console: ");
    expect("only tasks of class policy can be told, see ps");
    type("affinity 1 1\r");
    expect("affinity: 1: range: ");
    type("affinity 1 one\r");
    expect("affinity: one: invalid: ");
    expect("give CPUs as in 0,2-3, or all");
    type("affinity\r");
    expect("expected `affinity TASK [CPUS]'");
    type("affinity 99\r");
    expect("affinity: 99: not-found");
    type("reserve 1 5 4\r");
    expect("reserve: 5: invalid: ");
    type("reserve 1 5 20000000000000000\r");
    expect("reserve: 20000000000000000: range: ");
    type("reserve 1 5\r");
    expect("expected `reserve TASK RUNTIME_US PERIOD_US");
    type("reserve 1 5 10\r");
    expect("reserve: console: ");
}

Test(console, top_refuses_what_is_no_number_of_seconds)
{
    type("top 0\r");
    expect("top: 0: range: ");
    type("top x\r");
    expect("top: x: invalid: ");
    type("top 1 2\r");
    expect("expected `top [SECONDS]'");
}

Test(console, top_prints_a_frame_a_second_and_a_key_ends_it)
{
    type("top 2\r");
    hal_host_advance(1000000000);
    settle();
    expect("top: 2 tasks on 1 CPUs, in 1000.");
    expect("\r\nCPU 0   0.");
    hal_host_advance(1000000000);
    settle();
    expect("helix> ");
    expect_80_columns();
    type("top\r");
    hal_host_advance(1000000000);
    settle();
    type("q");
    cr_assert_str_eq(hal_host_console(), "helix> ");
    type("top\r");
    hal_host_advance(1000000000);
    settle();
    type("color\r");
    expect("helix> color\r\ncolor off\r\n");
    type("top\r");
    type("\003");
    expect("helix> ^C");
}

/* Demo tasks never leave the CPU to the test, which is the idle task; so this runs as a task that comes before them. */
static bool driver_done;

static hx_status_t spawn_and_kill(void *unused)
{
    (void)unused;
    type("spawn a 10\r");
    expect("spawned ");
    expect(" a priority 10 handle 0x1");
    uint32_t first = (uint32_t)strtoul(strstr(hal_host_console(), "spawned ") + 8, NULL, 10);
    type("spawn\r");
    expect(" demo1 priority 128");
    hx_status_t err = hx_task_sleep_until(hx_hal_clock_ns() + 500);
    cr_assert_eq(err, HX_OK);
    uint64_t counted[2] = { 0, 0 };
    for (uint32_t i = 0; i < 2; i++) {
        hx_handle_t task = find_task(first + i);
        cr_assert(hx_demo_counter(task, &counted[i]));
        cr_assert_gt(counted[i], 0, "task %u does not run", first + i);
    }
    type("ps\r");
    expect(" a                policy ready      0   10 ");
    expect(" demo1            policy ready      0  128 ");
    for (uint32_t i = 0; i < 2; i++) {
        char line[32];
        snprintf(line, sizeof(line), "kill %u\r", first + i);
        type(line);
        expect("killed ");
        type(line);
        expect("there is no such thing; see ps for the tasks there are");
    }
    driver_done = true;
    return HX_OK;
}

Test(console, spawned_tasks_count_until_they_are_killed, .timeout = 60)
{
    hx_handle_t task;
    cr_assert_eq(hx_task_create(HX_TASK_CORE, "driver", 255, spawn_and_kill, NULL, &task), HX_OK);
    settle();
    cr_assert_null(hx_task_of(task), "the test comes back when no demo task is left");
    cr_assert(driver_done);
}

Test(console, spawn_and_kill_refuse_what_makes_no_sense)
{
    type("spawn 300\r");
    expect("spawn: 300: range: a value does not fit its field; give a priority from 0 to 255, 255 being the highest");
    type("spawn a_name_of_more_than_thirty_one_bytes\r");
    expect("give a name of at most 31 bytes");
    type("spawn ''\r");
    expect("spawn: '': invalid: an argument is out of range; give a name of printable ASCII without blanks");
    type("spawn 'a b'\r");
    expect("spawn: a b: invalid");
    type("spawn t\xc3\xa4sk\r");
    expect("give a name of printable ASCII without blanks");
    type("kill 999\r");
    expect("kill: 999: not-found: there is no such thing; see ps for the tasks there are");
    type("kill 0x0100000000000063\r");
    expect("the object that the handle named is gone");
    type("kill 0x01ffffff00000000\r");
    expect("kill: 0x01ffffff00000000: stale-handle: the object that the handle named is gone");
    type("kill 0x100000000\r");
    expect("kill: 0x100000000: not-found");
    type("kill x\r");
    expect("kill: x: invalid: an argument is out of range");
    type("kill 1\r");
    expect("core and idle tasks live as long as the machine");
}

Test(console, without_a_provider_services_say_so)
{
    type("kv get a\r");
    expect("kv: a: no-provider: no module provides the interface; insmod a provider, see lsmod\r\nhelix> ");
    type("date\r");
    expect("date: clock: no-provider: no module provides the interface; insmod a provider, see lsmod\r\n");
    type("kv\r");
    expect("kv: arguments: expected `kv get|put|");
    type("kv frob\r");
    expect("kv: frob: there is no such operation; type help kv\r\n");
    type("kv lits\r");
    expect("kv: lits: there is no such operation; did you mean `list'? Else type help kv\r\n");
}

Test(console, help_lists_and_explains)
{
    type("help\r");
    expect("reload NAME [FILE]");
    expect("poweroff [CODE]");
    type("help dmesg\r");
    expect("dmesg [-f] [-l LEVEL]\r\n");
    type("help dmseg\r");
    expect("help: dmseg: there is no such command; did you mean `dmesg'?");
}

Test(console, dmesg_filters_by_level)
{
    hx_log_line(HX_LOG_DEBUG, NULL, "fine");
    hx_log_line(HX_LOG_ERROR, NULL, "coarse");
    settle();
    type("dmesg\r");
    expect("kernel: fine");
    type("dmesg -l error\r");
    expect("kernel: error: coarse");
    cr_assert_null(strstr(hal_host_console(), "fine"));
    type("dmesg -l loud\r");
    expect("dmesg: loud: there is no such level; use error, warn, info, debug or 0 to 3");
}
