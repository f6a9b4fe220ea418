/* SPDX-License-Identifier: MIT */
/* test_task.c - tasks from creation to end. */
#include "task_fixture.h"

static hx_status_t return_argument(void *argument)
{
    return (hx_status_t)(intptr_t)argument;
}

static hx_status_t sleep_for_ever(void *argument)
{
    (void)argument;
    hx_status_t status = hx_task_sleep_until(UINT64_MAX);
    note("%s:woke:%d", me(), status);
    return status;
}

static struct hx_waitq never = HX_WAITQ_INIT(never);

static bool no(void *context)
{
    (void)context;
    return false;
}

static hx_status_t wait_for_ever(void *argument)
{
    (void)argument;
    hx_status_t status = hx_waitq_wait(&never, no, NULL, UINT64_MAX);
    note("%s:woke:%d", me(), status);
    return status;
}

static hx_status_t burn(void *argument)
{
    while (argument == NULL)
        hal_host_advance(100000);
    return HX_OK;
}

static hx_status_t join_and_note(void *argument)
{
    hx_status_t status = 12345;
    hx_status_t err = hx_task_join(*(hx_handle_t *)argument, UINT64_MAX, &status);
    note("%s:%d:%d", me(), err, status);
    return HX_OK;
}

/* ---- creation -------------------------------------------------------------------------------------------------------- */
Test(task, a_new_task_has_what_it_was_given)
{
    machine_start();
    hx_handle_t handle = spawn_class(HX_TASK_POLICY, "a-name-of-more-than-thirty-two-letters", 7, wait_for_ever, NULL);
    const struct hx_task *task = hx_task_of(handle);
    cr_assert_not_null(task);
    cr_assert_str_eq(task->name, "a-name-of-more-than-thirty-two-");
    cr_assert_eq(task->priority, 7);
    cr_assert_eq(task->handle, handle);
    cr_assert_eq(hx_handle_type(handle), HX_HANDLE_TASK);
    cr_assert_eq(hx_task_count(), 2);
    cr_assert_str_eq(hx_task_state_name((enum hx_task_state)task->state), "waiting");
    expect_ok(hx_task_kill(handle));
    machine_stop();
}

Test(task, idle_tasks_cannot_be_created)
{
    hx_handle_t handle = 0;
    machine_start();
    cr_assert_eq(hx_task_create(HX_TASK_IDLE, "i", 0, return_argument, NULL, &handle), HX_E_INVAL);
    machine_stop();
}

Test(task, each_allocation_of_a_creation_may_fail_and_leaves_nothing)
{
    machine_start();
    for (uint64_t nth = 1;; nth++) {
        hx_handle_t handle = HX_HANDLE_NONE;
        hal_host_fail_at(nth);
        hx_status_t err = hx_task_create(HX_TASK_POLICY, "a", 1, return_argument, NULL, &handle);
        if (!hal_host_has_failed()) {
            expect_ok(err);
            cr_assert_eq(nth, 2, "the stack");
            break;
        }
        cr_assert_eq(err, HX_E_NOMEM);
        cr_assert_eq(handle, HX_HANDLE_NONE);
        cr_assert_eq(hx_task_count(), 1);
        cr_assert_null(hal_host_leftovers());
    }
    hal_host_fail_at(0);
    machine_stop();
}

static bool kill_each(struct hx_task *task, void *context)
{
    (void)context;
    if (task->class == HX_TASK_POLICY)
        expect_ok(hx_task_kill(task->handle));
    return true;
}

static bool in_order(struct hx_task *task, void *context)
{
    cr_assert_eq(hx_handle_index(task->handle), (*(uint32_t *)context)++);
    return true;
}

Test(task, as_many_tasks_as_the_limit_says_and_no_more)
{
    hx_handle_t handle = HX_HANDLE_NONE;
    uint32_t index = 0;
    machine_start();
    for (int i = 0; i < HX_TASKS_MAX - 1; i++)
        spawn("t", wait_for_ever, NULL);
    cr_assert_eq(hx_task_create(HX_TASK_POLICY, "t", 0, wait_for_ever, NULL, &handle), HX_E_LIMIT);
    cr_assert_eq(hx_task_count(), HX_TASKS_MAX);
    hx_task_for_each(in_order, &index);
    cr_assert_eq(index, HX_TASKS_MAX);
    hx_task_for_each(kill_each, NULL);
    cr_assert_eq(hx_task_count(), 1);
    spawn("t", return_argument, NULL);
    machine_stop();
}

