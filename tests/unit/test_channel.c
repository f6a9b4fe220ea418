/* SPDX-License-Identifier: MIT */
/* test_channel.c - channels: order, capacity, waiting, closing, what messages carry. */
#include "channel_fixture.h"

static hx_status_t sender_100(void *argument)
{
    hx_status_t err = send_as(&alice, ends.end[0], (uint32_t)(uintptr_t)argument, 128, hx_hal_clock_ns() + 100);
    note("%s:%d@%llu", me(), err, (unsigned long long)hx_hal_clock_ns());
    return err;
}

/* ---- messages -------------------------------------------------------------------------------------------------------- */
Test(channel, a_message_comes_as_it_was_sent_and_stamped)
{
    start(4);
    struct hx_message sent = { .source = 1,
                               .destination = 2,
                               .time_ns = 3,
                               .correlation = 4,
                               .code = 5,
                               .type = HX_MESSAGE_REQUEST,
                               .priority = 6,
                               .payload = HX_PAYLOAD_INLINE,
                               .bytes = HX_INLINE_MAX };
    struct hx_message got = { 0 };
    for (uint32_t i = 0; i < HX_INLINE_MAX; i++)
        sent.data[i] = (uint8_t)(i + 1);
    hal_host_advance(1234);
    expect_ok(hx_ipc_send(ends.end[0], &alice, &sent, HX_WAIT_NOT));
    expect_ok(hx_ipc_receive(ends.end[1], &alice, &got, HX_WAIT_NOT));
    cr_assert_eq(got.source, 77);
    cr_assert_eq(got.destination, ends.end[1]);
    cr_assert_eq(got.time_ns, 1234);
    cr_assert_eq(memcmp(&got.correlation, &sent.correlation, sizeof(sent) - 24), 0);
    stop();
}

Test(channel, both_ends_send)
{
    start(1);
    struct hx_message got;
    expect_ok(send_as(&alice, ends.end[0], 1, 0, HX_WAIT_NOT));
    expect_ok(send_as(&alice, ends.end[1], 2, 0, HX_WAIT_NOT));
    expect_ok(hx_ipc_receive(ends.end[0], &alice, &got, HX_WAIT_NOT));
    cr_assert_eq(got.code, 2);
    cr_assert(got.type == HX_MESSAGE_NOTIFICATION && got.payload == HX_PAYLOAD_NONE);
    cr_assert_eq(next(), 1);
    stop();
}

Test(channel, the_kernel_s_messages_name_the_task)
{
    machine_start();
    struct hx_message got;
    expect_ok(hx_ipc_create(1, &hx_kernel_holder, &ends));
    expect_ok(send_as(&hx_kernel_holder, ends.end[0], 1, 0, HX_WAIT_NOT));
    expect_ok(hx_ipc_receive(ends.end[1], &hx_kernel_holder, &got, HX_WAIT_NOT));
    cr_assert_eq(got.source, hx_task_current()->handle);
    stop();
}

Test(channel, what_is_no_message_is_refused)
{
    start(1);
    struct hx_message message = numbered(0, 0);
    message.type = HX_MESSAGE_TYPE_COUNT;
    cr_assert_eq(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT), HX_E_INVAL);
    message.type = HX_MESSAGE_REPLY;
    message.payload = HX_PAYLOAD_COUNT;
    cr_assert_eq(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT), HX_E_INVAL);
    message.payload = HX_PAYLOAD_INLINE;
    message.bytes = HX_INLINE_MAX + 1;
    cr_assert_eq(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT), HX_E_INVAL);
    cr_assert_eq(hx_ipc_count(ends.end[1], &alice), 0);
    stop();
}

Test(channel, types_of_the_kernel_are_the_kernel_s)
{
    start(4);
    hx_handle_t clone = HX_HANDLE_NONE;
    struct hx_message message = numbered(9, 0);
    expect_ok(hx_ipc_clone(ends.end[0], &alice, HX_RIGHT_ALL, &hx_kernel_holder, &clone));
    for (uint8_t type = HX_MESSAGE_SYSTEM; type <= HX_MESSAGE_EVENT; type++) {
        message.type = type;
        cr_assert_eq(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT), HX_E_PERM);
        expect_ok(hx_ipc_send(clone, &hx_kernel_holder, &message, HX_WAIT_NOT));
    }
    cr_assert_eq(hx_ipc_count(ends.end[1], &alice), 2);
    stop();
}

