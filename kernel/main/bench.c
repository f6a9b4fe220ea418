/* SPDX-License-Identifier: MIT */
/*
 * bench.c - see bench.h.
 *
 * Durations that swaps report are in nanoseconds; the emulator's clock makes an instruction one of them.
 * A sample is void when the idle task ran inside it: then something waited for a device, and the count is not of work done.
 */
#include "bench.h"

#include "bench_gate.h"
#include "compose.h"
#include "messages.h"
#include "storm.h"
#include "sweep.h"
#include "traffic.h"

#include <arch/x86_64/arch.h>
#include <hal/hx_hal.h>
#include <helix/kv.h>
#include <hotreload/engine.h>
#include <interrupts/router.h>
#include <ipc/channel.h>
#include <ipc/event_bus.h>
#include <ipc/grant.h>
#include <ipc/message_router.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <module/exports.h>
#include <orchestrator/lifecycle.h>
#include <string.h>

enum { ROUNDS = 10000, SWITCH_ROUNDS = 2000, LOAD_ROUNDS = 16, JOIN_ROUNDS = 100 };
enum { CONSOLE_DRAINS_NS = 20000000 };

static const struct hx_pack *pack;

static void print(const char *line, size_t bytes)
{
    hx_hal_console_write(line, bytes);
}

static void report(const char *name, uint64_t insns)
{
    char line[128];
    size_t bytes =
        hx_fmt(line, sizeof(line), "{\"name\": \"%s\", \"insns\": %llu}\r\n", name, (unsigned long long)insns);
    print(line, bytes);
}

static hx_status_t complain(const char *name, const char *why)
{
    char line[512];
    size_t bytes = hx_fmt(line, sizeof(line), "bench: %s: %s\r\n", name, why);
    print(line, bytes < sizeof(line) ? bytes : sizeof(line) - 1);
    return HX_E_FAILED;
}

/* ---- the gate -------------------------------------------------------------------------------------------------------- */

typedef hx_ret_t (*count_fn)(void);

/* The same loop twice: through the gate entry, and through a pointer to the operation. */
__attribute__((noinline)) static uint64_t loop_gate(uint64_t rounds)
{
    uint64_t sum = 0, start = hx_arch_tsc();
    for (uint64_t i = 0; i < rounds; i++)
        sum += (uint64_t)hx_kv_count();
    __asm__ volatile("" : : "r"(sum));
    return hx_arch_tsc() - start;
}

__attribute__((noinline)) static uint64_t loop_plain(uint64_t rounds, const struct hx_gate_vtable *const *vtable)
{
    uint64_t sum = 0, start = hx_arch_tsc();
    for (uint64_t i = 0; i < rounds; i++)
        sum += (uint64_t)((count_fn)(uintptr_t)(*(const struct hx_gate_vtable *const volatile *)vtable)->op[4])();
    __asm__ volatile("" : : "r"(sum));
    return hx_arch_tsc() - start;
}

static hx_status_t bench_gate(const char *name)
{
    struct hx_slot_info *info = hx_slot_info(&hx_slots[HX_SLOT_hx_kv]);
    if (info->state != HX_SLOT_OPEN)
        return complain(name, "no module provides hx.kv");
    hx_irq_flags_t flags = hx_irq_save();
    uint64_t gate = loop_gate(ROUNDS);
    uint64_t plain = loop_plain(ROUNDS, &info->open_vtable);
    hx_irq_restore(flags);
    report(name, (gate - plain + ROUNDS / 2) / ROUNDS);
    return HX_OK;
}

/* ---- capabilities ---------------------------------------------------------------------------------------------------- */

__attribute__((noinline)) static uint64_t loop_check(uint64_t rounds, struct hx_principal *principal)
{
    uint64_t sum = 0, start = hx_arch_tsc();
    for (uint64_t i = 0; i < rounds; i++)
        sum += (uint64_t)hx_capability_check(principal, HX_CAPABILITY_IO_PORT, 0, 0x71, 0x71);
    __asm__ volatile("" : : "r"(sum));
    return hx_arch_tsc() - start;
}

/* The same without the check. */
__attribute__((noinline)) static uint64_t loop_nothing(uint64_t rounds)
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

