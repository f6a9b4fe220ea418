/* SPDX-License-Identifier: MIT */
/*
 * task_fixture.h - a machine with tasks for a test: the test's own thread is the idle task.
 *
 * What happens is written to one trace, words separated by blanks, and compared as text.
 */
#pragma once
#include "../host/hal_host.h"

#include <criterion/criterion.h>
#include <gate/gate.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <task/task.h>

static char trace[1 << 16];
static size_t trace_length;

__attribute__((format(printf, 1, 2))) static inline void note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (trace_length && trace_length < sizeof(trace) - 1)
        trace[trace_length++] = ' ';
    int length = vsnprintf(trace + trace_length, sizeof(trace) - trace_length, format, arguments);
    trace_length += (size_t)length;
    va_end(arguments);
}

/* The trace since the last call. */
static inline const char *noted(void)
{
    static char last[sizeof(trace)];
    memcpy(last, trace, trace_length);
    last[trace_length] = 0;
    trace_length = 0;
    return last;
}

#define expect_trace(text) cr_assert_str_eq(noted(), text)
#define expect_ok(call) cr_assert_eq((call), HX_OK)

static inline void machine_start(void)
{
    hal_host_init();
    hal_host_clock_step(0);
    hx_gate_init();
    hx_irq_disable();
    expect_ok(hx_task_init());
    hx_irq_enable();
}

/* Everything has run to its end. */
static inline void machine_stop(void)
{
    hal_host_run();
    cr_assert_eq(hx_task_count(), 1, "%u tasks are left", hx_task_count() - 1);
    hal_host_fini();
}

static inline hx_handle_t spawn_class(enum hx_task_class class, const char *name, uint8_t priority,
                                      hx_status_t (*body)(void *argument), void *argument)
{
    hx_handle_t task = HX_HANDLE_NONE;
    expect_ok(hx_task_create(class, name, priority, body, argument, &task));
    return task;
}

static inline hx_handle_t spawn(const char *name, hx_status_t (*body)(void *argument), void *argument)
{
    return spawn_class(HX_TASK_POLICY, name, 100, body, argument);
}

static inline hx_handle_t spawn_core(const char *name, uint8_t priority, hx_status_t (*body)(void *argument),
                                     void *argument)
{
    return spawn_class(HX_TASK_CORE, name, priority, body, argument);
}

static inline const char *me(void)
{
    return hx_task_current()->name;
}

static inline hx_status_t sleep_ns(uint64_t ns)
{
    return hx_task_sleep_until(hx_hal_clock_ns() + ns);
}

/* xorshift: repeats from its seed. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
