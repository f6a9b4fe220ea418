/* SPDX-License-Identifier: MIT */
/*
 * task_rows.c - see task_rows.h.
 */
#include "task_rows.h"

#include "command.h"
#include "line_editor.h"

#include <lib/fmt.h>
#include <string.h>

enum { SLACK = 16, INDEX_BITS = 12 };
_Static_assert(HX_TASKS_MAX <= 1 << INDEX_BITS, "a key has room for every index");

static bool is_running(const struct hx_task *task)
{
    return ((const struct hx_cpu *)hx_hal_on_cpu(&hx_cpu, task->cpu))->current == task;
}

static void copy(struct hx_task_row *row, const struct hx_task *task, uint64_t now_ns)
{
    uint64_t run_ns = __atomic_load_n(&task->run_ns, __ATOMIC_RELAXED);
    uint64_t started_ns = __atomic_load_n(&task->started_ns, __ATOMIC_RELAXED);
    bool runs = is_running(task);
    *row = (struct hx_task_row){
        .handle = task->handle,
        .run_ns = run_ns + (runs && now_ns > started_ns ? now_ns - started_ns : 0),
        .switches = task->switches,
        .deadline_ns = UINT64_MAX,
        .class = task->class,
        .state = task->state,
        .priority = task->priority,
        .cpu = task->cpu,
        .allowed = task->allowed,
    };
    if (task->class == HX_TASK_IDLE && !runs)
        row->state = HX_TASK_READY; /* it has no other state than running to itself */
    if ((row->state == HX_TASK_BLOCKED || row->state == HX_TASK_SLEEPING) && task->timeout.armed)
        row->deadline_ns = task->timeout.deadline_ns;
    hx_fmt(row->name, sizeof(row->name), "%s", task->name);
}

/* ---- the list ------------------------------------------------------------------------------------------------------- */
static bool add(struct hx_task *task, void *context)
{
    struct hx_task_rows *rows = context;
    if (rows->count == rows->max)
        return false;
    copy(&rows->row[rows->count++], task, rows->now_ns);
    return true;
}

hx_status_t hx_task_rows_take(struct hx_task_rows *out)
{
    uint32_t max = hx_task_count() + SLACK;
    struct hx_task_rows rows = { .max = max < HX_TASKS_MAX ? max : HX_TASKS_MAX };
    rows.row = hx_hal_alloc(rows.max * (sizeof(*rows.row) + sizeof(*rows.key)));
    if (!rows.row)
        return HX_E_NOMEM;
    rows.key = (uint64_t *)(rows.row + rows.max);
    hx_preempt_disable();
    rows.now_ns = hx_hal_clock_ns();
    hx_task_for_each(add, &rows);
    hx_preempt_enable();
    *out = rows;
    return HX_OK;
}

void hx_task_rows_free(struct hx_task_rows *rows)
{
    hx_hal_free(rows->row);
}

uint64_t hx_task_rows_key(uint64_t ns, uint32_t index)
{
    uint64_t us = ns / 1000u, most = UINT64_MAX >> INDEX_BITS;
    return (us < most ? us : most) << INDEX_BITS | index;
}

uint64_t hx_task_rows_key_ns(uint64_t key)
{
    return (key >> INDEX_BITS) * 1000u;
}

const struct hx_task_row *hx_task_rows_of(const struct hx_task_rows *rows, uint64_t key)
{
    return &rows->row[key & ((1u << INDEX_BITS) - 1)];
}

/* ---- one task ------------------------------------------------------------------------------------------------------- */
struct search {
    uint32_t index;
    struct hx_task_row *out;
};

static bool is_other(struct hx_task *task, void *context)
{
    const struct search *search = context;
    if (hx_handle_index(task->handle) != search->index)
        return true;
    copy(search->out, task, hx_hal_clock_ns());
    return false;
}

hx_status_t hx_task_rows_find(const char *command, const char *text, struct hx_task_row *out)
{
    uint64_t number = 0;
    if (hx_command_number(text, UINT64_MAX, &number) != HX_OK)
        return hx_command_refuse(command, text, HX_E_INVAL, "give the number or the handle of a task, see ps");
    out->handle = HX_HANDLE_NONE;
    struct search search = { .index = hx_handle_index(number), .out = out };
    hx_preempt_disable();
    hx_task_for_each(is_other, &search);
    hx_preempt_enable();
    bool is_handle = hx_handle_type(number) == HX_HANDLE_TASK;
    if (out->handle == HX_HANDLE_NONE || (is_handle ? out->handle != number : number > UINT32_MAX))
        return hx_command_refuse(command, text, is_handle ? HX_E_STALE : HX_E_NOENT, "see ps for the tasks there are");
    return HX_OK;
}

void hx_task_rows_complete(uint32_t position, struct hx_editor_matches *matches)
{
    struct hx_task_rows rows;
    char number[16];
    if (position != 1 || hx_task_rows_take(&rows) != HX_OK)
        return;
    for (uint32_t i = 0; i < rows.count; i++) {
        hx_fmt(number, sizeof(number), "%u", hx_handle_index(rows.row[i].handle));
        if (rows.row[i].class == HX_TASK_POLICY)
            hx_editor_offer(matches, number);
    }
    hx_task_rows_free(&rows);
}

/* ---- text ----------------------------------------------------------------------------------------------------------- */
const char *hx_task_rows_class(enum hx_task_class class)
{
    switch (class) {
    case HX_TASK_CORE: return "core";
    case HX_TASK_POLICY: return "policy";
    case HX_TASK_IDLE: return "idle";
    }
    return "unknown";
}

const char *hx_task_rows_ms(uint64_t ns, char out[24])
{
    uint64_t us = ns / 1000u;
    if (ns == UINT64_MAX)
        memcpy(out, "-", 2);
    else
        hx_fmt(out, 24, "%llu.%03u", (unsigned long long)(us / 1000u), (uint32_t)(us % 1000u));
    return out;
}
