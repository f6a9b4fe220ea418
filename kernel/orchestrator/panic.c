/* SPDX-License-Identifier: MIT */
/*
 * panic.c - see panic.h.
 *
 * How the guard works: the number of the step that runs stands in memory. Whatever goes wrong in it ends in hx_panic()
 * again, by way of the trap handler, and that call goes on with the next number. It runs deeper on the same stack and
 * never returns to the broken step; as there are few steps, the depth is bounded. A step that comes round for the end
 * itself halts.
 * Buffers are static: a stack that overflowed is a likely reason to be here.
 */
#include "panic.h"

#include <hal/hx_hal.h>
#include <lib/fmt.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <task/task.h>

enum step {
    STEP_NONE,
    STEP_MESSAGE,
    STEP_REGISTERS,
    STEP_BACKTRACE,
    STEP_HOOKS, /* one each */
    STEP_END = STEP_HOOKS + HX_PANIC_HOOKS_MAX,
    STEP_HALT,
};

enum { BACKTRACE_MAX = 32, NOBODY = 0 };

static struct {
    struct hx_panic_binding binding;
    enum hx_panic_end end;
    _Atomic uint32_t cpu; /* that dumps: its id + 1, or NOBODY */
    uint32_t step;        /* enum step; only that CPU touches it and what follows */
    const struct hx_trap *trap;
    bool is_capturing; /* registers, by a trap of our own */
    char text[256];
    char line[320];
    char registers[2048];
    uintptr_t ip[BACKTRACE_MAX];
} panic;

/* ---- output --------------------------------------------------------------------------------------------------------- */
static void print_v(const char *format, va_list arguments)
{
    size_t used = hx_fmt_v(panic.line, sizeof(panic.line) - 2, format, arguments);
    if (used > sizeof(panic.line) - 3)
        used = sizeof(panic.line) - 3;
    memcpy(panic.line + used, "\r\n", 2);
    hx_hal_console_emergency(panic.line, used + 2);
}

void hx_panic_print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_v(format, arguments);
    va_end(arguments);
}

/* Prints @text, a line at a time. */
static void print_lines(const char *text, size_t bytes)
{
    size_t start = 0;
    for (size_t i = 0; i <= bytes; i++) {
        if (i < bytes && text[i] != '\n')
            continue;
        if (i > start)
            hx_panic_print("%.*s", (int)(i - start), text + start);
        start = i + 1;
    }
}

/* ---- steps ---------------------------------------------------------------------------------------------------------- */
static void print_message(void)
{
    hx_hal_console_emergency("\r\n", 2);
    hx_panic_print("panic: %s", panic.text);
    const struct hx_task *task = hx_task_current();
    hx_panic_print("panic: in task %.*s on CPU %u%s", HX_NAME_MAX, task ? task->name : "(none)", hx_cpu_read(id),
                   hx_cpu_read(irq_depth) ? ", in an interrupt" : "");
}

/* Without a trap there are no registers, so one is taken: it comes back through hx_panic(), to the same step. */
static void print_registers(void)
{
    if (!panic.trap && !panic.is_capturing) {
        panic.is_capturing = true;
        __builtin_trap();
    }
    if (!panic.trap)
        return;
    size_t used = hx_hal_trap_registers(panic.trap, panic.registers, sizeof(panic.registers));
    if (used > sizeof(panic.registers))
        used = sizeof(panic.registers);
    print_lines(panic.registers, used);
}

static void print_backtrace(void)
{
    size_t count = hx_hal_backtrace(panic.trap, panic.ip, BACKTRACE_MAX);
    hx_panic_print("backtrace, innermost first:");
    for (size_t i = 0; i < count && i < BACKTRACE_MAX; i++) {
        panic.text[0] = '\0';
        bool is_return = i > 0 || !panic.trap;
        size_t named = 0;
        if (panic.binding.symbolise)
            named = panic.binding.symbolise(panic.ip[i], is_return, panic.text, sizeof(panic.text));
        hx_panic_print("  #%zu 0x%016llx %s", i, (unsigned long long)panic.ip[i], named ? panic.text : "?");
    }
}

