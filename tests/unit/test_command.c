/* SPDX-License-Identifier: MIT */
/* test_command.c - how a line becomes a command: words, the table, completion, errors, numbers. */
#include <debug/command.h>
#include <debug/console.h>
#include <debug/line_editor.h>

#include "../host/hal_host.h"
#include <criterion/criterion.h>
#include <orchestrator/capability_broker.h>
#include <stdio.h>
#include <string.h>

static int seen_argc;
static char seen[HX_COMMAND_ARGS_MAX][64];

static hx_status_t remember(int argc, char **argv)
{
    seen_argc = argc;
    for (int i = 0; i < argc; i++)
        snprintf(seen[i], sizeof(seen[i]), "%s", argv[i]);
    return HX_E_BUSY;
}

static void offer_modules(uint32_t position, struct hx_editor_matches *matches)
{
    if (position == 1)
        hx_editor_offer(matches, "sched_rr");
    if (position == 2)
        hx_editor_offer(matches, "sched_rr-2.hxm");
}

static const struct hx_command family_a[] = {
    { .id = { HX_CAPABILITY_DEBUG, "lsmod" }, .arguments = "", .summary = "list", .handler = remember },
    { .id = { HX_CAPABILITY_IPC, "kv" },
      .arguments = "get|put",
      .summary = "store",
      .handler = remember,
      .words = "get put" },
    { .id = { HX_CAPABILITY_NONE, NULL } },
};
static const struct hx_command family_empty[] = { { .id = { HX_CAPABILITY_NONE, NULL } } };
static const struct hx_command family_b[] = {
    { .id = { HX_CAPABILITY_MODULES, "reload" },
      .arguments = "NAME",
      .summary = "swap",
      .handler = remember,
      .complete = offer_modules },
    { .id = { HX_CAPABILITY_NONE, NULL } },
};
static const struct hx_command *const table[] = { family_empty, family_a, family_empty, family_b, NULL };

static void setup(void)
{
    hal_host_init();
    hx_capability_init();
    hx_console_set_color(false);
}

TestSuite(command, .init = setup, .fini = hal_host_fini);

static hx_status_t run(const char *text)
{
    char line[256];
    snprintf(line, sizeof(line), "%s", text);
    hal_host_console_clear();
    return hx_command_run(table, line);
}

/* ---- words ---------------------------------------------------------------------------------------------------------- */
static hx_ret_t split(const char *text, char **argv)
{
    static char line[512];
    snprintf(line, sizeof(line), "%s", text);
    return hx_command_split(line, argv);
}

static void expect_words(const char *text, int count, const char *const *words)
{
    char *argv[HX_COMMAND_ARGS_MAX + 1];
    cr_assert_eq(split(text, argv), count, "`%s'", text);
    for (int i = 0; i < count; i++)
        cr_assert_str_eq(argv[i], words[i], "`%s'", text);
    cr_assert_null(argv[count]);
}

#define EXPECT_WORDS(text, ...)                                                                                        \
    expect_words((text), sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *), (const char *const[]){ __VA_ARGS__ })

Test(command, words_are_separated_by_blanks)
{
    EXPECT_WORDS("kv put a b", "kv", "put", "a", "b");
    EXPECT_WORDS("  kv\t put   ", "kv", "put");
    expect_words("", 0, NULL);
    expect_words("   \t ", 0, NULL);
}

Test(command, quotes_keep_a_word_together)
{
    EXPECT_WORDS("put 'a b' \"c d\"", "put", "a b", "c d");
    EXPECT_WORDS("put '' x", "put", "", "x");
    EXPECT_WORDS("put a' 'b\" \"c", "put", "a b c");
    EXPECT_WORDS("put '\"' \"'\"", "put", "\"", "'");
}

Test(command, a_backslash_escapes_in_double_quotes_only)
{
    EXPECT_WORDS("put \"a\\\"b\\\\c\\n\"", "put", "a\"b\\c\\n");
    EXPECT_WORDS("put 'a\\b' c\\d", "put", "a\\b", "c\\d");
    EXPECT_WORDS("put 'a\\\\b' c\\\\d", "put", "a\\\\b", "c\\\\d");
}

Test(command, a_comment_ends_the_line)
{
    EXPECT_WORDS("lsmod # all of them", "lsmod");
    EXPECT_WORDS("put a#b '#'", "put", "a#b", "#");
    expect_words("# only a comment", 0, NULL);
}

