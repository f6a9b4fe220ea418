/* SPDX-License-Identifier: MIT */
/*
 * bench.c - see bench.h: the table, who of it is run, and what the measurements share.
 *
 * A sample is void when the idle task ran inside it: then something waited for a device, and the count is not of work done.
 */
#include "bench.h"

#include <hal/hx_hal.h>
#include <lib/fmt.h>
#include <orchestrator/lifecycle.h>
#include <string.h>

#include "bench_part.h"
#include "compose.h"
#include "messages.h"
#include "storm.h"
#include "sweep.h"
#include "traffic.h"

enum { CONSOLE_DRAINS_NS = 20000000 };

const struct hx_pack *hx_bench_pack;

/* ---- what they share ------------------------------------------------------------------------------------------------- */

void hx_bench_report(const char *name, uint64_t insns)
{
    char line[128];
    size_t bytes =
        hx_fmt(line, sizeof(line), "{\"name\": \"%s\", \"insns\": %llu}\r\n", name, (unsigned long long)insns);
    hx_hal_console_write(line, bytes);
}

hx_status_t hx_bench_complain(const char *name, const char *why)
{
    char line[512];
    size_t bytes = hx_fmt(line, sizeof(line), "bench: %s: %s\r\n", name, why);
    hx_hal_console_write(line, bytes < sizeof(line) ? bytes : sizeof(line) - 1);
    return HX_E_FAILED;
}

hx_status_t hx_bench_with_module(const char *name, const char *file,
                                 hx_status_t (*measure)(const char *name, const struct hx_module *module))
{
    struct hx_slice bytes;
    struct hx_report why;
    struct hx_module *module = NULL;
    hx_report_init(&why);
    if (hx_pack_find(hx_bench_pack, file, &bytes) != HX_OK)
        return hx_bench_complain(file, "it is not in the initrd");
    if (hx_lifecycle_load(bytes, "", &module, &why) != HX_OK)
        return hx_bench_complain(name, why.message);
    hx_status_t err = measure(name, module);
    hx_status_t unloaded = hx_lifecycle_unload(module, &why);
    return err == HX_OK && unloaded != HX_OK ? hx_bench_complain(name, why.message) : err;
}

static hx_status_t bench_boot(const char *name)
{
    hx_bench_report(name, hx_boot_insns());
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
    { "gate_overhead", hx_bench_gate_overhead },
    { "capability_check", hx_bench_capability_check },
    { "gate_caller", hx_bench_gate_caller },
    { "gate_module_stub", hx_bench_gate_stub },
    { "context_switch", hx_bench_context_switch },
    { "wake_round_trip", hx_bench_wake_round_trip },
    { "channel_self_64", hx_bench_channel_self },
    { "channel_round_trip_64", hx_bench_channel_pair },
    { "channel_handover_64", hx_bench_channel_pair },
    { "task_create_join", hx_bench_create_join },
    { "event_publish", hx_bench_event_publish },
    { "router_request", hx_bench_router_request },
    { "timer_tick_busy", hx_bench_interrupt },
    { "irq_line_rtc", hx_bench_interrupt },
    { "irq_self_ipi", hx_bench_self_ipi },
    { "grant_4k", hx_bench_grant },
    { "grant_1m", hx_bench_grant },
    { "module_load_10", hx_bench_load },
    { "module_unload_10", hx_bench_load },
    { "module_reloc_1000", hx_bench_reloc_1000 },
    { "module_reloc_20000", hx_bench_reloc_20000 },
    { "module_import", hx_bench_import },
    { "swap_sched", hx_bench_swap_sched },
    { "swap_kv", hx_bench_swap_kv },
    { "swap_rtc", hx_bench_swap_rtc },
    { "kv_put", hx_bench_kv_put }, /* last: it wants another store */
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
    uint64_t idle_before = idle_runs();
    bool good = benches[index].run(benches[index].name) == HX_OK;
    if (good && idle_runs() != idle_before)
        good = hx_bench_complain(benches[index].name, "void: the idle task ran meanwhile") == HX_OK;
    hx_task_sleep_until(hx_hal_clock_ns() +
                        CONSOLE_DRAINS_NS); /* whose interrupts would count as the next one's work */
    return good;
}

typedef hx_status_t (*trial_fn)(const char *arguments, const struct hx_pack *initrd);

/* Runs it, if @names asks for it. */
static void try(const char *names, const char *name, trial_fn trial)
{
    size_t bytes = strlen(name);
    if (names && strncmp(names, name, bytes) == 0)
        hx_hal_poweroff(trial(names + bytes, hx_bench_pack) != HX_OK);
}

void hx_bench_run(const char *names, const struct hx_pack *initrd)
{
    bool failed = false;
    hx_bench_pack = initrd;
    try(names, "sweep", hx_sweep_run);
    try(names, "storm", hx_storm_run);
    try(names, "messages", hx_messages_run);
    try(names, "traffic", hx_traffic_run);
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(benches); i++)
        if (is_asked_for(names, benches[i].name) && !run_bench(i))
            failed = true;
    hx_hal_poweroff(failed);
}
