/* SPDX-License-Identifier: MIT */
/*
 * test_line_editor.c - every key of the line editor, seen as a person does: through a small terminal that obeys what the
 * editor writes and fails on anything that it does not know.
 */
#include <debug/line_editor.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 64 };

/* ---- the terminal --------------------------------------------------------------------------------------------------- */
static struct terminal {
    char cell[ROWS][HX_EDITOR_COLUMNS + 1][5]; /* one character each */
    unsigned row, column;
    unsigned bells, clears, writes;
    const char *word[8]; /* what completion offers */
    unsigned completions;
} terminal;

static struct hx_editor editor;

static void clear_row(unsigned row, unsigned from)
{
    for (unsigned i = from; i <= HX_EDITOR_COLUMNS; i++)
        strcpy(terminal.cell[row][i], "");
}

static void new_row(void)
{
    terminal.row = (terminal.row + 1) % ROWS;
    clear_row(terminal.row, 0);
}

/* Obeys one escape sequence and returns its length after ESC [. */
static size_t obey_sequence(const char *text)
{
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);
    while (*end == ';')
        (void)strtoul(end + 1, &end, 10);
    if (*end == 'K') {
        clear_row(terminal.row, terminal.column);
    } else if (*end == 'C') {
        cr_assert_gt(number, 0, "ESC [ 0 C moves by one on real terminals");
        terminal.column += (unsigned)number;
    } else if (*end == 'H') {
        terminal.row = terminal.column = 0;
    } else if (*end == 'J') {
        cr_assert_eq(number, 2);
        memset(terminal.cell, 0, sizeof(terminal.cell));
        terminal.clears++;
    } else {
        cr_assert(*end == 'm', "unknown sequence ESC [ %s", text);
    }
    return (size_t)(end + 1 - text);
}

static size_t put_character(const char *text)
{
    size_t bytes = 1;
    while (((uint8_t)text[bytes] & 0xc0) == 0x80)
        bytes++;
    cr_assert_lt(terminal.column, HX_EDITOR_COLUMNS - 1, "the last column must stay free");
    memcpy(terminal.cell[terminal.row][terminal.column], text, bytes);
    terminal.cell[terminal.row][terminal.column][bytes] = '\0';
    terminal.column++;
    return bytes;
}

static void terminal_write(void *context, const char *text, size_t bytes)
{
    char copy[4096];
    cr_assert_eq(context, &terminal);
    cr_assert_lt(bytes, sizeof(copy));
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    terminal.writes++;
    for (size_t i = 0; i < bytes;) {
        switch (copy[i]) {
        case '\r':
            terminal.column = 0;
            i++;
            break;
        case '\n':
            new_row();
            i++;
            break;
        case '\a':
            terminal.bells++;
            i++;
            break;
        case '\033':
            cr_assert_eq(copy[i + 1], '[');
            i += 2 + obey_sequence(copy + i + 2);
            break;
        default:
            cr_assert_geq((uint8_t)copy[i], 0x20, "control character %d", copy[i]);
            i += put_character(copy + i);
            break;
        }
    }
}

static void terminal_complete(void *context, const char *line, size_t word_off, struct hx_editor_matches *matches)
{
    (void)context;
    cr_assert_leq(word_off, strlen(line));
    terminal.completions++;
    for (size_t i = 0; terminal.word[i]; i++)
        hx_editor_offer(matches, terminal.word[i]);
}

static const char *row_text(unsigned row)
{
    static char text[HX_EDITOR_COLUMNS * 4 + 1];
    text[0] = '\0';
    for (unsigned i = 0; i < HX_EDITOR_COLUMNS; i++)
        strcat(text, terminal.cell[row][i][0] ? terminal.cell[row][i] : (terminal.cell[row][i + 1][0] ? " " : ""));
    return text;
}

/* ---- typing --------------------------------------------------------------------------------------------------------- */
static const struct hx_editor_host host = { &terminal, terminal_write, terminal_complete };

static void begin(void)
{
    hx_editor_begin(&editor, "> ", 2);
}