static hx_status_t bench_capability_check(const char *name)
{
    const struct hx_module *module = hx_module_find("drv_rtc");
    if (!module || hx_capability_check(module->principal, HX_CAPABILITY_IO_PORT, 0, 0x71, 0x71) != HX_OK)
        return complain(name, "drv_rtc, which has ports, is not loaded");
    hx_irq_flags_t flags = hx_irq_save();
    uint64_t cost = loop_check(ROUNDS, module->principal) - loop_nothing(ROUNDS);
    hx_irq_restore(flags);
    report(name, (cost + ROUNDS / 2) / ROUNDS);
    return HX_OK;
}

static hx_status_t bench_gate_from(const char *name)
{
    uint64_t insns = 0;
    const char *why = hx_bench_gate(name, pack, &insns);
    if (why)
        return complain(name, why);
    report(name, insns);
    return HX_OK;
}

/* ---- tasks ----------------------------------------------------------------------------------------------------------- */

static struct {
    struct hx_waitq ping, pong, finished;
    uint32_t turn, done;
    uint64_t start, end;
} pair;

static hx_status_t yielder(void *argument)
{
    (void)argument;
    for (uint32_t i = 0; i < SWITCH_ROUNDS; i++) {
        if (i == SWITCH_ROUNDS / 4 && !pair.start)
            pair.start = hx_arch_tsc();
        hx_task_yield();
    }
    if (!pair.end)
        pair.end = hx_arch_tsc();
    pair.done++;
    hx_waitq_wake_all(&pair.finished);
    return HX_OK;
}

static bool both_done(void *context)
{
    (void)context;
    return pair.done == 2;
}

static hx_status_t run_pair(const char *name, hx_status_t (*body)(void *), const char *first, const char *second)
{
    hx_handle_t task = HX_HANDLE_NONE;
    memset(&pair, 0, sizeof(pair));
    hx_waitq_init(&pair.ping);
    hx_waitq_init(&pair.pong);
    hx_waitq_init(&pair.finished);
    hx_status_t err = hx_task_create(HX_TASK_POLICY, first, 128, body, (void *)0, &task);
    if (err == HX_OK)
        err = hx_task_create(HX_TASK_POLICY, second, 128, body, (void *)1, &task);
    if (err == HX_OK)
        err = hx_waitq_wait(&pair.finished, both_done, NULL, hx_hal_clock_ns() + 10000000000u);
    return err == HX_OK ? HX_OK : complain(name, hx_err_text(err));
}

static hx_status_t bench_context_switch(const char *name)
{
    hx_status_t err = run_pair(name, yielder, "ping", "pong");
    /* From the first quarter of one task to its end both yield in turn: two switches a round. */
    if (err == HX_OK)
        report(name, (pair.end - pair.start) / (2 * (SWITCH_ROUNDS - SWITCH_ROUNDS / 4)));
    return err;
}

static bool my_turn(void *context)
{
    return pair.turn == (uint32_t)(uintptr_t)context;
}

static hx_status_t waker(void *argument)
{
    uint32_t me = (uint32_t)(uintptr_t)argument;
    for (uint32_t i = 0; i < SWITCH_ROUNDS; i++) {
        hx_status_t err = hx_waitq_wait(me ? &pair.pong : &pair.ping, my_turn, argument, UINT64_MAX);
        if (err != HX_OK)
            return err;
        if (i == SWITCH_ROUNDS / 4 && !me)
            pair.start = hx_arch_tsc();
        if (i == SWITCH_ROUNDS - 1 && !me)
            pair.end = hx_arch_tsc();
        pair.turn = !me;
        hx_waitq_wake_one(me ? &pair.ping : &pair.pong);
    }
    pair.done++;
    hx_waitq_wake_all(&pair.finished);
    return HX_OK;
}

static hx_status_t bench_wake_round_trip(const char *name)
{
    hx_status_t err = run_pair(name, waker, "ping", "pong");
    if (err == HX_OK)
        report(name, (pair.end - pair.start) / (SWITCH_ROUNDS - 1 - SWITCH_ROUNDS / 4));
    return err;
}

/* ---- channels -------------------------------------------------------------------------------------------------------- */

