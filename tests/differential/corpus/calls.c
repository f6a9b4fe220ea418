/* SPDX-License-Identifier: MIT */
/* calls: to functions outside, direct, at the end of a function, through a pointer, and by address in a comparison. */
/* expected: what is too far gets a veneer; addresses are the function's own. */
extern int near_0(int), near_1(int), near_2(int);
extern void end(void) __attribute__((noreturn));

int many(int x);
int many(int x)
{
    int y = near_0(x);
    y += near_1(y) + near_0(y + 1);
    if (y == 5)
        end();
    return y;
}
int tail(int x);
int tail(int x)
{
    return near_2(x + 1);
}
int conditional(int x);
int conditional(int x)
{
    if (x > 3)
        return near_0(x);
    if (x < -3)
        return near_1(x);
    return x;
}
