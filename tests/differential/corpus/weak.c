/* SPDX-License-Identifier: MIT */
/* weak: undefined and defined weak symbols, tested and called; an alias. */
/* expected: what nobody provides is 0, in data, in a comparison and through the table. */
extern int absent_function(int) __attribute__((weak));
extern int absent_data __attribute__((weak));
extern int present_function(int) __attribute__((weak));
extern int present_data __attribute__((weak));

int (*const pointers[])(int) = { absent_function, present_function };
int *const data[] = { &absent_data, &present_data };

__attribute__((weak)) int replaceable(int x)
{
    return x * 3;
}
int other_name(int x) __attribute__((alias("replaceable")));
__attribute__((weak)) int weak_variable = 5;

int try_all(int x);
int try_all(int x)
{
    if (absent_function)
        x = absent_function(x);
    if (&absent_data)
        x += absent_data;
    if (present_function)
        x = present_function(x);
    if (&present_data)
        x += present_data;
    return replaceable(x) + other_name(x) + weak_variable + pointers[1](x) + *data[1];
}
