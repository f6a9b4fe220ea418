/* SPDX-License-Identifier: MIT */
/*
 * random.h - numbers that repeat for one seed: for placing things, never for secrets (one output betrays the next).
 *
 * Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014: SplitMix64.
 */
#pragma once
#include <stdint.h>

struct hx_random {
    uint64_t state; /* any value is a seed */
};

static inline struct hx_random hx_random_of(uint64_t seed)
{
    return (struct hx_random){ .state = seed };
}

uint64_t hx_random_next(struct hx_random *random);
/* Less than @bound, which is not 0; even to within @bound / 2^32. */
uint32_t hx_random_below(struct hx_random *random, uint32_t bound);
