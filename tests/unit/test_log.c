/* SPDX-License-Identifier: MIT */
/* test_log.c - the ring of log lines, its readers, and what reaches the console. */
#include <debug/log.h>

#include "../host/hal_host.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static unsigned arrivals;

static void count_arrival(void)
{
    arrivals++;
}

static void setup(void)
{
    hal_host_init();
    hal_host_clock_step(0);
    arrivals = 0;
}

TestSuite(log, .init = setup, .fini = hal_host_fini);

Test(log, a_line_keeps_time_level_source_and_text)
{
    struct hx_log_cursor cursor = hx_log_oldest();
    struct hx_log_entry entry;
    uint64_t missed = 9;
    hal_host_advance(1234567890);
    hx_log_line(HX_LOG_WARN, "svc_kv", "%d keys", 7);
    hx_log_line(HX_LOG_INFO, NULL, "booted");
    cr_assert(hx_log_next(&cursor, &entry, &missed));
    cr_assert_eq(entry.number, 0);
    cr_assert_eq(entry.time_ns, 1234567890);
    cr_assert_eq(entry.level, HX_LOG_WARN);
    cr_assert_str_eq(entry.source, "svc_kv");
    cr_assert_str_eq(entry.text, "7 keys");
    cr_assert_eq(missed, 0);
    cr_assert(hx_log_next(&cursor, &entry, &missed));
    cr_assert_str_eq(entry.source, "kernel");
    cr_assert_not(hx_log_next(&cursor, &entry, &missed));
    cr_assert_eq(cursor.next, hx_log_newest().next);
}

Test(log, the_oldest_lines_are_dropped_and_counted)
{
    struct hx_log_cursor early = hx_log_oldest();
    struct hx_log_entry entry;
    uint64_t missed = 0;
    for (int i = 0; i < HX_LOG_LINES + 100; i++)
        hx_log_line(HX_LOG_DEBUG, NULL, "line %d", i);
    cr_assert_eq(hx_log_dropped(), 100);
    cr_assert_eq(hx_log_written(), HX_LOG_LINES + 100);
    cr_assert_eq(hx_log_oldest().next, 100);
    cr_assert(hx_log_next(&early, &entry, &missed));
    cr_assert_eq(missed, 100, "the reader learns what it missed");
    cr_assert_str_eq(entry.text, "line 100");
    cr_assert(hx_log_next(&early, &entry, &missed));
    cr_assert_eq(missed, 0, "once");
    int left = 2;
    while (hx_log_next(&early, &entry, &missed))
        left++;
    cr_assert_eq(left, HX_LOG_LINES);
    cr_assert_str_eq(entry.text, "line 611");
}

Test(log, lines_go_out_at_once_until_somebody_listens)
{
    hal_host_advance(2500000);
    hx_log_line(HX_LOG_INFO, NULL, "early");
    cr_assert_str_eq(hal_host_console(), "[    0.002500] kernel: early\r\n");
    hal_host_console_clear();
    hx_log_listen(count_arrival);
    hx_log_line(HX_LOG_INFO, NULL, "late");
    cr_assert_str_eq(hal_host_console(), "");
    cr_assert_eq(arrivals, 1);
    hx_log_listen(NULL);
    hx_log_line(HX_LOG_ERROR, NULL, "last");
    cr_assert_str_eq(hal_host_console(), "[    0.002500] kernel: error: last\r\n");
}

Test(log, the_console_level_decides_what_reaches_the_console_and_nothing_else)
{
    hx_log_line(HX_LOG_DEBUG, NULL, "detail");
    cr_assert_str_eq(hal_host_console(), "", "debug lines are not for the console by default");
    hx_log_set_console_level(HX_LOG_WARN);
    hx_log_line(HX_LOG_INFO, NULL, "info");
    cr_assert_str_eq(hal_host_console(), "");
    hx_log_listen(count_arrival);
    hx_log_line(HX_LOG_INFO, NULL, "info");
    hx_log_line(HX_LOG_WARN, NULL, "warn");
    cr_assert_eq(arrivals, 1);
    cr_assert_eq(hx_log_written(), 4, "all are in the ring");
    hx_log_listen(NULL);
}

