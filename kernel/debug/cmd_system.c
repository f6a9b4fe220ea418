/* SPDX-License-Identifier: MIT */
/*
 * cmd_system.c - commands about the machine and the kernel as a whole.
 */
#include "command.h"
#include "console.h"
#include "line_editor.h"
#include "log.h"
#include "nearest.h"

#include <hal/hx_hal.h>
#include <helix/module.h>
#include <interrupts/exception.h>
#include <interrupts/router.h>
#include <ipc/grant.h>
#include <lib/fmt.h>
#include <orchestrator/panic.h>
#include <string.h>
#include <task/task.h>

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

enum { POWEROFF_CODE_MAX = 123 };
static const uint64_t look_ns = 200000000;

/* ---- help ----------------------------------------------------------------------------------------------------------- */
static void list_commands(void)
{
    const struct hx_command *c = NULL;
    while ((c = hx_command_next(hx_command_table, c))) {
        char usage[64];
        hx_fmt(usage, sizeof(usage), "%s %s", c->id.name, c->arguments);
        hx_console_printf("  %s%-34s%s %s\n", hx_console_style(HX_STYLE_STRONG), usage,
                          hx_console_style(HX_STYLE_PLAIN), c->summary);
    }
}

static hx_status_t explain(const char *name)
{
    const struct hx_command *c = hx_command_find(hx_command_table, name);
    if (!c) {
        struct hx_nearest nearest;
        hx_nearest_init(&nearest, name);
        while ((c = hx_command_next(hx_command_table, c)))
            hx_nearest_offer(&nearest, c->id.name);
        return hx_command_unknown("help", "command", name, hx_nearest_name(&nearest), "type help for the list");
    }
    hx_console_printf("%s%s%s%s%s\n", hx_console_style(HX_STYLE_STRONG), c->id.name, c->arguments[0] ? " " : "",
                      c->arguments, hx_console_style(HX_STYLE_PLAIN));
    hx_console_printf("%s\n", c->summary);
    if (c->help)
        hx_console_printf("%s\n", c->help);
    return HX_OK;
}

static hx_status_t cmd_help(int argc, char **argv)
{
    if (argc > 2)
        return hx_command_usage(argv[0]);
    if (argc == 2)
        return explain(argv[1]);
    list_commands();
    return HX_OK;
}

static void complete_commands(uint32_t position, struct hx_editor_matches *matches)
{
    if (position == 1)
        hx_command_offer_names(hx_command_table, matches);
}

/* ---- facts ---------------------------------------------------------------------------------------------------------- */
static hx_status_t cmd_version(int argc, char **argv)
{
    if (argc != 1)
        return hx_command_usage(argv[0]);
    hx_console_printf("helix %s, module ABI %u.%u.%u, built by %s\n", HX_HELIX_VERSION, HX_VERSION_MAJOR(HX_ABI),
                      HX_VERSION_MINOR(HX_ABI), HX_VERSION_PATCH(HX_ABI), COMPILER);
    return HX_OK;
}

static hx_status_t cmd_cpu(int argc, char **argv)
{
    char text[1024];
    if (argc != 1)
        return hx_command_usage(argv[0]);
    size_t used = hx_hal_cpu_describe(text, sizeof(text));
    hx_console_text(text, used < sizeof(text) ? used : sizeof(text) - 1);
    hx_console_fresh_line();
    return HX_OK;
}

static hx_status_t cmd_cpus(int argc, char **argv)
{
    char text[80];
    if (argc != 1)
        return hx_command_usage(argv[0]);
    if (!hx_console_env()->processor_describe)
        return hx_command_refuse(argv[0], "list", HX_E_UNSUPPORTED, "use cpu");
    hx_console_heading("INDEX APIC ID STATE");
    for (uint32_t i = 0; hx_console_env()->processor_describe(i, text, sizeof(text)); i++)
        hx_console_printf("%s\n", text);
    return HX_OK;
}

