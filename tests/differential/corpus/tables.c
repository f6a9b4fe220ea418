/* SPDX-License-Identifier: MIT */
/* tables: pointers to functions, data and strings, forwards and backwards, with addends. */
/* expected: every pointer is relocated, in data and in read-only data. */
extern int outside_function(int);
extern int outside_data[];
extern const char outside_text[];

static int one(int x)
{
    return x + 1;
}
static int two(int x)
{
    return outside_function(x) * 2;
}
static int numbers[64] = { 5 };

int (*const functions[])(int) = { one, two, outside_function };
int (*variable_functions[])(int) = { two, one, outside_function };
int *const ends[] = { numbers, numbers + 64, numbers - 1, outside_data, outside_data + 1000 };
const char *const names[] = { "alpha", "beta" + 1, "gamma", "a tail: gamma", outside_text, outside_text + 3 };
static const void *const chain[] = { &chain[1], &chain[2], &functions[2], 0 };

const void *follow(unsigned i);
const void *follow(unsigned i)
{
    return chain[i & 3];
}
int use(unsigned i, int x);
int use(unsigned i, int x)
{
    numbers[i & 63] += names[i % 6][0] + outside_data[i];
    return functions[i % 3](x) + variable_functions[i % 3](x) + *ends[i % 5];
}
