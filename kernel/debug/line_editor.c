/* SPDX-License-Identifier: MIT */
/*
 * line_editor.c - see line_editor.h.
 *
 * Drawing: what is typed at the end of a line that fits is echoed as it is, so that a transcript stays readable; every
 * other change draws the row anew in one piece.
 * Invariant: line[0..length) is well-formed UTF-8, cursor and window_off stand at starts of characters,
 *            window_off <= cursor <= length <= HX_EDITOR_LINE_MAX, line[length] is NUL.
 */
#include "line_editor.h"

#include <lib/fmt.h>
#include <string.h>

enum state {
    GROUND,
    ESCAPE,      /* ESC */
    ESCAPE_MORE, /* ESC and intermediate bytes, a final byte ends it */
    CSI,         /* ESC [ */
    LINUX_KEY,   /* ESC [ [, one byte more: function keys of the Linux console */
    SS3,         /* ESC O */
    STRING,      /* ESC ] and the like, up to BEL or ESC \ */
    STRING_ESCAPE,
    UTF8,
};

enum key {
    KEY_CTRL_A = 0x01,
    KEY_CTRL_B = 0x02,
    KEY_CTRL_C = 0x03,
    KEY_CTRL_D = 0x04,
    KEY_CTRL_E = 0x05,
    KEY_CTRL_F = 0x06,
    KEY_BELL = 0x07,
    KEY_BACKSPACE = 0x08,
    KEY_TAB = 0x09,
    KEY_LF = 0x0a,
    KEY_CTRL_K = 0x0b,
    KEY_CTRL_L = 0x0c,
    KEY_CR = 0x0d,
    KEY_CTRL_N = 0x0e,
    KEY_CTRL_P = 0x10,
    KEY_CTRL_U = 0x15,
    KEY_CTRL_W = 0x17,
    KEY_ESCAPE = 0x1b,
    KEY_DELETE_BACK = 0x7f,
};

enum {
    STRING_MAX = 256,  /* a control string that is longer is none */
    NUMBER_MAX = 9999, /* numbers of control sequences saturate */
    SCROLL_COLUMNS = 16,
};

struct hx_editor_matches {
    const char *word; /* as typed so far */
    size_t word_bytes;
    uint32_t count;
    char common[HX_EDITOR_LINE_MAX + 1]; /* what all matches start with */
    size_t common_bytes;
    struct hx_editor *list; /* second pass: print the matches here */
    size_t list_column;
};

/* ---- characters ----------------------------------------------------------------------------------------------------- */
static bool is_continuation(char byte)
{
    return ((uint8_t)byte & 0xc0) == 0x80;
}

static size_t previous_char(const struct hx_editor *e, size_t off)
{
    if (off > 0)
        off--;
    while (off > 0 && is_continuation(e->line[off]))
        off--;
    return off;
}

static size_t next_char(const struct hx_editor *e, size_t off)
{
    if (off < e->length)
        off++;
    while (off < e->length && is_continuation(e->line[off]))
        off++;
    return off;
}

static uint32_t columns_between(const struct hx_editor *e, size_t from, size_t to)
{
    uint32_t columns = 0;
    for (size_t i = from; i < to; i++)
        columns += !is_continuation(e->line[i]);
    return columns;
}

static size_t word_start(const struct hx_editor *e, size_t off)
{
    while (off > 0 && e->line[off - 1] == ' ')
        off--;
    while (off > 0 && e->line[off - 1] != ' ')
        off--;
    return off;
}

static size_t word_end(const struct hx_editor *e, size_t off)
{
    while (off < e->length && e->line[off] == ' ')
        off++;
    while (off < e->length && e->line[off] != ' ')
        off++;
    return off;
}

/* ---- drawing -------------------------------------------------------------------------------------------------------- */
static void put(struct hx_editor *e, const char *text, size_t bytes)
{
    e->host->write(e->host->context, text, bytes);
}

static void bell(struct hx_editor *e)
{
    put(e, "\a", 1);
}

/* The last column stays free: a terminal that has written it is in a state of its own. */
static uint32_t visible_columns(const struct hx_editor *e)
{
    return HX_EDITOR_COLUMNS - 1 - e->prompt_columns;
}