Test(log, a_text_cannot_steer_the_terminal)
{
    struct hx_log_cursor cursor = hx_log_oldest();
    struct hx_log_entry entry;
    uint64_t missed = 0;
    hx_log_text(HX_LOG_INFO, "m", "a\033[2J\nb\0c\177", 10);
    cr_assert(hx_log_next(&cursor, &entry, &missed));
    cr_assert_str_eq(entry.text, "a?[2J?b?c?");
}

Test(log, a_long_text_is_cut_and_says_so)
{
    char text[HX_LOG_TEXT_MAX * 2];
    struct hx_log_cursor cursor = hx_log_oldest();
    struct hx_log_entry entry;
    uint64_t missed = 0;
    memset(text, 'x', sizeof(text));
    hx_log_text(HX_LOG_INFO, "m", text, sizeof(text));
    hx_log_line(HX_LOG_INFO, "m", "%.*s", (int)sizeof(text), text);
    hx_log_text(HX_LOG_INFO, "m", text, HX_LOG_TEXT_MAX);
    hx_log_text(HX_LOG_INFO, "m", text, HX_LOG_TEXT_MAX - 1);
    for (int i = 0; i < 4; i++) {
        cr_assert(hx_log_next(&cursor, &entry, &missed));
        cr_assert_eq(strlen(entry.text), HX_LOG_TEXT_MAX - 1);
        cr_assert_str_eq(entry.text + HX_LOG_TEXT_MAX - 4, i < 3 ? "..." : "xxx");
    }
}

Test(log, an_absurd_level_or_source_is_tamed)
{
    struct hx_log_cursor cursor = hx_log_oldest();
    struct hx_log_entry entry;
    uint64_t missed = 0;
    hx_log_line(1000, "a_name_that_is_far_too_long_for_a_module", "text");
    cr_assert(hx_log_next(&cursor, &entry, &missed));
    cr_assert_eq(entry.level, HX_LOG_DEBUG);
    cr_assert_eq(strlen(entry.source), HX_NAME_MAX - 1);
}

Test(log, levels_have_names_and_numbers)
{
    uint32_t level = 77;
    cr_assert_eq(hx_log_level_parse("warn", &level), HX_OK);
    cr_assert_eq(level, HX_LOG_WARN);
    cr_assert_eq(hx_log_level_parse("3", &level), HX_OK);
    cr_assert_eq(level, HX_LOG_DEBUG);
    cr_assert_eq(hx_log_level_parse("4", &level), HX_E_INVAL);
    cr_assert_eq(hx_log_level_parse("", &level), HX_E_INVAL);
    cr_assert_eq(hx_log_level_parse("33", &level), HX_E_INVAL);
    cr_assert_eq(level, HX_LOG_DEBUG, "left alone");
    cr_assert_str_eq(hx_log_level_name(HX_LOG_ERROR), "error");
    cr_assert_str_eq(hx_log_level_name(9), "unknown");
}

static char dumped[4096];

static void dump_line(const char *line)
{
    strcat(dumped, line);
    strcat(dumped, "\n");
}

Test(log, a_dump_has_the_last_lines)
{
    for (int i = 0; i < HX_LOG_LINES + 5; i++)
        hx_log_line(HX_LOG_DEBUG, NULL, "line %d", i);
    hx_log_dump(2, dump_line);
    cr_assert_str_eq(dumped, "[    0.000000] kernel: line 515\n[    0.000000] kernel: line 516\n");
}

static unsigned dumped_lines;

static void count_line(const char *line)
{
    cr_assert_not_null(strstr(line, "kernel: line"));
    dumped_lines++;
}

Test(log, a_dump_of_more_than_there_is_stops_at_the_oldest_line)
{
    for (int i = 0; i < HX_LOG_LINES + 5; i++)
        hx_log_line(HX_LOG_DEBUG, NULL, "line %d", i);
    hx_log_dump(HX_LOG_LINES + 3, count_line);
    cr_assert_eq(dumped_lines, HX_LOG_LINES);
}

Test(log, a_dump_of_a_short_log_has_what_there_is)
{
    hx_log_dump(16, dump_line);
    cr_assert_str_eq(dumped, "");
    hx_log_line(HX_LOG_DEBUG, NULL, "only");
    hx_log_dump(16, dump_line);
    cr_assert_str_eq(dumped, "[    0.000000] kernel: only\n");
}
