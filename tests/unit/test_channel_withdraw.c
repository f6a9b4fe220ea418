/* SPDX-License-Identifier: MIT */
/* test_channel_withdraw.c - ends of channels that are taken back: from who holds them, who waits with them, out of messages. */
#include "channel_fixture.h"

static hx_handle_t bobs;

static hx_handle_t clone_for_bob(hx_handle_t end)
{
    hx_handle_t clone = HX_HANDLE_NONE;
    expect_ok(hx_ipc_clone(end, &alice, HX_RIGHT_ALL, &bob, &clone));
    return clone;
}

static hx_status_t bob_receives(void *unused)
{
    struct hx_message message;
    (void)unused;
    hx_status_t err = hx_ipc_receive(bobs, &bob, &message, UINT64_MAX);
    note("%s:%d", me(), err);
    return err;
}

static hx_status_t bob_sends(void *unused)
{
    (void)unused;
    hx_status_t err = send_as(&bob, bobs, 7, 0, UINT64_MAX);
    note("%s:%d", me(), err);
    return err;
}

static hx_status_t bob_selects(void *unused)
{
    (void)unused;
    note("%s:%lld", me(), (long long)hx_ipc_select(&bobs, 1, &bob, UINT64_MAX));
    return HX_OK;
}

Test(channel, what_is_withdrawn_is_gone_and_others_handles_of_the_end_stay)
{
    start(1);
    bobs = clone_for_bob(ends.end[1]);
    hx_handle_t other = clone_for_bob(ends.end[1]);
    expect_ok(put(1, 0));
    hx_ipc_withdraw(bobs, &alice);
    cr_assert_eq(hx_ipc_count(bobs, &bob), 1, "it is not hers");
    hx_ipc_withdraw(bobs, &bob);
    cr_assert_eq(hx_ipc_count(bobs, &bob), HX_E_STALE);
    hx_ipc_withdraw(bobs, &bob);
    cr_assert_eq(hx_ipc_count(other, &bob), 1);
    cr_assert_eq(bob.count, 1);
    cr_assert_eq(next(), 1);
    stop();
}

/* Bob waits with a handle of @end that is withdrawn, and another with one of alice's. */
static void withdraw_from_who_waits(hx_handle_t end, hx_status_t (*bobs_wait)(void *unused),
                                    hx_status_t (*others_wait)(void *unused))
{
    char expected[32];
    bobs = clone_for_bob(end);
    spawn("bob", bobs_wait, NULL);
    spawn("other", others_wait, NULL);
    hal_host_run();
    expect_trace("");
    hx_ipc_withdraw(bobs, &bob);
    hal_host_run();
    snprintf(expected, sizeof(expected), "bob:%d", HX_E_STALE);
    expect_trace(expected);
}

Test(channel, who_waits_to_receive_with_what_is_withdrawn_is_told_and_others_wait_on)
{
    start(1);
    withdraw_from_who_waits(ends.end[1], bob_receives, receiver);
    expect_ok(put(5, 0));
    hal_host_run();
    expect_trace("other=5");
    stop();
}

Test(channel, who_waits_to_send_with_what_is_withdrawn_is_told_and_others_wait_on)
{
    start(1);
    expect_ok(put(1, 0));
    withdraw_from_who_waits(ends.end[0], bob_sends, sender);
    cr_assert_eq(next(), 1);
    hal_host_run();
    expect_trace("other:0");
    stop();
}

Test(channel, who_selects_among_what_is_withdrawn_is_told)
{
    start(1);
    withdraw_from_who_waits(ends.end[1], bob_selects, receiver);
    expect_ok(put(5, 0));
    hal_host_run();
    expect_trace("other=5");
    stop();
}

/* The only handle that is on its way. */
static hx_handle_t in_transit(void)
{
    const struct hx_handle_entry *entry = NULL;
    for (uint32_t at = 0; (entry = hx_handle_next(at)); at = (uint32_t)(entry - hx_handles))
        if (entry->owner == &hx_channel_transit)
            return entry->name;
    cr_assert_fail("nothing is on its way");
    return HX_HANDLE_NONE;
}

static void send_end(hx_handle_t through, hx_handle_t end)
{
    struct hx_message message = { .payload = HX_PAYLOAD_CAPABILITY, .capability = end };
    expect_ok(hx_ipc_send(through, &alice, &message, HX_WAIT_NOT));
}

Test(channel, what_is_withdrawn_on_its_way_is_none_for_who_receives_it)
{
    struct hx_channel_ends others;
    struct hx_message got;
    start(1);
    expect_ok(hx_ipc_create(1, &alice, &others));
    send_end(ends.end[0], others.end[1]);
    hx_ipc_withdraw(in_transit(), &hx_channel_transit);
    cr_assert_eq(hx_ipc_is_open(others.end[0], &alice), 0, "it was the last");
    expect_ok(hx_ipc_receive(ends.end[1], &alice, &got, HX_WAIT_NOT));
    cr_assert_eq(got.payload, HX_PAYLOAD_CAPABILITY);
    cr_assert_eq(got.capability, HX_HANDLE_NONE);
    stop();
}

/* Its entry is used again, by another that is on its way, and the message is dropped afterwards. */
Test(channel, what_was_withdrawn_on_its_way_is_not_taken_for_who_has_its_place)
{
    struct hx_channel_ends others, third;
    struct hx_message message = { .payload = HX_PAYLOAD_CAPABILITY };
    hx_handle_t clone = HX_HANDLE_NONE;
    start(1);
    expect_ok(hx_ipc_create(1, &alice, &others));
    expect_ok(hx_ipc_create(1, &alice, &third));
    expect_ok(hx_ipc_clone(others.end[1], &alice, HX_RIGHT_ALL, &alice, &clone));
    send_end(ends.end[0], clone);
    hx_handle_t gone = in_transit();
    hx_ipc_withdraw(gone, &hx_channel_transit);
    expect_ok(hx_ipc_clone(others.end[1], &alice, HX_RIGHT_ALL, &alice, &clone));
    cr_assert_eq(hx_handle_index(clone), hx_handle_index(gone));
    send_end(third.end[0], clone);
    expect_ok(hx_handle_close(ends.end[1], &alice)); /* drops the message */
    message.capability = third.end[1];
    cr_assert_eq(hx_ipc_send(others.end[0], &alice, &message, HX_WAIT_NOT), HX_E_INVAL, "a circle");
    stop();
}

Test(channel, what_was_withdrawn_on_its_way_stands_in_no_queue_any_more)
{
    struct hx_channel_ends others;
    struct hx_message message = { .payload = HX_PAYLOAD_CAPABILITY };
    hx_handle_t clone = HX_HANDLE_NONE;
    start(2);
    expect_ok(hx_ipc_create(1, &alice, &others));
    expect_ok(hx_ipc_clone(others.end[1], &alice, HX_RIGHT_ALL, &alice, &clone));
    send_end(ends.end[0], clone);
    hx_handle_t gone = in_transit();
    hx_ipc_withdraw(gone, &hx_channel_transit);
    expect_ok(hx_ipc_clone(others.end[1], &alice, HX_RIGHT_ALL, &alice, &clone));
    cr_assert_eq(hx_handle_index(clone), hx_handle_index(gone));
    message.capability = ends.end[1];
    cr_assert_eq(hx_ipc_send(others.end[0], &alice, &message, HX_WAIT_NOT), HX_OK, "no circle");
    stop();
}
