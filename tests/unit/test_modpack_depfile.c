/* SPDX-License-Identifier: MIT */
/* test_modpack_depfile.c - paths as make and Ninja read them. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "../../tools/mkmodpack/depfile.h"

static void take(struct hx_mp_findings *findings, hx_status_t err, const char *file, const char *text)
{
    (void)findings, (void)err, (void)file, (void)text;
}

static void assert_target(const char *path, const char *wanted)
{
    struct hx_mp_findings findings = { .take = take };
    char *text = hx_mp_depfile_make(path, NULL, 0, &findings);
    cr_assert_not_null(text);
    cr_assert_str_eq(text, wanted);
    cr_assert_eq(findings.count, 0);
    free(text);
}

Test(modpack_depfile, plain_paths_stand_as_they_are)
{
    assert_target("a/b-c_d.e+f~g,h@i%j", "a/b-c_d.e+f~g,h@i%j:\n");
}

Test(modpack_depfile, blanks_and_hashes_are_escaped_and_dollars_doubled)
{
    assert_target("a b", "a\\ b:\n");
    assert_target("a\tb", "a\\\tb:\n");
    assert_target("#a", "\\#a:\n");
    assert_target("$a$$", "$$a$$$$:\n");
    assert_target("c:a", "c\\:a:\n");
}

Test(modpack_depfile, backslashes_count_only_before_a_blank_or_a_hash)
{
    assert_target("a\\b", "a\\b:\n");
    assert_target("a\\ b", "a\\\\\\ b:\n");
    assert_target("a\\\\#b", "a\\\\\\\\\\#b:\n");
}

Test(modpack_depfile, every_path_has_a_line_of_its_own)
{
    static const char *const path[] = { "one", "two three" };
    struct hx_mp_findings findings = { .take = take };
    char *text = hx_mp_depfile_make("t", path, 2, &findings);
    cr_assert_str_eq(text, "t: \\\n  one \\\n  two\\ three\n");
    free(text);
}

Test(modpack_depfile, a_line_feed_cannot_be_written)
{
    static const char *const path[] = { "one\ntwo", "one\rtwo" };
    for (int i = 0; i < 2; i++) {
        struct hx_mp_findings findings = { .take = take };
        cr_assert_null(hx_mp_depfile_make("t", &path[i], 1, &findings));
        cr_assert_eq(findings.count, 1);
        cr_assert_null(hx_mp_depfile_make(path[i], NULL, 0, &findings));
        cr_assert_eq(findings.count, 2);
    }
}
