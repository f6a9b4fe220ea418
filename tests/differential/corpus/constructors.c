/* SPDX-License-Identifier: MIT */
/* constructors: functions before and after everything, with and without priorities; sections of a module's own. */
/* expected: arrays of addresses, relocated. */
extern void note(int);

__attribute__((constructor)) static void first(void)
{
    note(1);
}
__attribute__((constructor(500))) static void second(void)
{
    note(2);
}
__attribute__((destructor)) static void last(void)
{
    note(3);
}
__attribute__((destructor(300))) static void before_last(void)
{
    note(4);
}
__attribute__((section(".init.text"), noinline)) void once(void);
__attribute__((section(".init.text"), noinline)) void once(void)
{
    note(5);
}
__attribute__((section(".init.data"))) void (*once_only)(void) = once;
__attribute__((section(".data..ro_after_init"))) void (*settled)(int) = note;
__attribute__((section(".own"), used)) static const struct {
    void (*function)(void);
    const char *name;
} own[] = { { first, "first" }, { last, "last" } };

void run(void);
void run(void)
{
    once_only();
    settled(6);
}
