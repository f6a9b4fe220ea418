/* SPDX-License-Identifier: MIT */
/*
 * cmd_tasks.c - commands about tasks.
 *
 * ps takes a copy of every task first and prints afterwards: printing may sleep, and a task may end meanwhile.
 */
#include "command.h"
#include "console.h"
#include "demo_task.h"
#include "line_editor.h"

#include <lib/fmt.h>
#include <string.h>
#include <task/task.h>

enum { DEFAULT_PRIORITY = 128, PRIORITY_MAX = 255, SNAPSHOT_SLACK = 16, INFO_MAX = 96 };

/* ---- ps ------------------------------------------------------------------------------------------------------------- */
struct task_row {
    hx_handle_t handle;
    uint64_t run_ns;
    uint64_t switches;
    enum hx_task_class class;
    enum hx_task_state state;
    uint8_t priority;
    char name[HX_NAME_MAX];
};

struct snapshot {
    struct task_row *row;
    uint32_t count, max;
    uint64_t now_ns;
};

static bool snapshot_task(struct hx_task *task, void *context)
{
    struct snapshot *s = context;
    if (s->count == s->max)
        return false;
    struct task_row *row = &s->row[s->count++];
    row->handle = task->handle;
    row->run_ns = task->run_ns;
    if (task == hx_task_current() && s->now_ns > task->started_ns)
        row->run_ns += s->now_ns - task->started_ns;
    row->switches = task->switches;
    row->class = task->class;
    row->state = task->state;
    if (task->class == HX_TASK_IDLE && task != hx_task_current())
        row->state = HX_TASK_READY; /* it has no other state than running to itself */
    row->priority = task->priority;
    hx_fmt(row->name, sizeof(row->name), "%s", task->name);
    return true;
}

/* @out: to be freed with hx_hal_free(out->row). HX_E_NOMEM. */
static hx_status_t take_snapshot(struct snapshot *out)
{
    struct snapshot s = { .max = hx_task_count() + SNAPSHOT_SLACK, .now_ns = hx_hal_clock_ns() };
    s.row = hx_hal_alloc(s.max * sizeof(*s.row));
    if (!s.row)
        return HX_E_NOMEM;
    hx_preempt_disable();
    hx_task_for_each(snapshot_task, &s);
    hx_preempt_enable();
    *out = s;
    return HX_OK;
}

/* The policy's own line about @task; "-" when there is none. The policy runs on this CPU, as the core would call it. */
static void policy_info(hx_handle_t task, char out[INFO_MAX])
{
    hx_preempt_disable();
    hx_ret_t length = hx_sched_info(task, out, INFO_MAX - 1);
    hx_preempt_enable();
    if (length <= 0 || length >= INFO_MAX) {
        memcpy(out, "-", 2);
        return;
    }
    out[length] = '\0';
    for (char *c = out; *c; c++)
        if ((uint8_t)*c < ' ' || (uint8_t)*c >= 0x7f)
            *c = '?';
}

static const char *class_name(enum hx_task_class class)
{
    switch (class) {
    case HX_TASK_CORE: return "core";
    case HX_TASK_POLICY: return "policy";
    case HX_TASK_IDLE: return "idle";
    }
    return "unknown";
}

static void print_row(const struct task_row *row)
{
    char counter[24] = "-", info[INFO_MAX] = "-";
    uint64_t count = 0;
    if (hx_demo_counter(row->handle, &count))
        hx_fmt(counter, sizeof(counter), "%llu", (unsigned long long)count);
    if (row->class == HX_TASK_POLICY)
        policy_info(row->handle, info);
    uint64_t us = row->run_ns / 1000u;
    hx_console_printf("%5u %-16s %-6s %-8s %4u %10llu.%03u %10llu %12s %s\n", hx_handle_index(row->handle), row->name,
                      class_name(row->class), hx_task_state_name(row->state), row->priority,
                      (unsigned long long)(us / 1000u), (uint32_t)(us % 1000u), (unsigned long long)row->switches,
                      counter, info);
}

static hx_status_t cmd_ps(int argc, char **argv)
{
    struct snapshot s;
    if (argc != 1)
        return hx_command_usage(argv[0]);
    hx_status_t err = take_snapshot(&s);
    if (err != HX_OK)
        return hx_command_refuse(argv[0], "list of tasks", err, NULL);
    hx_console_printf("%s%5s %-16s %-6s %-8s %4s %14s %10s %12s %s%s\n", hx_console_style(HX_STYLE_STRONG), "NUM",
                      "NAME", "CLASS", "STATE", "PRIO", "CPU-MS", "SWITCHES", "COUNTER", "POLICY",
                      hx_console_style(HX_STYLE_PLAIN));
    for (uint32_t i = 0; i < s.count && !hx_console_interrupted(); i++)
        print_row(&s.row[i]);
    hx_hal_free(s.row);
    return HX_OK;
}

/* ---- spawn ---------------------------------------------------------------------------------------------------------- */
static bool is_number(const char *text)
{
    uint64_t ignored;
    return hx_command_number(text, UINT64_MAX, &ignored) == HX_OK;
}

