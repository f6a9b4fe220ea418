/* SPDX-License-Identifier: MIT */
/* test_channel_back.c - messages that come back: who was to have them is killed before he sees them, or cannot be given them. */
#include "channel_fixture.h"

#include <hal/hx_hal_entry.h>
#include <ipc/message_router.h>
#include <module/module.h>
#include <orchestrator/declared.h>
#include <pthread.h>
#include <task/schedule.h>

#include "world.h"

/* Sends @code to the first of those who wait, who is killed before he runs. */
static void put_and_kill(hx_handle_t who, uint32_t code, uint8_t priority)
{
    hx_preempt_disable();
    expect_ok(put(code, priority));
    expect_ok(hx_task_kill(who));
    hx_preempt_enable();
}

/* ---- queues ------------------------------------------------------------------------------------------------------------ */
Test(channel_back, a_queue_of_receivers_names_its_end_and_others_none)
{
    struct hx_channel_end *end = hx_channel_end_at(2);
    uintptr_t at = (uintptr_t)&end->receivers, channel_bytes = (uintptr_t)end - (uintptr_t)hx_channel_end_at(0);
    cr_assert_eq(hx_channel_of_receivers(&end->receivers), end);
    cr_assert_null(hx_channel_of_receivers(&end->senders));
    /* where the next channels would have theirs, if there were that many; and in front of the first */
    cr_assert_null(hx_channel_of_receivers((struct hx_waitq *)(at + (channel_bytes << 24))));
    cr_assert_null(hx_channel_of_receivers((struct hx_waitq *)(at - 2 * channel_bytes)));
}

/* ---- tasks of the kernel ---------------------------------------------------------------------------------------------- */
Test(channel_back, another_who_waits_gets_what_a_killed_one_was_handed)
{
    start(1);
    hx_handle_t gone = spawn("gone", receiver, NULL);
    spawn("next", receiver, NULL);
    put_and_kill(gone, 1, 0);
    expect_trace("next=1");
    cr_assert_eq(next(), HX_E_EMPTY);
    stop();
}

Test(channel_back, it_waits_for_the_next_receiver_where_nobody_does)
{
    start(1);
    struct hx_channel_info info;
    hx_handle_t gone = spawn("gone", receiver, NULL);
    put_and_kill(gone, 1, 0);
    cr_assert_eq(hx_ipc_count(ends.end[1], &alice), 1);
    cr_assert(hx_channel_describe(1, &info) && info.queued[1] == 1 && info.sent[0] == 1, "it was sent once");
    cr_assert_eq(next(), 1);
    cr_assert_eq(next(), HX_E_EMPTY);
    stop();
}

Test(channel_back, it_stands_before_its_equals_and_behind_the_more_urgent)
{
    static const struct {
        uint8_t back, others[3];
        int64_t order[4];
    } cases[] = {
        { 5, { 5, 5, 5 }, { 0, 1, 2, 3 } }, { 5, { 9, 9, 9 }, { 1, 2, 3, 0 } },
        { 5, { 1, 1, 1 }, { 0, 1, 2, 3 } }, { 5, { 9, 5, 1 }, { 1, 0, 2, 3 } },
        { 5, { 9, 1, 1 }, { 1, 0, 2, 3 } }, { 255, { 255, 1, 255 }, { 0, 1, 3, 2 } },
        { 5, { 1, 9, 5 }, { 2, 0, 3, 1 } }, { 0, { 255, 0, 1 }, { 1, 3, 0, 2 } },
    };
    start(6);
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(cases); i++) {
        hx_handle_t gone = spawn("gone", receiver, NULL);
        hx_preempt_disable();
        expect_ok(put(0, cases[i].back));
        for (uint32_t j = 0; j < 3; j++)
            expect_ok(put(j + 1, cases[i].others[j]));
        expect_ok(hx_task_kill(gone));
        hx_preempt_enable();
        for (uint32_t j = 0; j < 2; j++)
            cr_expect_eq(next(), cases[i].order[j], "case %u, message %u", i, j);
        expect_ok(put(4, cases[i].back)); /* its place is found by the same marks */
        expect_ok(put(5, 255));
        if (cases[i].back != 255)
            cr_expect_eq(next(), 5, "case %u", i);
        uint32_t left = 0;
        for (int64_t got; (got = next()) >= 0; left++)
            cr_expect(got == cases[i].order[2] || got == cases[i].order[3] || got >= 4, "case %u: %d", i, (int)got);
        cr_expect_eq(left, cases[i].back != 255 ? 3 : 4, "case %u", i);
    }
    stop();
}

