/* SPDX-License-Identifier: MIT */
/* test_panic.c - the order of the dump, and that nothing that goes wrong in it stops it. */
#include <orchestrator/panic.h>
#include <task/task.h>

#include "../host/hal_host.h"
#include <criterion/criterion.h>
#include <setjmp.h>
#include <string.h>

static sigjmp_buf ended;
static enum hal_host_end end_how;
static uint32_t end_code;

static void on_end(enum hal_host_end how, uint32_t code)
{
    end_how = how;
    end_code = code;
    siglongjmp(ended, 1);
}

static void setup(void)
{
    hal_host_init();
    hal_host_on_end = on_end;
}

TestSuite(panic, .init = setup);

static size_t symbolise(uintptr_t ip, bool is_return, char *text, size_t bytes)
{
    (void)ip, (void)is_return;
    strncpy(text, "named", bytes);
    return 5;
}

static void hook_one(void)
{
    hx_panic_print("hook one");
}

static void hook_two(void)
{
    hx_panic_print("hook two");
}

static void hook_that_panics(void)
{
    hx_panic_print("before");
    hx_panic(NULL, "inner %d", 1);
}

static void hook_that_faults(void)
{
    *(volatile int *)8 = 1;
}

static void panic_on_trap(struct hx_trap *trap)
{
    hx_panic(trap, "a fault");
}

static void bind_hooks(uint32_t count, struct hx_panic_hook a, struct hx_panic_hook b, struct hx_panic_hook c)
{
    struct hx_panic_binding binding = { .symbolise = symbolise, .hook_count = count, .hook = { a, b, c } };
    hx_panic_bind(&binding);
}

/* Whether @texts, ended by NULL, stand in the console's output in this order. */
static void expect_in_order(const char *const *texts)
{
    const char *at = hal_host_console();
    for (; *texts; texts++) {
        const char *found = strstr(at, *texts);
        cr_assert_not_null(found, "`%s' is missing after `%.80s' in: %s", *texts, at, hal_host_console());
        at = found + strlen(*texts);
    }
}

#define EXPECT_IN_ORDER(...) expect_in_order((const char *const[]){ __VA_ARGS__, NULL })

/* Runs a panic to its end. */
#define PANIC(trap, ...)                                                                                               \
    do {                                                                                                               \
        if (!sigsetjmp(ended, 1))                                                                                      \
            hx_panic((trap), __VA_ARGS__);                                                                             \
    } while (0)

Test(panic, message_backtrace_hooks_and_end_come_in_order)
{
    bind_hooks(2, (struct hx_panic_hook){ "one", hook_one }, (struct hx_panic_hook){ "two", hook_two },
               (struct hx_panic_hook){ NULL, NULL });
    cr_assert_not(hx_panic_has_begun());
    PANIC(NULL, "out of %s", "luck");
    EXPECT_IN_ORDER("panic: out of luck\r\n", "backtrace", " named\r\n", "hook one\r\n", "hook two\r\n",
                    "panic: halted\r\n");
    cr_assert_eq(end_how, HAL_HOST_HALT);
    cr_assert(hx_panic_has_begun());
    cr_assert_not(hx_irq_enabled());
}

Test(panic, it_names_the_task_and_the_cpu)
{
    static struct hx_task task = { .name = "a_task_of_thirty_one_characters" };
    hx_cpu_write(current, &task);
    hx_cpu_write(irq_depth, 1);
    PANIC(NULL, "out of luck");
    EXPECT_IN_ORDER("panic: out of luck\r\n",
                    "panic: in task a_task_of_thirty_one_characters on CPU 0, in an interrupt\r\n", "backtrace");
}

Test(panic, before_there_are_tasks_it_names_none)
{
    PANIC(NULL, "out of luck");
    EXPECT_IN_ORDER("panic: in task (none) on CPU 0\r\n", "backtrace");
}

Test(panic, it_exits_with_its_own_code_when_asked_to)
{
    hx_panic_set_end(HX_PANIC_EXIT);
    PANIC(NULL, "x");
    cr_assert_eq(end_how, HAL_HOST_POWEROFF);
    cr_assert_eq(end_code, 101);
}

Test(panic, it_reboots_when_asked_to)
{
    hx_panic_set_end(HX_PANIC_REBOOT);
    PANIC(NULL, "x");
    cr_assert_eq(end_how, HAL_HOST_REBOOT);
}

Test(panic, a_hook_that_panics_is_left_behind)
{
    bind_hooks(3, (struct hx_panic_hook){ "one", hook_one }, (struct hx_panic_hook){ "bad", hook_that_panics },
               (struct hx_panic_hook){ "two", hook_two });
    PANIC(NULL, "outer");
    EXPECT_IN_ORDER("panic: outer", "hook one", "before", "failed in step `bad'", "inner 1", "hook two",
                    "panic: halted");
}

