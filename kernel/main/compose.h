/* SPDX-License-Identifier: MIT */
/*
 * compose.h - the composition root's parts: binding the rooms to each other, and the task that loads the initrd.
 *
 * May be used by: kmain.c.
 */
#pragma once
#include <boot/boot_info.h>
#include <lib/label.h>
#include <module/pack.h>

/* Gives each room what it is owed by the others, and applies the boot options. Heap and clock work; interrupts are off.
 * On error @out_what names the room. */
HX_NODISCARD hx_status_t hx_compose(const struct hx_boot_info *info, const char **out_what);

/* Starts worker and boot task; the boot task loads the modules, then starts the console and ends. */
HX_NODISCARD hx_status_t hx_boot_task_start(const struct hx_boot_info *info);

/* Time stamp counts from kmain() to now, less what the clock's calibration spun. */
uint64_t hx_boot_insns(void);

/* The pack that the boot task has opened; empty when there is none. */
const struct hx_pack *hx_initrd(void);

/* "hx_task_yield+0x12/0x40" or "rr_pick+0x4/0x80 (sched_rr)" into @text; returns the length, 0 when nothing is known.
 * @is_return: @ip is where a call comes back to. */
size_t hx_symbolise(uintptr_t ip, bool is_return, char *text, size_t bytes);
/* The core's own functions: the one that holds @va; that of number @index, ascending by address. False: there is none.
 * The label's name lies in @name. */
bool hx_core_function_at(uintptr_t va, struct hx_label *out, char name[HX_LABEL_NAME_BYTES]);
bool hx_core_function(uint32_t index, struct hx_label *out, char name[HX_LABEL_NAME_BYTES]);
