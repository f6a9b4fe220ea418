/* SPDX-License-Identifier: MIT */
/*
 * compose.c - what compose_core.c does not bind: the machine, the console, the panic, the topics; and the boot options.
 */
#include "compose.h"

#include <arch/x86_64/arch.h>
#include <debug/console.h>
#include <debug/log.h>
#include <hotreload/engine.h>
#include <hotreload/probation.h>
#include <interrupts/router.h>
#include <mm/mm.h>
#include <orchestrator/capability_broker.h>
#include <orchestrator/panic.h>
#include <string.h>

#include "compose_core.h"
#include "processors.h"
#include "topics.h"

/* ---- what rooms tell ------------------------------------------------------------------------------------------------ */

static void tell(bool bad, const char *line)
{
    hx_log_line(bad ? HX_LOG_ERROR : HX_LOG_INFO, NULL, "%s", line);
}

static struct hx_console_env console_env = {
    .memory_audit = hx_mm_audit,
    .core_function_at = hx_core_function_at,
    .core_function = hx_core_function,
    .processor_describe = hx_processor_describe,
    .line_describe = hx_arch_line_describe,
    .vector_describe = hx_arch_vector_describe,
};

/* ---- interrupt lines ------------------------------------------------------------------------------------------------ */

static void line_stormed(uint32_t line, const struct hx_module *module)
{
    hx_log_line(HX_LOG_WARN, module->name,
                "line %u is masked: %u interrupts in a row that nobody called his own; reload a module of it", line,
                (unsigned)HX_IRQ_STORM);
    hx_topics_line_stormed(line, module->name);
}

static const struct hx_compose_ties ties = {
    .tell = tell,
    .module_happened = hx_topics_module_happened,
    .capability_happened = hx_topics_capability_happened,
    .line_stormed = line_stormed,
};

/* ---- panic ---------------------------------------------------------------------------------------------------------- */

static void print_modules(void)
{
    char version[16];
    hx_panic_print("modules:");
    for (const struct hx_module *module = hx_module_next(NULL); module; module = hx_module_next(module)) {
        if (!module->running)
            continue;
        hx_version_text(module->running->record->version, version);
        hx_panic_print("  %-16s %-8s %-8s at 0x%llx", module->name, version, hx_module_state_name(module->state),
                       (unsigned long long)module->running->image->part[HX_PART_TEXT].va);
    }
}

static void print_log_line(const char *line)
{
    hx_panic_print("  %s", line);
}

static void print_log(void)
{
    hx_panic_print("last log lines:");
    hx_log_dump(16, print_log_line);
}

static const struct hx_panic_binding panic_binding = {
    .symbolise = hx_symbolise,
    .hook_count = 2,
    .hook = { { "modules", print_modules }, { "log", print_log } },
};

/* ---- boot options --------------------------------------------------------------------------------------------------- */

/* All there are, as they are told to who misspells one. */
static const char options[] =
    "panic= loglevel= seed= skip= safe probation_ms= restart= bench color= cpus= caps= control=";

static size_t word_bytes(const char *at)
{
    size_t bytes = 0;
    while (at[bytes] && at[bytes] != ' ')
        bytes++;
    return bytes;
}

static bool is_option(const char *name, size_t bytes)
{
    for (const char *at = options; *at;) {
        size_t word = word_bytes(at);
        if (word - (at[word - 1] == '=') == bytes && strncmp(at, name, bytes) == 0)
            return true;
        at += word + (at[word] == ' ');
    }
    return false;
}

/* Words that nobody reads are told, so that a misspelt option does not pass for one that was taken. NAME.param=value is a
 * module's. */
static void report_unknown_words(const char *cmdline)
{
    for (const char *at = cmdline; *at;) {
        size_t word = word_bytes(at), name = 0;
        while (name < word && at[name] != '=')
            name++;
        if (word > 0 && !memchr(at, '.', name) && !is_option(at, name))
            hx_log_line(HX_LOG_WARN, NULL, "boot option %.*s: unknown; there are %s and MODULE.PARAM=", (int)word, at,
                        options);
        at += word + (at[word] == ' ');
    }
}

static bool option(const struct hx_boot_info *info, const char *name, char *out, size_t bytes)
{
    return hx_boot_option(info, name, out, bytes) == HX_OK;
}

static void bad_option(const char *name, const char *value, const char *expected)
{
    hx_log_line(HX_LOG_WARN, NULL, "boot option %s=%s: expected %s; the default stays", name, value, expected);
}

static bool parse_ms(const char *text, uint64_t *out_ns)
{
    uint64_t ms = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || ms > 100000000)
            return false;
        ms = ms * 10 + (uint64_t)(*text - '0');
    }
    *out_ns = ms * 1000000;
    return true;
}

static void apply_options(const struct hx_boot_info *info)
{
    char value[32];
    enum hx_panic_end end = HX_PANIC_HALT;
    uint32_t level = 0;
    uint64_t ns = 0;
    bool on = true;
    report_unknown_words(info->cmdline);
    if (option(info, "panic", value, sizeof(value))) {
        if (hx_panic_end_parse(value, &end) == HX_OK)
            hx_panic_set_end(end);
        else
            bad_option("panic", value, "halt, reboot or exit");
    }
    if (option(info, "loglevel", value, sizeof(value))) {
        if (hx_log_level_parse(value, &level) == HX_OK)
            hx_log_set_console_level(level);
        else
            bad_option("loglevel", value, "error, warn, info or debug");
    }
    if (option(info, "color", value, sizeof(value))) {
        if (hx_console_switch_parse(value, &on) == HX_OK)
            hx_console_set_color(on);
        else
            bad_option("color", value, "on or off");
    }
    if (option(info, "restart", value, sizeof(value))) {
        if (hx_console_switch_parse(value, &on) == HX_OK)
            hx_engine_set_restarts(on);
        else
            bad_option("restart", value, "on or off");
    }
    if (option(info, "probation_ms", value, sizeof(value))) {
        if (parse_ms(value, &ns))
            hx_probation_set_length_ns(ns);
        else
            bad_option("probation_ms", value, "a number of milliseconds");
    }
    if (option(info, "caps", value, sizeof(value))) {
        hx_capability_warns = strcmp(value, "warn") == 0;
        if (!hx_capability_warns && strcmp(value, "enforce") != 0)
            bad_option("caps", value, "enforce or warn");
    }
}

hx_status_t hx_compose(const struct hx_boot_info *info, const char **out_what)
{
    hx_panic_bind(&panic_binding);
    console_env.pack = hx_initrd();
    hx_console_bind(&console_env);
    *out_what = "interfaces";
    hx_status_t err = hx_compose_core(&ties);
    if (err != HX_OK)
        return err;
    apply_options(info);
    *out_what = "topics";
    return hx_topics_create();
}
