/* SPDX-License-Identifier: MIT */
/*
 * selftest.h - cases that only the real machine can judge: what is a case, how it fails, and how it asks the CPU.
 *
 * A case leaves frames and heap as it found them; the runner looks after each. Its first broken expectation ends it.
 * May be used by: tests/kernel.
 */
#pragma once
#include <helix/types.h>

struct selftest_case {
    const char *sentence;
    bool (*holds)(void); /* one of the EXPECTs says why not */
};

struct selftest_group {
    const struct selftest_case *cases;
    uint32_t count;
};
extern const struct selftest_group selftest_memory, selftest_image, selftest_region, selftest_misuse, selftest_unwind,
    selftest_cpu, selftest_library;

/* For the diagnosis of the running case; the first one counts. Returns false. */
__attribute__((format(printf, 1, 2))) bool selftest_fail(const char *format, ...);

#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return selftest_fail("%s:%d: not so: %s", __FILE__, __LINE__, #condition);                                 \
    } while (0)
#define EXPECT_TEXT(got, wanted)                                                                                       \
    do {                                                                                                               \
        if (strcmp(got, wanted) != 0)                                                                                  \
            return selftest_fail("%s:%d: \"%s\" instead of \"%s\"", __FILE__, __LINE__, got, wanted);                  \
    } while (0)

/* ---- what the CPU says of the byte at @va (upper half) ---------------------------------------------------------------- */
bool can_read(uintptr_t va);
bool can_write(uintptr_t va); /* also read; the byte stays what it is */
bool can_run(uintptr_t va);   /* a return instruction stands there */
enum { RETURN_INSTRUCTION = 0xc3 };

/* ---- the other CPUs ------------------------------------------------------------------------------------------------- */
/* All that the firmware names wait for jobs. Interrupts on. On failure, the error. */
HX_NODISCARD hx_status_t selftest_cpus_start(void);
/* Before that: one that does not come is left out, after a second. On failure, an error. */
HX_NODISCARD hx_status_t selftest_cpu_absent(void);
/* Panics on all CPUs at once. */
_Noreturn void selftest_panic_everywhere(void);

/* ---- module-like code: outside the core's text, entered through a gate ------------------------------------------------- */
/* In order of module_code.S. */
enum module_op {
    OP_ANSWER,       /* 42 */
    OP_READ,         /* the byte at @a */
    OP_WRITE,        /* the byte @b to @a */
    OP_JUMP,         /* to @a */
    OP_UNDEFINED,    /* an undefined instruction */
    OP_DIVIDE,       /* by zero */
    OP_VECTOR,       /* an SSE instruction */
    OP_TRASH,        /* all registers, flags and the interrupt flag, then an undefined instruction */
    OP_SWITCH_STACK, /* to @a, then pushes */
    OP_OVERFLOW,     /* pushes until the stack is full */
    OP_COUNT,
};

/* Places the code and opens its slot; its one page stays. On failure, the error. */
HX_NODISCARD hx_status_t selftest_module_init(void);
HX_NODISCARD hx_ret_t module_call(enum module_op op, uint64_t a, uint64_t b);
/* As module_call, for a call that must be unwound: by a fault described as @fault, with nothing left behind. */
bool module_is_unwound(enum module_op op, uint64_t a, uint64_t b, const char *fault);