Test(channel_back, several_come_back_in_the_order_in_which_they_were_sent)
{
    enum { COUNT = 4 };
    start(COUNT);
    for (uint32_t way = 0; way < COUNT; way++) {
        hx_handle_t gone[COUNT];
        for (uint32_t i = 0; i < COUNT; i++)
            gone[i] = spawn("gone", receiver, NULL);
        hx_preempt_disable();
        for (uint32_t i = 0; i < COUNT; i++) {
            hal_host_advance(10);
            expect_ok(put(i, 128));
        }
        for (uint32_t i = 0; i < COUNT; i++)
            expect_ok(hx_task_kill(gone[(i * 3 + way) % COUNT]));
        hx_preempt_enable();
        for (uint32_t i = 0; i < COUNT; i++)
            cr_expect_eq(next(), i);
        cr_expect_eq(next(), HX_E_EMPTY);
    }
    stop();
}

Test(channel_back, a_full_channel_takes_it_and_is_not_larger_for_it)
{
    enum { COUNT = 3 };
    start(1);
    for (uint32_t round = 0; round < 3; round++) {
        hx_handle_t gone[COUNT];
        for (uint32_t i = 0; i < COUNT; i++)
            gone[i] = spawn("gone", receiver, NULL);
        hx_preempt_disable();
        for (uint32_t i = 0; i < COUNT + 1; i++) {
            hal_host_advance(10);
            expect_ok(put(i, 128));
        }
        cr_assert_eq(put(9, 128), HX_E_FULL);
        for (uint32_t i = 0; i < COUNT; i++)
            expect_ok(hx_task_kill(gone[i]));
        hx_preempt_enable();
        cr_assert_eq(hx_ipc_count(ends.end[1], &alice), COUNT + 1);
        for (uint32_t i = 0; i < COUNT; i++) {
            cr_assert_eq(next(), i);
            cr_assert_eq(put(9, 128), HX_E_FULL, "one is queued still");
        }
        spawn("waits", sender, (void *)8);
        cr_assert_eq(next(), COUNT);
        cr_assert_eq(next(), 8);
        cr_assert_eq(next(), HX_E_EMPTY);
        expect_trace("waits:0");
    }
    stop();
}

Test(channel_back, without_memory_for_it_a_full_channel_keeps_what_it_has)
{
    start(1);
    hx_handle_t gone = spawn("gone", receiver, NULL);
    hx_preempt_disable();
    expect_ok(put(1, 128));
    expect_ok(put(2, 128));
    hal_host_fail_at(1);
    expect_ok(hx_task_kill(gone));
    cr_assert(hal_host_has_failed());
    hx_preempt_enable();
    cr_assert_eq(next(), 2);
    cr_assert_eq(next(), HX_E_EMPTY);
    stop();
}

static hx_status_t patient_selector(void *unused)
{
    hx_ret_t index = hx_ipc_select(&ends.end[1], 1, &alice, UINT64_MAX);
    note("%s#%lld", me(), (long long)index);
    return unused ? HX_E_INVAL : HX_OK;
}

Test(channel_back, who_selects_is_told)
{
    start(2);
    hx_handle_t gone = spawn("gone", receiver, NULL);
    spawn("s", patient_selector, NULL);
    hx_preempt_disable();
    expect_ok(put(1, 128));
    expect_ok(hx_task_kill(gone));
    hx_preempt_enable();
    hal_host_run();
    expect_trace("s#0");
    cr_assert_eq(next(), 1);
    stop();
}

Test(channel_back, it_goes_with_the_end_that_nobody_has_any_more)
{
    start(1);
    hx_handle_t gone = spawn("gone", receiver, NULL);
    hx_preempt_disable();
    expect_ok(put(1, 128));
    expect_ok(hx_handle_close(ends.end[1], &alice));
    expect_ok(hx_task_kill(gone));
    hx_preempt_enable();
    struct hx_channel_info info;
    cr_assert(hx_channel_describe(1, &info) && info.queued[1] == 0);
    stop();
}

