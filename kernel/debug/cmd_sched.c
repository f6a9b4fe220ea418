/* SPDX-License-Identifier: MIT */
/*
 * cmd_sched.c - commands about what runs where: the policy, CPUs, timers, and where a task may be and what it is promised.
 */
#include "command.h"
#include "console.h"
#include "line_editor.h"
#include "task_rows.h"

#include <gate/gate.h>
#include <lib/fmt.h>
#include <lib/sort.h>
#include <module/module.h>
#include <string.h>

enum {
    TOP_TASKS = 16,
    TOP_CPUS_A_LINE = 4,
    TOP_SECONDS_MAX = 86400,
    CPUS_TEXT_MAX = 32,
    PERMILLE = 1000,
};
static const uint64_t second_ns = 1000000000;

/* ---- sched ---------------------------------------------------------------------------------------------------------- */
static const char *slot_state_name(enum hx_slot_state state)
{
    static const char *const names[] = {
        [HX_SLOT_FREE] = "free",     [HX_SLOT_ABSENT] = "absent",   [HX_SLOT_OPEN] = "open",
        [HX_SLOT_CLOSED] = "closed", [HX_SLOT_FAULTED] = "faulted", [HX_SLOT_FAILED] = "failed",
    };
    return names[state];
}

static void print_policy(void)
{
    char who[HX_NAME_MAX] = "nobody, first come first served", version[16] = "";
    struct hx_slot *slot = &hx_slots[HX_SLOT_hx_sched];
    hx_preempt_disable(); /* the worker destroys versions */
    const struct hx_module *module = hx_slot_info(slot)->owner;
    if (module) {
        memcpy(who, module->name, sizeof(who));
        if (module->running && module->running->record)
            hx_version_text(module->running->record->version, version);
    }
    enum hx_slot_state state = hx_slot_state(slot);
    hx_preempt_enable();
    hx_console_row("policy - version slot", "sched: policy %s%s%s, slot %s\n", who, version[0] ? " " : "", version,
                   slot_state_name(state));
}

enum { TASKS, DECISIONS, FALLBACKS, WRONG, STARVED, SWITCHES, COUNTS };

struct cpu_row {
    uint64_t count[COUNTS]; /* the idle task is none of TASKS */
    char runs[HX_NAME_MAX];
};

static bool count_task(struct hx_task *task, void *context)
{
    struct cpu_row *row = context;
    if (task->class != HX_TASK_IDLE && task->cpu < HX_CPUS_MAX)
        row[task->cpu].count[TASKS]++;
    return true;
}

static void copy_cpu(uint32_t cpu, struct cpu_row *row)
{
    struct hx_sched_stats stats;
    hx_sched_stats_of(cpu, &stats);
    row->count[DECISIONS] = stats.decisions;
    row->count[FALLBACKS] = stats.fallbacks;
    row->count[WRONG] = stats.bad_answers;
    row->count[STARVED] = stats.starved;
    row->count[SWITCHES] = stats.switches;
    const struct hx_task *current = ((const struct hx_cpu *)hx_hal_on_cpu(&hx_cpu, cpu))->current;
    if (current)
        memcpy(row->runs, current->name, sizeof(row->runs));
}

static void print_cpu(const char *cpu, const struct cpu_row *row)
{
    static const uint8_t width[COUNTS] = { 5, 11, 10, 7, 7, 11 };
    const uint64_t *count = row->count;
    hx_console_object("cpu tasks decisions fallbacks wrong starved switches runs",
                      "%s %llu %llu %llu %llu %llu %llu %s", cpu, (unsigned long long)count[TASKS],
                      (unsigned long long)count[DECISIONS], (unsigned long long)count[FALLBACKS],
                      (unsigned long long)count[WRONG], (unsigned long long)count[STARVED],
                      (unsigned long long)count[SWITCHES], row->runs);
    hx_console_printf("%3s", cpu);
    for (uint32_t i = 0; i < COUNTS; i++)
        hx_console_printf(" %*llu", width[i], (unsigned long long)row->count[i]);
    hx_console_printf(" %.16s\n", row->runs);
}

