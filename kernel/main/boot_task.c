/* SPDX-License-Identifier: MIT */
/*
 * boot_task.c - from the initrd to running modules to the prompt.
 *
 * A task of its own, because modules' hooks may sleep. Whatever is wrong with the initrd or with a module is said in one
 * line and left out; the prompt always comes.
 */
#include <debug/console.h>
#include <debug/control.h>
#include <debug/log.h>
#include <hotreload/engine.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <mm/mm.h>
#include <module/plan.h>
#include <orchestrator/resource_broker.h>
#include <string.h>

#include "bench.h"
#include "compose.h"
#include "control_key.h"
#include "processors.h"

static struct hx_pack initrd;
static const struct hx_boot_info *boot;

const struct hx_pack *hx_initrd(void)
{
    return &initrd;
}

/* `skip=NAME` may be given for one module, `skip=A,B` for several. Calls @visit with each name until it says true, and
 * returns whether it did. */
static bool skip_list_find(bool (*visit)(const char *name, size_t bytes, const void *context), const void *context)
{
    char list[HX_BOOT_CMDLINE_MAX];
    if (hx_boot_option(boot, "skip", list, sizeof(list)) != HX_OK)
        return false;
    for (const char *at = list; *at;) {
        size_t word = 0;
        while (at[word] && at[word] != ',')
            word++;
        if (visit(at, word, context))
            return true;
        at += word + (at[word] == ',');
    }
    return false;
}

static bool is_called(const char *name, size_t bytes, const void *wanted)
{
    return strlen(wanted) == bytes && strncmp(name, wanted, bytes) == 0;
}

static bool owner_skips(const char *name)
{
    return skip_list_find(is_called, name);
}

/* A misspelt name skips nothing, which its owner should not find out by what then goes wrong. */
static bool report_unplanned(const char *name, size_t bytes, const void *context)
{
    const struct hx_plan *plan = context;
    bool known = bytes == 0;
    for (uint32_t i = 0; i < plan->count && !known; i++)
        known = is_called(name, bytes, plan->items[i].name);
    if (!known)
        hx_log_line(HX_LOG_WARN, NULL, "boot option skip=%.*s: no module that the initrd loads is called so",
                    (int)bytes, name);
    return false;
}

static bool has_option(const char *name)
{
    char value[1];
    return hx_boot_option(boot, name, value, sizeof(value)) != HX_E_NOENT;
}

/* NAME.param=value on the command line becomes "param=value" for module NAME. */
static void params_of(const char *module, char *out, size_t bytes)
{
    size_t used = 0, name_bytes = strlen(module);
    out[0] = 0;
    for (const char *at = boot->cmdline; *at;) {
        size_t word = 0;
        while (at[word] && at[word] != ' ')
            word++;
        if (word > name_bytes + 1 && strncmp(at, module, name_bytes) == 0 && at[name_bytes] == '.')
            used = hx_fmt_append(out, bytes, used, "%s%.*s", used ? " " : "", (int)(word - name_bytes - 1),
                                 at + name_bytes + 1);
        at += word + (at[word] == ' ');
    }
}

static bool open_initrd(void)
{
    struct hx_pack_report report;
    if (boot->initrd_bytes == 0) {
        hx_log_line(HX_LOG_ERROR, NULL, "no initrd: no module is loaded; give GRUB a `module2 /initrd.cpio' line");
        return false;
    }
    if (!hx_mm_is_memory(boot, boot->initrd_pa, boot->initrd_bytes)) {
        hx_log_line(HX_LOG_ERROR, NULL,
                    "initrd at 0x%llx, %llu bytes: not in memory; the boot loader is wrong about it",
                    (unsigned long long)boot->initrd_pa, (unsigned long long)boot->initrd_bytes);
        return false;
    }
    struct hx_slice bytes = hx_slice_of(hx_mm_phys_to_virt(boot->initrd_pa), boot->initrd_bytes);
    if (hx_pack_open(bytes, &initrd, &report) != HX_OK) {
        hx_log_line(HX_LOG_ERROR, NULL, "initrd: %s; make it with mkmodpack", report.message);
        return false;
    }
    return true;
}