static void scroll_to_cursor(struct hx_editor *e)
{
    uint32_t visible = visible_columns(e);
    if (columns_between(e, 0, e->length) <= visible)
        e->window_off = 0;
    if (e->cursor <= e->window_off) {
        e->window_off = e->cursor;
        for (uint32_t i = 0; i < SCROLL_COLUMNS; i++)
            e->window_off = previous_char(e, e->window_off);
    }
    if (columns_between(e, e->window_off, e->cursor) > visible) {
        uint32_t over = columns_between(e, e->window_off, e->cursor) - visible + SCROLL_COLUMNS;
        for (uint32_t i = 0; i < over && e->window_off < e->cursor; i++)
            e->window_off = next_char(e, e->window_off);
    }
}

static size_t window_end(const struct hx_editor *e)
{
    size_t end = e->window_off;
    for (uint32_t i = 0; i < visible_columns(e) && end < e->length; i++)
        end = next_char(e, end);
    return end;
}

static void draw(struct hx_editor *e)
{
    char out[HX_EDITOR_PROMPT_MAX + 4 * HX_EDITOR_COLUMNS + 32];
    scroll_to_cursor(e);
    size_t end = window_end(e);
    size_t used = hx_fmt_append(out, sizeof(out), 0, "\r%s%.*s\033[K", e->prompt, (int)(end - e->window_off),
                                e->line + e->window_off);
    uint32_t column = e->prompt_columns + columns_between(e, e->window_off, e->cursor);
    if (e->cursor != end)
        used = hx_fmt_append(out, sizeof(out), used, "\r");
    if (e->cursor != end && column > 0) /* 0 would mean 1 */
        used = hx_fmt_append(out, sizeof(out), used, "\033[%uC", column);
    put(e, out, used);
}

/* ---- changing the line ---------------------------------------------------------------------------------------------- */
static void move_to(struct hx_editor *e, size_t off)
{
    if (off == e->cursor)
        return;
    e->cursor = off;
    draw(e);
}

static void cut(struct hx_editor *e, size_t from, size_t to)
{
    if (from >= to)
        return;
    memmove(e->line + from, e->line + to, e->length - to + 1);
    e->length -= to - from;
    e->cursor = from;
    if (e->window_off > e->cursor)
        e->window_off = e->cursor;
    draw(e);
}

static void insert(struct hx_editor *e, const char *text, size_t bytes)
{
    if (bytes > HX_EDITOR_LINE_MAX - e->length) {
        bell(e);
        return;
    }
    bool at_end = e->cursor == e->length;
    memmove(e->line + e->cursor + bytes, e->line + e->cursor, e->length - e->cursor + 1);
    memcpy(e->line + e->cursor, text, bytes);
    e->length += bytes;
    e->cursor += bytes;
    if (at_end && columns_between(e, e->window_off, e->length) <= visible_columns(e))
        put(e, text, bytes);
    else
        draw(e);
}

static void set_line(struct hx_editor *e, const char *text)
{
    e->length = strnlen(text, HX_EDITOR_LINE_MAX);
    memmove(e->line, text, e->length);
    e->line[e->length] = '\0';
    e->cursor = e->length;
    e->window_off = 0;
    draw(e);
}

static void erase_back(struct hx_editor *e)
{
    if (e->cursor == 0)
        bell(e);
    cut(e, previous_char(e, e->cursor), e->cursor);
}

static void erase_here(struct hx_editor *e)
{
    if (e->cursor == e->length)
        bell(e);
    cut(e, e->cursor, next_char(e, e->cursor));
}

/* ---- history -------------------------------------------------------------------------------------------------------- */
static uint32_t history_count(const struct hx_editor *e)
{
    return e->history_total < HX_EDITOR_HISTORY ? (uint32_t)e->history_total : (uint32_t)HX_EDITOR_HISTORY;
}

/* @age: 1 is the latest. */
static char *history_line(struct hx_editor *e, uint32_t age)
{
    return e->history[(e->history_total - age) % HX_EDITOR_HISTORY];
}

static void history_remember(struct hx_editor *e)
{
    if (e->length == 0 || (e->history_total > 0 && strcmp(history_line(e, 1), e->line) == 0))
        return;
    memcpy(e->history[e->history_total % HX_EDITOR_HISTORY], e->line, e->length + 1);
    e->history_total++;
}

static void history_older(struct hx_editor *e)
{
    if (e->browsing >= history_count(e)) {
        bell(e);
        return;
    }
    if (e->browsing == 0)
        memcpy(e->draft, e->line, e->length + 1);
    e->browsing++;
    set_line(e, history_line(e, e->browsing));
}

static void history_newer(struct hx_editor *e)
{
    if (e->browsing == 0) {
        bell(e);
        return;
    }
    e->browsing--;
    set_line(e, e->browsing ? history_line(e, e->browsing) : e->draft);
}