static void setup(void)
{
    memset(&terminal, 0, sizeof(terminal));
    hx_editor_init(&editor, &host);
    begin();
}

/* Types @text and returns the last action. */
static enum hx_editor_action type_bytes(const char *text, size_t bytes)
{
    enum hx_editor_action action = HX_EDITOR_NONE;
    for (size_t i = 0; i < bytes; i++)
        action = hx_editor_byte(&editor, (uint8_t)text[i]);
    return action;
}

static enum hx_editor_action type(const char *text)
{
    return type_bytes(text, strlen(text));
}

static void enter(const char *text)
{
    cr_assert_eq(type(text), HX_EDITOR_NONE);
    cr_assert_eq(type("\r"), HX_EDITOR_LINE);
    cr_assert_str_eq(editor.line, text);
    begin();
}

/* The line, and what a person sees of it, with the cursor @left characters from its end. */
static void expect(const char *line, unsigned left)
{
    char shown[512];
    snprintf(shown, sizeof(shown), "> %s", line);
    cr_assert_str_eq(editor.line, line);
    cr_assert_str_eq(row_text(terminal.row), shown);
    unsigned columns = 2;
    for (const char *c = line; *c; c++)
        columns += ((uint8_t)*c & 0xc0) != 0x80;
    cr_assert_eq(terminal.column, columns - left, "cursor in column %u of %u", terminal.column, columns);
}

TestSuite(line_editor, .init = setup);

/* ---- lines ---------------------------------------------------------------------------------------------------------- */
Test(line_editor, typed_text_is_shown_and_ends_with_cr)
{
    type("lsmod");
    expect("lsmod", 0);
    cr_assert_eq(terminal.writes, 1 + 5, "the end of a line is echoed, not redrawn");
    cr_assert_eq(type("\r"), HX_EDITOR_LINE);
    cr_assert_str_eq(editor.line, "lsmod");
    cr_assert_eq(terminal.column, 0);
    cr_assert_eq(terminal.row, 1);
}

Test(line_editor, cr_lf_and_crlf_are_one_line_each)
{
    cr_assert_eq(type("a\r"), HX_EDITOR_LINE);
    begin();
    cr_assert_eq(type("\n"), HX_EDITOR_NONE, "the LF of CR LF");
    cr_assert_eq(type("b\n"), HX_EDITOR_LINE);
    begin();
    cr_assert_eq(type("\n"), HX_EDITOR_LINE, "a second LF is a line of its own");
    begin();
    cr_assert_eq(type("\r"), HX_EDITOR_LINE);
    begin();
    cr_assert_eq(type("\r"), HX_EDITOR_LINE);
    begin();
    cr_assert_eq(type("c\r"), HX_EDITOR_LINE);
    cr_assert_str_eq(editor.line, "c");
}

Test(line_editor, enter_in_the_middle_takes_the_whole_line)
{
    type("one two\033[D\033[D\033[D");
    cr_assert_eq(type("\r"), HX_EDITOR_LINE);
    cr_assert_str_eq(editor.line, "one two");
}

Test(line_editor, enter_of_an_application_keypad_ends_the_line)
{
    cr_assert_eq(type("x\033OM"), HX_EDITOR_LINE);
}

/* ---- moving --------------------------------------------------------------------------------------------------------- */
Test(line_editor, arrows_move_in_both_forms)
{
    type("abc\033[D\033OD");
    expect("abc", 2);
    type("X\033[C\033OC");
    expect("aXbc", 0);
    type("\033[C");
    expect("aXbc", 0);
}

Test(line_editor, ctrl_b_and_ctrl_f_move_by_characters)
{
    type("abc\002\002");
    expect("abc", 2);
    type("\006");
    expect("abc", 1);
}

Test(line_editor, home_moves_to_the_start_in_every_form)
{
    static const char *const forms[] = { "\001", "\033[H", "\033OH", "\033[1~", "\033[7~" };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        setup();
        type("abc");
        type(forms[i]);
        expect("abc", 3);
    }
}

