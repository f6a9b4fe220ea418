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

enum { SCROLL_COLUMNS = 16 };

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
    e->overflowed = false;
    if (e->window_off > e->cursor)
        e->window_off = e->cursor;
    draw(e);
}

static void insert(struct hx_editor *e, const char *text, size_t bytes)
{
    if (bytes > HX_EDITOR_LINE_MAX - e->length) {
        e->overflowed = true;
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
    e->overflowed = false;
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
        if (text[i] <= ' ' || text[i] > '~')
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
    move_to(e, e->length); /* the mark goes behind the line, not into it */
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

/* Keys that end the line; the others are done by edit(). */
static enum hx_editor_action finish(struct hx_editor *e, enum hx_key key)
{
    switch (key) {
    case HX_KEY_ENTER: return enter(e);
    case HX_KEY_CANCEL: return cancel(e);
    case HX_KEY_CTRL_D: return e->length == 0 ? HX_EDITOR_END : HX_EDITOR_NONE;
    default: return HX_EDITOR_NONE;
    }
}

static void edit(struct hx_editor *e, enum hx_key key)
{
    switch (key) {
    case HX_KEY_TEXT: insert(e, e->keys.text, e->keys.text_bytes); break;
    case HX_KEY_MALFORMED: bell(e); break;
    case HX_KEY_LEFT: move_to(e, previous_char(e, e->cursor)); break;
    case HX_KEY_RIGHT: move_to(e, next_char(e, e->cursor)); break;
    case HX_KEY_WORD_LEFT: move_to(e, word_start(e, e->cursor)); break;
    case HX_KEY_WORD_RIGHT: move_to(e, word_end(e, e->cursor)); break;
    case HX_KEY_HOME: move_to(e, 0); break;
    case HX_KEY_END: move_to(e, e->length); break;
    case HX_KEY_OLDER: history_older(e); break;
    case HX_KEY_NEWER: history_newer(e); break;
    case HX_KEY_TAB: complete(e); break;
    case HX_KEY_ERASE_BACK: erase_back(e); break;
    case HX_KEY_ERASE_HERE:
    case HX_KEY_CTRL_D: erase_here(e); break;
    case HX_KEY_ERASE_WORD: cut(e, word_start(e, e->cursor), e->cursor); break;
    case HX_KEY_ERASE_TO_START: cut(e, 0, e->cursor); break;
    case HX_KEY_ERASE_TO_END: cut(e, e->cursor, e->length); break;
    case HX_KEY_CLEAR_SCREEN: clear_screen(e); break;
    case HX_KEY_NONE:
    case HX_KEY_ENTER:
    case HX_KEY_CANCEL: break;
    }
}

enum hx_editor_action hx_editor_byte(struct hx_editor *e, uint8_t byte)
{
    enum hx_key key = hx_key_read(&e->keys, byte);
    if (e->keys.cut_short)
        bell(e);
    enum hx_editor_action action = finish(e, key);
    if (action == HX_EDITOR_NONE)
        edit(e, key);
    return action;
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
    e->overflowed = false;
    e->browsing = 0;
    hx_key_reset(&e->keys);
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