static struct hx_channel_ends ends;
static struct hx_holder talker = { .name = "bench" }; /* as a module is one */
static struct hx_message message = { .type = HX_MESSAGE_NOTIFICATION,
                                     .priority = HX_PRIORITY_NORMAL,
                                     .payload = HX_PAYLOAD_INLINE,
                                     .bytes = HX_INLINE_MAX };

/* A message in, and the same out again. */
__attribute__((noinline)) static uint64_t loop_channel(uint64_t rounds)
{
    struct hx_message received;
    hx_handle_t in = ends.end[0], out = ends.end[1];
    hx_status_t bad = HX_OK;
    uint64_t start = hx_arch_tsc();
    for (uint64_t i = 0; i < rounds; i++) {
        bad |= hx_ipc_send(in, &talker, &message, HX_WAIT_NOT);
        bad |= hx_ipc_receive(out, &talker, &received, HX_WAIT_NOT);
    }
    return bad == HX_OK ? hx_arch_tsc() - start : 0;
}

static hx_status_t bench_channel_self(const char *name)
{
    talker.self = hx_task_current()->handle;
    hx_status_t err = hx_ipc_create(16, &talker, &ends);
    uint64_t insns = err == HX_OK ? loop_channel(ROUNDS) : 0;
    hx_handle_close_all(&talker);
    if (insns == 0)
        return complain(name, hx_err_text(err));
    report(name, insns / ROUNDS);
    return HX_OK;
}

/* Rounds of one of the pair, none of which fails. */
static __attribute__((noinline)) hx_status_t ask(uint32_t rounds)
{
    struct hx_message received;
    hx_handle_t end = ends.end[0];
    hx_status_t bad = HX_OK;
    for (uint32_t i = 0; i < rounds; i++) {
        bad |= hx_ipc_send(end, &talker, &message, UINT64_MAX);
        bad |= hx_ipc_receive(end, &talker, &received, UINT64_MAX);
    }
    return bad;
}

static __attribute__((noinline)) hx_status_t answer(uint32_t rounds)
{
    struct hx_message received;
    hx_handle_t end = ends.end[1];
    hx_status_t bad = HX_OK;
    for (uint32_t i = 0; i < rounds; i++) {
        bad |= hx_ipc_receive(end, &talker, &received, UINT64_MAX);
        bad |= hx_ipc_send(end, &talker, &message, UINT64_MAX);
    }
    return bad;
}

/* Each waits for the other's message before it sends its own: so every message is handed over. */
static hx_status_t answerer(void *argument)
{
    hx_status_t bad;
    if (argument) {
        bad = answer(SWITCH_ROUNDS);
    } else {
        bad = ask(SWITCH_ROUNDS / 4);
        pair.start = hx_arch_tsc();
        bad |= ask(SWITCH_ROUNDS - 1 - SWITCH_ROUNDS / 4);
        pair.end = hx_arch_tsc();
        bad |= ask(1);
    }
    if (bad == HX_OK)
        pair.done++;
    hx_waitq_wake_all(&pair.finished);
    return bad;
}

/* Each sends, lets the other go first, and then receives what that has sent: so every message is queued. */
static hx_status_t queuer(void *argument)
{
    uint32_t me = (uint32_t)(uintptr_t)argument;
    struct hx_message received;
    hx_status_t err = HX_OK;
    for (uint32_t i = 0; err == HX_OK && i < SWITCH_ROUNDS; i++) {
        if (!me && i == SWITCH_ROUNDS / 4)
            pair.start = hx_arch_tsc();
        if (!me && i == SWITCH_ROUNDS - 1)
            pair.end = hx_arch_tsc();
        err = hx_ipc_send(ends.end[me], &talker, &message, UINT64_MAX);
        hx_task_yield();
        if (err == HX_OK)
            err = hx_ipc_receive(ends.end[me], &talker, &received, UINT64_MAX);
    }
    pair.done++;
    hx_waitq_wake_all(&pair.finished);
    return err;
}

static hx_status_t bench_channel_pair(const char *name)
{
    bool handover = strcmp(name, "channel_handover_64") == 0;
    talker.self = hx_task_current()->handle;
    hx_status_t err = hx_ipc_create(16, &talker, &ends);
    if (err != HX_OK)
        return complain(name, hx_err_text(err));
    err = run_pair(name, handover ? answerer : queuer, "ping", "pong");
    for (uint32_t i = 0; i < 2; i++)
        if (hx_handle_close(ends.end[i], &talker) != HX_OK)
            err = HX_E_FAILED;
    if (err == HX_OK)
        report(name, (pair.end - pair.start) / (SWITCH_ROUNDS - 1 - SWITCH_ROUNDS / 4));
    return err;
}

