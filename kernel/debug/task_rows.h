/* SPDX-License-Identifier: MIT */
/*
 * task_rows.h - copies of tasks, for commands that print them: printing may sleep, and a task may end meanwhile.
 *
 * What is seen of tasks on other CPUs may be of several moments.
 * May be used by: this room's commands. Context: the console's task.
 */
#pragma once
#include <task/task.h>

struct hx_editor_matches;

struct hx_task_row {
    hx_handle_t handle;
    uint64_t run_ns; /* up to the moment of the list */
    uint64_t switches;
    uint64_t deadline_ns; /* waits until then at most; UINT64_MAX: it waits for no time, or not */
    enum hx_task_class class;
    enum hx_task_state state;
    uint8_t priority, cpu, allowed;
    char name[HX_NAME_MAX];
};

struct hx_task_rows {
    struct hx_task_row *row; /* [count], by index of the handle */
    uint64_t *key;           /* [count], for who sorts: hx_task_rows_key(), hx_sort_u64() */
    uint32_t count, max;
    uint64_t now_ns;
};

/* Every task. To be given to hx_task_rows_free(). HX_E_NOMEM. */
HX_NODISCARD hx_status_t hx_task_rows_take(struct hx_task_rows *out);
void hx_task_rows_free(struct hx_task_rows *rows);
/* A number that sorts row @index by @ns, to a microsecond; that time, and that row. */
uint64_t hx_task_rows_key(uint64_t ns, uint32_t index);
uint64_t hx_task_rows_key_ns(uint64_t key);
const struct hx_task_row *hx_task_rows_of(const struct hx_task_rows *rows, uint64_t key);

/* The task that @text, a number or a handle, means. Who is refused has been told, in @command's name: HX_E_INVAL, HX_E_NOENT,
 * HX_E_STALE. */
HX_NODISCARD hx_status_t hx_task_rows_find(const char *command, const char *text, struct hx_task_row *out);
/* For struct hx_command.complete: argument 1 is a task of the policy. */
void hx_task_rows_complete(uint32_t position, struct hx_editor_matches *matches);

const char *hx_task_rows_class(enum hx_task_class class);
/* "12.345" for @ns; "-" for UINT64_MAX. Returns @out. */
const char *hx_task_rows_ms(uint64_t ns, char out[24]);
