/* SPDX-License-Identifier: MIT */
/*
 * random.c - SplitMix64: a counter with an odd step, and a mixture of its bits that loses none.
 *
 * Why this one: a word of state, no bad seed, eight instructions a number.
 */
#include "random.h"

#define STEP UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio, odd */

uint64_t hx_random_next(struct hx_random *random)
{
    uint64_t mixed = random->state += STEP;

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

uint32_t hx_random_below(struct hx_random *random, uint32_t bound)
{
    return (uint32_t)((hx_random_next(random) >> 32) * bound >> 32);
}