/* ---- completion ----------------------------------------------------------------------------------------------------- */
/* One more match in the list, in cells of a fixed width. */
static void list_match(struct hx_editor_matches *m, const char *candidate, size_t bytes)
{
    enum { CELL = 20 };
    static const char spaces[CELL + 1] = "                    ";
    if (bytes >= HX_EDITOR_COLUMNS)
        bytes = HX_EDITOR_COLUMNS - 1;
    size_t gap = m->list_column > 0 ? CELL - m->list_column % CELL : 0;
    if (m->list_column + gap + bytes >= HX_EDITOR_COLUMNS) {
        put(m->list, "\r\n", 2);
        m->list_column = gap = 0;
    }
    put(m->list, spaces, gap);
    put(m->list, candidate, bytes);
    m->list_column += gap + bytes;
}

static void narrow_common(struct hx_editor_matches *m, const char *candidate, size_t bytes)
{
    size_t same = 0;
    while (same < m->common_bytes && same < bytes && m->common[same] == candidate[same])
        same++;
    m->common_bytes = same;
}

/* Names of files come from outside: what is not one plain word would break the line or the terminal. */
static bool is_plain_word(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (text[i] <= ' ' || text[i] >= KEY_DELETE_BACK)
            return false;
    return bytes > 0;
}

void hx_editor_offer(struct hx_editor_matches *m, const char *candidate)
{
    size_t bytes = strnlen(candidate, HX_EDITOR_LINE_MAX);
    if (!is_plain_word(candidate, bytes) || bytes < m->word_bytes || memcmp(candidate, m->word, m->word_bytes) != 0)
        return;
    if (m->list) {
        list_match(m, candidate, bytes);
    } else if (m->count == 0) {
        memcpy(m->common, candidate, bytes);
        m->common_bytes = bytes;
    } else {
        narrow_common(m, candidate, bytes);
    }
    m->count++;
}

static void list_matches(struct hx_editor *e, const char *line, size_t word_off, struct hx_editor_matches *m)
{
    m->list = e;
    m->list_column = 0;
    put(e, "\r\n", 2);
    e->host->complete(e->host->context, line, word_off, m);
    put(e, "\r\n", 2);
    draw(e);
}

static void complete(struct hx_editor *e)
{
    if (!e->host->complete) {
        bell(e);
        return;
    }
    char line[HX_EDITOR_LINE_MAX + 1];
    memcpy(line, e->line, e->cursor);
    line[e->cursor] = '\0';
    size_t word_off = e->cursor;
    while (word_off > 0 && line[word_off - 1] != ' ')
        word_off--;
    struct hx_editor_matches m = { .word = line + word_off, .word_bytes = e->cursor - word_off };
    e->host->complete(e->host->context, line, word_off, &m);

    if (m.count == 0)
        bell(e);
    else if (m.count > 1 && m.common_bytes <= m.word_bytes)
        list_matches(e, line, word_off, &m);
    else if (m.common_bytes > m.word_bytes)
        insert(e, m.common + m.word_bytes, m.common_bytes - m.word_bytes);
    bool ends_open = m.common_bytes > 0 && m.common[m.common_bytes - 1] == '=';
    if (m.count == 1 && e->cursor == e->length && !ends_open)
        insert(e, " ", 1);
}

/* ---- keys ----------------------------------------------------------------------------------------------------------- */
static enum hx_editor_action enter(struct hx_editor *e)
{
    history_remember(e);
    put(e, "\r\n", 2);
    return HX_EDITOR_LINE;
}

static enum hx_editor_action cancel(struct hx_editor *e)
{
    uint32_t column = e->prompt_columns + columns_between(e, e->window_off, e->cursor);
    if (column + 2 < HX_EDITOR_COLUMNS)
        put(e, "^C", 2);
    put(e, "\r\n", 2);
    e->length = e->cursor = e->window_off = 0;
    e->line[0] = '\0';
    return HX_EDITOR_CANCEL;
}

static void clear_screen(struct hx_editor *e)
{
    put(e, "\033[H\033[2J", 7);
    draw(e);
}