static void load_one(const struct hx_plan_item *item)
{
    char params[HX_PARAM_TEXT_MAX + 1], version[16]; /* what is cut off is noticed: it is too long then */
    params_of(item->name, params, sizeof(params));
    struct hx_job job = {
        .kind = HX_JOB_LOAD, .file = item->entry->content, .params = params, .who = "boot", .by = &hx_kernel_principal
    };
    hx_status_t err = hx_engine_run(&job);
    if (err != HX_OK) {
        hx_log_line(HX_LOG_ERROR, NULL, "%s: %s: %s: %s", item->entry->name, job.report.step, hx_err_name(err),
                    job.report.message);
        return;
    }
    const struct hx_module *module = hx_module_find(job.loaded);
    hx_version_text(module->running->record->version, version);
    hx_log_line(HX_LOG_INFO, NULL, "%s %s: %s", job.loaded, version, module->running->record->summary);
}

static void load_modules(void)
{
    struct hx_plan plan;
    hx_status_t err = hx_plan_make(&initrd, owner_skips, &plan);
    if (err != HX_OK) {
        hx_log_line(HX_LOG_ERROR, NULL, "modules: %s; none is loaded", hx_err_text(err));
        return;
    }
    (void)skip_list_find(report_unplanned, &plan);
    for (uint32_t i = 0; i < plan.count; i++)
        if (plan.items[i].err != HX_OK)
            hx_log_line(plan.items[i].err == HX_E_DISABLED ? HX_LOG_INFO : HX_LOG_ERROR, NULL, "%s: %s: %s",
                        plan.items[i].entry->name, hx_err_name(plan.items[i].err), plan.items[i].message);
    for (uint32_t i = 0; i < plan.order_count; i++)
        load_one(&plan.items[plan.order[i]]);
    hx_plan_release(&plan);
}

static void say_who_is_here(void)
{
    struct hx_hal_memory_stats stats;
    hx_hal_memory_stats(&stats);
    hx_log_line(HX_LOG_INFO, NULL, "helix %s, %llu MiB of memory, started by %s", HX_HELIX_VERSION,
                (unsigned long long)(stats.frames_total * HX_PAGE_BYTES >> 20), boot->loader);
}

static void make_pools(void)
{
    struct hx_hal_memory_stats stats;
    hx_hal_memory_stats(&stats);
    hx_status_t err = hx_resource_pool_init(HX_RESOURCE_MEMORY, stats.frames_total * HX_PAGE_BYTES);
    if (err == HX_OK)
        err = hx_resource_pool_init(HX_RESOURCE_CPU_TIME, hx_hal_cpu_count() * UINT64_C(1000000000));
    if (err != HX_OK)
        hx_log_line(HX_LOG_ERROR, NULL, "resources: %s", hx_err_text(err));
}

/* Last but for the prompt: who gets an answer there knows that the kernel is ready. */
static void start_control(void)
{
    char value[8] = "on";
    bool is_known = hx_boot_option(boot, "control", value, sizeof(value)) != HX_E_LIMIT;
    bool is_signed = strcmp(value, "signed") == 0;
    if (is_known && strcmp(value, "off") == 0)
        return;
    if (!is_known || (!is_signed && strcmp(value, "on") != 0)) { /* who meant to shut it should not find it open */
        hx_log_line(HX_LOG_ERROR, NULL, "boot option control: expected on, off or signed; the channel stays off");
        return;
    }
    hx_status_t err = hx_control_start(is_signed, hx_control_key);
    if (err == HX_E_ABSENT)
        hx_log_line(HX_LOG_INFO, NULL, "no second serial line: no control channel");
    else if (err != HX_OK)
        hx_log_line(HX_LOG_ERROR, NULL, "control channel: %s", hx_err_text(err));
}

static hx_status_t boot_task(void *argument)
{
    (void)argument;
    char names[128];
    bool safe = has_option("safe");
    say_who_is_here();
    hx_processors_start(boot);
    hx_processors_log();
    make_pools();
    if (open_initrd() && !safe)
        load_modules();
    if (safe)
        hx_log_line(HX_LOG_INFO, NULL, "safe: no module is loaded");
    if (hx_boot_option(boot, "bench", names, sizeof(names)) == HX_OK) {
        if (hx_bench_run)
            hx_bench_run(names, &initrd);
        hx_log_line(HX_LOG_WARN, NULL, "bench: this kernel has no benchmarks; boot helix-bench.bin");
    }
    start_control();
    return hx_console_start();
}

hx_status_t hx_boot_task_start(const struct hx_boot_info *info)
{
    hx_handle_t task = HX_HANDLE_NONE;
    boot = info;
    hx_status_t err = hx_engine_start();
    return err == HX_OK ? hx_task_create(HX_TASK_CORE, "boot", 255, boot_task, NULL, &task) : err;
}
