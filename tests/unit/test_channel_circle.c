/* SPDX-License-Identifier: MIT */
/* test_channel_circle.c - ends of channels in queues of others: no circle, and nothing refused that is none. */
#include "channel_fixture.h"

/* It would keep itself for ever. The other way it goes. */
Test(channel_circle, an_end_does_not_go_to_itself)
{
    start(2);
    struct hx_message message = carrying(ends.end[1]);
    cr_assert_eq(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT), HX_E_INVAL);
    message = carrying(ends.end[0]);
    expect_ok(hx_ipc_send(ends.end[0], &alice, &message, HX_WAIT_NOT));
    stop();
}

/* Sends the other end of @what to who receives at @to's. */
static hx_status_t send_end(const struct hx_channel_ends *to, const struct hx_channel_ends *what)
{
    struct hx_message message = carrying(what->end[1]);
    return hx_ipc_send(to->end[0], &alice, &message, HX_WAIT_NOT);
}

Test(channel_circle, ends_do_not_go_into_each_other_s_queues)
{
    struct hx_channel_ends a, b, c;
    struct hx_message got;
    start(1);
    expect_ok(hx_ipc_create(2, &alice, &a));
    expect_ok(hx_ipc_create(2, &alice, &b));
    expect_ok(hx_ipc_create(2, &alice, &c));
    expect_ok(send_end(&a, &b));
    cr_assert_eq(send_end(&b, &a), HX_E_INVAL, "b's end is in a's queue");
    expect_ok(send_end(&b, &c));
    cr_assert_eq(send_end(&c, &a), HX_E_INVAL, "c's is in b's, and that in a's");
    expect_ok(hx_ipc_receive(a.end[1], &alice, &got, HX_WAIT_NOT));
    expect_ok(send_end(&c, &a)); /* b's is here again */
    b.end[1] = got.capability;
    cr_assert_eq(send_end(&a, &b), HX_E_INVAL, "b has c's, and that has a's");
    expect_ok(hx_handle_close(b.end[1], &alice)); /* with all that is in it */
    for (uint32_t i = 0; i < 2; i++)
        cr_assert_eq(hx_ipc_is_open((i ? c : a).end[0], &alice), 0);
    stop();
}

/* The ends of a, b and c. */
static struct hx_channel_ends a, b, c;

static void start_three(void)
{
    start(1);
    expect_ok(hx_ipc_create(2, &alice, &a));
    expect_ok(hx_ipc_create(2, &alice, &b));
    expect_ok(hx_ipc_create(2, &alice, &c));
}

Test(channel_circle, an_end_goes_elsewhere_with_what_is_in_its_queue)
{
    struct hx_message got;
    start_three();
    expect_ok(send_end(&b, &c));
    expect_ok(send_end(&a, &b));
    expect_ok(hx_ipc_receive(a.end[1], &alice, &got, HX_WAIT_NOT));
    b.end[1] = got.capability;
    expect_ok(send_end(&ends, &b));
    expect_ok(hx_ipc_receive(ends.end[1], &alice, &got, HX_WAIT_NOT));
    cr_assert_eq(hx_ipc_count(got.capability, &alice), 1, "c's is in it");
    stop();
}

Test(channel_circle, a_refusal_says_nothing_about_the_next)
{
    struct hx_channel_ends d;
    start_three();
    expect_ok(hx_ipc_create(2, &alice, &d));
    expect_ok(send_end(&a, &b));
    cr_assert_eq(send_end(&b, &a), HX_E_INVAL);
    expect_ok(send_end(&c, &d));
    expect_ok(send_end(&b, &c)); /* b's was reached a moment ago, from a's */
    stop();
}

Test(channel_circle, an_end_that_was_received_is_in_no_queue)
{
    struct hx_message got;
    start_three();
    expect_ok(send_end(&a, &b));
    expect_ok(send_end(&a, &c));
    expect_ok(hx_ipc_receive(a.end[1], &alice, &got, HX_WAIT_NOT));
    cr_assert_eq(hx_handle_type(got.capability), HX_HANDLE_CHANNEL);
    cr_assert_eq(hx_channel_end_at(hx_channel_end_number(hx_handles[hx_handle_index(a.end[1])].object))->ends_inside,
                 1);
    b.end[1] = got.capability;
    expect_ok(send_end(&b, &a)); /* c's in a's in b's */
    stop();
}

Test(channel_circle, an_end_that_could_not_be_received_is_where_it_was)
{
    struct hx_message got;
    hx_handle_t to_bob = HX_HANDLE_NONE;
    start_three();
    expect_ok(hx_ipc_clone(a.end[1], &alice, HX_RIGHT_ALL, &bob, &to_bob));
    expect_ok(send_end(&a, &b));
    bob.limit = bob.count;
    cr_assert_eq(hx_ipc_receive(to_bob, &bob, &got, HX_WAIT_NOT), HX_E_LIMIT);
    bob.limit = 0;
    cr_assert_eq(send_end(&b, &a), HX_E_INVAL);
    stop();
}

/* How many queues deep the first of @count channels is sent into another's: worst, as each was made before that in whose queue
 * it stands. */
static hx_status_t send_as_deep(uint32_t count)
{
    enum { MOST = 20 };
    struct hx_channel_ends chain[MOST];
    cr_assert_leq(count, MOST);
    start(2);
    for (uint32_t i = count; i-- > 0;)
        expect_ok(hx_ipc_create(1, &alice, &chain[i]));
    for (uint32_t i = 1; i < count; i++)
        expect_ok(send_end(&chain[i - 1], &chain[i]));
    hx_status_t err = send_end(&ends, &chain[0]);
    if (err != HX_OK) {
        expect_ok(hx_handle_close(chain[0].end[0], &alice));
        cr_assert_eq(hx_ipc_count(chain[0].end[1], &alice), 1, "it is where it was");
    }
    stop();
    return err;
}

Test(channel_circle, an_end_whose_queue_leads_too_deep_is_refused)
{
    cr_assert_eq(send_as_deep(17), HX_E_LIMIT);
}

Test(channel_circle, one_that_is_less_deep_goes)
{
    expect_ok(send_as_deep(16));
}

Test(channel_circle, one_that_is_much_deeper_is_refused_as_soon)
{
    cr_assert_eq(send_as_deep(20), HX_E_LIMIT);
}
