/* SPDX-License-Identifier: MIT */
/* symbol_file.c - see symbol_file.h. */
#include "symbol_file.h"

#include <stdlib.h>

/* What a line reader knows; the text is cut into strings in place. */
struct reader {
    const char *path;
    struct hx_mp_findings *findings;
    unsigned int line;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next word of @*at, ended by a NUL; NULL: there is none. */
static char *next_word(char **at)
{
    char *word = *at;
    char *end;

    while (is_blank(*word))
        word++;
    for (end = word; *end && !is_blank(*end); end++)
        ;
    *at = *end ? end + 1 : end;
    *end = '\0';
    return *word ? word : NULL;
}

static bool read_value(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    size_t digits = 0;

    if (text[0] != '0' || (text[1] | 0x20) != 'x')
        return false;
    for (text += 2; *text; text++) {
        unsigned int c = (unsigned int)*text | 0x20;
        unsigned int digit = *text >= '0' && *text <= '9' ? (unsigned int)*text - '0' : c - 'a' + 10;

        if (digit > 15 || (digit >= 10 && (c < 'a' || c > 'f')) || value >> 60 != 0)
            return false;
        value = value << 4 | digit;
        digits++;
    }
    *out = value;
    return digits > 0;
}

static bool read_line(struct reader *reader, char *line, struct hx_mp_symbols *out)
{
    struct hx_mp_symbol symbol = { .line = reader->line };
    char *comment = strchr(line, '#');
    char *value;

    if (comment)
        *comment = '\0';
    for (const char *c = line; *c; c++)
        if (((unsigned char)*c < ' ' && !is_blank(*c)) || *c == 0x7f) {
            hx_mp_find(reader->findings, reader->path, "line %u: a control character, 0x%02x; write plain text",
                       reader->line, (unsigned int)(unsigned char)*c);
            return false;
        }
    symbol.name = next_word(&line);
    if (!symbol.name)
        return true;
    value = next_word(&line);
    if (!value || !read_value(value, &symbol.value) || next_word(&line)) {
        hx_mp_find(reader->findings, reader->path,
                   "line %u: `%.64s' is not followed by one 0x hexadecimal value below 2^64; "
                   "write NAME 0xVALUE",
                   reader->line, symbol.name);
        return false;
    }
    out->symbol[out->count++] = symbol;
    return true;
}

static int compare(const void *a, const void *b)
{
    const struct hx_mp_symbol *left = a, *right = b;
    int names = strcmp(left->name, right->name);

    return names ? names : (left->line > right->line) - (left->line < right->line);
}

/* Of a name that comes again the first stays. */
static bool drop_repeated(struct reader *reader, struct hx_mp_symbols *symbols)
{
    size_t kept = 0;

    for (size_t i = 0; i < symbols->count; i++) {
        const struct hx_mp_symbol *symbol = &symbols->symbol[i];
        const struct hx_mp_symbol *first = kept ? &symbols->symbol[kept - 1] : NULL;

        if (!first || strcmp(first->name, symbol->name) != 0) {
            symbols->symbol[kept++] = *symbol;
        } else if (first->value != symbol->value) {
            hx_mp_find_error(reader->findings, HX_E_EXIST, reader->path,
                             "line %u: `%.64s' is 0x%llx here and 0x%llx in line %u; keep one of them", symbol->line,
                             symbol->name, (unsigned long long)symbol->value, (unsigned long long)first->value,
                             first->line);
            return false;
        }
    }
    symbols->count = kept;
    return true;
}

static bool read_lines(struct reader *reader, struct hx_mp_symbols *out, size_t bytes)
{
    char *at = out->text;
    char *end = out->text + bytes;

    while (at < end) {
        char *line_end = memchr(at, '\n', (size_t)(end - at));

        line_end = line_end ? line_end : end;
        reader->line++;
        if (memchr(at, '\0', (size_t)(line_end - at))) {
            hx_mp_find(reader->findings, reader->path, "line %u: a NUL character; write plain text", reader->line);
            return false;
        }
        *line_end = '\0';
        if (!read_line(reader, at, out))
            return false;
        at = line_end + 1;
    }
    return true;
}

static size_t count_lines(struct hx_slice bytes)
{
    size_t count = 1;

    for (size_t i = 0; i < bytes.bytes; i++)
        count += bytes.data[i] == '\n';
    return count;
}

bool hx_mp_symbols_read(struct hx_mp_symbols *out, const char *path, struct hx_slice bytes,
                        struct hx_mp_findings *findings)
{
    struct reader reader = { .path = path, .findings = findings };
    bool ok = false;

    *out = (struct hx_mp_symbols){ .text = malloc(bytes.bytes + 1),
                                   .symbol = calloc(count_lines(bytes), sizeof(*out->symbol)) };
    if (!out->text || !out->symbol) {
        hx_mp_find_error(findings, HX_E_NOMEM, path, "not enough memory: %zu bytes of symbols; free some", bytes.bytes);
        goto out;
    }
    if (bytes.bytes > 0)
        memcpy(out->text, bytes.data, bytes.bytes);
    out->text[bytes.bytes] = '\0';
    if (!read_lines(&reader, out, bytes.bytes))
        goto out;
    if (out->count > 0)
        qsort(out->symbol, out->count, sizeof(out->symbol[0]), compare);
    ok = drop_repeated(&reader, out);
out:
    if (!ok)
        hx_mp_symbols_free(out);
    return ok;
}

const struct hx_mp_symbol *hx_mp_symbols_find(const struct hx_mp_symbols *symbols, const char *name)
{
    size_t low = 0;
    size_t high = symbols->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(symbols->symbol[middle].name, name);

        if (order == 0)
            return &symbols->symbol[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void hx_mp_symbols_free(struct hx_mp_symbols *symbols)
{
    free(symbols->text);
    free(symbols->symbol);
    *symbols = (struct hx_mp_symbols){ 0 };
}
