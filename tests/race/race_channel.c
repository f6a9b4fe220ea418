/* SPDX-License-Identifier: MIT */
/* race_channel.c - channels and handles under threads: what is sent arrives, once and in order, whoever is killed or closes. */
#include "race.h"

#include <ipc/channel.h>

enum { MESSAGES = 50000, SENDERS = 2, RECEIVERS = 2, LEVELS = 4, CLOSINGS = 300, CLONINGS = 2000 };

static struct hx_holder holder = { .self = 1, .name = "race" };
static struct hx_channel_ends ends;
static uint8_t seen[SENDERS][MESSAGES]; /* atomic */
static uint64_t sent, received;

static uint64_t checksum(const struct hx_message *message)
{
    return (message->code + 1) * 0x9e3779b97f4a7c15u ^ message->correlation << 8 ^ message->priority;
}

static struct hx_message make(uint32_t sender, uint32_t number)
{
    struct hx_message message = { .type = HX_MESSAGE_NOTIFICATION,
                                  .code = number,
                                  .correlation = sender,
                                  .priority = (uint8_t)((number * 2654435761u >> 13) % LEVELS * 60),
                                  .payload = HX_PAYLOAD_INLINE,
                                  .bytes = 8 };
    uint64_t sum = checksum(&message);
    memcpy(message.data, &sum, sizeof(sum));
    return message;
}

static void sender(uint32_t number)
{
    for (uint32_t i = 0; i < MESSAGES; i++) {
        struct hx_message message = make(number, i);
        hx_status_t err;
        do /* in all ways there are */
            err = hx_ipc_send(ends.end[0], &holder, &message,
                              i % 3 == 0   ? HX_WAIT_NOT
                              : i % 3 == 1 ? UINT64_MAX
                                           : hx_hal_clock_ns() + 20000);
        while (err == HX_E_FULL || err == HX_E_TIMEOUT);
        race_expect("sent", (uint64_t)(uint32_t)err, HX_OK);
    }
}

/* What it has seen last of each sender, by priority. */
struct order {
    int64_t last[SENDERS][LEVELS];
};

static void note(struct order *order, const struct hx_message *message)
{
    uint64_t sum;
    memcpy(&sum, message->data, sizeof(sum));
    if (message->correlation >= SENDERS || message->code >= MESSAGES || sum != checksum(message)) {
        race_complain("a damaged message", message->code, 0);
        return;
    }
    int64_t *last = &order->last[message->correlation][message->priority / 60];
    if ((int64_t)message->code <= *last)
        race_complain("out of order", message->code, (uint64_t)*last);
    *last = message->code;
    if (__atomic_exchange_n(&seen[message->correlation][message->code], 1, __ATOMIC_RELAXED))
        race_complain("doubled", message->code, 0);
    __atomic_add_fetch(&received, 1, __ATOMIC_RELAXED);
}

static void receiver(uint32_t number)
{
    struct order order;
    struct hx_message message;
    uint64_t turn = 0;
    memset(&order, 0xff, sizeof(order));
    for (;; turn++) {
        if (turn % 16 == number && hx_ipc_select(&ends.end[1], 1, &holder, UINT64_MAX) != 0)
            race_complain("select", 0, 0);
        hx_status_t err = hx_ipc_receive(ends.end[1], &holder, &message,
                                         turn % 3 == 0   ? HX_WAIT_NOT
                                         : turn % 3 == 1 ? UINT64_MAX
                                                         : hx_hal_clock_ns() + 20000);
        if (err == HX_OK)
            note(&order, &message);
        else if (err == HX_E_CLOSED)
            return;
        else if (err != HX_E_EMPTY && err != HX_E_TIMEOUT)
            race_complain("received", (uint64_t)-err, HX_OK);
        if (hx_ipc_count(ends.end[1], &holder) > 16)
            race_complain("more than fits", 17, 16);
    }
}

void race_channel_arrive(void)
{
    race_expect("created", (uint64_t)hx_ipc_create(16, &holder, &ends), HX_OK);
    for (uint32_t i = 0; i < RECEIVERS; i++)
        race_start(SENDERS + i, receiver, i);
    for (uint32_t i = 0; i < SENDERS; i++)
        race_start(i, sender, i);
    race_join(0, SENDERS);
    (void)!hx_ipc_close(ends.end[0], &holder);
    race_join(SENDERS, RECEIVERS);
    race_expect("received", received, SENDERS * MESSAGES);
    hx_handle_close_all(&holder);
}

/* Who receives is killed again and again, often when a message has just been handed to him; he is his own successor. */
static bool all_sent; /* atomic */
static uint64_t killed;

static void mortal(uint32_t number)
{
    struct hx_message message;
    (void)number;
    for (;;) {
        hx_status_t err = hx_ipc_receive(ends.end[1], &holder, &message, UINT64_MAX);
        if (err == HX_E_CLOSED)
            return;
        if (err == HX_E_KILLED)
            __atomic_add_fetch(&killed, 1, __ATOMIC_RELAXED);
        else if (err != HX_OK || message.correlation >= SENDERS || message.code >= MESSAGES)
            race_complain("received", (uint64_t)-err, HX_OK);
        else if (__atomic_exchange_n(&seen[message.correlation][message.code], 1, __ATOMIC_RELAXED))
            race_complain("doubled", message.code, 0);
        else
            __atomic_add_fetch(&received, 1, __ATOMIC_RELAXED);
    }
}

static void killer(uint32_t number)
{
    for (uint32_t i = 0; !__atomic_load_n(&all_sent, __ATOMIC_ACQUIRE); i++) {
        race_kill(SENDERS + i % number);
        sched_yield();
    }
}

