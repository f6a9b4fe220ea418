/* SPDX-License-Identifier: MIT */
/* test_key.c - which bytes are which key; what the keys then do is in test_line_editor.c. */
#include <debug/key.h>

#include <criterion/criterion.h>
#include <string.h>

static struct hx_key_reader reader;

/* All keys that @bytes make. */
static size_t read_all(const char *bytes, size_t count, enum hx_key *keys)
{
    size_t found = 0;
    memset(&reader, 0, sizeof(reader));
    for (size_t i = 0; i < count; i++) {
        enum hx_key key = hx_key_read(&reader, (uint8_t)bytes[i]);
        if (key != HX_KEY_NONE)
            keys[found++] = key;
    }
    return found;
}

static void expect_one(const char *bytes, enum hx_key key)
{
    enum hx_key keys[64];
    cr_assert_eq(read_all(bytes, strlen(bytes), keys), 1, "`%s'", bytes[0] == 27 ? bytes + 1 : bytes);
    cr_assert_eq(keys[0], key, "`%s' is key %u", bytes[0] == 27 ? bytes + 1 : bytes, keys[0]);
}

Test(key, each_form_of_a_key_has_one_name)
{
    static const struct {
        enum hx_key key;
        const char *forms[8];
    } table[] = {
        { HX_KEY_ENTER, { "\r", "\n", "\r\n", "\033OM" } },
        { HX_KEY_LEFT, { "\002", "\033[D", "\033OD" } },
        { HX_KEY_RIGHT, { "\006", "\033[C", "\033OC" } },
        { HX_KEY_WORD_LEFT, { "\033b", "\033[1;5D", "\033[5D", "\033O5D" } },
        { HX_KEY_WORD_RIGHT, { "\033f", "\033[1;5C", "\033[5C", "\033O5C" } },
        { HX_KEY_HOME, { "\001", "\033[H", "\033OH", "\033[1~", "\033[7~" } },
        { HX_KEY_END, { "\005", "\033[F", "\033OF", "\033[4~", "\033[8~" } },
        { HX_KEY_OLDER, { "\020", "\033[A", "\033OA" } },
        { HX_KEY_NEWER, { "\016", "\033[B", "\033OB" } },
        { HX_KEY_TAB, { "\t" } },
        { HX_KEY_ERASE_BACK, { "\b", "\177" } },
        { HX_KEY_ERASE_HERE, { "\033[3~" } },
        { HX_KEY_ERASE_WORD, { "\027" } },
        { HX_KEY_ERASE_TO_START, { "\025" } },
        { HX_KEY_ERASE_TO_END, { "\013" } },
        { HX_KEY_CLEAR_SCREEN, { "\014" } },
        { HX_KEY_CANCEL, { "\003" } },
        { HX_KEY_CTRL_D, { "\004" } },
        { HX_KEY_TEXT, { "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80" } },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        for (size_t form = 0; table[i].forms[form]; form++)
            expect_one(table[i].forms[form], table[i].key);
}

Test(key, a_character_comes_whole)
{
    expect_one("\xe2\x82\xac", HX_KEY_TEXT);
    cr_assert_eq(reader.text_bytes, 3);
    cr_assert_eq(memcmp(reader.text, "\xe2\x82\xac", 3), 0);
}

Test(key, two_line_feeds_are_two_lines)
{
    enum hx_key keys[8];
    cr_assert_eq(read_all("\n\n", 2, keys), 2);
    cr_assert_eq(read_all("\r\n\r\n", 4, keys), 2);
    cr_assert_eq(read_all("\n\r", 2, keys), 2);
    cr_assert_eq(read_all("\ra\n", 3, keys), 3);
}

Test(key, a_reset_forgets_the_unfinished_but_not_the_cr)
{
    memset(&reader, 0, sizeof(reader));
    cr_assert_eq(hx_key_read(&reader, 033), HX_KEY_NONE);
    hx_key_reset(&reader);
    cr_assert_eq(hx_key_read(&reader, '['), HX_KEY_TEXT);
    cr_assert_eq(hx_key_read(&reader, '\r'), HX_KEY_ENTER);
    hx_key_reset(&reader);
    cr_assert_eq(hx_key_read(&reader, '\n'), HX_KEY_NONE);
}

Test(key, a_character_cut_short_is_reported_beside_the_key_that_cut_it)
{
    memset(&reader, 0, sizeof(reader));
    cr_assert_eq(hx_key_read(&reader, 0xe2), HX_KEY_NONE);
    cr_assert_eq(hx_key_read(&reader, '\r'), HX_KEY_ENTER);
    cr_assert(reader.cut_short);
    cr_assert_eq(hx_key_read(&reader, 'a'), HX_KEY_TEXT);
    cr_assert_not(reader.cut_short);
}