static hx_status_t cmd_sched(int argc, char **argv)
{
    struct cpu_row row[HX_CPUS_MAX] = { 0 }, sum = { 0 };
    char number[12];
    if (argc != 1)
        return hx_command_usage(argv[0]);
    print_policy();
    hx_console_table("CPU TASKS   DECISIONS  FALLBACKS   WRONG STARVED    SWITCHES RUNS");
    hx_preempt_disable();
    hx_task_for_each(count_task, row);
    hx_preempt_enable();
    for (uint32_t cpu = 0; cpu < hx_hal_cpu_count(); cpu++) {
        copy_cpu(cpu, &row[cpu]);
        for (uint32_t i = 0; i < COUNTS; i++)
            sum.count[i] += row[cpu].count[i];
        hx_fmt(number, sizeof(number), "%u", cpu);
        print_cpu(number, &row[cpu]);
    }
    print_cpu("all", &sum);
    return HX_OK;
}

/* ---- timers --------------------------------------------------------------------------------------------------------- */
static uint64_t left_ns(uint64_t deadline_ns, uint64_t now_ns)
{
    if (deadline_ns == UINT64_MAX)
        return UINT64_MAX;
    return deadline_ns > now_ns ? deadline_ns - now_ns : 0;
}

static void print_machine_timers(void)
{
    struct hx_timer_stats stats;
    char ms[24];
    hx_console_table("CPU        NEXT-MS      EXPIRED");
    for (uint32_t cpu = 0; cpu < hx_hal_cpu_count(); cpu++) {
        hx_timer_stats(cpu, &stats);
        hx_console_row("cpu next_ms expired", "%3u %14s %12llu\n", cpu,
                       hx_task_rows_ms(left_ns(stats.machine_ns, hx_hal_clock_ns()), ms),
                       (unsigned long long)stats.expired);
    }
}

/* Those that wait with a deadline, the earliest first. */
static void print_waiting(const struct hx_task_rows *rows)
{
    uint32_t waiting = 0;
    char ms[24];
    for (uint32_t i = 0; i < rows->count; i++)
        if (rows->row[i].deadline_ns != UINT64_MAX)
            rows->key[waiting++] = hx_task_rows_key(rows->row[i].deadline_ns, i);
    hx_sort_u64(rows->key, waiting);
    if (waiting > 0)
        hx_console_table(" NUM NAME             CPU STATE           LEFT-MS");
    for (uint32_t i = 0; i < waiting && !hx_console_interrupted(); i++) {
        const struct hx_task_row *row = hx_task_rows_of(rows, rows->key[i]);
        hx_console_row("number name cpu state left_ms", "%4u %-16.16s %3u %-8s %14s\n", hx_handle_index(row->handle),
                       row->name, row->cpu, hx_task_state_name(row->state),
                       hx_task_rows_ms(left_ns(row->deadline_ns, rows->now_ns), ms));
    }
    hx_console_printf("timers: %u tasks wait with a deadline\n", waiting);
}

static hx_status_t cmd_timers(int argc, char **argv)
{
    struct hx_task_rows rows;
    if (argc != 1)
        return hx_command_usage(argv[0]);
    hx_status_t err = hx_task_rows_take(&rows);
    if (err != HX_OK)
        return hx_command_refuse(argv[0], "list of tasks", err, NULL);
    print_machine_timers();
    print_waiting(&rows);
    hx_task_rows_free(&rows);
    return HX_OK;
}

