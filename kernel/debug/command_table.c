/* SPDX-License-Identifier: MIT */
/*
 * command_table.c - all families of commands, in the order in which help lists them.
 */
#include "command.h"

const struct hx_command *const hx_command_table[] = {
    hx_commands_system,       hx_commands_modules, hx_commands_changes,   hx_commands_tasks,
    hx_commands_capabilities, hx_commands_sched,   hx_commands_services,  hx_commands_events,
    hx_commands_symbols,      hx_commands_ipc,     hx_commands_resources, NULL,
};
