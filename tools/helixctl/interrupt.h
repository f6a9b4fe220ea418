/* SPDX-License-Identifier: MIT */
/* interrupt.h - Ctrl-C and its like: held back but while something is waited for, so that none is missed. */
#pragma once
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

void hx_ctl_interrupt_init(void);
/* Somebody wants this to end. */
bool hx_ctl_interrupted(void);
/* Forgets it: what it was meant for has been told. */
void hx_ctl_interrupt_clear(void);
/* From here on it ends as well when nobody reads its standard output any more, though there may be nothing to write. */
void hx_ctl_interrupt_needs_reader(void);
enum { HX_CTL_POLL_MAX = 2 };
/* poll() of up to HX_CTL_POLL_MAX until @deadline_ns of hx_ctl_clock_ns(), UINT64_MAX for ever: interrupted, it returns 0. */
int hx_ctl_poll(struct pollfd *fds, nfds_t count, uint64_t deadline_ns);
/* The signals as they were, for a program that is started from here. */
const sigset_t *hx_ctl_interrupt_mask(void);

uint64_t hx_ctl_clock_ns(void);
/* @seconds from now. */
uint64_t hx_ctl_deadline(double seconds);
