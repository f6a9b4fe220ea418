/* SPDX-License-Identifier: MIT */
/* type_words.c - see type_words.h. */
#include "type_words.h"

#include <module/types.h>
#include <stdlib.h>
#include <string.h>

static uint32_t key_of(const char *name)
{
    return hx_types_key(name, strlen(name));
}

uint32_t hx_mp_types_key(const struct hx_mp_type *type)
{
    return key_of(type->name);
}

bool hx_mp_types_add(struct hx_mp_types *types, const char *name, const char *text, uint64_t type)
{
    struct hx_mp_type *larger = realloc(types->type, (types->count + 1) * sizeof(*larger));
    struct hx_mp_type added = { .name = strdup(name), .text = text ? strdup(text) : NULL, .type = type };

    if (larger)
        types->type = larger;
    if (!larger || !added.name || (text && !added.text)) {
        free(added.name);
        free(added.text);
        return false;
    }
    types->type[types->count++] = added;
    return true;
}

static int compare(const void *a, const void *b)
{
    uint32_t left = key_of(((const struct hx_mp_type *)a)->name), right = key_of(((const struct hx_mp_type *)b)->name);

    return left < right ? -1 : left > right;
}

void hx_mp_types_sort(struct hx_mp_types *types)
{
    if (types->count > 0)
        qsort(types->type, types->count, sizeof(types->type[0]), compare);
}

const struct hx_mp_type *hx_mp_types_find(const struct hx_mp_types *types, const char *name)
{
    uint32_t key = key_of(name);

    for (size_t i = 0; i < types->count; i++)
        if (key_of(types->type[i].name) == key)
            return &types->type[i];
    return NULL;
}

void hx_mp_types_free(struct hx_mp_types *types)
{
    for (size_t i = 0; i < types->count; i++) {
        free(types->type[i].name);
        free(types->type[i].text);
    }
    free(types->type);
    *types = (struct hx_mp_types){ 0 };
}

/* ---- where two texts differ ------------------------------------------------------------------------------------------ */
/* A member's line, taken apart; or the first line, whose name is empty. */
struct line {
    char offset[24], bytes[24], name[512], type[2048];
};

static size_t line_bytes(const char *at)
{
    return strcspn(at, "\n");
}

static bool read_member(const char *at, struct line *out)
{
    *out = (struct line){ 0 };
    return sscanf(at, "%23[0-9.] %23[0-9b] %511s %2047[^\n]", out->offset, out->bytes, out->name, out->type) == 4;
}

static const char *next_line(const char *at)
{
    at += line_bytes(at);
    return *at ? at + 1 : at;
}

static bool find_member(const char *text, const char *name, struct line *out)
{
    for (const char *at = next_line(text); *at; at = next_line(at))
        if (read_member(at, out) && strcmp(out->name, name) == 0)
            return true;
    return false;
}

static void say_line(const struct line *line, FILE *to)
{
    fprintf(to, "offset %s, ", line->offset);
    if (strchr(line->bytes, 'b'))
        fprintf(to, "%.*s bits", (int)strcspn(line->bytes, "b"), line->bytes);
    else
        fprintf(to, "%s bytes", line->bytes);
}

/* Of one member, that both have or only one. Returns whether there is a difference. */
static bool say_member(const struct line *mine, const char *here, const struct line *others, const char *there,
                       FILE *to)
{
    bool same_place =
        mine && others && strcmp(mine->offset, others->offset) == 0 && strcmp(mine->bytes, others->bytes) == 0;

    if (same_place && strcmp(mine->type, others->type) == 0)
        return false;
    fprintf(to, "field `%s': ", (mine ? mine : others)->name);
    if (!mine)
        fprintf(to, "none %s; ", here);
    else if (same_place)
        fprintf(to, "%s %s; ", mine->type, here);
    else
        say_line(mine, to), fprintf(to, " %s; ", here);
    if (!others)
        fprintf(to, "none %s", there);
    else if (same_place)
        fprintf(to, "%s %s", others->type, there);
    else
        say_line(others, to), fprintf(to, " %s", there);
    return true;
}

/* The first member of @text, in its order, that @other has not or has otherwise. */
static bool say_members(const char *text, const char *here, const char *other, const char *there, FILE *to)
{
    struct line mine, others;

    for (const char *at = next_line(text); *at; at = next_line(at))
        if (read_member(at, &mine) &&
            say_member(&mine, here, find_member(other, mine.name, &others) ? &others : NULL, there, to))
            return true;
    for (const char *at = next_line(other); *at; at = next_line(at))
        if (read_member(at, &others) && !find_member(text, others.name, &mine) &&
            say_member(NULL, here, &others, there, to))
            return true;
    return false;
}

char *hx_mp_type_difference(const char *text, const char *here, const char *other, const char *there)
{
    char *said = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&said, &bytes);

    if (!to)
        return NULL;
    if (!text || !other)
        fprintf(to, "which part of it is not known without debug information");
    else if (!say_members(text, here, other, there, to))
        fprintf(to, "%.*s %s; %.*s %s", (int)line_bytes(text), text, here, (int)line_bytes(other), other, there);
    if (fclose(to) != 0) {
        free(said);
        return NULL;
    }
    return said;
}