Test(command, an_open_quote_is_refused)
{
    char *argv[HX_COMMAND_ARGS_MAX + 1];
    cr_assert_eq(split("put \"a b", argv), HX_E_FORMAT);
    cr_assert_eq(split("put '", argv), HX_E_FORMAT);
    cr_assert_eq(split("put \"a\\\"", argv), HX_E_FORMAT);
}

Test(command, too_many_words_are_refused)
{
    char *argv[HX_COMMAND_ARGS_MAX + 1];
    char line[256] = "";
    for (int i = 0; i < HX_COMMAND_ARGS_MAX; i++)
        strcat(line, "w ");
    cr_assert_eq(split(line, argv), HX_COMMAND_ARGS_MAX);
    strcat(line, "w");
    cr_assert_eq(split(line, argv), HX_E_LIMIT);
}

/* ---- the table ------------------------------------------------------------------------------------------------------ */
Test(command, a_known_command_gets_its_words)
{
    cr_assert_eq(run("reload sched_rr 'a b'"), HX_E_BUSY, "its result is returned");
    cr_assert_eq(seen_argc, 3);
    cr_assert_str_eq(seen[0], "reload");
    cr_assert_str_eq(seen[2], "a b");
    cr_assert_str_eq(hal_host_console(), "");
}

Test(command, empty_families_are_skipped)
{
    const struct hx_command *command = NULL;
    char names[64] = "";
    while ((command = hx_command_next(table, command))) {
        strcat(names, command->id.name);
        strcat(names, " ");
    }
    cr_assert_str_eq(names, "lsmod kv reload ");
}

Test(command, an_empty_line_is_nothing)
{
    cr_assert_eq(run(""), HX_OK);
    cr_assert_eq(run("  # comment"), HX_OK);
    cr_assert_str_eq(hal_host_console(), "");
}

Test(command, an_unknown_command_suggests_the_nearest)
{
    cr_assert_eq(run("relaod x"), HX_E_NOENT);
    cr_assert_str_eq(
        hal_host_console(),
        "relaod: unknown command: there is no such command; did you mean `reload'? Else type help for the list\r\n");
    cr_assert_eq(run("frobnicate"), HX_E_NOENT);
    cr_assert_str_eq(hal_host_console(),
                     "frobnicate: unknown command: there is no such command; type help for the list\r\n");
}

Test(command, an_open_quote_is_said_in_one_line)
{
    cr_assert_eq(run("kv put 'a"), HX_E_FORMAT);
    cr_assert_str_eq(hal_host_console(), "console: line: a quote is left open; close it with the same sign\r\n");
}

Test(command, errors_read_command_what_why_advice)
{
    cr_assert_eq(hx_command_refuse("kv", "key", HX_E_ABSENT, NULL), HX_E_ABSENT);
    cr_assert_str_eq(hal_host_console(),
                     "kv: key: no-provider: no module provides the interface; insmod a provider, see lsmod\r\n");
    hal_host_console_clear();
    cr_assert_eq(hx_command_usage("reload"), HX_E_INVAL);
    cr_assert_str_eq(
        hal_host_console(),
        "reload: arguments: expected `reload NAME [FILE] [PARAM=VALUE...] [--with NAME[=FILE],...] [--repeat N]'; "
        "type help reload\r\n");
}

Test(command, every_command_of_the_kernel_explains_itself)
{
    const struct hx_command *c = NULL;
    unsigned count = 0;
    while ((c = hx_command_next(hx_command_table, c))) {
        cr_assert_not_null(c->arguments, "%s", c->id.name);
        cr_assert_not_null(c->summary, "%s", c->id.name);
        cr_assert_not_null(c->handler, "%s", c->id.name);
        cr_assert_eq(hx_command_find(hx_command_table, c->id.name), c, "%s is there twice", c->id.name);
        cr_assert_leq(strlen(c->id.name) + strlen(c->arguments) + strlen(c->summary), 120, "%s", c->id.name);
        count++;
    }
    cr_assert_gt(count, 20);
}

/* ---- completion ----------------------------------------------------------------------------------------------------- */
static void swallow(void *context, const char *text, size_t bytes)
{
    (void)context;
    (void)text;
    (void)bytes;
}

static void complete(void *context, const char *line, size_t word_off, struct hx_editor_matches *matches)
{
    (void)context;
    hx_command_complete(table, line, word_off, matches);
}

static void expect_completion(const char *typed, const char *line)
{
    static const struct hx_editor_host host = { .write = swallow, .complete = complete };
    static struct hx_editor editor;
    hx_editor_init(&editor, &host);
    hx_editor_begin(&editor, "> ", 2);
    for (; *typed; typed++)
        (void)hx_editor_byte(&editor, (uint8_t)*typed);
    cr_assert_str_eq(editor.line, line);
}

