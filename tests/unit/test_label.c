/* SPDX-License-Identifier: MIT */
/* test_label.c - how an address in a function is shown. */
#include <criterion/criterion.h>
#include <lib/label.h>
#include <string.h>

static void expect(struct hx_label label, uintptr_t va, const char *owner, const char *expected)
{
    char text[128];
    cr_assert_eq(hx_label_text(&label, va, owner, text, sizeof(text)), strlen(expected), "%s", text);
    cr_assert_str_eq(text, expected);
}

Test(label, it_reads_name_offset_size_and_owner)
{
    expect((struct hx_label){ "rr_pick", 0x1000, 0x40 }, 0x1012, "sched_rr", "rr_pick+0x12/0x40 (sched_rr)");
    expect((struct hx_label){ "rr_pick", 0x1000, 0x40 }, 0x1000, NULL, "rr_pick+0x0/0x40");
    expect((struct hx_label){ "memcpy", 0x1000, 0 }, 0x1001, "a", "memcpy+0x1 (a)");
}

Test(label, what_a_name_holds_does_not_steer_a_terminal)
{
    expect((struct hx_label){ "\x1b[2Jx\xff", 0, 4 }, 1, "m\n", "?[2Jx?+0x1/0x4 (m?)");
}

Test(label, a_short_buffer_cuts)
{
    struct hx_label label = { "rr_pick", 0, 4 };
    char text[8] = "";
    cr_assert_eq(hx_label_text(&label, 1, "owner", text, sizeof(text)), 7u);
    cr_assert_str_eq(text, "rr_pick");
    cr_assert_eq(hx_label_text(&label, 1, "owner", text, 0), 0u);
}