static enum hx_editor_action control_key(struct hx_editor *e, uint8_t byte)
{
    switch (byte) {
    case KEY_CTRL_A: move_to(e, 0); break;
    case KEY_CTRL_B: move_to(e, previous_char(e, e->cursor)); break;
    case KEY_CTRL_C: return cancel(e);
    case KEY_CTRL_D:
        if (e->length == 0)
            return HX_EDITOR_END;
        erase_here(e);
        break;
    case KEY_CTRL_E: move_to(e, e->length); break;
    case KEY_CTRL_F: move_to(e, next_char(e, e->cursor)); break;
    case KEY_BACKSPACE:
    case KEY_DELETE_BACK: erase_back(e); break;
    case KEY_TAB: complete(e); break;
    case KEY_LF:
    case KEY_CR: return enter(e);
    case KEY_CTRL_K: cut(e, e->cursor, e->length); break;
    case KEY_CTRL_L: clear_screen(e); break;
    case KEY_CTRL_N: history_newer(e); break;
    case KEY_CTRL_P: history_older(e); break;
    case KEY_CTRL_U: cut(e, 0, e->cursor); break;
    case KEY_CTRL_W: cut(e, word_start(e, e->cursor), e->cursor); break;
    case KEY_ESCAPE: e->state = ESCAPE; break;
    default: break;
    }
    return HX_EDITOR_NONE;
}

/* The keys whose sequences end in a letter: ESC [ x and ESC O x. */
static void letter_key(struct hx_editor *e, uint8_t byte, bool by_word)
{
    switch (byte) {
    case 'A': history_older(e); break;
    case 'B': history_newer(e); break;
    case 'C': move_to(e, by_word ? word_end(e, e->cursor) : next_char(e, e->cursor)); break;
    case 'D': move_to(e, by_word ? word_start(e, e->cursor) : previous_char(e, e->cursor)); break;
    case 'H': move_to(e, 0); break;
    case 'F': move_to(e, e->length); break;
    default: break;
    }
}

/* ESC [ n ~: the forms of xterm, the Linux console and rxvt. */
static void numbered_key(struct hx_editor *e, uint32_t number)
{
    switch (number) {
    case 1:
    case 7: move_to(e, 0); break;
    case 3: erase_here(e); break;
    case 4:
    case 8: move_to(e, e->length); break;
    default: break;
    }
}

static void csi_end(struct hx_editor *e, uint8_t byte)
{
    if (e->unknown)
        return;
    bool with_control = e->number[1] == 5 || e->number[0] == 5;
    if (byte == '~')
        numbered_key(e, e->number[0]);
    else
        letter_key(e, byte, with_control);
}

/* ---- the input parser ----------------------------------------------------------------------------------------------- */
static void sequence_begin(struct hx_editor *e, enum state state)
{
    e->state = (uint8_t)state;
    e->unknown = false;
    e->number[0] = e->number[1] = 0;
    e->number_index = 0;
    e->string_bytes = 0;
}

static void sequence_digit(struct hx_editor *e, uint8_t byte)
{
    uint32_t *number = &e->number[e->number_index];
    *number = *number * 10 + (uint32_t)(byte - '0');
    if (*number > NUMBER_MAX)
        *number = NUMBER_MAX;
}

static void take_escape(struct hx_editor *e, uint8_t byte)
{
    e->state = GROUND;
    switch (byte) {
    case '[': sequence_begin(e, CSI); break;
    case 'O': sequence_begin(e, SS3); break;
    case ']':
    case 'P':
    case 'X':
    case '^':
    case '_': sequence_begin(e, STRING); break;
    case 'b': move_to(e, word_start(e, e->cursor)); break;
    case 'f': move_to(e, word_end(e, e->cursor)); break;
    default:
        if (byte >= 0x20 && byte <= 0x2f)
            e->state = ESCAPE_MORE;
        break;
    }
}

static void take_csi(struct hx_editor *e, uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        sequence_digit(e, byte);
    } else if (byte == ';') {
        e->unknown |= e->number_index == 1;
        e->number_index = 1;
    } else if (byte == '[') {
        e->state = LINUX_KEY;
    } else if (byte < 0x40) {
        e->unknown = true;
    } else {
        e->state = GROUND;
        csi_end(e, byte);
    }
}

static enum hx_editor_action take_ss3(struct hx_editor *e, uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        sequence_digit(e, byte);
        return HX_EDITOR_NONE;
    }
    e->state = GROUND;
    if (byte == 'M') /* Enter of a keypad in application mode */
        return enter(e);
    letter_key(e, byte, e->number[0] == 5);
    return HX_EDITOR_NONE;
}

static void take_string(struct hx_editor *e, uint8_t byte)
{
    if (byte == KEY_BELL || ++e->string_bytes >= STRING_MAX)
        e->state = GROUND;
}