Test(command, tab_completes_commands_words_and_names)
{
    expect_completion("l\t", "lsmod ");
    expect_completion("  re\t", "  reload ");
    expect_completion("kv p\t", "kv put ");
    expect_completion("kv put p\t", "kv put p");
    expect_completion("reload \t", "reload sched_rr ");
    expect_completion("reload sched_rr s\t", "reload sched_rr sched_rr-2.hxm ");
    expect_completion("unknown \t", "unknown ");
    expect_completion("reload 'a b\t", "reload 'a b");
}

/* ---- numbers -------------------------------------------------------------------------------------------------------- */
Test(command, numbers_are_decimal_or_hexadecimal)
{
    uint64_t value = 0;
    cr_assert_eq(hx_command_number("0", 10, &value), HX_OK);
    cr_assert_eq(value, 0);
    cr_assert_eq(hx_command_number("18446744073709551615", UINT64_MAX, &value), HX_OK);
    cr_assert_eq(value, UINT64_MAX);
    cr_assert_eq(hx_command_number("0xfFfFfFfFfFfFfFfF", UINT64_MAX, &value), HX_OK);
    cr_assert_eq(value, UINT64_MAX);
    cr_assert_eq(hx_command_number("0x10", 16, &value), HX_OK);
    cr_assert_eq(value, 16);
}

Test(command, what_is_no_number_is_refused)
{
    static const char *const wrong[] = { "", "-1", "+1", "1x", "x", "0x", "0xg", " 1", "1 ", "1.5", "a" };
    uint64_t value = 77;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_assert_eq(hx_command_number(wrong[i], UINT64_MAX, &value), HX_E_INVAL, "`%s'", wrong[i]);
    cr_assert_eq(hx_command_number("18446744073709551616", UINT64_MAX, &value), HX_E_RANGE);
    cr_assert_eq(hx_command_number("0x10000000000000000", UINT64_MAX, &value), HX_E_RANGE);
    cr_assert_eq(hx_command_number("256", 255, &value), HX_E_RANGE);
    cr_assert_eq(value, 77, "left alone");
}

/* ---- CPUs ----------------------------------------------------------------------------------------------------------- */
Test(command, cpus_are_a_list_with_ranges_or_all)
{
    static const struct {
        const char *text;
        uint32_t cpus;
    } right[] = { { "0", 0x1 }, { "7", 0x80 }, { "0,2-3", 0xd }, { "3,1,3", 0xa }, { "0-7", 0xff }, { "2-2", 0x4 } };
    uint32_t cpus = 0;
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        cr_assert_eq(hx_command_cpus(right[i].text, 8, &cpus), HX_OK, "`%s'", right[i].text);
        cr_assert_eq(cpus, right[i].cpus, "`%s' is %x", right[i].text, cpus);
    }
    cr_assert_eq(hx_command_cpus("all", 8, &cpus), HX_OK);
    cr_assert_eq(cpus, UINT32_MAX);
}

Test(command, what_names_no_cpus_is_refused)
{
    static const char *const wrong[] = { "", ",", "1,", ",1", "1-", "-1", "3-1", "1 2", "x", "0x1", "1-2-3", "ALL" };
    static const char *const missing[] = { "4", "0-4", "1,9", "4294967296", "0-4294967297" };
    uint32_t cpus = 77;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_assert_eq(hx_command_cpus(wrong[i], 4, &cpus), HX_E_INVAL, "`%s'", wrong[i]);
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
        cr_assert_eq(hx_command_cpus(missing[i], 4, &cpus), HX_E_RANGE, "`%s'", missing[i]);
    cr_assert_eq(cpus, 77, "left alone");
}

Test(command, cpus_are_told_as_they_are_given)
{
    static const struct {
        uint32_t cpus, count;
        const char *text;
    } told[] = { { 0x1, 8, "0" },    { 0xd, 8, "0,2-3" }, { 0xff, 8, "all" },     { 0xff, 1, "all" },
                 { 0xe0, 8, "5-7" }, { 0xfe, 4, "1-3" },  { 0x55, 8, "0,2,4,6" }, { 0xf0, 4, "none" } };
    char text[32];
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        hx_command_cpus_text(told[i].cpus, told[i].count, text, sizeof(text));
        cr_assert_str_eq(text, told[i].text);
    }
}