/* ---- order and room -------------------------------------------------------------------------------------------------- */
Test(channel, the_most_urgent_comes_first_and_the_oldest_of_several)
{
    start(8);
    static const uint8_t priority[] = { 5, 200, 5, 0, 255, 200, 100, 5 };
    for (uint32_t i = 0; i < 8; i++)
        expect_ok(put(i, priority[i]));
    static const int64_t order[] = { 4, 1, 5, 6, 0, 2, 7, 3, HX_E_EMPTY };
    for (uint32_t i = 0; i < 9; i++)
        cr_assert_eq(next(), order[i], "place %u", i);
    stop();
}

/* Against the plainest model: an array that is searched. */
Test(channel, any_sequence_is_received_in_order)
{
    enum { ROOM = 24 };
    start(ROOM);
    uint64_t seed = 12345;
    struct {
        uint32_t code;
        uint8_t priority;
    } model[ROOM];
    uint32_t held = 0, code = 0;
    for (uint32_t step = 0; step < 200000; step++) {
        uint64_t dice = random_next(&seed);
        uint32_t levels = step / 20000 % 2 ? 3 : 256;
        if (dice % 100 < (step / 1000 % 2 ? 60 : 40)) {
            uint8_t priority = (uint8_t)((dice >> 20) % levels);
            hx_status_t err = put(code, priority);
            cr_assert_eq(err, held == ROOM ? HX_E_FULL : HX_OK);
            if (err == HX_OK) {
                model[held].code = code;
                model[held++].priority = priority;
            }
            code++;
            continue;
        }
        uint32_t best = 0;
        for (uint32_t i = 1; i < held; i++)
            if (model[i].priority > model[best].priority)
                best = i;
        cr_assert_eq(next(), held ? (int64_t)model[best].code : HX_E_EMPTY, "step %u", step);
        if (held)
            memmove(&model[best], &model[best + 1], (--held - best) * sizeof(model[0]));
        cr_assert_eq(hx_ipc_count(ends.end[1], &alice), held);
    }
    stop();
}

Test(channel, never_holds_more_than_its_capacity)
{
    start(3);
    for (uint32_t i = 0; i < 3; i++)
        expect_ok(put(i, (uint8_t)i));
    cr_assert_eq(put(3, 255), HX_E_FULL);
    cr_assert_eq(hx_ipc_count(ends.end[1], &alice), 3);
    cr_assert_eq(next(), 2);
    expect_ok(put(4, 255));
    cr_assert_eq(put(5, 255), HX_E_FULL);
    stop();
}

Test(channel, capacities_are_checked)
{
    start(1);
    struct hx_channel_ends more;
    cr_assert_eq(hx_ipc_create(0, &alice, &more), HX_E_INVAL);
    cr_assert_eq(hx_ipc_create(HX_CHANNEL_CAPACITY_MAX + 1, &alice, &more), HX_E_INVAL);
    expect_ok(hx_ipc_create(HX_CHANNEL_CAPACITY_MAX, &alice, &more));
    stop();
}

Test(channel, making_one_fails_whole)
{
    start(1);
    struct hx_channel_ends more;
    hal_host_fail_at(1);
    cr_assert_eq(hx_ipc_create(1, &alice, &more), HX_E_NOMEM);
    for (uint32_t limit = 2; limit <= 3; limit++) {
        alice.limit = limit;
        cr_assert_eq(hx_ipc_create(1, &alice, &more), HX_E_LIMIT);
        cr_assert_eq(alice.count, 2);
    }
    alice.limit = 0;
    for (uint32_t i = 1; i < 1024; i++)
        expect_ok(hx_ipc_create(1, &alice, &more));
    cr_assert_eq(hx_ipc_create(1, &alice, &more), HX_E_LIMIT, "the table of channels");
    stop();
}