/* A name is one word of ps. */
static bool is_task_name(const char *text)
{
    for (const char *c = text; *c; c++)
        if ((uint8_t)*c <= ' ' || (uint8_t)*c >= 0x7f)
            return false;
    return text[0] != '\0';
}

static hx_status_t cmd_spawn(int argc, char **argv)
{
    static uint32_t next_number = 1;
    char name[HX_NAME_MAX];
    uint64_t priority = DEFAULT_PRIORITY;
    bool has_name = argc > 1 && !(argc == 2 && is_number(argv[1]));
    if (argc > 3)
        return hx_command_usage(argv[0]);
    if (has_name && strlen(argv[1]) >= HX_NAME_MAX)
        return hx_command_refuse(argv[0], argv[1], HX_E_LIMIT, "give a name of at most 31 bytes");
    if (has_name && !is_task_name(argv[1]))
        return hx_command_refuse(argv[0], argv[1], HX_E_INVAL, "give a name of printable ASCII without blanks");
    const char *number = has_name ? argv[2] : argv[1]; /* argv ends with NULL */
    hx_status_t err = number ? hx_command_number(number, PRIORITY_MAX, &priority) : HX_OK;
    if (err != HX_OK)
        return hx_command_refuse(argv[0], number, err, "give a priority from 0 to 255, 255 being the highest");
    if (has_name)
        hx_fmt(name, sizeof(name), "%s", argv[1]);
    else
        hx_fmt(name, sizeof(name), "demo%u", next_number++);

    hx_handle_t task = HX_HANDLE_NONE;
    err = hx_demo_spawn(name, (uint8_t)priority, &task);
    if (err != HX_OK)
        return hx_command_refuse(argv[0], name, err, "kill some tasks first, see ps");
    hx_console_printf("spawned %u %s priority %u handle 0x%llx\n", hx_handle_index(task), name, (uint32_t)priority,
                      (unsigned long long)task);
    return HX_OK;
}

/* ---- kill ----------------------------------------------------------------------------------------------------------- */
struct search {
    uint32_t index;
    hx_handle_t found;
    char name[HX_NAME_MAX];
};

static bool is_sought(struct hx_task *task, void *context)
{
    struct search *search = context;
    if (hx_handle_index(task->handle) != search->index)
        return true;
    search->found = task->handle;
    hx_fmt(search->name, sizeof(search->name), "%s", task->name);
    return false;
}

static hx_status_t cmd_kill(int argc, char **argv)
{
    uint64_t number = 0;
    if (argc != 2)
        return hx_command_usage(argv[0]);
    if (hx_command_number(argv[1], UINT64_MAX, &number) != HX_OK)
        return hx_command_refuse(argv[0], argv[1], HX_E_INVAL, "give the number or the handle of a task, see ps");
    struct search search = { .index = hx_handle_index(number) };
    hx_preempt_disable();
    hx_task_for_each(is_sought, &search);
    hx_preempt_enable();
    bool is_handle = hx_handle_type(number) == HX_HANDLE_TASK;
    if (search.found == HX_HANDLE_NONE || (is_handle ? search.found != number : number > UINT32_MAX))
        return hx_command_refuse(argv[0], argv[1], is_handle ? HX_E_STALE : HX_E_NOENT,
                                 "see ps for the tasks there are");
    hx_status_t err = hx_task_kill(search.found);
    if (err != HX_OK)
        return hx_command_refuse(argv[0], search.name, err,
                                 err == HX_E_PERM ? "core and idle tasks live as long as the machine" : "see ps");
    hx_console_printf("killed %u %s\n", search.index, search.name);
    return HX_OK;
}

static void complete_tasks(uint32_t position, struct hx_editor_matches *matches)
{
    struct snapshot s;
    char number[16];
    if (position != 1 || take_snapshot(&s) != HX_OK)
        return;
    for (uint32_t i = 0; i < s.count; i++) {
        hx_fmt(number, sizeof(number), "%u", hx_handle_index(s.row[i].handle));
        if (s.row[i].class == HX_TASK_POLICY)
            hx_editor_offer(matches, number);
    }
    hx_hal_free(s.row);
}

const struct hx_command hx_commands_tasks[] = {
    { .name = "ps",
      .arguments = "",
      .summary = "tasks, what they used, and what the policy holds on them",
      .handler = cmd_ps },
    { .name = "spawn",
      .arguments = "[NAME] [PRIORITY]",
      .summary = "start a demo task that counts",
      .handler = cmd_spawn,
      .help = "PRIORITY is 0 to 255, 255 the highest, 128 if left out. ps shows how far it has counted." },
    { .name = "kill",
      .arguments = "NUMBER|HANDLE",
      .summary = "end a task",
      .handler = cmd_kill,
      .help = "NUMBER is the first column of ps; it may be used again later. The HANDLE that spawn prints is not.",
      .complete = complete_tasks },
    { .name = NULL },
};
