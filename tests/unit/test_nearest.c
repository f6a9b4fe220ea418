/* SPDX-License-Identifier: MIT */
/* test_nearest.c - which names count as near. */
#include <debug/nearest.h>

#include <criterion/criterion.h>
#include <string.h>

Test(nearest, distance_counts_each_kind_of_edit_once)
{
    cr_assert_eq(hx_nearest_distance("lsmod", "lsmod", 2), 0);
    cr_assert_eq(hx_nearest_distance("lsmod", "lsmd", 2), 1, "deleted");
    cr_assert_eq(hx_nearest_distance("lsmod", "lssmod", 2), 1, "inserted");
    cr_assert_eq(hx_nearest_distance("lsmod", "lsmud", 2), 1, "replaced");
    cr_assert_eq(hx_nearest_distance("lsmod", "lsmdo", 2), 1, "swapped");
    cr_assert_eq(hx_nearest_distance("reload", "erlaod", 2), 2, "swapped twice");
    cr_assert_eq(hx_nearest_distance("kitten", "sitting", 5), 3);
    cr_assert_eq(hx_nearest_distance("", "ab", 5), 2);
    cr_assert_eq(hx_nearest_distance("", "", 5), 0);
}

Test(nearest, distance_is_bounded)
{
    cr_assert_eq(hx_nearest_distance("kitten", "sitting", 2), 3);
    cr_assert_eq(hx_nearest_distance("a", "abcdefgh", 2), 3);
    cr_assert_eq(hx_nearest_distance("abcd", "cdab", 2), 3);
    cr_assert_eq(hx_nearest_distance("abcd", "badc", 2), 2);
    cr_assert_eq(hx_nearest_distance("xyab", "xyba", 1), 1);
    cr_assert_eq(hx_nearest_distance("xyzxyz", "abcabc", 1), 2);
}

Test(nearest, distance_is_the_same_both_ways)
{
    cr_assert_eq(hx_nearest_distance("sched_rr", "schd_rr2", 5), hx_nearest_distance("schd_rr2", "sched_rr", 5));
    cr_assert_eq(hx_nearest_distance("ca", "abc", 5), 3, "no part is edited twice");
}

Test(nearest, overlong_names_are_never_near)
{
    char long_name[HX_NEAREST_NAME_MAX + 40];
    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    cr_assert_eq(hx_nearest_distance(long_name, long_name, 2), 3);
    struct hx_nearest nearest;
    hx_nearest_init(&nearest, long_name);
    hx_nearest_offer(&nearest, long_name);
    cr_assert_null(hx_nearest_name(&nearest));
}

Test(nearest, the_nearest_offer_wins)
{
    struct hx_nearest nearest;
    hx_nearest_init(&nearest, "relaod");
    hx_nearest_offer(&nearest, "reboot");
    hx_nearest_offer(&nearest, "reloads");
    hx_nearest_offer(&nearest, "reload");
    hx_nearest_offer(&nearest, "rmmod");
    cr_assert_str_eq(hx_nearest_name(&nearest), "reload");
}

Test(nearest, nothing_near_is_no_suggestion)
{
    struct hx_nearest nearest;
    hx_nearest_init(&nearest, "frobnicate");
    hx_nearest_offer(&nearest, "reload");
    hx_nearest_offer(&nearest, "ps");
    cr_assert_null(hx_nearest_name(&nearest));
}

Test(nearest, a_short_word_is_not_near_to_all_short_words)
{
    struct hx_nearest nearest;
    hx_nearest_init(&nearest, "xy");
    hx_nearest_offer(&nearest, "ps");
    hx_nearest_offer(&nearest, "kv");
    cr_assert_null(hx_nearest_name(&nearest));
    hx_nearest_offer(&nearest, "xz");
    cr_assert_str_eq(hx_nearest_name(&nearest), "xz");
    hx_nearest_init(&nearest, "");
    hx_nearest_offer(&nearest, "k");
    cr_assert_null(hx_nearest_name(&nearest));
}