/* ---- waiting --------------------------------------------------------------------------------------------------------- */
Test(channel, a_message_is_handed_to_who_waits)
{
    start(1);
    spawn("a", receiver, NULL);
    spawn("b", receiver, NULL);
    expect_trace("");
    expect_ok(put(7, 0));
    expect_ok(put(8, 255));
    cr_assert_eq(hx_ipc_count(ends.end[1], &alice), 0, "it was not queued");
    expect_trace("a=7 b=8");
    stop();
}

Test(channel, a_task_hands_over_to_another_and_back)
{
    start(1);
    spawn("r1", receiver, NULL);
    spawn("s1", sender, (void *)1);
    spawn("s2", sender, (void *)2);
    spawn("s3", sender, (void *)3);
    spawn("r2", receiver, NULL);
    hal_host_run();
    cr_assert(strstr(noted(), "r1=1"));
    cr_assert_eq(next(), 3);
    stop();
}

Test(channel, a_receiver_s_deadline_ends_its_wait)
{
    start(1);
    spawn("a", receiver, (void *)100);
    hal_host_advance(99);
    expect_trace("");
    hal_host_advance(1);
    expect_trace("a:-7");
    expect_ok(put(1, 0));
    cr_assert_eq(next(), 1, "who has gone gets nothing");
    stop();
}

Test(channel, senders_wait_for_room_and_are_served_in_order)
{
    start(2);
    expect_ok(put(0, 128));
    expect_ok(put(1, 128));
    spawn("a", sender, (void *)2);
    spawn("b", sender, (void *)3);
    spawn("c", sender, (void *)4);
    expect_trace("");
    cr_assert_eq(put(9, 128), HX_E_FULL);
    for (int64_t i = 0; i < 5; i++)
        cr_assert_eq(next(), i);
    cr_assert_eq(next(), HX_E_EMPTY);
    expect_trace("a:0 b:0 c:0");
    stop();
}

Test(channel, a_sender_s_deadline_ends_its_wait_and_nothing_is_sent)
{
    start(1);
    expect_ok(put(0, 128));
    spawn("a", sender_100, (void *)1);
    hal_host_advance(100);
    expect_trace("a:-7@100");
    cr_assert_eq(next(), 0);
    cr_assert_eq(next(), HX_E_EMPTY);
    stop();
}

Test(channel, who_is_killed_while_he_waits_is_withdrawn)
{
    start(1);
    hx_handle_t gone = spawn("gone", receiver, NULL);
    spawn("next", receiver, NULL);
    expect_ok(hx_task_kill(gone));
    expect_ok(put(1, 0));
    expect_trace("next=1");
    expect_ok(put(2, 128));
    gone = spawn("gone", sender, (void *)3);
    spawn("later", sender, (void *)4);
    expect_ok(hx_task_kill(gone));
    cr_assert_eq(next(), 2);
    cr_assert_eq(next(), 4);
    cr_assert_eq(next(), HX_E_EMPTY);
    expect_trace("later:0");
    stop();
}

Test(channel, nobody_waits_where_he_may_not)
{
    start(1);
    struct hx_message message = numbered(1, 0);
    hx_preempt_disable();
    cr_assert_eq(hx_ipc_receive(ends.end[1], &alice, &message, UINT64_MAX), HX_E_STATE);
    expect_ok(put(1, 0));
    cr_assert_eq(hx_ipc_send(ends.end[0], &alice, &message, UINT64_MAX), HX_E_STATE);
    hx_preempt_enable();
    cr_assert_eq(next(), 1);
    stop();
}