/* How many bytes a character has that starts with @lead; 0: none starts so. */
static uint8_t utf8_length(uint8_t lead)
{
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/* Second bytes are restricted: no overlong forms, surrogates, numbers past U+10FFFF, nor C1 controls, which terminals obey. */
static bool utf8_fits(const struct hx_editor *e, uint8_t byte)
{
    if ((byte & 0xc0) != 0x80)
        return false;
    if (e->utf8_have != 1)
        return true;
    switch ((uint8_t)e->utf8[0]) {
    case 0xc2: return byte >= 0xa0;
    case 0xe0: return byte >= 0xa0;
    case 0xed: return byte <= 0x9f;
    case 0xf0: return byte >= 0x90;
    case 0xf4: return byte <= 0x8f;
    default: return true;
    }
}

static void take_utf8(struct hx_editor *e, uint8_t byte)
{
    e->utf8[e->utf8_have++] = (char)byte;
    if (e->utf8_have < e->utf8_need)
        return;
    e->state = GROUND;
    insert(e, e->utf8, e->utf8_need);
}

static enum hx_editor_action take_ground(struct hx_editor *e, uint8_t byte)
{
    if (byte < 0x20 || byte == KEY_DELETE_BACK)
        return control_key(e, byte);
    if (byte < 0x80) {
        char text = (char)byte;
        insert(e, &text, 1);
    } else if (utf8_length(byte)) {
        e->utf8[0] = (char)byte;
        e->utf8_have = 1;
        e->utf8_need = utf8_length(byte);
        e->state = UTF8;
    } else {
        bell(e);
    }
    return HX_EDITOR_NONE;
}

/* Whether @byte cannot belong to the sequence that is being read, so that it ends unfinished and the byte counts anew. */
static bool breaks_sequence(const struct hx_editor *e, uint8_t byte)
{
    switch (e->state) {
    case GROUND: return false;
    case UTF8: return !utf8_fits(e, byte);
    case STRING: return byte < 0x20 && byte != KEY_BELL && byte != KEY_ESCAPE;
    case STRING_ESCAPE: return byte != '\\';
    default: return byte < 0x20 || byte >= 0x7f;
    }
}

static void break_sequence(struct hx_editor *e)
{
    if (e->state == UTF8)
        bell(e);
    e->state = e->state == STRING_ESCAPE ? ESCAPE : GROUND;
}

static enum hx_editor_action take(struct hx_editor *e, uint8_t byte)
{
    switch (e->state) {
    case ESCAPE: take_escape(e, byte); break;
    case ESCAPE_MORE: e->state = byte >= 0x30 ? GROUND : ESCAPE_MORE; break;
    case CSI: take_csi(e, byte); break;
    case LINUX_KEY:
    case STRING_ESCAPE: e->state = GROUND; break;
    case SS3: return take_ss3(e, byte);
    case STRING:
        if (byte == KEY_ESCAPE)
            e->state = STRING_ESCAPE;
        else
            take_string(e, byte);
        break;
    case UTF8: take_utf8(e, byte); break;
    default: return take_ground(e, byte);
    }
    return HX_EDITOR_NONE;
}

enum hx_editor_action hx_editor_byte(struct hx_editor *e, uint8_t byte)
{
    bool joined = byte == KEY_LF && e->after_cr;
    e->after_cr = byte == KEY_CR;
    if (joined)
        return HX_EDITOR_NONE;
    /* A broken control string first becomes a new ESC, which the byte may break in turn. */
    for (int i = 0; i < 2 && breaks_sequence(e, byte); i++)
        break_sequence(e);
    return take(e, byte);
}

/* ---- outside -------------------------------------------------------------------------------------------------------- */
void hx_editor_init(struct hx_editor *e, const struct hx_editor_host *host)
{
    memset(e, 0, sizeof(*e));
    e->host = host;
}

void hx_editor_begin(struct hx_editor *e, const char *prompt, uint32_t columns)
{
    hx_fmt(e->prompt, sizeof(e->prompt), "%s", prompt);
    e->prompt_columns = columns < HX_EDITOR_COLUMNS / 2 ? columns : HX_EDITOR_COLUMNS / 2;
    e->length = e->cursor = e->window_off = 0;
    e->line[0] = '\0';
    e->browsing = 0;
    e->state = GROUND;
    put(e, e->prompt, strlen(e->prompt));
}

void hx_editor_hide(struct hx_editor *e)
{
    put(e, "\r\033[K", 4);
}

void hx_editor_show(struct hx_editor *e)
{
    draw(e);
}