static hx_status_t nothing(void *argument)
{
    (void)argument;
    return HX_OK;
}

static hx_status_t bench_create_join(const char *name)
{
    uint64_t start = 0;
    hx_status_t err = HX_OK;
    for (uint32_t i = 0; err == HX_OK && i < 2 * JOIN_ROUNDS; i++) {
        hx_handle_t task = HX_HANDLE_NONE;
        hx_status_t status = HX_OK;
        if (i == JOIN_ROUNDS)
            start = hx_arch_tsc();
        err = hx_task_create(HX_TASK_CORE, "short", 1, nothing, NULL, &task);
        if (err == HX_OK)
            err = hx_task_join(task, UINT64_MAX, &status);
    }
    if (err != HX_OK)
        return complain(name, hx_err_text(err));
    report(name, (hx_arch_tsc() - start) / JOIN_ROUNDS);
    return HX_OK;
}

/* ---- events ---------------------------------------------------------------------------------------------------------- */

static void nobody_wakes(struct hx_subscription *subscription)
{
    (void)subscription;
}

/* One subscriber, who is told of each event and looks at none. */
static hx_status_t bench_event_publish(const char *name)
{
    struct hx_topic *topic = NULL;
    struct hx_event event = { .type = HX_EVENT_CUSTOM, .bytes = 8 };
    struct hx_subscription subscription = { .filter.types = HX_EVENTS_ALL, .notify = nobody_wakes };
    struct hx_holder holder = { .self = hx_handle_make(HX_HANDLE_MODULE, 0, 0), .name = name };
    hx_status_t err = hx_topic_create("bench", &holder, &topic);
    if (err != HX_OK)
        return complain(name, hx_err_text(err));
    hx_event_subscribe(topic, &subscription, false);
    uint64_t start = hx_arch_tsc();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        subscription.notified = false;
        hx_event_publish(topic, &holder, &event);
    }
    report(name, (hx_arch_tsc() - start) / ROUNDS);
    hx_event_unsubscribe(&subscription);
    hx_topic_destroy(topic);
    return HX_OK;
}

/* A request through the router and the gate to a module's service, and its reply. */
static hx_status_t ask_service(const char *name)
{
    struct hx_message request = { .payload = HX_PAYLOAD_INLINE, .bytes = HX_INLINE_MAX };
    hx_handle_t service = hx_router_find("echo");
    hx_status_t err = HX_OK;
    uint64_t start = hx_arch_tsc();
    for (uint32_t i = 0; err == HX_OK && i < ROUNDS; i++)
        err = hx_router_request(service, &hx_kernel_holder, &request, UINT64_MAX);
    if (err != HX_OK)
        return complain(name, hx_err_text(err));
    report(name, (hx_arch_tsc() - start) / ROUNDS);
    return HX_OK;
}

static hx_status_t bench_router_request(const char *name)
{
    struct hx_slice file;
    struct hx_report why;
    struct hx_module *module = NULL;
    hx_report_init(&why);
    if (hx_pack_find(pack, "svc_echo.hxm", &file) != HX_OK)
        return complain(name, "svc_echo.hxm is not in the initrd");
    if (hx_lifecycle_load(file, "", &module, &why) != HX_OK)
        return complain(name, why.message);
    hx_status_t err = ask_service(name);
    hx_status_t unloaded = hx_lifecycle_unload(module, &why);
    return err == HX_OK && unloaded != HX_OK ? complain(name, why.message) : err;
}

/* ---- interrupts ------------------------------------------------------------------------------------------------------ */

/*
 * A task reads the counter twice at once, again and again: what lies between, beyond the least ever seen, is the work of an
 * interrupt, from the CPU's first instruction of it to its return.
 */
enum { RTC_LINE = 8, INTERRUPTS = 8, INTERRUPT_LEAST_INSNS = 40, SPIN_MAX_INSNS = 400000000 };