/* ---- closing --------------------------------------------------------------------------------------------------------- */
Test(channel, a_closed_one_is_emptied_first)
{
    start(4);
    expect_ok(put(1, 0));
    expect_ok(put(2, 9));
    cr_assert_eq(hx_ipc_is_open(ends.end[0], &alice), 1);
    expect_ok(hx_ipc_close(ends.end[0], &alice));
    cr_assert_eq(hx_ipc_is_open(ends.end[0], &alice), 0);
    cr_assert_eq(hx_ipc_is_open(ends.end[1], &alice), 0);
    cr_assert_eq(put(3, 0), HX_E_CLOSED);
    cr_assert_eq(next(), 2);
    cr_assert_eq(put(3, 0), HX_E_CLOSED, "room makes no difference");
    cr_assert_eq(next(), 1);
    cr_assert_eq(next(), HX_E_CLOSED);
    stop();
}

Test(channel, closing_wakes_all_who_wait)
{
    start(1);
    struct hx_channel_ends full;
    expect_ok(hx_ipc_create(1, &alice, &full));
    spawn("r1", receiver, NULL);
    spawn("r2", receiver, NULL);
    expect_trace("");
    expect_ok(hx_ipc_close(ends.end[0], &alice));
    hal_host_run();
    expect_trace("r1:-9 r2:-9");
    stop();
}

Test(channel, closing_wakes_senders)
{
    start(1);
    expect_ok(put(0, 0));
    spawn("a", sender, (void *)1);
    spawn("b", sender, (void *)2);
    expect_ok(hx_ipc_close(ends.end[1], &alice));
    hal_host_run();
    char expected[64];
    snprintf(expected, sizeof(expected), "a:%d b:%d", HX_E_CLOSED, HX_E_CLOSED);
    expect_trace(expected);
    cr_assert_eq(next(), 0);
    cr_assert_eq(next(), HX_E_CLOSED);
    stop();
}

Test(channel, the_last_handle_of_an_end_closes_it)
{
    start(2);
    hx_handle_t clone = HX_HANDLE_NONE;
    expect_ok(put(1, 0));
    expect_ok(hx_ipc_clone(ends.end[0], &alice, HX_RIGHT_SEND, &bob, &clone));
    expect_ok(hx_handle_close(ends.end[0], &alice));
    cr_assert_eq(hx_ipc_is_open(ends.end[1], &alice), 1, "there is another");
    expect_ok(send_as(&bob, clone, 2, 0, HX_WAIT_NOT));
    expect_ok(hx_handle_close(clone, &bob));
    cr_assert_eq(hx_ipc_is_open(ends.end[1], &alice), 0);
    cr_assert_eq(next(), 1);
    cr_assert_eq(next(), 2);
    cr_assert_eq(next(), HX_E_CLOSED);
    stop();
}

Test(channel, nobody_can_send_to_an_end_that_was_given_up)
{
    start(2);
    expect_ok(put(1, 0));
    expect_ok(hx_handle_close(ends.end[1], &alice));
    cr_assert_eq(put(2, 0), HX_E_CLOSED);
    cr_assert_eq(next(), HX_E_STALE);
    stop();
}

Test(channel, who_waits_with_a_handle_that_is_given_up_is_told)
{
    start(1);
    spawn("a", receiver, NULL);
    expect_trace("");
    expect_ok(hx_handle_close(ends.end[1], &alice));
    hal_host_run();
    char expected[32];
    snprintf(expected, sizeof(expected), "a:%d", HX_E_STALE);
    expect_trace(expected);
    stop();
}

