/* SPDX-License-Identifier: MIT */
/*
 * panic.h - the end of a machine that cannot go on: say everything that helps, then stop as the owner asked.
 *
 * Steps, in order: the message and who runs, the registers, the backtrace, the hooks, the end. Each is guarded: a fault or a panic
 * inside a step says so in one line and goes on with the step after it. Everything goes out through the emergency path of
 * the console; nothing here takes a lock, allocates or trusts a pointer that it need not.
 *
 * May be used by: L6 and up. What it needs from above (names of functions, lists of modules and log lines) is bound by the
 * composition root.
 */
#pragma once
#include <helix/types.h>
#include <stdbool.h>

struct hx_trap;

enum hx_panic_end {
    HX_PANIC_HALT, /* stays, so that a debugger finds it */
    HX_PANIC_REBOOT,
    HX_PANIC_EXIT, /* powers off; an emulator's exit device gets HX_PANIC_EXIT_CODE */
};
enum { HX_PANIC_EXIT_CODE = 101 };

enum { HX_PANIC_HOOKS_MAX = 8 };

struct hx_panic_hook {
    const char *name; /* for the line that says that it failed */
    void (*print)(void);
};

struct hx_panic_binding {
    /* "name+0x12/0x40 (module)" of the code address @ip into @text; returns the length, 0 when it is unknown. @is_return: a
     * call comes back there. May be NULL. */
    size_t (*symbolise)(uintptr_t ip, bool is_return, char *text, size_t bytes);
    uint32_t hook_count;
    struct hx_panic_hook hook[HX_PANIC_HOOKS_MAX]; /* run in order */
};

/* Copies @binding. On the boot CPU, once. */
void hx_panic_bind(const struct hx_panic_binding *binding);

/* What follows the dump; HX_PANIC_HALT until set. "halt", "reboot", "exit", as in the boot option panic. HX_E_INVAL. */
void hx_panic_set_end(enum hx_panic_end end);
HX_NODISCARD hx_status_t hx_panic_end_parse(const char *text, enum hx_panic_end *out);

/* @trap: where it happened, or NULL: here. Any context. The first CPU that comes dumps, others stop. */
__attribute__((format(printf, 2, 3))) _Noreturn void hx_panic(const struct hx_trap *trap, const char *format, ...);

/* For hooks: one line, without newline. */
__attribute__((format(printf, 1, 2))) void hx_panic_print(const char *format, ...);
/* Whether a panic has begun. */
int hx_panic_has_begun(void);
