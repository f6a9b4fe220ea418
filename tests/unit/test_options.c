/* SPDX-License-Identifier: MIT */
/* test_options.c - options out of the boot command line. */
#include <boot/boot_info.h>
#include <criterion/criterion.h>
#include <string.h>

static struct hx_boot_info info;
static char value[16];

static hx_status_t ask(const char *cmdline, const char *name)
{
    memset(&info, 0, sizeof(info));
    memset(value, '?', sizeof(value));
    strcpy(info.cmdline, cmdline);
    return hx_boot_option(&info, name, value, sizeof(value));
}

Test(options, a_value_is_found_between_others)
{
    cr_expect_eq(ask("panic=exit loglevel=2 safe", "loglevel"), HX_OK);
    cr_expect_str_eq(value, "2");
}

Test(options, a_bare_word_is_there_and_empty)
{
    cr_expect_eq(ask("panic=exit safe", "safe"), HX_OK);
    cr_expect_str_eq(value, "");
    cr_expect_eq(ask("safe=", "safe"), HX_OK);
    cr_expect_str_eq(value, "");
}

Test(options, the_last_of_several_wins)
{
    cr_expect_eq(ask("skip=a skip=b", "skip"), HX_OK);
    cr_expect_str_eq(value, "b");
}

Test(options, part_of_a_name_or_of_a_value_does_not_match)
{
    cr_expect_eq(ask("panics=1 nopanic=2 x=panic", "panic"), HX_E_NOENT);
    cr_expect_eq(ask("", "panic"), HX_E_NOENT);
    cr_expect_eq(ask("   ", "panic"), HX_E_NOENT);
    cr_expect_eq(ask("pan", "panic"), HX_E_NOENT);
}

Test(options, blanks_of_every_kind_and_number_separate)
{
    cr_expect_eq(ask("  a=1\t\tb=2  ", "b"), HX_OK);
    cr_expect_str_eq(value, "2");
    cr_expect_eq(ask("\ta=1", "a"), HX_OK);
    cr_expect_str_eq(value, "1");
}

Test(options, a_value_that_does_not_fit_is_refused_and_nothing_written)
{
    cr_expect_eq(ask("seed=123456789012345", "seed"), HX_OK, "15 and the NUL fit");
    cr_expect_eq(ask("seed=1234567890123456", "seed"), HX_E_LIMIT);
    cr_expect_eq(value[0], '?');
}

Test(options, an_equals_sign_in_a_value_belongs_to_it)
{
    cr_expect_eq(ask("kv.path=a=b", "kv.path"), HX_OK);
    cr_expect_str_eq(value, "a=b");
}
