/* SPDX-License-Identifier: MIT */
/* interrupt.c - see interrupt.h. */
#include "interrupt.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t asked;
static sigset_t open_mask; /* while something is waited for */
static bool needs_reader;

static void on_signal(int number)
{
    (void)number;
    asked = 1;
}

void hx_ctl_interrupt_init(void)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = on_signal };
    sigset_t held;

    sigemptyset(&held);
    for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction before;

        (void)sigaction(numbers[i], NULL, &before);
        if (before.sa_handler == SIG_IGN)
            continue; /* under nohup */
        sigaddset(&held, numbers[i]);
        (void)sigaction(numbers[i], &action, NULL);
    }
    (void)sigprocmask(SIG_BLOCK, &held, &open_mask);
    /* A reader who has seen enough is noticed by what cannot be written. */
    (void)signal(SIGPIPE, SIG_IGN);
}

bool hx_ctl_interrupted(void)
{
    return asked != 0;
}

void hx_ctl_interrupt_clear(void)
{
    asked = 0;
    needs_reader = false;
}

const sigset_t *hx_ctl_interrupt_mask(void)
{
    return &open_mask;
}

uint64_t hx_ctl_clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t hx_ctl_deadline(double seconds)
{
    return hx_ctl_clock_ns() + (uint64_t)(seconds * 1e9);
}

void hx_ctl_interrupt_needs_reader(void)
{
    needs_reader = true;
}

/* As ppoll(), and looks for the end of who reads standard output. */
static int poll_once(struct pollfd *fds, nfds_t count, const struct timespec *left)
{
    struct pollfd all[HX_CTL_POLL_MAX + 1];

    memcpy(all, fds, count * sizeof(*fds));
    all[count] = (struct pollfd){ .fd = needs_reader ? STDOUT_FILENO : -1 };
    int ready = ppoll(all, count + 1, left, &open_mask);
    memcpy(fds, all, count * sizeof(*fds));
    if (ready <= 0 || !all[count].revents)
        return ready;
    asked = 1;
    return 0;
}

int hx_ctl_poll(struct pollfd *fds, nfds_t count, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now_ns = hx_ctl_clock_ns(), left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
        struct timespec left = { .tv_sec = (time_t)(left_ns / 1000000000u), .tv_nsec = (long)(left_ns % 1000000000u) };
        int ready = asked ? 0 : poll_once(fds, count, deadline_ns == UINT64_MAX ? NULL : &left);

        if (ready >= 0 || errno != EINTR)
            return ready;
        if (asked)
            return 0;
    }
}