Test(line_editor, end_moves_to_the_end_in_every_form)
{
    static const char *const forms[] = { "\005", "\033[F", "\033OF", "\033[4~", "\033[8~" };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        setup();
        type("abc\001");
        expect("abc", 3);
        type(forms[i]);
        expect("abc", 0);
    }
}

Test(line_editor, control_arrows_and_meta_keys_move_by_words)
{
    type("one two three\033[1;5D");
    expect("one two three", 5);
    type("\033b");
    expect("one two three", 9);
    type("\033[1;5C");
    expect("one two three", 6);
    type("\033f");
    expect("one two three", 0);
}

Test(line_editor, moving_past_the_ends_stays)
{
    type("\033[D\002\001");
    expect("", 0);
    type("a\033[C\006\005");
    expect("a", 0);
}

/* ---- erasing -------------------------------------------------------------------------------------------------------- */
Test(line_editor, both_backspaces_erase_backwards)
{
    type("abcd\b\177");
    expect("ab", 0);
    type("\001\b");
    expect("ab", 2);
    cr_assert_eq(terminal.bells, 1);
}

Test(line_editor, delete_erases_forwards)
{
    type("abc\001\033[3~");
    expect("bc", 2);
    type("\005\033[3~");
    expect("bc", 0);
    cr_assert_eq(terminal.bells, 1);
}

Test(line_editor, ctrl_d_erases_forwards_and_ends_only_an_empty_line)
{
    type("ab\001");
    cr_assert_eq(type("\004"), HX_EDITOR_NONE);
    expect("b", 1);
    cr_assert_eq(type("\004"), HX_EDITOR_NONE);
    expect("", 0);
    cr_assert_eq(type("\004"), HX_EDITOR_END);
}

Test(line_editor, ctrl_k_erases_to_the_end)
{
    type("one two\001\033[C\033[C\033[C\013");
    expect("one", 0);
}

Test(line_editor, ctrl_u_erases_to_the_start)
{
    type("one two\033[D\033[D\033[D\025");
    expect("two", 3);
}

Test(line_editor, ctrl_w_erases_a_word_and_the_blanks_after_it)
{
    type("one two   \027");
    expect("one ", 0);
    type("\027");
    expect("", 0);
    type("\027");
    expect("", 0);
}

Test(line_editor, ctrl_c_throws_the_line_away)
{
    type("reload sched");
    cr_assert_eq(type("\003"), HX_EDITOR_CANCEL);
    cr_assert_str_eq(row_text(0), "> reload sched^C");
    begin();
    expect("", 0);
    type("\033[A");
    expect("", 0);
    type("reload\033[D\033[D\003"); /* from the middle, without overwriting what stands there */
    cr_assert_str_eq(row_text(1), "> reload^C");
}

Test(line_editor, ctrl_l_clears_the_screen_and_keeps_the_line)
{
    type("one\r");
    begin();
    type("two\033[D\014");
    cr_assert_eq(terminal.clears, 1);
    cr_assert_eq(terminal.row, 0);
    expect("two", 1);
}

/* ---- history -------------------------------------------------------------------------------------------------------- */
Test(line_editor, history_goes_up_and_down_and_keeps_the_draft)
{
    enter("one");
    enter("two");
    type("draft\033[A");
    expect("two", 0);
    type("\020");
    expect("one", 0);
    type("\033OA");
    expect("one", 0);
    cr_assert_eq(terminal.bells, 1, "there is nothing older");
    type("\033[B");
    expect("two", 0);
    type("\016");
    expect("draft", 0);
    type("\033OB");
    expect("draft", 0);
    cr_assert_eq(terminal.bells, 2, "there is nothing newer");
}

Test(line_editor, history_has_no_duplicates_in_a_row_and_no_empty_lines)
{
    enter("one");
    enter("one");
    enter("");
    enter("two");
    enter("one");
    type("\020\020");
    expect("two", 0);
    type("\020");
    expect("one", 0);
    type("\020");
    cr_assert_eq(terminal.bells, 1);
}