/* ---- affinity ------------------------------------------------------------------------------------------------------- */
/* @task cannot be told what was asked for; @invalid: what to do about HX_E_INVAL. Returns @err. */
static hx_status_t refuse_task(const char *command, const struct hx_task_row *task, hx_status_t err,
                               const char *invalid)
{
    const char *advice = NULL; /* the usual */
    if (err == HX_E_PERM)
        advice = "only tasks of class policy can be told, see ps";
    else if (err == HX_E_INVAL)
        advice = invalid;
    else if (err == HX_E_LIMIT)
        advice = "ask for less, or put it on another CPU with affinity";
    else if (err == HX_E_UNSUPPORTED)
        advice = "reload the scheduler with sched_edf.hxm";
    return hx_command_refuse(command, task->name, err, advice);
}

static hx_status_t set_affinity(const char *command, const char *text, struct hx_task_row *task)
{
    uint32_t cpus = 0;
    hx_status_t err = hx_command_cpus(text, hx_hal_cpu_count(), &cpus);
    if (err != HX_OK)
        return hx_command_refuse(command, text, err,
                                 err == HX_E_RANGE ? "name CPUs that there are, see sched"
                                                   : "give CPUs as in 0,2-3, or all");
    err = hx_task_set_affinity(task->handle, cpus);
    if (err != HX_OK)
        return refuse_task(command, task, err, "name a CPU that runs, see sched");
    task->allowed = (uint8_t)cpus;
    return HX_OK;
}

static hx_status_t cmd_affinity(int argc, char **argv)
{
    struct hx_task_row task;
    char cpus[CPUS_TEXT_MAX];
    if (argc != 2 && argc != 3)
        return hx_command_usage(argv[0]);
    hx_status_t err = hx_task_rows_find(argv[0], argv[1], &task);
    if (err == HX_OK && argc == 3)
        err = set_affinity(argv[0], argv[2], &task);
    if (err != HX_OK)
        return err;
    hx_command_cpus_text(task.allowed, hx_hal_cpu_count(), cpus, sizeof(cpus));
    hx_console_printf("affinity: %u %s: CPUs %s", hx_handle_index(task.handle), task.name, cpus);
    if (argc == 2)
        hx_console_printf(", now on %u", task.cpu);
    hx_console_printf("\n");
    return HX_OK;
}

static void complete_affinity(uint32_t position, struct hx_editor_matches *matches)
{
    hx_task_rows_complete(position, matches);
    if (position == 2)
        hx_editor_offer(matches, "all");
}

/* ---- reserve -------------------------------------------------------------------------------------------------------- */
/* Runtime, period and deadline of argv[2] and so on, in microseconds; a deadline left out is the period. */
static hx_status_t parse_reservation(int argc, char **argv, uint64_t us[3])
{
    for (int i = 2; i < argc; i++) {
        hx_status_t err = hx_command_number(argv[i], UINT64_MAX / 1000u, &us[i - 2]);
        if (err != HX_OK)
            return hx_command_refuse(argv[0], argv[i], err, "give a number of microseconds");
    }
    if (argc == 4)
        us[2] = us[1];
    if (us[0] == 0 || us[0] > us[2] || us[2] > us[1])
        return hx_command_refuse(argv[0], argv[2], HX_E_INVAL, "RUNTIME is from 1 to DEADLINE, that up to PERIOD");
    return HX_OK;
}

static hx_status_t cmd_reserve(int argc, char **argv)
{
    struct hx_task_row task;
    uint64_t us[3] = { 0 };
    bool off = argc == 3 && strcmp(argv[2], "off") == 0;
    if (!off && argc != 4 && argc != 5)
        return hx_command_usage(argv[0]);
    hx_status_t err = hx_task_rows_find(argv[0], argv[1], &task);
    if (err == HX_OK && !off)
        err = parse_reservation(argc, argv, us);
    if (err != HX_OK)
        return err;
    err = hx_task_reserve(task.handle, us[0] * 1000u, us[1] * 1000u, us[2] * 1000u);
    if (err != HX_OK)
        return refuse_task(argv[0], &task, err, "ask for a shorter PERIOD");
    hx_console_printf("reserve: %u %s: ", hx_handle_index(task.handle), task.name);
    if (off)
        hx_console_printf("nothing\n");
    else
        hx_console_printf("%llu us in every %llu us, within %llu us\n", (unsigned long long)us[0],
                          (unsigned long long)us[1], (unsigned long long)us[2]);
    return HX_OK;
}