static bool stop_at_second(struct hx_task *task, void *context)
{
    (void)task;
    return ++*(int *)context < 2;
}

Test(task, for_each_stops_when_told)
{
    int seen = 0;
    machine_start();
    spawn("a", wait_for_ever, NULL);
    spawn("b", wait_for_ever, NULL);
    hx_task_for_each(stop_at_second, &seen);
    cr_assert_eq(seen, 2);
    hx_task_for_each(kill_each, NULL);
    machine_stop();
}

/* ---- handles --------------------------------------------------------------------------------------------------------- */
Test(task, a_handle_of_a_task_that_ended_is_stale_and_names_no_later_one)
{
    machine_start();
    hx_handle_t first = spawn("a", return_argument, NULL);
    hx_handle_t second = spawn("b", wait_for_ever, NULL);
    cr_assert_eq(hx_handle_index(first), hx_handle_index(second), "the entry is used again");
    cr_assert_neq(first, second);
    cr_assert_null(hx_task_of(first));
    cr_assert_eq(hx_task_kill(first), HX_E_STALE);
    cr_assert_eq(hx_task_set_priority(first, 1), HX_E_STALE);
    expect_ok(hx_task_kill(second));
    machine_stop();
}

Test(task, what_is_no_handle_names_no_task)
{
    machine_start();
    cr_assert_null(hx_task_of(HX_HANDLE_NONE));
    cr_assert_null(hx_task_of((hx_handle_t)HX_E_INVAL));
    cr_assert_null(hx_task_of(UINT64_MAX));
    cr_assert_null(hx_task_of(hx_handle_make(HX_HANDLE_TASK, 1, HX_TASKS_MAX)));
    cr_assert_null(hx_task_of(hx_handle_make(HX_HANDLE_TASK, 1, 1)));
    cr_assert_null(hx_task_of(hx_task_current()->handle + HX_TASKS_MAX));
    cr_assert_eq(hx_task_of(hx_task_current()->handle), hx_task_current());
    machine_stop();
}

/* ---- joining --------------------------------------------------------------------------------------------------------- */
static hx_status_t sleep_then_seven(void *argument)
{
    (void)argument;
    expect_ok(sleep_ns(100));
    return 7;
}

Test(task, all_joiners_get_the_exit_status)
{
    machine_start();
    hx_handle_t task = spawn("t", sleep_then_seven, NULL);
    spawn("a", join_and_note, &task);
    spawn("b", join_and_note, &task);
    hal_host_run();
    expect_trace("a:0:7 b:0:7");
    machine_stop();
}

static hx_status_t join_and_compare(void *argument)
{
    hx_handle_t task;
    hx_status_t status;
    struct hx_hal_memory_stats before, after;
    (void)argument;
    hx_hal_memory_stats(&before);
    for (int i = 0; i < 100; i++) {
        task = spawn("child", sleep_then_seven, NULL);
        expect_ok(hx_task_join(task, UINT64_MAX, &status));
        cr_assert_eq(status, 7);
        hx_hal_memory_stats(&after);
        cr_assert_eq(after.frames_free, before.frames_free, "a frame is missing after join");
        cr_assert_eq(after.heap_bytes, before.heap_bytes);
    }
    return HX_OK;
}

Test(task, after_join_memory_is_where_it_was)
{
    machine_start();
    spawn("parent", join_and_compare, NULL);
    machine_stop();
}

static hx_status_t join_itself(void *argument)
{
    hx_status_t status;
    (void)argument;
    note("%d", hx_task_join(hx_task_current()->handle, UINT64_MAX, &status));
    return HX_OK;
}

Test(task, what_cannot_be_joined_is_refused)
{
    hx_status_t status;
    machine_start();
    hx_handle_t gone = spawn("t", return_argument, NULL);
    cr_assert_eq(hx_task_join(gone, UINT64_MAX, &status), HX_E_STALE);
    spawn("a", join_itself, NULL);
    expect_trace("-1");
    machine_stop();
}

static hx_status_t join_until_50(void *argument)
{
    hx_status_t status = 12345;
    note("%d", hx_task_join(*(hx_handle_t *)argument, 50, &status));
    cr_assert_eq(status, 12345, "written only on success");
    return HX_OK;
}