Test(line_editor, history_remembers_the_last_32_lines)
{
    char line[32];
    for (int i = 0; i < 40; i++) {
        snprintf(line, sizeof(line), "line %d", i);
        enter(line);
    }
    for (int i = 0; i < 32; i++)
        type("\020");
    cr_assert_eq(terminal.bells, 0);
    expect("line 8", 0);
    type("\020");
    cr_assert_eq(terminal.bells, 1);
    expect("line 8", 0);
}

Test(line_editor, an_edited_history_line_leaves_the_history_as_it_was)
{
    enter("one");
    type("\020\b\bX");
    expect("oX", 0);
    type("\r");
    begin();
    type("\020\020");
    expect("one", 0);
}

/* ---- completion ----------------------------------------------------------------------------------------------------- */
Test(line_editor, tab_completes_the_only_match_with_a_blank)
{
    terminal.word[0] = "lsmod";
    terminal.word[1] = "reload";
    type("ls\t");
    expect("lsmod ", 0);
    type("\t");
    expect("lsmod ", 0);
}

Test(line_editor, tab_goes_as_far_as_the_matches_agree_then_lists_them)
{
    terminal.word[0] = "reload";
    terminal.word[1] = "reloads";
    terminal.word[2] = "rmmod";
    type("re\t");
    expect("reload", 0);
    type("\t");
    cr_assert_str_eq(row_text(terminal.row - 1), "reload              reloads");
    expect("reload", 0);
}

Test(line_editor, tab_without_a_match_rings_the_bell)
{
    terminal.word[0] = "lsmod";
    type("x\t");
    expect("x", 0);
    cr_assert_eq(terminal.bells, 1);
}

Test(line_editor, tab_completes_the_word_before_the_cursor)
{
    terminal.word[0] = "sched_rr";
    type("reload sc\t");
    expect("reload sched_rr ", 0);
    type("\001");
    for (int i = 0; i < 9; i++)
        type("\033[C");
    type("\t");
    cr_assert_str_eq(editor.line, "reload sched_rrhed_rr ");
}

Test(line_editor, tab_leaves_no_blank_after_an_equals_sign)
{
    terminal.word[0] = "quantum_ms=";
    type("q\t");
    expect("quantum_ms=", 0);
}

Test(line_editor, words_that_would_harm_the_terminal_are_not_offered)
{
    terminal.word[0] = "a\033[2J";
    terminal.word[1] = "a b";
    terminal.word[2] = "a\xc2\x9b";
    type("a\t");
    expect("a", 0);
    cr_assert_eq(terminal.bells, 1);
}

Test(line_editor, many_matches_wrap_within_the_screen)
{
    static const char *const words[] = { "name_of_a_file_1", "name_of_a_file_2", "name_of_a_file_3", "name_of_a_file_4",
                                         "name_of_a_file_5" };
    memcpy(terminal.word, words, sizeof(words));
    type("name_of_a_file_\t");
    cr_assert_str_eq(row_text(terminal.row - 1), "name_of_a_file_5");
    expect("name_of_a_file_", 0);
}

Test(line_editor, a_word_of_any_length_may_be_offered)
{
    static char word[400];
    memset(word, 'w', sizeof(word) - 1);
    terminal.word[0] = word;
    terminal.word[1] = "wx";
    type("w\t\t");
    cr_assert_str_eq(editor.line, "w");
    terminal.word[1] = NULL;
    type("\t");
    cr_assert_eq(editor.length, HX_EDITOR_LINE_MAX);
}

