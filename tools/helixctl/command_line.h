/* SPDX-License-Identifier: MIT */
/* command_line.h - words of this machine's command line as a line for the kernel. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Each of @words: [count] stays one word there, in quotes where it must. False: complained of. */
bool hx_ctl_command_line(char *out, size_t bytes, int count, const char *const *words);