static hx_status_t cmd_uptime(int argc, char **argv)
{
    if (argc != 1)
        return hx_command_usage(argv[0]);
    uint64_t ms = hx_hal_clock_ns() / 1000000u, s = ms / 1000u;
    struct hx_sched_stats stats;
    hx_sched_stats(&stats);
    hx_console_printf("up %llu d %02u:%02u:%02u.%03u, %u tasks, %llu switches\n", (unsigned long long)(s / 86400u),
                      (uint32_t)(s / 3600u % 24u), (uint32_t)(s / 60u % 60u), (uint32_t)(s % 60u),
                      (uint32_t)(ms % 1000u), hx_task_count(), (unsigned long long)stats.switches);
    hx_console_printf("scheduling: %llu decisions by a policy, %llu by the core, %llu wrong answers\n",
                      (unsigned long long)stats.decisions, (unsigned long long)stats.fallbacks,
                      (unsigned long long)stats.bad_answers);
    return HX_OK;
}

static hx_status_t audit_memory(const char *command)
{
    char text[256] = "";
    if (!hx_console_env()->memory_audit)
        return hx_command_refuse(command, "audit", HX_E_UNSUPPORTED, "use mem");
    hx_status_t err = hx_console_env()->memory_audit(text, sizeof(text));
    if (err != HX_OK) {
        hx_command_error(command, "audit", text, "a mapping breaks W^X: do not trust this machine, keep its log");
        return err;
    }
    hx_console_printf("mem: audit passed: %s\n", text);
    return HX_OK;
}

static hx_status_t cmd_mem(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "audit") == 0)
        return audit_memory(argv[0]);
    if (argc != 1)
        return hx_command_usage(argv[0]);
    struct hx_hal_memory_stats stats;
    hx_hal_memory_stats(&stats);
    hx_console_printf("mem: frames %llu free of %llu, heap %llu bytes in %llu objects, images %llu pages\n",
                      (unsigned long long)stats.frames_free, (unsigned long long)stats.frames_total,
                      (unsigned long long)stats.heap_bytes, (unsigned long long)stats.heap_objects,
                      (unsigned long long)stats.image_pages);
    const struct hx_hal_pool_stats *pool = stats.pool;
    hx_console_printf(
        "mem: shared pages: code %llu (%llu bytes), constants %llu (%llu), data %llu (%llu); %llu tables, "
        "placed by %s\n",
        (unsigned long long)pool[HX_PROT_RX].pages, (unsigned long long)pool[HX_PROT_RX].bytes,
        (unsigned long long)pool[HX_PROT_R].pages, (unsigned long long)pool[HX_PROT_R].bytes,
        (unsigned long long)pool[HX_PROT_RW].pages, (unsigned long long)pool[HX_PROT_RW].bytes,
        (unsigned long long)stats.image_tables, stats.seed_source);
    struct hx_grant_stats grants;
    hx_grant_stats(&grants);
    hx_console_printf("mem: grants: %u live, %llu pages\n", grants.live, (unsigned long long)grants.pages);
    return HX_OK;
}

struct irq_row {
    struct hx_irq irq;
    char owner[HX_NAME_MAX];
};

/* A copy of a claim, and of its owner's name, taken in one piece: interrupts and the worker change both. */
static bool copy_claim(uint32_t line, uint32_t nth, struct irq_row *out)
{
    hx_irq_flags_t flags = hx_irq_save();
    const struct hx_irq *irq = NULL;
    while ((irq = hx_irq_next(irq)))
        if (irq->line == line && nth-- == 0)
            break;
    if (irq) {
        out->irq = *irq;
        memcpy(out->owner, irq->module->name, sizeof(out->owner));
    }
    hx_irq_restore(flags);
    return irq != NULL;
}

static const char *irq_state(const struct hx_irq_line *line, const struct hx_irq *irq)
{
    if (!irq->armed)
        return "off";
    return line->stormed ? "storm" : line->held ? "held" : "armed";
}

static void print_claims(uint32_t number)
{
    struct irq_row row;
    struct hx_irq_line line = *hx_irq_line(number);
    for (uint32_t nth = 0; copy_claim(number, nth, &row); nth++)
        hx_console_row("line module key state accepted served pending lost",
                       "%4u %-15.15s %-12.12s %-5s %11llu %11llu %7llu %7llu\n", number, row.owner, row.irq.key,
                       irq_state(&line, &row.irq), (unsigned long long)row.irq.accepted,
                       (unsigned long long)row.irq.served, (unsigned long long)row.irq.pending,
                       (unsigned long long)row.irq.lost);
    if (line.unhandled > 0)
        hx_console_printf("%4u %llu interrupts that nobody called his own, %u times masked for that\n", number,
                          (unsigned long long)line.unhandled, line.storms);
}

