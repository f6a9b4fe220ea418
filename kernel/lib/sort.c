/* SPDX-License-Identifier: MIT */
/*
 * sort.c - heapsort: no memory of its own, and no input that makes it slow.
 *
 * Source: Williams, "Algorithm 232: Heapsort", CACM 7 (1964).
 */
#include "sort.h"

/* @keys[@root + 1 .. @count) is a heap, the largest on top; afterwards it is one from @root on. */
static void sift(uint64_t *keys, size_t root, size_t count)
{
    uint64_t key = keys[root];
    size_t child;

    while ((child = 2 * root + 1) < count) {
        if (child + 1 < count && keys[child] < keys[child + 1])
            child++;
        if (key >= keys[child])
            break;
        keys[root] = keys[child];
        root = child;
    }
    keys[root] = key;
}

void hx_sort_u64(uint64_t *keys, size_t count)
{
    for (size_t root = count / 2; root-- > 0;)
        sift(keys, root, count);
    while (count > 1) {
        uint64_t largest = keys[0];

        count--;
        keys[0] = keys[count];
        keys[count] = largest;
        sift(keys, 0, count);
    }
}