/* ---- rights ---------------------------------------------------------------------------------------------------------- */
Test(channel, a_handle_can_do_what_it_has_the_right_to)
{
    start(4);
    hx_handle_t only[2], clone = HX_HANDLE_NONE;
    struct hx_message message = numbered(1, 0);
    expect_ok(hx_ipc_clone(ends.end[1], &alice, HX_RIGHT_SEND, &bob, &only[0]));
    expect_ok(hx_ipc_clone(ends.end[1], &alice, HX_RIGHT_RECEIVE, &bob, &only[1]));
    cr_assert_eq(hx_ipc_receive(only[0], &bob, &message, HX_WAIT_NOT), HX_E_PERM);
    cr_assert_eq(hx_ipc_select(&only[0], 1, &bob, HX_WAIT_NOT), HX_E_PERM);
    cr_assert_eq(hx_ipc_send(only[1], &bob, &message, HX_WAIT_NOT), HX_E_PERM);
    cr_assert_eq(hx_ipc_clone(only[0], &bob, HX_RIGHT_SEND, &bob, &clone), HX_E_PERM, "no right to clone");
    expect_ok(hx_ipc_clone(ends.end[1], &alice, HX_RIGHT_CLONE | HX_RIGHT_SEND, &bob, &clone));
    cr_assert_eq(hx_ipc_clone(clone, &bob, HX_RIGHT_RECEIVE, &bob, &only[0]), HX_E_PERM, "more than it has");
    bob.limit = bob.count;
    cr_assert_eq(hx_ipc_clone(clone, &bob, HX_RIGHT_SEND, &bob, &only[0]), HX_E_LIMIT);
    bob.limit = 0;
    cr_assert_eq(hx_ipc_send(ends.end[0], &bob, &message, HX_WAIT_NOT), HX_E_STALE, "another's handle");
    cr_assert_eq(hx_ipc_receive(ends.end[0], &bob, &message, HX_WAIT_NOT), HX_E_STALE);
    cr_assert_eq(hx_ipc_count(ends.end[0], &bob), HX_E_STALE);
    cr_assert_eq(hx_ipc_is_open(ends.end[0], &bob), HX_E_STALE);
    cr_assert_eq(hx_ipc_close(ends.end[0], &bob), HX_E_STALE);
    cr_assert_eq(hx_ipc_clone(ends.end[0], &bob, 0, &bob, &clone), HX_E_STALE);
    stop();
}

/* ---- select ---------------------------------------------------------------------------------------------------------- */
Test(channel, select_finds_the_first_that_is_ready)
{
    start(2);
    struct hx_channel_ends others;
    expect_ok(hx_ipc_create(2, &alice, &others));
    hx_handle_t both[] = { ends.end[1], others.end[1] };
    cr_assert_eq(hx_ipc_select(both, 2, &alice, HX_WAIT_NOT), HX_E_TIMEOUT);
    cr_assert_eq(hx_ipc_select(both, 0, &alice, HX_WAIT_NOT), HX_E_INVAL);
    cr_assert_eq(hx_ipc_select(both, HX_SELECT_MAX + 1, &alice, HX_WAIT_NOT), HX_E_INVAL);
    expect_ok(send_as(&alice, others.end[0], 1, 0, HX_WAIT_NOT));
    cr_assert_eq(hx_ipc_select(both, 2, &alice, HX_WAIT_NOT), 1);
    expect_ok(put(1, 0));
    cr_assert_eq(hx_ipc_select(both, 2, &alice, UINT64_MAX), 0);
    cr_assert_eq(hx_ipc_select(both, 2, &bob, HX_WAIT_NOT), HX_E_STALE);
    stop();
}

Test(channel, select_waits_for_a_message_a_close_or_the_deadline)
{
    start(2);
    struct hx_channel_ends others;
    expect_ok(hx_ipc_create(2, &alice, &others));
    spawn("a", selector, &others);
    spawn("b", selector, &others);
    expect_trace("");
    expect_ok(send_as(&alice, others.end[0], 1, 0, HX_WAIT_NOT));
    expect_trace("a#1 b#1");
    struct hx_message message;
    expect_ok(hx_ipc_receive(others.end[1], &alice, &message, HX_WAIT_NOT));
    spawn("c", selector, &others);
    hal_host_advance(1000);
    expect_trace("c#-7");
    spawn("d", selector, &others);
    expect_ok(hx_ipc_close(ends.end[0], &alice));
    expect_trace("d#0");
    stop();
}

Test(channel, one_who_selects_and_is_killed_leaves_nothing_behind)
{
    start(2);
    struct hx_channel_ends others;
    expect_ok(hx_ipc_create(2, &alice, &others));
    hx_handle_t gone = spawn("gone", selector, &others);
    expect_ok(hx_task_kill(gone));
    expect_ok(put(1, 0));
    cr_assert_eq(next(), 1);
    expect_trace("");
    stop();
}