static void print_vectors(void)
{
    char text[80];
    for (uint32_t vector = 0; vector < 256; vector++)
        if (hx_console_env()->vector_describe && hx_console_env()->vector_describe(vector, text, sizeof(text)))
            hx_console_printf("%s\n", text);
}

static void print_routes(void)
{
    char route[32];
    for (uint32_t line = 0; line < HX_IRQ_LINES; line++)
        if (hx_console_env()->line_describe && hx_console_env()->line_describe(line, route, sizeof(route)) > 0)
            hx_console_printf("%4u %s\n", line, route);
}

static hx_status_t cmd_irq(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "cpus") == 0) {
        print_vectors();
        return HX_OK;
    }
    if (argc == 2 && strcmp(argv[1], "routes") == 0) {
        print_routes();
        return HX_OK;
    }
    if (argc != 1)
        return hx_command_usage(argv[0]);
    hx_console_table("LINE MODULE          KEY          STATE    ACCEPTED      SERVED PENDING    LOST");
    for (uint32_t line = 0; line < HX_IRQ_LINES; line++)
        print_claims(line);
    hx_console_printf("irq: %llu faults of modules unwound, %llu NMIs, %llu bytes of console input lost\n",
                      (unsigned long long)hx_exception_unwound(), (unsigned long long)hx_exception_nmis(),
                      (unsigned long long)hx_console_bytes_lost());
    return HX_OK;
}

/* ---- the log -------------------------------------------------------------------------------------------------------- */
static void print_log_entry(const struct hx_log_entry *entry)
{
    char line[HX_LOG_FORMATTED_MAX];
    hx_console_object("number time_ns level source text", "%llu %llu %s %s %s", (unsigned long long)entry->number,
                      (unsigned long long)entry->time_ns, hx_log_level_name(entry->level), entry->source, entry->text);
    hx_log_format(entry, line, sizeof(line));
    hx_console_printf("%s\n", line);
}

/* From @cursor to what is the end now. */
static void print_log(struct hx_log_cursor *cursor, uint32_t level)
{
    uint64_t end = hx_log_newest().next, missed = 0;
    struct hx_log_entry entry;
    while (cursor->next < end && !hx_console_interrupted() && hx_log_next(cursor, &entry, &missed)) {
        if (missed > 0)
            hx_console_row("missed", "(%llu lines were dropped meanwhile)\n", (unsigned long long)missed);
        if (entry.level <= level)
            print_log_entry(&entry);
    }
}

static void show_log(uint32_t level, bool follow)
{
    struct hx_log_cursor cursor = hx_log_oldest();
    hx_console_table(NULL);
    if (cursor.next > 0)
        hx_console_row("missed", "(%llu earlier lines were dropped)\n", (unsigned long long)cursor.next);
    print_log(&cursor, level);
    for (bool first = true; follow && !hx_console_pause(hx_hal_clock_ns() + look_ns, !first); first = false)
        hx_console_sink()->is_terminal ? hx_console_log_show() : print_log(&cursor, level);
}

static hx_status_t cmd_dmesg(int argc, char **argv)
{
    uint32_t level = HX_LOG_DEBUG;
    bool follow = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-f") == 0)
            follow = true;
        else if (strcmp(argv[i], "-l") != 0 || ++i == argc)
            return hx_command_usage(argv[0]);
        else if (hx_log_level_parse(argv[i], &level) != HX_OK)
            return hx_command_unknown(argv[0], "level", argv[i], NULL, "use error, warn, info, debug or 0 to 3");
    }
    show_log(level, follow);
    return HX_OK;
}

/* ---- settings ------------------------------------------------------------------------------------------------------- */
static hx_status_t cmd_color(int argc, char **argv)
{
    bool on = hx_console_color();
    if (argc > 2 || (argc == 2 && hx_console_switch_parse(argv[1], &on) != HX_OK))
        return hx_command_usage(argv[0]);
    hx_console_set_color(on);
    if (argc == 1)
        hx_console_printf("color %s\n", on ? "on" : "off");
    return HX_OK;
}

/* ---- the end -------------------------------------------------------------------------------------------------------- */
/* The emergency path first sends what is queued; after the end nobody would. */
static void say_last(const char *text)
{
    const struct hx_sink *sink = hx_console_sink();
    if (sink->is_terminal)
        hx_console_log_show();
    if (sink->finish)
        sink->finish();
    hx_hal_console_emergency(text, strlen(text));
}