void race_channel_kill(void)
{
    enum { MORTALS = 3 };
    received = killed = 0;
    memset(seen, 0, sizeof(seen));
    race_expect("created", (uint64_t)hx_ipc_create(2, &holder, &ends), HX_OK);
    for (uint32_t i = 0; i < MORTALS; i++)
        race_start(SENDERS + i, mortal, i);
    race_start(SENDERS + MORTALS, killer, MORTALS);
    for (uint32_t i = 0; i < SENDERS; i++)
        race_start(i, sender, i);
    race_join(0, SENDERS);
    __atomic_store_n(&all_sent, true, __ATOMIC_RELEASE);
    race_join(SENDERS + MORTALS, 1);
    (void)!hx_ipc_close(ends.end[0], &holder);
    race_join(SENDERS, MORTALS);
    race_expect("received", received, SENDERS * MESSAGES);
    race_expect("killed at least once", killed > 0, 1);
    hx_handle_close_all(&holder);
}

/* Whatever was sent before somebody closed is received. */
static void hasty_sender(uint32_t number)
{
    struct hx_message message = make(number, 1);
    while (hx_ipc_send(ends.end[0], &holder, &message, UINT64_MAX) == HX_OK)
        __atomic_add_fetch(&sent, 1, __ATOMIC_RELAXED);
}

static void hasty_receiver(uint32_t number)
{
    struct hx_message message;
    (void)number;
    while (hx_ipc_receive(ends.end[1], &holder, &message, UINT64_MAX) == HX_OK)
        __atomic_add_fetch(&received, 1, __ATOMIC_RELAXED);
}

static void closer(uint32_t number)
{
    struct hx_message message = make(0, 0);
    for (uint32_t i = 0; i < number % 40; i++) {
        if (hx_ipc_send(ends.end[0], &holder, &message, HX_WAIT_NOT) == HX_OK)
            __atomic_add_fetch(&sent, 1, __ATOMIC_RELAXED);
        sched_yield();
    }
    if (number % 2)
        (void)!hx_ipc_close(ends.end[number / 2 % 2], &holder);
    else
        (void)!hx_handle_close(ends.end[0], &holder);
    if (number % 4 == 0) /* nothing of it is left, and somebody uses it */
        (void)!hx_handle_close(ends.end[1], &holder);
}

void race_channel_close(void)
{
    for (uint32_t i = 0; i < CLOSINGS; i++) {
        sent = received = 0;
        race_expect("created", (uint64_t)hx_ipc_create(1 + i % 5, &holder, &ends), HX_OK);
        race_start(0, hasty_sender, 0);
        race_start(1, hasty_sender, 1);
        race_start(2, hasty_receiver, 0);
        race_start(3, hasty_receiver, 1);
        race_start(4, closer, i);
        race_join(0, 5);
        if (i % 4)
            race_expect("received before it was closed", received, sent);
        hx_handle_close_all(&holder);
    }
}

/* Handles of one end come and go, and travel, while messages are sent through them. */
static void cloner(uint32_t number)
{
    struct hx_holder mine = { .self = number, .name = "cloner" };
    struct hx_message message = make(0, number);
    for (uint32_t i = 0; i < CLONINGS; i++) {
        hx_handle_t clone = HX_HANDLE_NONE;
        if (hx_ipc_clone(ends.end[0], &holder, HX_RIGHT_ALL, &mine, &clone) != HX_OK)
            race_complain("not cloned", i, 0);
        message.payload = i % 4 ? HX_PAYLOAD_NONE : HX_PAYLOAD_CAPABILITY;
        message.bytes = 0;
        message.capability = clone;
        if (hx_ipc_send(clone, &mine, &message, UINT64_MAX) == HX_OK)
            __atomic_add_fetch(&sent, 1, __ATOMIC_RELAXED);
        else
            race_complain("not sent", i, 0);
        hx_status_t err = hx_handle_close(clone, &mine);
        if (err != (i % 4 ? HX_OK : HX_E_STALE))
            race_complain("closed", (uint64_t)-err, 0);
    }
}

static void collector(uint32_t number)
{
    struct hx_holder mine = { .self = number, .name = "collector" };
    struct hx_message message;
    hx_handle_t end = HX_HANDLE_NONE;
    if (hx_ipc_clone(ends.end[1], &holder, HX_RIGHT_ALL, &mine, &end) != HX_OK)
        race_complain("not cloned", number, 0);
    while (hx_ipc_receive(end, &mine, &message, UINT64_MAX) == HX_OK) {
        __atomic_add_fetch(&received, 1, __ATOMIC_RELAXED);
        if (message.payload == HX_PAYLOAD_CAPABILITY && hx_handle_close(message.capability, &mine) != HX_OK)
            race_complain("no handle came along", 0, 0);
    }
    (void)!hx_handle_close(end, &mine);
}

static void describer(uint32_t number)
{
    struct hx_channel_info info;
    for (uint32_t i = 0; i < 1000; i++)
        for (uint32_t from = number; hx_channel_describe(from, &info); from = info.number + 1)
            if (info.queued[0] > info.capacity || info.queued[1] > info.capacity)
                race_complain("more than fits", info.queued[1], info.capacity);
}

void race_channel_clone(void)
{
    sent = received = 0;
    race_expect("created", (uint64_t)hx_ipc_create(8, &holder, &ends), HX_OK);
    for (uint32_t i = 0; i < 3; i++)
        race_start(i, cloner, i + 1);
    race_start(3, describer, 1);
    race_start(4, collector, 1);
    race_start(5, collector, 2);
    race_join(0, 4);
    (void)!hx_ipc_close(ends.end[0], &holder);
    race_join(4, 2);
    race_expect("received", received, sent);
    hx_handle_close_all(&holder);
}