/* ---- what is carried ------------------------------------------------------------------------------------------------- */
Test(channel, an_end_goes_with_a_message)
{
    start(2);
    struct hx_channel_ends others;
    hx_handle_t to_bob = HX_HANDLE_NONE;
    struct hx_message got;
    expect_ok(hx_ipc_create(1, &alice, &others));
    expect_ok(hx_ipc_clone(ends.end[1], &alice, HX_RIGHT_ALL, &bob, &to_bob));
    struct hx_message message = carrying(others.end[1]);
    expect_ok(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT));
    cr_assert_eq(hx_ipc_count(others.end[1], &alice), HX_E_STALE, "it is gone from the sender");
    cr_assert_eq(hx_ipc_is_open(others.end[0], &alice), 1);
    bob.limit = bob.count;
    cr_assert_eq(hx_ipc_receive(to_bob, &bob, &got, HX_WAIT_NOT), HX_E_LIMIT);
    cr_assert_eq(hx_ipc_count(to_bob, &bob), 1, "it stays where it is");
    bob.limit = 0;
    expect_ok(hx_ipc_receive(to_bob, &bob, &got, HX_WAIT_NOT));
    expect_ok(send_as(&alice, others.end[0], 42, 0, HX_WAIT_NOT));
    hx_handle_t received = got.capability;
    expect_ok(hx_ipc_receive(received, &bob, &got, HX_WAIT_NOT));
    cr_assert_eq(got.code, 42);
    stop();
}

Test(channel, what_is_on_its_way_counts_for_who_sent_it_and_outlives_him)
{
    start(4);
    struct hx_channel_ends others;
    hx_handle_t to_bob = HX_HANDLE_NONE, ignored;
    struct hx_message got;
    expect_ok(hx_ipc_create(1, &alice, &others));
    expect_ok(hx_ipc_clone(ends.end[1], &alice, HX_RIGHT_ALL, &bob, &to_bob));
    uint32_t before = alice.limit = alice.count;
    struct hx_message message = carrying(others.end[1]), more = carrying(others.end[0]);
    expect_ok(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT));
    expect_ok(hx_ipc_send(ends.end[0], &alice, &more, HX_WAIT_NOT));
    cr_assert_eq(alice.count, before);
    cr_assert_eq(hx_ipc_clone(ends.end[0], &alice, HX_RIGHT_SEND, &alice, &ignored), HX_E_LIMIT);
    expect_ok(hx_ipc_receive(to_bob, &bob, &got, HX_WAIT_NOT));
    cr_assert_eq(alice.count, before - 1, "it is bob's now");
    expect_ok(hx_ipc_clone(ends.end[0], &alice, HX_RIGHT_SEND, &alice, &ignored));
    alice.limit = 0;
    hx_handle_close_all(&alice);
    cr_assert_eq(alice.count, 0);
    cr_assert_eq(hx_channel_transit.count, 1);
    expect_ok(hx_ipc_receive(to_bob, &bob, &got, HX_WAIT_NOT));
    cr_assert_eq(hx_ipc_is_open(got.capability, &bob), 1);
    cr_assert(hx_channel_transit.count == 0 && bob.count == 3);
    stop();
}

Test(channel, what_may_not_be_carried_stays_the_sender_s)
{
    start(1);
    struct hx_channel_ends others;
    hx_handle_t fixed = HX_HANDLE_NONE;
    expect_ok(hx_ipc_create(1, &alice, &others));
    expect_ok(hx_ipc_clone(others.end[1], &alice, HX_RIGHT_SEND, &alice, &fixed));
    struct hx_message message = carrying(fixed);
    cr_assert_eq(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT), HX_E_PERM, "no right to transfer");
    message = carrying(HX_HANDLE_NONE);
    cr_assert_eq(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT), HX_E_STALE);
    message = carrying(hx_task_current()->handle);
    cr_assert_eq(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT), HX_E_INVAL, "a task is none");
    expect_ok(put(0, 0));
    message = carrying(others.end[1]);
    cr_assert_eq(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT), HX_E_FULL);
    cr_assert_eq(hx_ipc_count(others.end[1], &alice), 0);
    expect_ok(hx_ipc_close(ends.end[0], &alice));
    cr_assert_eq(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT), HX_E_CLOSED);
    cr_assert_eq(hx_ipc_count(others.end[1], &alice), 0);
    stop();
}

