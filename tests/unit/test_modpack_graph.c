/* SPDX-License-Identifier: MIT */
/* test_modpack_graph.c - strings of the dot language, and names on their way to a terminal. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "../../tools/mkmodpack/graph.h"
#include "../../tools/mkmodpack/printable.h"

static void assert_string(const char *text, const char *wanted)
{
    char *got = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&got, &bytes);
    hx_mp_graph_string(text, stream);
    fclose(stream);
    cr_assert_str_eq(got, wanted);
    free(got);
}

Test(modpack_graph, quotes_and_backslashes_are_escaped)
{
    assert_string("plain", "\"plain\"");
    assert_string("a\"b", "\"a\\\"b\"");
    assert_string("a\\N", "\"a\\\\N\"");
    assert_string("\\", "\"\\\\\"");
    assert_string("<b>{|}->;[", "\"<b>{|}->;[\"");
}

Test(modpack_graph, what_a_string_cannot_hold_is_shown_as_a_question_mark)
{
    assert_string("a\nb\x7f\xc3\xa4\x01", "\"a?b????\"");
}

Test(modpack_printable, a_name_cannot_make_a_second_word_or_line)
{
    char *got = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&got, &bytes);
    cr_assert_eq(hx_mp_print_name("a b\n\x1b[31m", stream), 9);
    hx_mp_print_column("xy", 4, stream);
    hx_mp_print_column("xyz", 2, stream);
    fclose(stream);
    cr_assert_str_eq(got, "a?b??[31mxy  xyz ", "one that is too long runs into what follows");
    free(got);
}
