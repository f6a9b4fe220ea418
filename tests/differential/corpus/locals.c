/* SPDX-License-Identifier: MIT */
/* locals: static variables in functions, hidden and protected symbols, local calls, thread-free atomics, builtins. */
/* expected: calls stay inside; data is reached through section symbols with addends. */
extern void *memcpy(void *, const void *, __SIZE_TYPE__);
extern void *memset(void *, int, __SIZE_TYPE__);
struct big {
    long word[200];
};
__attribute__((visibility("hidden"))) extern int hidden_outside;
__attribute__((visibility("protected"))) int protected_here = 7;
static struct big saved;

__attribute__((noinline)) static int next(void)
{
    static int count = 100;
    static int uncounted;
    uncounted++;
    return count++ + uncounted;
}
__attribute__((noinline, visibility("hidden"))) int hidden_here(int x)
{
    static const int squares[] = { 0, 1, 4, 9, 16, 25, 36, 49 };
    return squares[x & 7] + next();
}
struct big copy(struct big in);
struct big copy(struct big in)
{
    struct big out = in;
    memset(&saved, 0, sizeof(saved));
    memcpy(&saved.word[20], &in, sizeof(in) - 20 * sizeof(long));
    out.word[3] += hidden_here(3) + hidden_outside + protected_here;
    __atomic_fetch_add(&saved.word[1], 1, __ATOMIC_SEQ_CST);
    return out;
}
long *address(int i);
long *address(int i)
{
    return i ? &saved.word[199] : &saved.word[i];
}