static hx_status_t capability_receiver(void *argument)
{
    struct hx_message got;
    (void)argument;
    hx_status_t err = hx_ipc_receive(ends.end[1], &alice, &got, UINT64_MAX);
    note("%s:%d,%lld", me(), err, (long long)hx_ipc_is_open(got.capability, &alice));
    return err;
}

static hx_status_t capability_sender(void *argument)
{
    struct hx_message message = carrying(*(hx_handle_t *)argument);
    hx_status_t err = hx_ipc_send(ends.end[0], &alice, &message, UINT64_MAX);
    note("%s:%d", me(), err);
    return err;
}

Test(channel, what_is_carried_comes_to_who_waits_and_from_who_waits)
{
    start(1);
    struct hx_channel_ends others;
    expect_ok(hx_ipc_create(1, &alice, &others));
    spawn("r", capability_receiver, NULL);
    spawn("s", capability_sender, &others.end[1]);
    hal_host_run();
    cr_assert(strstr(noted(), "r:0,1"));
    expect_ok(put(5, 128));
    spawn("t", capability_sender, &others.end[0]);
    hx_handle_t bad = others.end[1];
    spawn("u", capability_sender, &bad);
    cr_assert_eq(next(), 5);
    struct hx_message got;
    expect_ok(hx_ipc_receive(ends.end[1], &alice, &got, HX_WAIT_NOT));
    cr_assert_eq(hx_ipc_is_open(got.capability, &alice), 1);
    hal_host_run();
    char expected[32];
    snprintf(expected, sizeof(expected), "t:0 u:%d", HX_E_STALE);
    expect_trace(expected);
    stop();
}

/* Whoever may send must not be able to leave the receiver asleep. */
Test(channel, what_may_not_be_carried_leaves_who_waits_to_be_handed_the_next)
{
    start(2);
    spawn("r", receiver, NULL);
    struct hx_message message = carrying(HX_HANDLE_NONE);
    cr_assert_eq(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT), HX_E_STALE);
    expect_ok(put(6, 128));
    hal_host_run();
    expect_trace("r=6");
    cr_assert_eq(hx_ipc_count(ends.end[1], &alice), 0);
    stop();
}

/* Else nothing behind it would ever be received. */
/* As who revokes it does. */
static void end_what_is_on_its_way(void)
{
    const struct hx_handle_entry *entry = hx_handle_next(0);
    while (entry && entry->owner != &hx_channel_transit)
        entry = hx_handle_next(hx_handle_index(entry->name));
    expect_ok(hx_handle_close(entry->name, &hx_channel_transit));
}

Test(channel, a_capability_that_ends_on_its_way_arrives_as_none)
{
    start(2);
    struct hx_channel_ends others;
    struct hx_message got;
    expect_ok(hx_ipc_create(1, &alice, &others));
    struct hx_message message = carrying(others.end[1]);
    expect_ok(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT));
    expect_ok(put(3, 0));
    end_what_is_on_its_way();
    cr_assert_eq(hx_ipc_is_open(others.end[0], &alice), 0);
    expect_ok(hx_ipc_receive(ends.end[1], &alice, &got, HX_WAIT_NOT));
    cr_assert_eq(got.capability, HX_HANDLE_NONE);
    cr_assert_eq(next(), 3);
    stop();
}

/* What comes from now on is not his. */
Test(channel, who_waits_with_a_handle_that_is_given_away_is_told)
{
    start(2);
    struct hx_channel_ends others;
    struct hx_message got;
    expect_ok(hx_ipc_create(1, &alice, &others));
    spawn("r", receiver, NULL);
    struct hx_message message = carrying(ends.end[1]);
    expect_ok(hx_ipc_send(others.end[0], &alice, &message, HX_WAIT_NOT));
    hal_host_run();
    char expected[32];
    snprintf(expected, sizeof(expected), "r:%d", HX_E_STALE);
    expect_trace(expected);
    expect_ok(hx_ipc_receive(others.end[1], &alice, &got, HX_WAIT_NOT));
    ends.end[1] = got.capability;
    expect_ok(put(4, 0));
    cr_assert_eq(next(), 4);
    stop();
}