static struct interrupted {
    uint64_t insns, count;
} tick, line;
static struct hx_waitq spun = HX_WAITQ_INIT(spun);
static bool spinning;

static void note_interrupt(uint64_t insns, bool of_line)
{
    struct interrupted *kind = of_line ? &line : &tick;
    kind->insns += insns;
    kind->count++;
}

static hx_status_t spinner(void *argument)
{
    const struct hx_irq *rtc = hx_irq_of_line(RTC_LINE); /* NULL: then it is never seen to have come */
    uint64_t start = hx_arch_tsc(), between = UINT64_MAX;
    (void)argument;
    while ((tick.count < INTERRUPTS || line.count < INTERRUPTS) && hx_arch_tsc() - start < SPIN_MAX_INSNS) {
        uint64_t accepted = rtc ? rtc->accepted : 0, from = hx_arch_tsc(), to = hx_arch_tsc();
        if (to - from < between)
            between = to - from;
        if (to - from > between + INTERRUPT_LEAST_INSNS)
            note_interrupt(to - from - between, rtc && rtc->accepted != accepted);
    }
    spinning = false;
    hx_waitq_wake_all(&spun);
    return HX_OK;
}

static bool has_spun(void *context)
{
    (void)context;
    return !spinning;
}

/* The real-time clock stands for an interrupt line of a module: its handler reads two ports. */
static hx_status_t bench_interrupt(const char *name)
{
    hx_handle_t task = HX_HANDLE_NONE;
    tick = line = (struct interrupted){ 0, 0 };
    spinning = true;
    hx_status_t err = hx_task_create(HX_TASK_POLICY, "spinner", 128, spinner, NULL, &task);
    if (err == HX_OK)
        err = hx_waitq_wait(&spun, has_spun, NULL, UINT64_MAX);
    const struct interrupted *kind = strcmp(name, "timer_tick_busy") == 0 ? &tick : &line;
    if (err == HX_OK && kind->count == 0)
        err = HX_E_TIMEOUT;
    if (err != HX_OK)
        return complain(name, hx_err_text(err));
    report(name, kind->insns / kind->count);
    return HX_OK;
}

/* From before the processor interrupts itself until the handler, in a module that does nothing else, has returned. */
static hx_status_t measure_self_ipi(const char *name, const struct hx_module *module)
{
    const struct hx_irq *irq = hx_irq_find(module, "bell");
    uint64_t insns = 0;
    if (!irq)
        return complain(name, "the module has no line");
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint64_t served = irq->served, start = hx_arch_tsc();
        hx_arch_irq_raise(irq->line);
        while (*(const volatile uint64_t *)&irq->served == served)
            hx_cpu_relax();
        insns += hx_arch_tsc() - start;
    }
    report(name, insns / ROUNDS);
    return HX_OK;
}

static hx_status_t bench_self_ipi(const char *name)
{
    struct hx_slice file;
    struct hx_report why;
    struct hx_module *module = NULL;
    hx_report_init(&why);
    if (hx_pack_find(pack, "bench_irq.hxm", &file) != HX_OK)
        return complain(name, "bench_irq.hxm is not in the initrd");
    if (hx_lifecycle_load(file, "", &module, &why) != HX_OK)
        return complain(name, why.message);
    hx_status_t err = measure_self_ipi(name, module);
    hx_status_t unloaded = hx_lifecycle_unload(module, &why);
    return err == HX_OK && unloaded != HX_OK ? complain(name, why.message) : err;
}

/* ---- grants ---------------------------------------------------------------------------------------------------------- */

static struct hx_holder hands[2] = { { .name = "left" }, { .name = "right" } };

/* To the other hand and back again, as often as there are slots and more. */
static hx_status_t hand_over(hx_handle_t grant, uint64_t *out_insns)
{
    struct hx_message_memory memory = { .grant = grant };
    struct hx_grant *taken = NULL;
    hx_status_t err = HX_OK;
    uint64_t start = hx_arch_tsc();
    for (uint32_t i = 0; err == HX_OK && i < SWITCH_ROUNDS; i++) {
        err = hx_grant_take(memory.grant, &hands[i % 2], HX_GRANT_READ | HX_GRANT_WRITE, &taken);
        if (err == HX_OK)
            err = hx_grant_accept(taken, &hands[(i + 1) % 2], &memory);
    }
    *out_insns = (hx_arch_tsc() - start) / SWITCH_ROUNDS;
    return err;
}

