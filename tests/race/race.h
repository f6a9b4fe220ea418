/* SPDX-License-Identifier: MIT */
/*
 * race.h - what the trials of this program share: threads that are tasks, and complaints.
 *
 * A trial starts threads, ends when all of them have ended, and complains of what it counts; a race is ThreadSanitizer's to
 * complain of. What a trial makes it gives back: main() looks for objects and handles that are left.
 */
#pragma once
#include <hal/hx_lock.h>
#include <sched.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <task/task.h>

enum { RACE_THREADS_MAX = 8 };

/* ---- threads: race_task.c -------------------------------------------------------------------------------------------- */
/* The calling thread is the task of main(). */
void race_enter(void);
/* Runs @body(@number) as thread @at, which nobody runs on. */
void race_start(uint32_t at, void (*body)(uint32_t number), uint32_t number);
/* Waits for the ends of @count threads from @first on. */
void race_join(uint32_t first, uint32_t count);
/*
 * Ends the wait of thread @at, if it waits, or has been handed what it waits for and has not seen it. It hears of it by
 * HX_E_KILLED, or, once it has said race_is_mortal() and waits on a plain queue, never: that task has ended where it
 * stood, as one outside of every module does, and the thread comes back to @life as another task.
 */
void race_kill(uint32_t at);
void race_is_mortal(jmp_buf *life);
/* Objects of the kernel's heap that live. */
uint64_t race_allocations(void);

/* ---- complaints: race.c; any thread ------------------------------------------------------------------------------------ */
void race_complain(const char *what, uint64_t got, uint64_t wanted);
void race_expect(const char *what, uint64_t got, uint64_t wanted);

/* ---- trials ------------------------------------------------------------------------------------------------------------ */
void race_channel_arrive(void);
void race_channel_kill(void);
void race_channel_close(void);
void race_channel_clone(void);
void race_topic_change(void);
void race_router_outcomes(void);
void race_grant_owners(void);