Test(task, a_join_may_end_by_its_deadline)
{
    machine_start();
    hx_handle_t task = spawn("t", sleep_then_seven, NULL);
    spawn("a", join_until_50, &task);
    hal_host_run();
    expect_trace("-7");
    machine_stop();
}

/* ---- killing --------------------------------------------------------------------------------------------------------- */
Test(task, a_sleeping_task_is_killed_at_once)
{
    machine_start();
    hx_handle_t task = spawn("t", sleep_for_ever, NULL);
    spawn("j", join_and_note, &task);
    expect_ok(hx_task_kill(task));
    expect_trace("j:0:-31");
    machine_stop();
}

Test(task, a_waiting_task_is_killed_at_once_and_leaves_the_queue)
{
    machine_start();
    hx_handle_t task = spawn("t", wait_for_ever, NULL);
    expect_ok(hx_task_kill(task));
    cr_assert_eq(never.waiters.next, &never.waiters);
    expect_trace("");
    machine_stop();
}

Test(task, a_ready_task_is_killed_at_once_and_never_runs)
{
    machine_start();
    hx_preempt_disable();
    hx_handle_t task = spawn("t", wait_for_ever, NULL);
    hx_handle_t other = spawn("u", return_argument, NULL);
    cr_assert_eq(hx_task_of(task)->state, HX_TASK_READY);
    expect_ok(hx_task_kill(task));
    cr_assert_null(hx_task_of(task));
    hx_preempt_enable();
    cr_assert_null(hx_task_of(other));
    machine_stop();
}

static hx_status_t kill_after_a_millisecond(void *argument)
{
    expect_ok(sleep_ns(1000000));
    expect_ok(hx_task_kill(*(hx_handle_t *)argument));
    note("killed");
    return HX_OK;
}

Test(task, a_task_that_never_calls_the_core_is_killed)
{
    static hx_handle_t hog;
    machine_start();
    hx_preempt_disable();
    hog = spawn("hog", burn, NULL);
    spawn_core("killer", 1, kill_after_a_millisecond, &hog);
    hx_preempt_enable();
    expect_trace("killed");
    machine_stop();
}

static hx_status_t kill_itself_then_yield(void *argument)
{
    (void)argument;
    expect_ok(hx_task_kill(hx_task_current()->handle));
    note("still");
    hx_task_yield();
    note("never");
    return HX_OK;
}

static hx_status_t kill_itself_then_wait(void *argument)
{
    (void)argument;
    expect_ok(hx_task_kill(hx_task_current()->handle));
    note("still");
    note("%d", hx_task_sleep_until(10));
    return HX_OK;
}

static hx_status_t kill_itself_then_burn(void *argument)
{
    expect_ok(hx_task_kill(hx_task_current()->handle));
    note("still");
    return burn(argument);
}

Test(task, a_task_that_kills_itself_ends_at_its_next_yield_wait_or_preemption)
{
    machine_start();
    spawn("a", kill_itself_then_yield, NULL);
    spawn("b", kill_itself_then_wait, NULL);
    spawn("c", kill_itself_then_burn, NULL);
    expect_trace("still still still");
    machine_stop();
}

Test(task, core_and_idle_tasks_are_not_killed)
{
    machine_start();
    hx_handle_t core = spawn_core("c", 1, sleep_then_seven, NULL);
    cr_assert_eq(hx_task_kill(core), HX_E_PERM);
    cr_assert_eq(hx_task_kill(hx_task_current()->handle), HX_E_PERM);
    machine_stop();
}

/* ---- killing inside a module ------------------------------------------------------------------------------------------ */
static struct hx_gate_vtable module_vtable;

/* Stands in for a module that calls an import which sleeps, as import.S would. */
static hx_ret_t module_op(uint64_t how)
{
    struct hx_gate_frame *frame = hx_gate_frame();
    if (how == 0) {
        frame->in_import = 1;
        hx_status_t status = hx_task_sleep_until(UINT64_MAX);
        hx_gate_frame()->in_import = 0;
        note("import:%d", status);
        if (frame->kill_pending)
            hx_gate_killed();
    } else {
        hal_host_advance(3000000);
        note("module:%d", frame->kill_pending);
        hx_task_yield(); /* an import that yields */
        note("yielded");
        if (frame->kill_pending)
            hx_gate_killed();
    }
    note("never");
    return HX_OK;
}

