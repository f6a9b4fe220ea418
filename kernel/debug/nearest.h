/* SPDX-License-Identifier: MIT */
/*
 * nearest.h - which of the known names was probably meant.
 *
 * Measure: edits to get from one to the other, where an edit inserts, deletes or replaces a character or swaps two
 * neighbours, no part being edited twice (optimal string alignment). A name counts as near up to one edit for each three
 * characters typed, two at most.
 * Source: Damerau, "A technique for computer detection and correction of spelling errors", CACM 7 (1964).
 */
#pragma once
#include <helix/types.h>

enum { HX_NEAREST_NAME_MAX = 64 }; /* NUL included; longer names are not compared */

struct hx_nearest {
    const char *word;
    uint32_t best; /* distance of name */
    char name[HX_NEAREST_NAME_MAX];
};

void hx_nearest_init(struct hx_nearest *nearest, const char *word); /* @word: borrowed */
void hx_nearest_offer(struct hx_nearest *nearest, const char *name);
/* The nearest name offered, the first of several, or NULL when none is near. */
const char *hx_nearest_name(const struct hx_nearest *nearest);

/* The number of edits between @a and @b, @limit + 1 when there are more. */
uint32_t hx_nearest_distance(const char *a, const char *b, uint32_t limit);
