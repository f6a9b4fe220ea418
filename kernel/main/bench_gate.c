/* SPDX-License-Identifier: MIT */
/*
 * bench_gate.c - see bench_gate.h.
 *
 * Why five: as many as there are registers, beside the frame pointer, that a call keeps. An entry that had its caller save
 * them would cost this one ten instructions more than it costs a tight loop.
 */
#include "bench_gate.h"

#include <arch/x86_64/arch.h>
#include <helix/ipc.h>
#include <helix/kv.h>
#include <ipc/message_router.h>
#include <lib/err.h>
#include <orchestrator/lifecycle.h>
#include <string.h>

enum { ROUNDS = 10000, OP_COUNT = 4 };

typedef hx_ret_t (*count_fn)(void);
typedef hx_ret_t (*caller_fn)(const struct hx_gate_vtable *const volatile *vtable);

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
    FIVE_VALUES(((count_fn)(uintptr_t)(*vtable)->op[OP_COUNT])());
}

static __attribute__((noinline)) uint64_t loop(caller_fn caller, const struct hx_gate_vtable *const volatile *vtable)
{
    uint64_t sum = 0, start = hx_arch_tsc();
    for (uint32_t i = 0; i < ROUNDS; i++)
        sum += (uint64_t)caller(vtable);
    __asm__ volatile("" : : "r"(sum));
    return hx_arch_tsc() - start;
}

static const char *measure_caller(const struct hx_slot_info *kv, uint64_t *out_insns)
{
    hx_irq_flags_t flags = hx_irq_save();
    uint64_t gate = loop(call_gate, &kv->open_vtable);
    uint64_t plain = loop(call_plain, &kv->open_vtable);
    hx_irq_restore(flags);
    *out_insns = (gate - plain + ROUNDS / 2) / ROUNDS;
    return NULL;
}

/* ---- a module -------------------------------------------------------------------------------------------------------- */
/* The module measures itself: there is no place outside from which its calls alone could be seen. */
static const char *ask_module(const struct hx_slot_info *kv, uint64_t *out_insns)
{
    const void *const *count = &kv->open_vtable->op[OP_COUNT];
    uint64_t asked[2] = { ROUNDS, (uintptr_t)count }, told[2];
    struct hx_message message = { .payload = HX_PAYLOAD_INLINE, .bytes = sizeof(asked) };

    memcpy(message.data, asked, sizeof(asked));
    hx_status_t err = hx_router_request(hx_router_find("bench_stub"), &hx_kernel_holder, &message, UINT64_MAX);
    if (err != HX_OK)
        return hx_err_text(err);
    memcpy(told, message.data, sizeof(told));
    *out_insns = (told[0] - told[1] + ROUNDS / 2) / ROUNDS;
    return NULL;
}

static const char *measure_stub(const struct hx_slot_info *kv, const struct hx_pack *pack, uint64_t *out_insns)
{
    static struct hx_report why; /* what is returned may lie in it */
    struct hx_slice file;
    struct hx_module *module = NULL;

    hx_report_init(&why);
    if (hx_pack_find(pack, "bench_stub.hxm", &file) != HX_OK)
        return "bench_stub.hxm is not in the initrd";
    if (hx_lifecycle_load(file, "", &module, &why) != HX_OK)
        return why.message;
    const char *failed = ask_module(kv, out_insns);
    hx_status_t unloaded = hx_lifecycle_unload(module, &why);
    return !failed && unloaded != HX_OK ? why.message : failed;
}

const char *hx_bench_gate(const char *name, const struct hx_pack *pack, uint64_t *out_insns)
{
    const struct hx_slot_info *kv = hx_slot_info(&hx_slots[HX_SLOT_hx_kv]);
    if (kv->state != HX_SLOT_OPEN)
        return "no module provides hx.kv";
    return strcmp(name, "gate_caller") == 0 ? measure_caller(kv, out_insns) : measure_stub(kv, pack, out_insns);
}