static struct hx_slot *module_slot;

static hx_status_t call_module(void *argument)
{
    hx_ret_t answer = hx_gate_call(module_slot, 0, (uint64_t)(uintptr_t)argument, 0, 0, 0);
    note("gate:%d", (int)answer);
    hx_task_yield();
    note("never");
    return HX_OK;
}

static void module_start(void)
{
    machine_start();
    module_slot = hx_slot_create("module", HX_SLOT_KIND_HOOKS, true);
    module_vtable.op[0] = (const void *)(uintptr_t)module_op;
    hx_slot_publish(module_slot, &module_vtable, NULL);
}

Test(task, a_task_that_waits_inside_a_module_is_unwound_to_the_gate_and_ends_then)
{
    module_start();
    hx_handle_t task = spawn("t", call_module, (void *)0);
    cr_assert_not_null(hx_task_of(task)->frame);
    expect_ok(hx_task_kill(task));
    expect_trace("import:-31 gate:-31");
    cr_assert_null(hx_task_of(task));
    cr_assert_eq(hx_slot_inside(module_slot), 0);
    machine_stop();
}

Test(task, a_task_that_runs_inside_a_module_is_only_marked)
{
    static hx_handle_t task;
    module_start();
    hx_preempt_disable();
    task = spawn("t", call_module, (void *)1);
    spawn_core("killer", 1, kill_after_a_millisecond, &task);
    hx_preempt_enable();
    expect_trace("killed module:1 yielded gate:-31");
    cr_assert_eq(hx_slot_inside(module_slot), 0);
    machine_stop();
}

/* ---- breaking off ------------------------------------------------------------------------------------------------------ */
static hx_ret_t may_be_broken_off(uint64_t how)
{
    hx_task_current()->restartable = how == 0 ? hx_gate_frame() : NULL;
    hx_status_t err = hx_task_sleep_until(1000000);
    hx_task_current()->restartable = NULL;
    return err;
}

static hx_status_t note_answer(void *argument)
{
    hx_ret_t answer = hx_gate_call(module_slot, 0, (uint64_t)(uintptr_t)argument, 0, 0, 0);
    if (argument == NULL)
        cr_assert_eq(answer, HX_E_RESTART);
    note("gate:%d", (int)answer);
    return HX_OK;
}

Test(task, a_wait_is_broken_off_where_it_may_be_and_its_slot_has_that_owner)
{
    static int owner, other;
    module_start();
    module_vtable.op[0] = (const void *)(uintptr_t)may_be_broken_off;
    hx_slot_publish(module_slot, &module_vtable, &owner);
    spawn("a", note_answer, (void *)0);
    spawn("b", note_answer, (void *)1);
    hx_task_break_waits(&other);
    expect_trace("");
    hx_task_break_waits(&owner);
    expect_trace("gate:-42");
    hal_host_advance(1000000);
    expect_trace("gate:0");
    machine_stop();
}

/* ---- preemption ------------------------------------------------------------------------------------------------------ */
static hx_status_t note_and_return(void *argument)
{
    (void)argument;
    note("%s", me());
    return HX_OK;
}

Test(task, with_preemption_off_nothing_switches_until_it_is_on_again)
{
    machine_start();
    hx_preempt_disable();
    hx_preempt_disable();
    spawn("a", note_and_return, NULL);
    hal_host_advance(10000000);
    hx_preempt_enable();
    expect_trace("");
    hx_preempt_enable();
    expect_trace("a");
    machine_stop();
}

static hx_status_t burn_5ms_then_wait(void *argument)
{
    hal_host_advance(5000000);
    note("%s@%llu", me(), (unsigned long long)hx_hal_clock_ns());
    return wait_for_ever(argument);
}

Test(task, cpu_time_is_what_it_ran_and_tasks_take_turns_by_the_tick)
{
    machine_start();
    hx_preempt_disable();
    hx_handle_t a = spawn("a", burn_5ms_then_wait, NULL), b = spawn("b", burn_5ms_then_wait, NULL);
    hx_preempt_enable();
    expect_trace("a@9000000 b@10000000");
    cr_assert_eq(hx_task_of(a)->run_ns, 5000000);
    cr_assert_eq(hx_task_of(b)->run_ns, 5000000);
    expect_ok(hx_task_kill(a));
    expect_ok(hx_task_kill(b));
    machine_stop();
}