static void complete_reserve(uint32_t position, struct hx_editor_matches *matches)
{
    hx_task_rows_complete(position, matches);
    if (position == 2)
        hx_editor_offer(matches, "off");
}

/* ---- top ------------------------------------------------------------------------------------------------------------ */
/* Two lists of tasks, and what happened between them. */
struct interval {
    struct hx_task_rows before, now;
    uint64_t span_ns;
};

/* Of the interval, in thousandths. */
static uint32_t share(const struct interval *interval, uint64_t ns)
{
    uint64_t part = interval->span_ns > 0 ? ns * PERMILLE / interval->span_ns : 0;
    return part < PERMILLE ? (uint32_t)part : PERMILLE;
}

/* How much row @i of the later list ran in the interval; @old goes along with it in the earlier one. */
static uint64_t ran_ns(const struct interval *interval, uint32_t i, uint32_t *old)
{
    const struct hx_task_rows *before = &interval->before;
    const struct hx_task_row *row = &interval->now.row[i];
    while (*old < before->count && hx_handle_index(before->row[*old].handle) < hx_handle_index(row->handle))
        (*old)++;
    bool is_new = *old == before->count || before->row[*old].handle != row->handle;
    uint64_t had_ns = is_new ? 0 : before->row[*old].run_ns;
    return row->run_ns > had_ns ? row->run_ns - had_ns : 0;
}

/* Sorts the later list's tasks by what they ran, idle ones left out. Returns how many; @idle: [CPUs], thousandths. */
static uint32_t compare(struct interval *interval, uint32_t idle[HX_CPUS_MAX])
{
    struct hx_task_rows *now = &interval->now;
    uint32_t count = 0, old = 0;
    interval->span_ns = now->now_ns - interval->before.now_ns;
    for (uint32_t i = 0; i < now->count; i++) {
        uint64_t ns = ran_ns(interval, i, &old);
        if (now->row[i].class != HX_TASK_IDLE)
            now->key[count++] = hx_task_rows_key(ns, i);
        else if (now->row[i].cpu < HX_CPUS_MAX)
            idle[now->row[i].cpu] = share(interval, ns);
    }
    hx_sort_u64(now->key, count);
    return count;
}

static void print_busy(const uint32_t idle[HX_CPUS_MAX])
{
    uint32_t cpus = hx_hal_cpu_count();
    for (uint32_t cpu = 0; cpu < cpus; cpu++) {
        uint32_t busy = PERMILLE - idle[cpu];
        bool ends = cpu + 1 == cpus || (cpu + 1) % TOP_CPUS_A_LINE == 0;
        hx_console_printf("CPU %u %3u.%u%%%s", cpu, busy / 10, busy % 10, ends ? "\n" : "   ");
    }
}

static void print_top_row(const struct interval *interval, uint64_t key)
{
    const struct hx_task_row *row = hx_task_rows_of(&interval->now, key);
    uint32_t busy = share(interval, hx_task_rows_key_ns(key));
    char ms[24];
    hx_console_row("number name class state cpu priority busy_percent - cpu_ms switches",
                   "%4u %-16.16s %-6s %-8s %3u %4u %4u.%u%% %12s %11llu\n", hx_handle_index(row->handle), row->name,
                   hx_task_rows_class(row->class), hx_task_state_name(row->state), row->cpu, row->priority, busy / 10,
                   busy % 10, hx_task_rows_ms(row->run_ns, ms), (unsigned long long)row->switches);
}

