/* SPDX-License-Identifier: MIT */
/*
 * cmd_tasks.c - commands about tasks.
 */
#include "command.h"
#include "console.h"
#include "demo_task.h"
#include "module_names.h"
#include "task_rows.h"

#include <gate/gate.h>
#include <lib/fmt.h>
#include <string.h>
#include <task/task.h>

enum { DEFAULT_PRIORITY = 128, PRIORITY_MAX = 255, INFO_MAX = 96, POLICY_COLUMNS = 75 };

/* ---- ps ------------------------------------------------------------------------------------------------------------- */
/* The policy's own line about @task; "-" when there is none. The policy runs on this CPU, as the core would call it. */
static void policy_info(hx_handle_t task, char out[INFO_MAX])
{
    hx_preempt_disable();
    hx_ret_t length = hx_gate_left(hx_sched_info(task, out, INFO_MAX - 1));
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

/* Under its task's row; what is longer than the rows goes on beneath. */
static void print_policy(const char *info)
{
    while (*info) {
        size_t bytes = strlen(info), cut = bytes;
        if (bytes > POLICY_COLUMNS)
            for (cut = POLICY_COLUMNS; cut > 1 && info[cut - 1] != ' ';)
                cut--;
        hx_console_printf("%5s%.*s\n", "", (int)cut, info);
        info += cut;
    }
}

static void print_row(const struct hx_task_row *row)
{
    char counter[24] = "-", ms[24], info[INFO_MAX];
    uint64_t count = 0;
    if (hx_demo_counter(row->handle, &count))
        hx_fmt(counter, sizeof(counter), "%llu", (unsigned long long)count);
    if (hx_console_wants_rows()) {
        policy_info(row->handle, info);
        hx_console_object("number handle name class state cpu priority run_ns switches counter policy",
                          "%u %llx %s %s %s %u %u %llu %llu %s %s", hx_handle_index(row->handle),
                          (unsigned long long)row->handle, row->name, hx_task_rows_class(row->class),
                          hx_task_state_name(row->state), row->cpu, row->priority, (unsigned long long)row->run_ns,
                          (unsigned long long)row->switches, counter, row->class == HX_TASK_POLICY ? info : "-");
        return;
    }
    hx_console_printf("%4u %-16.16s %-6s %-8s %3u %4u %11s %10llu %10s\n", hx_handle_index(row->handle), row->name,
                      hx_task_rows_class(row->class), hx_task_state_name(row->state), row->cpu, row->priority,
                      hx_task_rows_ms(row->run_ns, ms), (unsigned long long)row->switches, counter);
    if (row->class != HX_TASK_POLICY)
        return;
    policy_info(row->handle, info);
    print_policy(info);
}

static hx_status_t cmd_ps(int argc, char **argv)
{
    struct hx_task_rows rows;
    if (argc != 1)
        return hx_command_usage(argv[0]);
    hx_status_t err = hx_task_rows_take(&rows);
    if (err != HX_OK)
        return hx_command_refuse(argv[0], "list of tasks", err, NULL);
    hx_console_table(" NUM NAME             CLASS  STATE    CPU PRIO      CPU-MS   SWITCHES    COUNTER");
    for (uint32_t i = 0; i < rows.count && !hx_console_interrupted(); i++)
        print_row(&rows.row[i]);
    hx_task_rows_free(&rows);
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
    const char *owner = argc == 4 ? argv[3] : NULL;
    if (argc > 4)
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
    if (owner && (err = hx_demo_give(task, owner)) != HX_OK) {
        (void)!hx_task_kill(task);
        return err == HX_E_NOENT ? hx_names_refuse_module(argv[0], owner)
                                 : hx_command_refuse(argv[0], owner, err, NULL);
    }
    hx_console_printf("spawned %u %s priority %u handle 0x%llx\n", hx_handle_index(task), name, (uint32_t)priority,
                      (unsigned long long)task);
    return HX_OK;
}

/* ---- kill ----------------------------------------------------------------------------------------------------------- */
static hx_status_t cmd_kill(int argc, char **argv)
{
    struct hx_task_row task;
    if (argc != 2)
        return hx_command_usage(argv[0]);
    hx_status_t err = hx_task_rows_find(argv[0], argv[1], &task);
    if (err != HX_OK)
        return err;
    err = hx_task_kill(task.handle);
    if (err != HX_OK)
        return hx_command_refuse(argv[0], task.name, err,
                                 err == HX_E_PERM ? "core and idle tasks live as long as the machine" : "see ps");
    hx_console_printf("killed %u %s\n", hx_handle_index(task.handle), task.name);
    return HX_OK;
}

const struct hx_command hx_commands_tasks[] = {
    { .id = { HX_CAPABILITY_DEBUG, "ps" },
      .arguments = "",
      .summary = "tasks, what they used, and what the policy holds on them",
      .handler = cmd_ps,
      .help = "COUNTER is a demo task's. Beneath a task of the policy stands what that says of it." },
    { .id = { HX_CAPABILITY_SYSTEM, "spawn" },
      .arguments = "[NAME] [PRIORITY] [MODULE]",
      .summary = "start a demo task that counts",
      .handler = cmd_spawn,
      .help = "PRIORITY is 0 to 255, 255 the highest, 128 if left out. ps shows how far it has counted.\n"
              "MODULE pays for its CPU time, and takes it along when it goes." },
    { .id = { HX_CAPABILITY_SYSTEM, "kill" },
      .arguments = "NUMBER|HANDLE",
      .summary = "end a task",
      .handler = cmd_kill,
      .help = "NUMBER is the first column of ps; it may be used again later. The HANDLE that spawn prints is not.",
      .complete = hx_task_rows_complete },
    { .id = { HX_CAPABILITY_NONE, NULL } },
};
