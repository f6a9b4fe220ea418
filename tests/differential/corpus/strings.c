/* SPDX-License-Identifier: MIT */
/* strings: constants that a linker may merge: strings of three widths, numbers of three sizes. */
/* expected: the loader leaves them where they are; each is reached in text and in data. */
extern void print(const char *, ...);
extern void measure(double, float, long double);
typedef __CHAR16_TYPE__ char16;
typedef __CHAR32_TYPE__ char32;

const char *greeting = "hello, world";
static const char *const tails[] = { "world", "hello, world" };
const char16 *wide = u"wide";
const char32 *wider = U"wider";

double scale(double x);
double scale(double x)
{
    measure(x * 3.25, (float)x * 2.5f, 1.125L);
    return -x / 7.5;
}
void speak(int i);
void speak(int i)
{
    print("hello, world");
    print("%s %d %s", tails[i & 1], i, greeting);
    print((const char *)wide, wider, __func__);
}