Test(channel, what_nobody_receives_is_released_however_deep)
{
    enum { DEPTH = 300 };
    start(1);
    struct hx_channel_ends inner, outer = ends;
    for (uint32_t i = 0; i < DEPTH; i++) {
        expect_ok(hx_ipc_create(1, &alice, &inner));
        struct hx_message message = carrying(inner.end[1]);
        expect_ok(hx_ipc_send(outer.end[0], &alice, &message, HX_WAIT_NOT));
        message = numbered(1, 1);
        outer = inner;
    }
    cr_assert_eq(hx_ipc_is_open(outer.end[0], &alice), 1);
    expect_ok(hx_handle_close(ends.end[1], &alice));
    cr_assert_eq(hx_ipc_is_open(outer.end[0], &alice), 0, "the innermost's other end is gone");
    stop();
}

Test(channel, memory_goes_with_a_message)
{
    start(2);
    hx_handle_t grant = HX_HANDLE_NONE, to_bob = HX_HANDLE_NONE;
    uintptr_t va = 0;
    struct hx_message got, message = numbered(3, 0);
    hx_grant_init();
    expect_ok(hx_grant_make(4096, &alice, &grant, &va));
    expect_ok(hx_ipc_clone(ends.end[1], &alice, HX_RIGHT_ALL, &bob, &to_bob));
    *(uint64_t *)va = 0x1234;
    message.payload = HX_PAYLOAD_MEMORY;
    message.memory.grant = grant;
    message.memory.permissions = HX_GRANT_READ;
    expect_ok(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT));
    cr_assert_eq(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT), HX_E_STALE, "it has been given away");
    expect_ok(hx_ipc_receive(to_bob, &bob, &got, HX_WAIT_NOT));
    cr_assert_eq(*(uint64_t *)got.memory.address, 0x1234);
    cr_assert_eq(got.memory.bytes, 4096);
    cr_assert_eq(got.memory.permissions, HX_GRANT_READ);
    stop();
}

/* ---- for people ------------------------------------------------------------------------------------------------------ */
Test(channel, is_described)
{
    start(2);
    struct hx_channel_info info;
    struct hx_channel_ends others;
    expect_ok(hx_ipc_create(5, &alice, &others));
    expect_ok(put(1, 0));
    spawn("r", selector, &others);
    cr_assert(hx_channel_describe(1, &info));
    cr_assert_eq(info.capacity, 2);
    cr_assert_eq(info.queued[1], 1);
    cr_assert_eq(info.queued[0], 0);
    cr_assert_eq(info.sent[0], 1);
    cr_assert_eq(info.handles[0], 1);
    cr_assert(info.open);
    uint32_t first = info.number;
    hx_status_t err = HX_OK;
    cr_assert_eq(hx_channel_number(hx_handle_look(ends.end[1], HX_HANDLE_CHANNEL, NULL, 0, &err)), first);
    for (uint32_t side = 0; side < 2; side++)
        cr_assert_eq(hx_channel_side(hx_handle_look(ends.end[side], HX_HANDLE_CHANNEL, NULL, 0, &err)), side);
    cr_assert(hx_channel_describe(first + 1, &info));
    cr_assert_eq(info.capacity, 5);
    cr_assert_not(hx_channel_describe(info.number + 1, &info));
    cr_assert_eq(next(), 1);
    spawn("w", receiver, NULL);
    cr_assert(hx_channel_describe(first, &info));
    cr_assert_eq(info.receivers[1], 1);
    cr_assert_eq(info.senders[0] + info.senders[1] + info.receivers[0], 0);
    expect_ok(hx_ipc_close(ends.end[0], &alice));
    cr_assert(hx_channel_describe(first, &info));
    cr_assert_not(info.open);
    stop();
}
