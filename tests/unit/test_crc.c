/* SPDX-License-Identifier: MIT */
/* test_crc.c - known answers. Source: RFC 3720 appendix B.4. */
#include <criterion/criterion.h>
#include <lib/crc.h>
#include <string.h>

Test(crc, the_answers_of_the_rfc)
{
    uint8_t bytes[32];

    cr_assert_eq(hx_crc32c(0, "123456789", 9), 0xe3069283u);
    memset(bytes, 0, sizeof(bytes));
    cr_assert_eq(hx_crc32c(0, bytes, sizeof(bytes)), 0x8a9136aau);
    memset(bytes, 0xff, sizeof(bytes));
    cr_assert_eq(hx_crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43u);
    for (unsigned int i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    cr_assert_eq(hx_crc32c(0, bytes, sizeof(bytes)), 0x46dd794eu);
    for (unsigned int i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(31 - i);
    cr_assert_eq(hx_crc32c(0, bytes, sizeof(bytes)), 0x113fdb5cu);
}

Test(crc, nothing_has_the_sum_zero)
{
    cr_assert_eq(hx_crc32c(0, "", 0), 0u);
}

Test(crc, pieces_sum_up_to_the_whole)
{
    const char text[] = "The quick brown fox jumps over the lazy dog, twice.";
    uint32_t whole = hx_crc32c(0, text, sizeof(text));

    for (size_t cut = 0; cut <= sizeof(text); cut++)
        cr_assert_eq(hx_crc32c(hx_crc32c(0, text, cut), text + cut, sizeof(text) - cut), whole);
}

Test(crc, the_table_and_the_instruction_agree)
{
    uint8_t bytes[301];
    uint32_t seed = 1;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
    for (size_t length = 0; length <= sizeof(bytes); length++)
        cr_assert_eq(hx_crc32c_by_table(seed, bytes, length), hx_crc32c(seed, bytes, length), "%zu bytes", length);
    cr_assert_eq(hx_crc32c_by_table(0, "123456789", 9), 0xe3069283u);
}