/* Whatever the size: nothing is copied, and one entry of a page directory maps all of it. */
static hx_status_t bench_grant(const char *name)
{
    uint64_t insns = 0;
    hx_handle_t grant = HX_HANDLE_NONE;
    uintptr_t va;
    hx_status_t err = hx_grant_make(strcmp(name, "grant_1m") == 0 ? 1 << 20 : 1 << 12, &hands[0], &grant, &va);
    if (err == HX_OK)
        err = hand_over(grant, &insns);
    hx_handle_close_all(&hands[0]);
    hx_handle_close_all(&hands[1]);
    if (err != HX_OK)
        return complain(name, hx_err_text(err));
    report(name, insns);
    return HX_OK;
}

/* ---- modules --------------------------------------------------------------------------------------------------------- */

static hx_status_t load_and_unload(struct hx_slice file, uint64_t *load, uint64_t *unload, struct hx_report *why)
{
    struct hx_module *module = NULL;
    uint64_t start = hx_arch_tsc();
    hx_status_t err = hx_lifecycle_load(file, "", &module, why);
    *load = hx_arch_tsc() - start;
    start = hx_arch_tsc();
    if (err == HX_OK)
        err = hx_lifecycle_unload(module, why);
    *unload = hx_arch_tsc() - start;
    return err;
}

/* The first rounds warm up (stubs, page tables of the module area); the last counts. */
static hx_status_t measure_load(const char *file_name, uint64_t *load, uint64_t *unload)
{
    struct hx_slice file;
    struct hx_report why;
    hx_report_init(&why);
    if (hx_pack_find(pack, file_name, &file) != HX_OK)
        return complain(file_name, "it is not in the initrd");
    for (uint32_t i = 0; i < LOAD_ROUNDS; i++)
        if (load_and_unload(file, load, unload, &why) != HX_OK)
            return complain(file_name, why.message);
    return HX_OK;
}

static hx_status_t bench_load(const char *name)
{
    uint64_t load = 0, unload = 0;
    hx_status_t err = measure_load("bench_reloc10.hxm", &load, &unload);
    if (err == HX_OK)
        report(name, strcmp(name, "module_load_10") == 0 ? load : unload);
    return err;
}

/* What each of @count more relocations or imports than bench_reloc10 has costs in a whole load, rounded up. */
static hx_status_t bench_each(const char *name, const char *file_name, uint64_t count)
{
    uint64_t load = 0, base = 0, unload = 0;
    hx_status_t err = measure_load("bench_reloc10.hxm", &base, &unload);
    if (err == HX_OK)
        err = measure_load(file_name, &load, &unload);
    if (err == HX_OK)
        report(name, (load - base + count - 1) / count);
    return err;
}

static hx_status_t bench_reloc_1000(const char *name)
{
    return bench_each(name, "bench_reloc1000.hxm", 1000);
}

static hx_status_t bench_reloc_20000(const char *name)
{
    return bench_each(name, "bench_reloc20000.hxm", 20000);
}

/* Of the kernel whose table has a thousand names more; each import is there with its relocation. */
static hx_status_t bench_import(const char *name)
{
    return bench_each(name, "bench_import1000.hxm", 1000);
}

static bool has_names_to_import(void)
{
    static const char first[] = "hx_bench_0000";
    const void *stub = NULL;
    return hx_exports_find(first, sizeof(first) - 1, &stub) == HX_OK;
}

/* ---- swaps ----------------------------------------------------------------------------------------------------------- */

static hx_status_t swap_to(const char *module, const char *file_name, struct hx_job *job)
{
    struct hx_slice file;
    if (hx_pack_find(pack, file_name, &file) != HX_OK)
        return complain(module, "the file to swap to is not in the initrd");
    *job = (struct hx_job){
        .kind = HX_JOB_RELOAD, .file = file, .who = "bench", .by = &hx_kernel_principal, .may_downgrade = true
    };
    hx_fmt(job->module, sizeof(job->module), "%s", module);
    hx_status_t err = hx_engine_run(job);
    return err == HX_OK ? HX_OK : complain(module, job->swap.number ? job->swap.report.message : job->report.message);
}

