/* SPDX-License-Identifier: MIT */
/*
 * command.h - the console's commands: one table, and how a line is read by it.
 *
 * The table is a list of families; help, completion and the nearest name come from it alone. Errors of commands read
 * "command: what: why; what to do" in one line.
 * Context: the console's task and the control channel's, at the same time: no command keeps state of its own.
 */
#pragma once
#include <helix/capability.h>
#include <stdbool.h>

enum { HX_COMMAND_ARGS_MAX = 24 };

struct hx_editor_matches;

struct hx_command {
    /* What who types it must hold, before the name: whoever leaves it out does not build. */
    struct {
        enum hx_capability_type needs;
        const char *name;
    } id;
    const char *arguments;                         /* "[-l LEVEL]", or "" */
    const char *summary;                           /* one line, for the list */
    const char *help;                              /* further lines, without the last newline; may be NULL */
    hx_status_t (*handler)(int argc, char **argv); /* argv[0] is the name; has printed what there is to say */
    const char *words; /* what the first argument may be, separated by spaces; may be NULL */
    void (*complete)(uint32_t position,
                     struct hx_editor_matches *matches); /* offers names for argument 1, 2, ...; or NULL */
};

/* Families, each an array that ends with a NULL name; the list ends with NULL. */
extern const struct hx_command hx_commands_system[], hx_commands_tasks[], hx_commands_modules[], hx_commands_changes[],
    hx_commands_sched[], hx_commands_capabilities[], hx_commands_services[], hx_commands_events[], hx_commands_ipc[],
    hx_commands_symbols[], hx_commands_resources[];
extern const struct hx_command *const hx_command_table[];

typedef const struct hx_command *const *hx_command_table_t;

/*
 * Splits @line in place: words are separated by blanks; 'x' takes x as it is, "x" too but for \" and \\; a # that starts a
 * word ends the line. @argv: [HX_COMMAND_ARGS_MAX + 1], closed by NULL. Returns the number of words. HX_E_FORMAT: a quote
 * is left open. HX_E_LIMIT: too many words.
 */
HX_NODISCARD hx_ret_t hx_command_split(char *line, char **argv);

/* Runs @line, which is changed. Returns what the command returned; HX_OK for an empty line; HX_E_NOENT for an unknown
 * command. Everything has been said already. */
hx_status_t hx_command_run(hx_command_table_t table, char *line);

/* Walks the table: NULL starts and ends. */
const struct hx_command *hx_command_next(hx_command_table_t table, const struct hx_command *command);
const struct hx_command *hx_command_find(hx_command_table_t table, const char *name);
/* See struct hx_editor_host. */
void hx_command_complete(hx_command_table_t table, const char *line, size_t word_off,
                         struct hx_editor_matches *matches);
void hx_command_offer_names(hx_command_table_t table, struct hx_editor_matches *matches);

/* ---- what commands say ----------------------------------------------------------------------------------------------- */
/* "command: what: why; advice" */
void hx_command_error(const char *command, const char *what, const char *why, const char *advice);
/* The same for @err, why being "short-name: text"; @advice NULL: the usual one for that error. Returns @err. */
hx_status_t hx_command_refuse(const char *command, const char *what, hx_ret_t err, const char *advice);
/* For a name that is unknown: @kind says of what ("module"); @nearest NULL or the name that may be meant. Returns HX_E_NOENT. */
hx_status_t hx_command_unknown(const char *command, const char *kind, const char *name, const char *nearest,
                               const char *advice);
/* For wrong arguments; says what is expected, from the table. Returns HX_E_INVAL. */
hx_status_t hx_command_usage(const char *name);

/* @text as a number, decimal or 0x hexadecimal, up to @max. HX_E_INVAL, HX_E_RANGE. */
HX_NODISCARD hx_status_t hx_command_number(const char *text, uint64_t max, uint64_t *out);
/* @text as CPUs below @count, a bit each: "0,2-3", or "all" (then all bits are set). HX_E_INVAL; HX_E_RANGE: there is no such
 * CPU. */
HX_NODISCARD hx_status_t hx_command_cpus(const char *text, uint32_t count, uint32_t *out);
/* The reverse of it; "all" where those below @count are all in @cpus. */
void hx_command_cpus_text(uint32_t cpus, uint32_t count, char *out, size_t bytes);
