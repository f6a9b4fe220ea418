/* SPDX-License-Identifier: MIT */
/*
 * single_step.h - what happens when something else comes between two instructions: every place is tried, one after the other.
 *
 * The processor traps after each instruction (EFLAGS.TF), and in the trap the other thing is done as a whole: as an interrupt
 * would, or another CPU that is faster. It is the same at every run.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Runs @body, and @other once after @at of its instructions. False: it has not as many, and @other was not run. */
bool single_step_strike(uint32_t at, void (*body)(void), void (*other)(void));
/* What is between these is one instruction of it: a model of a device. */
uint64_t single_step_pause(void);
void single_step_resume(uint64_t paused);