static void report_swap(const char *prefix, const char *suffix, const struct hx_job *job)
{
    char name[64];
    hx_fmt(name, sizeof(name), "%s_total%s", prefix, suffix);
    report(name, job->swap.total_ns);
    hx_fmt(name, sizeof(name), "%s_blackout%s", prefix, suffix);
    report(name, job->swap.blackout_ns);
}

/* Swaps to @file, from whatever runs, and then once more: the second is between equals, and is reported. */
static hx_status_t bench_swap(const char *prefix, const char *suffix, const char *module, const char *file)
{
    struct hx_job first, second;
    hx_status_t err = swap_to(module, file, &first);
    if (err == HX_OK)
        err = swap_to(first.swap.new_name, file, &second);
    if (err == HX_OK)
        report_swap(prefix, suffix, &second);
    return err;
}

/* What the swaps of the scheduler are measured with: a few tasks, as many as a desktop has, and nearly all there can be. */
static const struct sleepers {
    uint32_t count;
    const char *suffix;
} sleepers[] = { { 16, "_16" }, { 667, "_667" }, { 4000, "_4000" } };

static struct {
    struct hx_waitq seen;
    uint32_t wanted, count;
} asleep;

static hx_status_t sleeper(void *argument)
{
    (void)argument;
    asleep.count++;
    if (asleep.count == asleep.wanted)
        hx_waitq_wake_all(&asleep.seen);
    return hx_task_sleep_until(UINT64_MAX - 1);
}

static bool all_seen(void *context)
{
    (void)context;
    return asleep.count == asleep.wanted;
}

/* Makes them, and has each run once, so that the policy knows it. */
static hx_status_t make_sleepers(hx_handle_t *task, uint32_t count)
{
    hx_status_t err = HX_OK;
    hx_waitq_init(&asleep.seen);
    asleep.wanted = count;
    asleep.count = 0;
    for (uint32_t i = 0; err == HX_OK && i < count; i++)
        err = hx_task_create(HX_TASK_POLICY, "sleeper", 128, sleeper, NULL, &task[i]);
    return err == HX_OK ? hx_waitq_wait(&asleep.seen, all_seen, NULL, UINT64_MAX) : err;
}

static void report_convert(const struct sleepers *who, const struct hx_job *job)
{
    char name[64];
    report_swap("swap_sched_convert", who->suffix, job);
    if (who == &sleepers[0])
        return; /* what is there once would be most of it */
    hx_fmt(name, sizeof(name), "swap_sched_convert%s", who->suffix);
    report(name, (job->swap.blackout_ns + who->count - 1) / who->count); /* of each task */
}

/* Between equals, to another schema, to another policy and back. */
static hx_status_t bench_scheduler_swaps(const struct sleepers *who)
{
    struct hx_job job;
    hx_status_t err = bench_swap("swap_sched", who->suffix, "sched_rr", "sched_rr.hxm");
    if (err == HX_OK)
        err = swap_to("sched_rr", "sched_rr-2.hxm", &job);
    if (err == HX_OK)
        report_convert(who, &job);
    if (err == HX_OK)
        err = bench_swap("swap_sched_prio", who->suffix, "sched_rr", "sched_prio.hxm");
    return err == HX_OK ? swap_to("sched_prio", "sched_rr.hxm", &job) : err;
}

static hx_status_t bench_swap_sched_with(const char *name, const struct sleepers *who)
{
    hx_handle_t *task = hx_hal_alloc(who->count * sizeof(*task));
    hx_status_t err = task ? make_sleepers(task, who->count) : HX_E_NOMEM;
    err = err == HX_OK ? bench_scheduler_swaps(who) : complain(name, hx_err_text(err));
    for (uint32_t i = 0; task && i < who->count; i++) {
        hx_status_t killed = hx_task_kill(task[i]);
        (void)killed; /* it may not have been made */
    }
    hx_hal_free(task);
    return err;
}

static hx_status_t bench_swap_sched(const char *name)
{
    hx_status_t err = HX_OK;
    for (uint32_t i = 0; err == HX_OK && i < HX_ARRAY_SIZE(sleepers); i++)
        err = bench_swap_sched_with(name, &sleepers[i]);
    return err;
}