static void run_hook(uint32_t index)
{
    if (index < panic.binding.hook_count)
        panic.binding.hook[index].print();
}

static void end_machine(void)
{
    switch (panic.end) {
    case HX_PANIC_REBOOT: hx_panic_print("panic: rebooting"); hx_hal_reboot();
    case HX_PANIC_EXIT:
        hx_panic_print("panic: powering off with code %d", HX_PANIC_EXIT_CODE);
        hx_hal_poweroff(HX_PANIC_EXIT_CODE);
    case HX_PANIC_HALT: break;
    }
    hx_panic_print("panic: halted");
    hx_hal_halt();
}

static void run_step(uint32_t step)
{
    switch (step) {
    case STEP_MESSAGE: print_message(); break;
    case STEP_REGISTERS: print_registers(); break;
    case STEP_BACKTRACE: print_backtrace(); break;
    case STEP_END: end_machine(); break;
    default: run_hook(step - STEP_HOOKS); break;
    }
}

static const char *step_name(uint32_t step)
{
    static const char *const names[] = { "start", "message", "registers", "backtrace" };
    if (step < STEP_HOOKS)
        return names[step];
    uint32_t hook = step - STEP_HOOKS;
    return hook < panic.binding.hook_count && panic.binding.hook[hook].name ? panic.binding.hook[hook].name : "end";
}

/* ---- the way through them ------------------------------------------------------------------------------------------- */
/* Whether this CPU is the one that dumps; the first that asks is. */
static bool is_ours(void)
{
    uint32_t self = hx_cpu_read(id) + 1;
    uint32_t nobody = NOBODY;
    return atomic_compare_exchange_strong(&panic.cpu, &nobody, self) || nobody == self;
}

/* The first panic is what everything is about; a later one is that a step failed, or the trap that registers asked for. */
static bool is_capture(const struct hx_trap *trap)
{
    return panic.step == STEP_REGISTERS && panic.is_capturing && !panic.trap && trap;
}

static void note_failed_step(const char *format, va_list arguments)
{
    uint32_t failed = panic.step;
    panic.step++; /* before anything that can fail in turn */
    hx_panic_print("panic: the dump failed in step `%s' and goes on after it", step_name(failed));
    print_v(format, arguments);
}

_Noreturn void hx_panic(const struct hx_trap *trap, const char *format, ...)
{
    hx_irq_disable();
    if (!is_ours() || panic.step >= STEP_HALT)
        hx_hal_halt();
    hx_hal_cpu_stop_others(); /* nobody changes or says anything meanwhile */

    va_list arguments;
    va_start(arguments, format);
    if (panic.step == STEP_NONE) {
        panic.step = STEP_MESSAGE;
        panic.trap = trap;
        hx_fmt_v(panic.text, sizeof(panic.text), format, arguments);
    } else if (is_capture(trap)) {
        panic.trap = trap;
    } else {
        note_failed_step(format, arguments);
    }
    va_end(arguments);

    for (; panic.step < STEP_HALT; panic.step++)
        run_step(panic.step);
    hx_hal_halt();
}

/* ---- binding -------------------------------------------------------------------------------------------------------- */
void hx_panic_bind(const struct hx_panic_binding *binding)
{
    panic.binding = *binding;
    if (panic.binding.hook_count > HX_PANIC_HOOKS_MAX)
        panic.binding.hook_count = HX_PANIC_HOOKS_MAX;
}

void hx_panic_set_end(enum hx_panic_end end)
{
    panic.end = end;
}

hx_status_t hx_panic_end_parse(const char *text, enum hx_panic_end *out)
{
    static const char *const names[] = {
        [HX_PANIC_HALT] = "halt",
        [HX_PANIC_REBOOT] = "reboot",
        [HX_PANIC_EXIT] = "exit",
    };
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum hx_panic_end)i;
            return HX_OK;
        }
    }
    return HX_E_INVAL;
}

int hx_panic_has_begun(void)
{
    return atomic_load(&panic.cpu) != NOBODY;
}