static void print_frame(struct interval *interval)
{
    uint32_t idle[HX_CPUS_MAX] = { 0 };
    uint32_t count = compare(interval, idle);
    char ms[24];
    if (hx_console_style(HX_STYLE_PLAIN)[0])
        hx_console_printf("\033[H\033[J"); /* Source: ECMA-48, CUP and ED. */
    hx_console_printf("top: %u tasks on %u CPUs, in %s ms\n", interval->now.count, hx_hal_cpu_count(),
                      hx_task_rows_ms(interval->span_ns, ms));
    print_busy(idle);
    hx_console_table(" NUM NAME             CLASS  STATE    CPU PRIO    BUSY       CPU-MS    SWITCHES");
    for (uint32_t i = 0; i < count && i < TOP_TASKS; i++)
        print_top_row(interval, interval->now.key[count - 1 - i]);
}

/* @frames, or until somebody stops it. */
static hx_status_t show_frames(uint64_t frames, bool any_key)
{
    struct interval interval;
    hx_status_t err = hx_task_rows_take(&interval.before);
    if (err != HX_OK)
        return err;
    for (uint64_t i = 0; i < frames; i++) {
        /* What was typed before the first frame is for the prompt. */
        if (hx_console_pause(interval.before.now_ns + second_ns, any_key && i > 0))
            break;
        err = hx_task_rows_take(&interval.now);
        if (err != HX_OK)
            break;
        print_frame(&interval);
        hx_task_rows_free(&interval.before);
        interval.before = interval.now;
    }
    hx_task_rows_free(&interval.before);
    return err;
}

static hx_status_t cmd_top(int argc, char **argv)
{
    uint64_t seconds = UINT64_MAX;
    if (argc > 2)
        return hx_command_usage(argv[0]);
    hx_status_t err = argc == 2 ? hx_command_number(argv[1], TOP_SECONDS_MAX, &seconds) : HX_OK;
    if (err != HX_OK || seconds == 0)
        return hx_command_refuse(argv[0], argv[1], err == HX_OK ? HX_E_RANGE : err,
                                 "give a number of seconds from 1 to 86400");
    err = show_frames(seconds, argc == 1);
    return err == HX_OK ? HX_OK : hx_command_refuse(argv[0], "list of tasks", err, NULL);
}

const struct hx_command hx_commands_sched[] = {
    { .id = { HX_CAPABILITY_DEBUG, "top" },
      .arguments = "[SECONDS]",
      .summary = "what is busy, second by second",
      .handler = cmd_top,
      .help =
          "For SECONDS, or until a key is pressed. BUSY: its part of a CPU in that second; the first 16 are shown." },
    { .id = { HX_CAPABILITY_DEBUG, "sched" },
      .arguments = "",
      .summary = "the policy, and what each CPU decided and runs",
      .handler = cmd_sched,
      .help =
          "DECISIONS are the policy's, FALLBACKS the core's; of those STARVED for a task that had waited too long." },
    { .id = { HX_CAPABILITY_DEBUG, "timers" },
      .arguments = "",
      .summary = "the timers of each CPU, and who waits for a time",
      .handler = cmd_timers,
      .help = "NEXT-MS: when its timer goes off. EXPIRED: timers since boot." },
    { .id = { HX_CAPABILITY_SYSTEM, "affinity" },
      .arguments = "TASK [CPUS]",
      .summary = "on which CPUs a task may be",
      .handler = cmd_affinity,
      .help = "TASK is as for kill, CPUS as 0,2-3, or all.",
      .complete = complete_affinity },
    { .id = { HX_CAPABILITY_SYSTEM, "reserve" },
      .arguments = "TASK RUNTIME_US PERIOD_US [DEADLINE_US] | off",
      .summary = "promise a task time",
      .handler = cmd_reserve,
      .help = "RUNTIME in every PERIOD, within DEADLINE (else PERIOD) of its begin.",
      .complete = complete_reserve },
    { .id = { HX_CAPABILITY_NONE, NULL } },
};