static hx_status_t cmd_panic(int argc, char **argv)
{
    char text[160];
    size_t used = 0;
    text[0] = '\0';
    for (int i = 1; i < argc; i++)
        used = hx_fmt_append(text, sizeof(text), used, i > 1 ? " %s" : "%s", argv[i]);
    hx_panic(NULL, "%s", used > 0 ? text : "asked for at the console");
}

static hx_status_t cmd_reboot(int argc, char **argv)
{
    if (argc != 1)
        return hx_command_usage(argv[0]);
    say_last("rebooting\r\n");
    hx_hal_reboot();
}

static hx_status_t cmd_poweroff(int argc, char **argv)
{
    uint64_t code = 0;
    if (argc > 2)
        return hx_command_usage(argv[0]);
    hx_status_t err = argc == 2 ? hx_command_number(argv[1], POWEROFF_CODE_MAX, &code) : HX_OK;
    if (err != HX_OK)
        return hx_command_refuse(argv[0], argv[1], err, "give a number from 0 to 123");
    say_last("powering off\r\n");
    hx_hal_poweroff((uint32_t)code);
}

const struct hx_command hx_commands_system[] = {
    { .id = { HX_CAPABILITY_NONE, "help" },
      .arguments = "[CMD]",
      .summary = "list the commands, or explain one",
      .handler = cmd_help,
      .complete = complete_commands },
    { .id = { HX_CAPABILITY_NONE, "version" }, .arguments = "", .summary = "what runs here", .handler = cmd_version },
    { .id = { HX_CAPABILITY_DEBUG, "cpu" },
      .arguments = "",
      .summary = "the processor and which protections are on",
      .handler = cmd_cpu },
    { .id = { HX_CAPABILITY_DEBUG, "cpus" },
      .arguments = "",
      .summary = "all processors that the firmware names",
      .handler = cmd_cpus },
    { .id = { HX_CAPABILITY_NONE, "uptime" },
      .arguments = "",
      .summary = "time since boot, tasks, scheduling decisions",
      .handler = cmd_uptime },
    { .id = { HX_CAPABILITY_DEBUG, "mem" },
      .arguments = "[audit]",
      .summary = "frames, heap, image pages and grants in use",
      .handler = cmd_mem,
      .help = "With `audit': walks all page tables and fails on a frame that is writable in one mapping and\n"
              "executable in another.",
      .words = "audit" },
    { .id = { HX_CAPABILITY_DEBUG, "irq" },
      .arguments = "[cpus|routes]",
      .summary = "interrupt lines, their counts and owners",
      .handler = cmd_irq,
      .help =
          "ACCEPTED is SERVED, PENDING (told when the module opens again) and LOST (its handler faulted) together.\n"
          "STATE: armed; held (masked until what is pending is told); storm (masked, because nobody called\n"
          "interrupts his own: reload a module of the line); off. With `cpus': what each processor has taken, by\n"
          "vector. With `routes': where each line enters, and how it signals.",
      .words = "cpus routes" },
    { .id = { HX_CAPABILITY_DEBUG, "dmesg" },
      .arguments = "[-f] [-l LEVEL]",
      .summary = "the kernel log",
      .handler = cmd_dmesg,
      .help = "LEVEL is error, warn, info or debug (or 0 to 3): only lines up to it are shown. The boot option\n"
              "loglevel says up to which level lines reach the console by themselves. With -f: until it is stopped.",
      .words = "-f -l" },
    { .id = { HX_CAPABILITY_NONE, "color" },
      .arguments = "[on|off]",
      .summary = "colours on this console",
      .handler = cmd_color,
      .words = "on off" },
    { .id = { HX_CAPABILITY_SYSTEM, "panic" },
      .arguments = "[TEXT]",
      .summary = "stop the kernel with a full dump",
      .handler = cmd_panic,
      .help = "Then it halts, reboots or powers off, as the boot option panic says." },
    { .id = { HX_CAPABILITY_SYSTEM, "reboot" },
      .arguments = "",
      .summary = "start the machine again",
      .handler = cmd_reboot },
    { .id = { HX_CAPABILITY_SYSTEM, "poweroff" },
      .arguments = "[CODE]",
      .summary = "switch the machine off",
      .handler = cmd_poweroff,
      .help = "An emulator's exit device gets CODE, 0 to 123." },
    { .id = { HX_CAPABILITY_NONE, NULL } },
};