/* ---- long lines ----------------------------------------------------------------------------------------------------- */
Test(line_editor, a_line_longer_than_the_screen_scrolls)
{
    char line[HX_EDITOR_LINE_MAX + 1];
    for (size_t i = 0; i < HX_EDITOR_LINE_MAX; i++)
        line[i] = (char)('a' + i % 26);
    line[HX_EDITOR_LINE_MAX] = '\0';
    type(line);
    cr_assert_str_eq(editor.line, line);
    cr_assert_eq(terminal.row, 0, "it stays in its row");
    const char *shown = row_text(0) + 2;
    cr_assert_str_eq(shown, line + HX_EDITOR_LINE_MAX - strlen(shown), "its end is seen");
    type("\001");
    cr_assert_eq(strncmp(row_text(0) + 2, line, HX_EDITOR_COLUMNS - 3), 0, "its start is seen");
    cr_assert_eq(terminal.column, 2);
    type("\005");
    shown = row_text(0) + 2;
    cr_assert_str_eq(shown, line + HX_EDITOR_LINE_MAX - strlen(shown));
}

Test(line_editor, erasing_in_a_scrolled_line_brings_its_start_back)
{
    char line[101];
    memset(line, 'x', 100);
    memcpy(line, "start", 5);
    line[100] = '\0';
    type(line);
    for (int i = 0; i < 60; i++)
        type("\b");
    line[40] = '\0';
    expect(line, 0);
}

Test(line_editor, bytes_beyond_255_are_refused_with_a_bell)
{
    for (int i = 0; i < HX_EDITOR_LINE_MAX; i++)
        type("x");
    cr_assert_eq(terminal.bells, 0);
    type("y\001y");
    cr_assert_eq(terminal.bells, 2);
    cr_assert_eq(editor.length, HX_EDITOR_LINE_MAX);
    cr_assert_null(strchr(editor.line, 'y'));
}

Test(line_editor, a_character_that_fits_only_in_part_is_refused_whole)
{
    for (int i = 0; i < HX_EDITOR_LINE_MAX - 1; i++)
        type("x");
    type("\xc3\xa4");
    cr_assert_eq(terminal.bells, 1);
    cr_assert_eq(editor.length, HX_EDITOR_LINE_MAX - 1);
}

/* ---- UTF-8 ---------------------------------------------------------------------------------------------------------- */
Test(line_editor, characters_of_several_bytes_are_moved_over_and_erased_whole)
{
    type("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"
         "b");
    expect("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"
           "b",
           0);
    type("\033[D\033[D");
    expect("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"
           "b",
           2);
    type("\b");
    expect("a\xc3\xa4\xf0\x9f\x98\x80"
           "b",
           2);
    type("\033[3~");
    expect("a\xc3\xa4"
           "b",
           1);
    type("\b");
    expect("ab", 1);
}

Test(line_editor, malformed_utf8_is_refused_with_a_bell)
{
    static const char *const wrong[] = {
        "\x80",
        "\xff",
        "\xc0\x80",
        "\xc3X",
        "\xe0\x80\x80",
        "\xed\xa0\x80",
        "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80",
        "\xf8\x88\x80\x80\x80",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        setup();
        type(wrong[i]);
        cr_assert_gt(terminal.bells, 0, "case %zu", i);
        type("\005");
        expect(i == 3 ? "X" : "", 0);
    }
}

Test(line_editor, c1_controls_do_not_reach_the_terminal)
{
    type("a\xc2\x9b"
         "2J");
    expect("a2J", 0);
}

Test(line_editor, a_character_cut_short_by_a_key_is_dropped)
{
    type("ab\xe2\x82\033[D");
    expect("ab", 1);
    cr_assert_eq(terminal.bells, 1);
}

/* ---- unknown sequences ---------------------------------------------------------------------------------------------- */
Test(line_editor, unknown_sequences_are_swallowed)
{
    static const char *const sequences[] = {
        "\033[5~",
        "\033[6~",
        "\033[2~",
        "\033[15~",
        "\033[[A",
        "\033OP",
        "\033[1;2P",
        "\033[?25h",
        "\033[>0;1c",
        "\033[12;40R",
        "\033]0;title\a",
        "\033]0;t\033\\",
        "\033P1$r\033\\",
        "\033(B",
        "\033[200~",
        "\033[Z",
        "\033c",
        "\033[1;2;3;4;5D",
        "\033[999999999999999999999~",
        "\033[4294967297~",
        "\033[ q",
    };
    for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        setup();
        type("a");
        type(sequences[i]);
        type("b");
        cr_assert_str_eq(editor.line, "ab", "case %zu: %s", i, sequences[i] + 1);
        expect("ab", 0);
    }
}

