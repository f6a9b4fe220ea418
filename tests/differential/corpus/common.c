/* SPDX-License-Identifier: MIT */
/* common: variables without a value, which -fcommon makes common symbols; some are aligned, one is declared weak. */
/* expected: each gets zeroed memory of its own, at its alignment. */
int counter;
char bytes[1000];
long long aligned __attribute__((aligned(256)));
double matrix[7][7];
short odd[3];
extern int elsewhere;
int *const addresses[] = { &counter, (int *)&aligned, &elsewhere };
char *middle = bytes + 500;
__attribute__((visibility("hidden"))) int hidden_counter;

int count(int i);
int count(int i)
{
    counter += bytes[i] + odd[i % 3] + hidden_counter;
    aligned += counter + elsewhere;
    matrix[i % 7][1] += i;
    return (int)(aligned + *addresses[i % 3]);
}
