/* SPDX-License-Identifier: MIT */
/*
 * bench_gate.c - what a call through the gate costs, and a check of capabilities.
 *
 * The gate is measured from a tight loop, from a function with much in its registers, and from a module. Why five values:
 * as many as there are registers, beside the frame pointer, that a call keeps. An entry that had its caller save them would
 * cost this one ten instructions more than it costs a tight loop.
 */
#include "bench_part.h"

#include <arch/x86_64/arch.h>
#include <helix/ipc.h>
#include <helix/kv.h>
#include <ipc/message_router.h>
#include <lib/err.h>
#include <orchestrator/capability_broker.h>
#include <string.h>

enum { COUNT = 4 }; /* the operation of hx.kv */

typedef hx_ret_t (*count_fn)(void);
typedef hx_ret_t (*caller_fn)(const struct hx_gate_vtable *const volatile *vtable);

/* What each of HX_BENCH_ROUNDS costs more. */
static hx_status_t report_more(const char *name, uint64_t dear, uint64_t plain)
{
    hx_bench_report(name, (dear - plain + HX_BENCH_ROUNDS / 2) / HX_BENCH_ROUNDS);
    return HX_OK;
}

static const struct hx_slot_info *kv_slot(const char *name)
{
    const struct hx_slot_info *info = hx_slot_info(&hx_slots[HX_SLOT_hx_kv]);
    if (info->state == HX_SLOT_OPEN)
        return info;
    (void)hx_bench_complain(name, "no module provides hx.kv");
    return NULL;
}

/* ---- a tight loop ---------------------------------------------------------------------------------------------------- */

/* The same loop twice: through the gate entry, and through a pointer to the operation. */
static __attribute__((noinline)) uint64_t loop_gate(uint64_t rounds)
{
    uint64_t sum = 0, start = hx_arch_tsc();
    for (uint64_t i = 0; i < rounds; i++)
        sum += (uint64_t)hx_kv_count();
    __asm__ volatile("" : : "r"(sum));
    return hx_arch_tsc() - start;
}

static __attribute__((noinline)) uint64_t loop_plain(uint64_t rounds, const struct hx_gate_vtable *const *vtable)
{
    uint64_t sum = 0, start = hx_arch_tsc();
    for (uint64_t i = 0; i < rounds; i++)
        sum += (uint64_t)((count_fn)(uintptr_t)(*(const struct hx_gate_vtable *const volatile *)vtable)->op[COUNT])();
    __asm__ volatile("" : : "r"(sum));
    return hx_arch_tsc() - start;
}

hx_status_t hx_bench_gate_overhead(const char *name)
{
    const struct hx_slot_info *kv = kv_slot(name);
    if (!kv)
        return HX_E_ABSENT;
    hx_irq_flags_t flags = hx_irq_save();
    uint64_t gate = loop_gate(HX_BENCH_ROUNDS);
    uint64_t plain = loop_plain(HX_BENCH_ROUNDS, &kv->open_vtable);
    hx_irq_restore(flags);
    return report_more(name, gate, plain);
}

/* ---- a function with five values ------------------------------------------------------------------------------------- */
#define FIVE_VALUES(CALL)                                                                                              \
    do {                                                                                                               \
        uint64_t a, b, c, d, e;                                                                                        \
        __asm__ volatile("" : "=r"(a), "=r"(b), "=r"(c), "=r"(d), "=r"(e));                                            \
        hx_ret_t count = CALL;                                                                                         \
        __asm__ volatile("" : : "r"(a), "r"(b), "r"(c), "r"(d), "r"(e));                                               \
        return count;                                                                                                  \
    } while (0)

static __attribute__((noinline)) hx_ret_t call_gate(const struct hx_gate_vtable *const volatile *vtable)
{
    (void)vtable;
    FIVE_VALUES(hx_kv_count());
}

static __attribute__((noinline)) hx_ret_t call_plain(const struct hx_gate_vtable *const volatile *vtable)
{
    FIVE_VALUES(((count_fn)(uintptr_t)(*vtable)->op[COUNT])());
}

static __attribute__((noinline)) uint64_t loop(caller_fn caller, const struct hx_gate_vtable *const volatile *vtable)
{
    uint64_t sum = 0, start = hx_arch_tsc();
    for (uint32_t i = 0; i < HX_BENCH_ROUNDS; i++)
        sum += (uint64_t)caller(vtable);
    __asm__ volatile("" : : "r"(sum));
    return hx_arch_tsc() - start;
}

hx_status_t hx_bench_gate_caller(const char *name)
{
    const struct hx_slot_info *kv = kv_slot(name);
    if (!kv)
        return HX_E_ABSENT;
    hx_irq_flags_t flags = hx_irq_save();
    uint64_t gate = loop(call_gate, &kv->open_vtable);
    uint64_t plain = loop(call_plain, &kv->open_vtable);
    hx_irq_restore(flags);
    return report_more(name, gate, plain);
}

/* ---- a module -------------------------------------------------------------------------------------------------------- */

/* The module measures itself: there is no place outside from which its calls alone could be seen. */
static hx_status_t ask_module(const char *name, const struct hx_module *module)
{
    const struct hx_slot_info *kv = kv_slot(name);
    (void)module;
    if (!kv)
        return HX_E_ABSENT;
    uint64_t asked[2] = { HX_BENCH_ROUNDS, (uintptr_t)&kv->open_vtable->op[COUNT] }, told[2];
    struct hx_message message = { .payload = HX_PAYLOAD_INLINE, .bytes = sizeof(asked) };
    memcpy(message.data, asked, sizeof(asked));
    hx_status_t err = hx_router_request(hx_router_find("bench_stub"), &hx_kernel_holder, &message, UINT64_MAX);
    if (err != HX_OK)
        return hx_bench_complain(name, hx_err_text(err));
    memcpy(told, message.data, sizeof(told));
    return report_more(name, told[0], told[1]);
}

hx_status_t hx_bench_gate_stub(const char *name)
{
    return hx_bench_with_module(name, "bench_stub.hxm", ask_module);
}

/* ---- capabilities ---------------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) uint64_t loop_check(uint64_t rounds, struct hx_principal *principal)
{
    uint64_t sum = 0, start = hx_arch_tsc();
    for (uint64_t i = 0; i < rounds; i++)
        sum += (uint64_t)hx_capability_check(principal, HX_CAPABILITY_IO_PORT, 0, 0x71, 0x71);
    __asm__ volatile("" : : "r"(sum));
    return hx_arch_tsc() - start;
}

/* The same without the check. */
static __attribute__((noinline)) uint64_t loop_nothing(uint64_t rounds)
{
    uint64_t sum = 0, start = hx_arch_tsc();
    for (uint64_t i = 0; i < rounds; i++) {
        hx_status_t nothing = HX_OK;
        __asm__ volatile("" : "+r"(nothing));
        sum += (uint64_t)nothing;
    }
    __asm__ volatile("" : : "r"(sum));
    return hx_arch_tsc() - start;
}

hx_status_t hx_bench_capability_check(const char *name)
{
    const struct hx_module *module = hx_module_find("drv_rtc");
    if (!module || hx_capability_check(module->principal, HX_CAPABILITY_IO_PORT, 0, 0x71, 0x71) != HX_OK)
        return hx_bench_complain(name, "drv_rtc, which has ports, is not loaded");
    hx_irq_flags_t flags = hx_irq_save();
    uint64_t check = loop_check(HX_BENCH_ROUNDS, module->principal);
    uint64_t nothing = loop_nothing(HX_BENCH_ROUNDS);
    hx_irq_restore(flags);
    return report_more(name, check, nothing);
}