Test(channel_back, a_closed_channel_still_has_it)
{
    start(1);
    hx_handle_t gone = spawn("gone", receiver, NULL);
    hx_preempt_disable();
    expect_ok(put(1, 128));
    expect_ok(hx_ipc_close(ends.end[0], &alice));
    expect_ok(hx_task_kill(gone));
    hx_preempt_enable();
    cr_assert_eq(next(), 1);
    cr_assert_eq(next(), HX_E_CLOSED);
    stop();
}

Test(channel_back, it_does_not_come_to_another_channel_in_the_same_place)
{
    start(1);
    hx_handle_t gone = spawn("gone", receiver, NULL);
    hx_preempt_disable();
    expect_ok(put(1, 128));
    hx_handle_close_all(&alice);
    hal_host_advance(1);
    expect_ok(hx_ipc_create(1, &alice, &ends));
    expect_ok(hx_task_kill(gone));
    hx_preempt_enable();
    cr_assert_eq(next(), HX_E_EMPTY);
    stop();
}

Test(channel_back, a_killed_sender_whose_message_was_taken_in_has_sent_it)
{
    start(1);
    expect_ok(put(1, 128));
    hx_handle_t gone = spawn("gone", sender, (void *)2);
    hx_preempt_disable();
    cr_assert_eq(next(), 1);
    expect_ok(hx_task_kill(gone));
    hx_preempt_enable();
    cr_assert_eq(next(), 2);
    cr_assert_eq(next(), HX_E_EMPTY);
    stop();
}

/* ---- from another CPU ------------------------------------------------------------------------------------------------- */
static hx_handle_t far_victim;
static bool has_sent; /* atomic */

static void *send_and_kill(void *unused)
{
    hal_host_cpu_enter(1);
    hx_preempt_disable();
    hx_status_t err = put(7, 128);
    hx_preempt_enable();
    __atomic_store_n(&has_sent, true, __ATOMIC_RELEASE);
    if (err == HX_OK)
        err = hx_task_kill(far_victim);
    return unused ? NULL : (void *)(intptr_t)err;
}

/* The errand is done before the mail is looked at: he has been taken off his queue, and is as good as running. */
Test(channel_back, one_who_was_handed_it_by_another_cpu_and_is_killed_on_his_own)
{
    pthread_t thread;
    void *err = NULL;
    start(1);
    far_victim = spawn("gone", receiver, NULL);
    hx_irq_disable();
    cr_assert_eq(pthread_create(&thread, NULL, send_and_kill, NULL), 0);
    while (!__atomic_load_n(&has_sent, __ATOMIC_ACQUIRE) || hx_task_of(far_victim)->kill_pending == false)
        hx_sched_attend(hx_sched_book());
    cr_assert(hal_host_pokes_take() & 1);
    hx_entry_poke();
    hx_irq_enable();
    hal_host_run();
    cr_assert_eq(pthread_join(thread, &err), 0);
    cr_assert_null(err);
    expect_trace("");
    cr_assert_eq(next(), 7);
    cr_assert_eq(next(), HX_E_EMPTY);
    stop();
}

/* ---- modules' tasks --------------------------------------------------------------------------------------------------- */
static bool kill_serve(struct hx_task *task, void *context)
{
    if (strcmp(task->name, "svc_echo:serve") == 0)
        *(hx_handle_t *)context = task->handle;
    return true;
}

Test(channel_back, a_module_s_task_that_is_killed_does_not_take_it_along)
{
    hx_handle_t far, task = HX_HANDLE_NONE;
    struct hx_message message = { .code = 5 };
    struct hx_channel_info info;
    world_begin(0);
    expect_ok(world_load("svc_echo.hxm", NULL));
    hal_host_advance(1000000);
    expect_ok(hx_declared_connect("svc_echo/echo", &hx_kernel_holder, &far));
    hx_task_for_each(kill_serve, &task);
    hx_preempt_disable();
    expect_ok(hx_ipc_send(far, &hx_kernel_holder, &message, 0));
    expect_ok(hx_task_kill(task));
    hx_preempt_enable();
    hal_host_advance(1000000);
    cr_assert(hx_channel_describe(1, &info) && info.queued[0] + info.queued[1] == 1, "it is where it was");
    cr_assert_eq(hx_ipc_receive(far, &hx_kernel_holder, &message, 0), HX_E_EMPTY);
    expect_ok(hx_handle_close(far, &hx_kernel_holder));
}

/* ---- where it cannot be put ------------------------------------------------------------------------------------------- */
static hx_status_t ask(void *argument)
{
    return hx_router_request(hx_router_find("receives"), &hx_kernel_holder, argument, UINT64_MAX);
}