static hx_status_t bench_swap_kv(const char *name)
{
    (void)name;
    return bench_swap("swap_kv", "", "svc_kv", "bench_kv.hxm");
}

static hx_status_t bench_swap_rtc(const char *name)
{
    (void)name;
    return bench_swap("swap_rtc", "", "drv_rtc", "drv_rtc.hxm");
}

static hx_status_t bench_boot(const char *name)
{
    report(name, hx_boot_insns());
    return HX_OK;
}

/* ---- the idle task --------------------------------------------------------------------------------------------------- */

static bool add_idle(struct hx_task *task, void *context)
{
    if (task->class == HX_TASK_IDLE)
        *(uint64_t *)context += task->switches;
    return true;
}

/* How often an idle task has been switched to. */
static uint64_t idle_runs(void)
{
    uint64_t runs = 0;
    hx_task_for_each(add_idle, &runs);
    return runs;
}

/* ---- all of them ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    hx_status_t (*run)(const char *name);
} benches[] = {
    { "boot_to_prompt", bench_boot }, /* first: it counts from kmain() up to here, where the console would start */
    { "gate_overhead", bench_gate },
    { "capability_check", bench_capability_check },
    { "gate_caller", bench_gate_from },
    { "gate_module_stub", bench_gate_from },
    { "context_switch", bench_context_switch },
    { "wake_round_trip", bench_wake_round_trip },
    { "channel_self_64", bench_channel_self },
    { "channel_round_trip_64", bench_channel_pair },
    { "channel_handover_64", bench_channel_pair },
    { "task_create_join", bench_create_join },
    { "event_publish", bench_event_publish },
    { "router_request", bench_router_request },
    { "timer_tick_busy", bench_interrupt },
    { "irq_line_rtc", bench_interrupt },
    { "irq_self_ipi", bench_self_ipi },
    { "grant_4k", bench_grant },
    { "grant_1m", bench_grant },
    { "module_load_10", bench_load },
    { "module_unload_10", bench_load },
    { "module_reloc_1000", bench_reloc_1000 },
    { "module_reloc_20000", bench_reloc_20000 },
    { "module_import", bench_import },
    { "swap_sched", bench_swap_sched },
    { "swap_kv", bench_swap_kv },
    { "swap_rtc", bench_swap_rtc },
};

/* Whether @name is in the comma-separated @names; a name there stands for all that begin with it. */
static bool is_asked_for(const char *names, const char *name)
{
    if (!names || !*names)
        return true;
    while (*names) {
        size_t word = 0;
        while (names[word] && names[word] != ',')
            word++;
        size_t common = word < strlen(name) ? word : strlen(name);
        if (word && strncmp(names, name, common) == 0)
            return true;
        names += word + (names[word] == ',');
    }
    return false;
}

static bool run_bench(uint32_t index)
{
    if (benches[index].run == bench_import && !has_names_to_import())
        return true;
    uint64_t idle_before = idle_runs();
    bool good = benches[index].run(benches[index].name) == HX_OK;
    if (good && idle_runs() != idle_before)
        good = complain(benches[index].name, "void: the idle task ran meanwhile") == HX_OK;
    hx_task_sleep_until(hx_hal_clock_ns() +
                        CONSOLE_DRAINS_NS); /* whose interrupts would count as the next one's work */
    return good;
}

typedef hx_status_t (*trial_fn)(const char *arguments, const struct hx_pack *initrd);

/* Runs it, if @names asks for it and this kernel has it. */
static void try(const char *names, const char *name, trial_fn trial)
{
    size_t bytes = strlen(name);
    if (trial && names && strncmp(names, name, bytes) == 0)
        hx_hal_poweroff(trial(names + bytes, pack) != HX_OK);
}

void hx_bench_run(const char *names, const struct hx_pack *initrd)
{
    bool failed = false;
    pack = initrd;
    try(names, "sweep", hx_sweep_run);
    try(names, "storm", hx_storm_run);
    try(names, "messages", hx_messages_run);
    try(names, "traffic", hx_traffic_run);
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(benches); i++)
        if (is_asked_for(names, benches[i].name) && !run_bench(i))
            failed = true;
    hx_hal_poweroff(failed);
}
