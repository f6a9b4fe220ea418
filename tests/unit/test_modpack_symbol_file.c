/* SPDX-License-Identifier: MIT */
/* test_modpack_symbol_file.c - names with values, line by line. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../../tools/mkmodpack/symbol_file.h"

static struct hx_mp_symbols symbols;
static char said[1024];
static hx_status_t told;

static void take(struct hx_mp_findings *findings, hx_status_t err, const char *file, const char *text)
{
    (void)findings, (void)file;
    told = err;
    strncpy(said, text, sizeof(said) - 1);
}

static bool read_text(const char *text, size_t bytes)
{
    struct hx_mp_findings findings = { .take = take };
    bool ok = hx_mp_symbols_read(&symbols, "f", hx_slice_of(text, bytes), &findings);
    cr_assert_eq(ok, findings.count == 0);
    return ok;
}

#define READ(text) read_text(text, sizeof(text) - 1)

static uint64_t value(const char *name)
{
    const struct hx_mp_symbol *symbol = hx_mp_symbols_find(&symbols, name);
    cr_assert_not_null(symbol, "%s", name);
    return symbol->value;
}

Test(modpack_symbol_file, names_have_their_values)
{
    cr_assert(READ("b 0xffffffffffffffff\na 0x0\n_c.d$e@@V 0xAbC # text\n#\n\n \t\n\tz\t0x1\t"));
    cr_assert_eq(symbols.count, 4);
    cr_assert_eq(value("a"), 0);
    cr_assert_eq(value("b"), UINT64_MAX);
    cr_assert_eq(value("_c.d$e@@V"), 0xabc);
    cr_assert_eq(value("z"), 1);
    cr_assert_null(hx_mp_symbols_find(&symbols, "A"));
    cr_assert_null(hx_mp_symbols_find(&symbols, ""));
    hx_mp_symbols_free(&symbols);
    cr_assert_null(hx_mp_symbols_find(&symbols, "a"));
}

Test(modpack_symbol_file, nothing_is_a_file_of_no_symbols)
{
    cr_assert(read_text(NULL, 0));
    cr_assert_eq(symbols.count, 0);
    hx_mp_symbols_free(&symbols);
}

Test(modpack_symbol_file, many_names_are_all_found)
{
    static char text[4096 * 24];
    size_t used = 0;
    for (unsigned int i = 0; i < 4096; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "s%u 0x%x\n", i * 2654435761u, i);
    cr_assert(read_text(text, used));
    for (unsigned int i = 0; i < 4096; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", i * 2654435761u);
        cr_assert_eq(value(name), i);
    }
    hx_mp_symbols_free(&symbols);
}

Test(modpack_symbol_file, a_repeated_name_keeps_its_one_value)
{
    cr_assert(READ("a 0x1\nb 0x2\na 0x01\n"));
    cr_assert_eq(symbols.count, 2);
    hx_mp_symbols_free(&symbols);
    cr_assert_not(READ("a 0x1\nb 0x2\n\na 0x2\n"));
    cr_assert_eq(told, HX_E_EXIST);
    cr_assert(strstr(said, "line 4: `a' is 0x2 here and 0x1 in line 1"), "%s", said);
}

Test(modpack_symbol_file, a_line_that_says_something_else_is_refused_with_its_number)
{
    static const char *const bad[] = { "a",      "a 1",    "a 0x",      "a 0xg", "a x1",      "a 0x1 0x2",
                                       "a -0x1", "a 0x 1", "a 0x1\x01", "a:0x1", "0x1 a 0x1", "a 0x11111111111111111" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[64];
        int bytes = snprintf(text, sizeof(text), "ok 0x1\n%s\nok2 0x2\n", bad[i]);
        cr_assert_not(read_text(text, (size_t)bytes), "%s", bad[i]);
        cr_assert_eq(told, HX_E_FORMAT);
        cr_assert(strstr(said, "line 2: "), "%s", said);
        cr_assert_null(symbols.text);
    }
}