Test(panic, a_hook_that_faults_is_left_behind)
{
    hal_host_on_trap = panic_on_trap;
    bind_hooks(3, (struct hx_panic_hook){ "bad", hook_that_faults }, (struct hx_panic_hook){ "one", hook_one },
               (struct hx_panic_hook){ "worse", hook_that_faults });
    PANIC(NULL, "outer");
    EXPECT_IN_ORDER("panic: outer", "failed in step `bad'", "a fault", "hook one", "failed in step `worse'", "a fault",
                    "panic: halted");
}

static size_t symbolise_badly(uintptr_t ip, bool is_return, char *text, size_t bytes)
{
    (void)ip, (void)is_return;
    (void)text;
    (void)bytes;
    hook_that_faults();
    return 0;
}

Test(panic, a_backtrace_that_faults_is_left_behind)
{
    hal_host_on_trap = panic_on_trap;
    struct hx_panic_binding binding = { .symbolise = symbolise_badly,
                                        .hook_count = 1,
                                        .hook = { { "one", hook_one } } };
    hx_panic_bind(&binding);
    PANIC(NULL, "outer");
    EXPECT_IN_ORDER("failed in step `backtrace'", "hook one", "panic: halted");
}

static void end_that_panics(enum hal_host_end how, uint32_t code)
{
    if (how != HAL_HOST_HALT)
        hx_panic(NULL, "the end failed");
    on_end(how, code);
}

Test(panic, an_end_that_fails_halts)
{
    hal_host_on_end = end_that_panics;
    hx_panic_set_end(HX_PANIC_EXIT);
    PANIC(NULL, "outer");
    EXPECT_IN_ORDER("powering off", "failed in step `end'", "the end failed");
    cr_assert_eq(end_how, HAL_HOST_HALT);
}

Test(panic, registers_are_dumped_when_there_is_a_trap)
{
    hal_host_on_trap = panic_on_trap;
    if (!sigsetjmp(ended, 1))
        hook_that_faults();
    EXPECT_IN_ORDER("panic: a fault", "rip", "backtrace");
}

Test(panic, without_a_trap_the_registers_of_the_call_are_dumped)
{
    hal_host_on_trap = panic_on_trap;
    PANIC(NULL, "outer");
    EXPECT_IN_ORDER("panic: outer", "rip", "rsp", "backtrace", "halted");
    cr_assert_null(strstr(hal_host_console(), "failed in step"));
}

static bool trap_is_broken;

static void panic_without_trap(struct hx_trap *trap)
{
    (void)trap;
    trap_is_broken = true;
    hx_panic(NULL, "another thing");
}

Test(panic, registers_that_cannot_be_captured_are_left_out)
{
    hal_host_on_trap = panic_without_trap;
    PANIC(NULL, "outer");
    cr_assert(trap_is_broken);
    EXPECT_IN_ORDER("panic: outer", "failed in step `registers'", "another thing", "backtrace", "halted");
}

Test(panic, more_hooks_than_fit_are_cut)
{
    struct hx_panic_binding binding = { .hook_count = 1000 };
    for (int i = 0; i < HX_PANIC_HOOKS_MAX; i++)
        binding.hook[i] = (struct hx_panic_hook){ "one", hook_one };
    hx_panic_bind(&binding);
    hal_host_on_end = end_that_panics;
    hx_panic_set_end(HX_PANIC_EXIT);
    PANIC(NULL, "x");
    EXPECT_IN_ORDER("hook one", "hook one", "hook one", "hook one", "hook one", "hook one", "hook one", "hook one",
                    "failed in step `end'", "the end failed");
}

static void hook_with_a_long_line(void)
{
    char text[1000];
    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    hx_panic_print("%s", text);
}

Test(panic, a_long_line_of_a_hook_is_cut)
{
    bind_hooks(2, (struct hx_panic_hook){ "long", hook_with_a_long_line }, (struct hx_panic_hook){ "one", hook_one },
               (struct hx_panic_hook){ NULL, NULL });
    PANIC(NULL, "x");
    EXPECT_IN_ORDER("yyy", "y\r\nhook one\r\n");
}

Test(panic, a_long_message_is_cut)
{
    char text[1000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    PANIC(NULL, "%s", text);
    EXPECT_IN_ORDER("panic: xxxx", "x\r\n", "backtrace");
}

Test(panic, ends_have_names)
{
    enum hx_panic_end end = HX_PANIC_HALT;
    cr_assert_eq(hx_panic_end_parse("exit", &end), HX_OK);
    cr_assert_eq(end, HX_PANIC_EXIT);
    cr_assert_eq(hx_panic_end_parse("reboot", &end), HX_OK);
    cr_assert_eq(end, HX_PANIC_REBOOT);
    cr_assert_eq(hx_panic_end_parse("halt", &end), HX_OK);
    cr_assert_eq(end, HX_PANIC_HALT);
    cr_assert_eq(hx_panic_end_parse("explode", &end), HX_E_INVAL);
}
