/* SPDX-License-Identifier: MIT */
/*
 * nearest.c - see nearest.h. Three rows of the usual table are kept: a swap looks back two.
 */
#include "nearest.h"

#include <string.h>

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t length_of(const char *text)
{
    return (uint32_t)strnlen(text, HX_NEAREST_NAME_MAX);
}

/* One row: the distances of a[0..i) to every b[0..j). Returns the least of them. */
static uint32_t fill_row(uint32_t rows[3][HX_NEAREST_NAME_MAX], const char *a, const char *b, uint32_t i)
{
    uint32_t *row = rows[i % 3];
    const uint32_t *before = rows[(i - 1) % 3], *two_before = rows[(i + 1) % 3];
    uint32_t best = row[0] = i;
    for (uint32_t j = 1; b[j - 1]; j++) {
        row[j] = least(before[j] + 1, row[j - 1] + 1);
        row[j] = least(row[j], before[j - 1] + (a[i - 1] != b[j - 1]));
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
            row[j] = least(row[j], two_before[j - 2] + 1);
        best = least(best, row[j]);
    }
    return best;
}

uint32_t hx_nearest_distance(const char *a, const char *b, uint32_t limit)
{
    uint32_t rows[3][HX_NEAREST_NAME_MAX];
    uint32_t a_length = length_of(a), b_length = length_of(b);
    uint32_t difference = a_length > b_length ? a_length - b_length : b_length - a_length;
    if (a_length == HX_NEAREST_NAME_MAX || b_length == HX_NEAREST_NAME_MAX || difference > limit)
        return limit + 1;
    for (uint32_t j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (uint32_t i = 1; i <= a_length; i++)
        if (fill_row(rows, a, b, i) > limit) /* no later row is better, a swap included */
            return limit + 1;
    return least(rows[a_length % 3][b_length], limit + 1);
}

static uint32_t tolerance(const char *word)
{
    uint32_t edits = length_of(word) / 3;
    return edits == 0 ? 1 : least(edits, 2);
}

void hx_nearest_init(struct hx_nearest *nearest, const char *word)
{
    nearest->word = word;
    nearest->best = tolerance(word) + 1;
    nearest->name[0] = '\0';
}

void hx_nearest_offer(struct hx_nearest *nearest, const char *name)
{
    uint32_t bytes = length_of(name);
    uint32_t distance = hx_nearest_distance(nearest->word, name, tolerance(nearest->word));
    if (distance >= nearest->best || distance >= bytes) /* all replaced is not near */
        return;
    nearest->best = distance;
    memcpy(nearest->name, name, bytes + 1);
}

const char *hx_nearest_name(const struct hx_nearest *nearest)
{
    return nearest->name[0] ? nearest->name : NULL;
}
