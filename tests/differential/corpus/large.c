/* SPDX-License-Identifier: MIT */
/* large: arrays that the medium model puts far away, beside small ones; an unaligned pointer. */
/* expected: both kinds are reached; .lbss and .ldata are loaded like others. */
char far_zeroes[100000];
char far_values[70000] = { 1, 2, 3 };
const char far_constants[70000] = { 4, 5, 6 };
static char far_local[90000];
char near_values[10] = { 7 };
extern char far_outside[];
static struct __attribute__((packed)) {
    char one;
    char *pointer;
    short two;
    const char *other;
} packed = { 1, far_zeroes + 99999, 2, far_constants + 1 };

int sum(long i);
int sum(long i)
{
    far_zeroes[i] = near_values[i % 10];
    far_local[i + 5] += far_outside[i];
    return far_zeroes[i] + far_values[i] + far_constants[i] + far_local[i] + *packed.pointer + packed.other[i];
}