Test(line_editor, control_characters_without_meaning_are_ignored)
{
    type_bytes("a\000b", 3);
    type("\007\017\021\022\023\024\026\030\031\032\034\035\036\037");
    expect("ab", 0);
}

Test(line_editor, a_key_that_breaks_a_sequence_counts)
{
    cr_assert_eq(type("a\033[1\r"), HX_EDITOR_LINE);
    begin();
    cr_assert_eq(type("\033]0;endless\r"), HX_EDITOR_LINE);
    begin();
    cr_assert_eq(type("\033\003"), HX_EDITOR_CANCEL);
    begin();
    cr_assert_eq(type("\033]x\033\r"), HX_EDITOR_LINE);
    begin();
    type("ab\033\033[D");
    expect("ab", 1);
    type("\033]x\033[D");
    expect("ab", 2);
}

Test(line_editor, an_endless_control_string_gives_up)
{
    type("\033]");
    for (int i = 0; i < 256; i++)
        type("x");
    type("abc");
    expect("abc", 0);
}

/* ---- output above the line ------------------------------------------------------------------------------------------ */
Test(line_editor, hide_and_show_put_output_above_the_line)
{
    type("reload\033[D\033[D");
    hx_editor_hide(&editor);
    cr_assert_str_eq(row_text(terminal.row), "");
    terminal_write(&terminal, "[1.0] log\r\n", 11);
    hx_editor_show(&editor);
    cr_assert_str_eq(row_text(terminal.row - 1), "[1.0] log");
    expect("reload", 2);
}

Test(line_editor, colours_in_the_prompt_take_no_columns)
{
    hx_editor_begin(&editor, "\033[1;36m> \033[0m", 2);
    new_row();
    type("ab\033[D");
    cr_assert_eq(terminal.column, 3);
}

/* ---- anything ------------------------------------------------------------------------------------------------------- */
static bool is_whole_utf8(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes;) {
        uint8_t lead = (uint8_t)text[i];
        size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
        if (length == 0 || length > bytes - i)
            return false;
        for (size_t k = 1; k < length; k++)
            if (((uint8_t)text[i + k] & 0xc0) != 0x80)
                return false;
        i += length;
    }
    return true;
}

static void check_invariant(void)
{
    cr_assert_leq(editor.length, HX_EDITOR_LINE_MAX);
    cr_assert_leq(editor.cursor, editor.length);
    cr_assert_leq(editor.window_off, editor.cursor);
    cr_assert_eq(strlen(editor.line), editor.length);
    cr_assert(is_whole_utf8(editor.line, editor.length));
    cr_assert(is_whole_utf8(editor.line, editor.cursor));
    cr_assert(is_whole_utf8(editor.line, editor.window_off));
    cr_assert_lt(terminal.column, HX_EDITOR_COLUMNS);
}

Test(line_editor, random_bytes_never_break_it, .timeout = 60)
{
    static const char keys[] =
        "\001\002\004\005\006\010\011\013\014\016\020\025\027\033[OABCDHF~;13478\177\r\xc3\xa4\xe2\x82\xac";
    uint64_t seed = 12345;
    terminal.word[0] = "candidate";
    terminal.word[1] = "candle";
    for (unsigned i = 0; i < 400000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint8_t byte = (uint8_t)(seed >> 40);
        if (seed >> 62 == 0) /* a quarter of the bytes are any, the others mostly keys and text */
            byte = (uint8_t)keys[(seed >> 33) % (sizeof(keys) - 1)];
        else if (seed >> 62 != 1)
            byte = (uint8_t)('a' + (seed >> 33) % 6);
        if (hx_editor_byte(&editor, byte) != HX_EDITOR_NONE)
            begin();
        check_invariant();
    }
}