static void expect_reply(uint32_t request, hx_status_t err, uint32_t code)
{
    struct hx_message message = { .code = request };
    expect_ok(world_run(ask, &message));
    cr_assert_eq(message.type == HX_MESSAGE_ERROR ? -(hx_status_t)message.code : HX_OK, err, "request %u: %s %u",
                 request, message.type == HX_MESSAGE_ERROR ? "error" : "reply", message.code);
    if (err == HX_OK && code)
        cr_assert_eq(memcmp(message.data, &code, sizeof(code)), 0);
}

Test(channel_back, what_is_returned_is_whole_and_first_again)
{
    start(2);
    struct hx_channel_ends inner;
    struct hx_message got, carries = { .code = 1, .payload = HX_PAYLOAD_CAPABILITY };
    expect_ok(hx_ipc_create(1, &alice, &inner));
    expect_ok(hx_ipc_clone(inner.end[0], &alice, HX_RIGHT_SEND | HX_RIGHT_TRANSFER, &alice, &carries.capability));
    expect_ok(hx_ipc_send(ends.end[0], &alice, &carries, HX_WAIT_NOT));
    expect_ok(put(2, 0));
    for (uint32_t i = 0; i < 2; i++) {
        expect_ok(hx_ipc_receive(ends.end[1], &alice, &got, HX_WAIT_NOT));
        cr_assert(got.code == 1 && hx_handle_type(got.capability) == HX_HANDLE_CHANNEL);
        if (i == 0)
            hx_ipc_return(ends.end[1], &alice, &got);
    }
    expect_ok(send_as(&alice, got.capability, 3, 0, HX_WAIT_NOT));
    cr_assert_eq(next(), 2);
    hx_handle_t gone = ends.end[1];
    expect_ok(hx_handle_close(gone, &alice));
    hx_ipc_return(gone, &alice, &got); /* to nowhere: what it carries stays his who has it */
    expect_ok(hx_handle_close(got.capability, &alice));
    stop();
}

/* An end of another channel's, the only handle of it, that alice has received. */
static struct hx_message receive_an_end(struct hx_channel_ends *inner)
{
    struct hx_message got, carries = carrying(HX_HANDLE_NONE);
    expect_ok(hx_ipc_create(1, &alice, inner));
    carries.capability = inner->end[0];
    expect_ok(hx_ipc_send(ends.end[0], &alice, &carries, HX_WAIT_NOT));
    expect_ok(hx_ipc_receive(ends.end[1], &alice, &got, HX_WAIT_NOT));
    return got;
}

Test(channel_back, who_waits_finds_what_is_returned)
{
    start(1);
    struct hx_channel_ends inner;
    struct hx_message got = receive_an_end(&inner);
    spawn("r", receiver, NULL);
    hal_host_run();
    hx_ipc_return(ends.end[1], &alice, &got);
    hal_host_run();
    expect_trace("r=1");
    stop();
}

Test(channel_back, without_memory_for_it_what_it_carries_is_released)
{
    start(1);
    struct hx_channel_ends inner;
    struct hx_message got = receive_an_end(&inner);
    expect_ok(put(2, 128));
    hal_host_fail_at(1);
    hx_ipc_return(ends.end[1], &alice, &got);
    cr_assert(hal_host_has_failed());
    cr_assert_eq(hx_ipc_is_open(inner.end[1], &alice), 0);
    cr_assert_eq(next(), 2);
    stop();
}

Test(channel_back, what_cannot_be_written_to_its_receiver_is_there_for_the_next)
{
    world_begin(0);
    expect_ok(world_load("receives_into_grant.hxm", NULL));
    for (uint32_t request = 2; request <= 3; request++) {
        struct hx_message waits = { .code = 1 };
        hx_handle_t task;
        expect_reply(0, HX_OK, 0);
        expect_ok(hx_task_create(HX_TASK_POLICY, "asks", 100, ask, &waits, &task));
        hal_host_advance(1000);
        expect_reply(request, HX_OK, 0);
        hal_host_advance(1000);
        cr_assert_eq(waits.type, HX_MESSAGE_ERROR);
        cr_assert_eq(-(hx_status_t)waits.code, HX_E_CORRUPT);
        expect_reply(4, HX_OK, 75 + request);
        expect_reply(4, HX_E_EMPTY, 0);
    }
    expect_ok(world_unload("receives", NULL));
}
