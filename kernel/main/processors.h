/* SPDX-License-Identifier: MIT */
/*
 * processors.h - which processors and interrupt controllers the machine has: read once at boot, and told to people.
 *
 * May be used by: kernel/main.
 */
#pragma once
#include <boot/acpi.h>
#include <boot/boot_info.h>

/* Reads the firmware's tables through @at, whose bytes need not outlive the call. Without usable tables the machine counts
 * as one processor with the controllers of every PC. Before anything below. */
void hx_processors_read(const struct hx_boot_info *info, hx_boot_at_fn at);
const struct hx_acpi_info *hx_processors_info(void);

/* All that the firmware names run the kernel, up to HX_CPUS_MAX or what boot option `cpus=' says; one that does not come is
 * told. Thread context, before modules are loaded. */
void hx_processors_start(const struct hx_boot_info *info);

/* What was found, and what was left out, to the log. */
void hx_processors_log(void);

/* For the console: see struct hx_console_env. */
size_t hx_processor_describe(uint32_t index, char *text, size_t bytes);
