/* SPDX-License-Identifier: MIT */
/* command.h - the commands of helixctl; main.c has the table of them. Each reads its arguments and says what came out. */
#pragma once
#include <getopt.h>
#include <stdbool.h>

enum hx_ctl_exit {
    HX_CTL_OK = 0,
    HX_CTL_REFUSED = 1, /* by the kernel, or by what is checked here; a file of this machine that cannot be used */
    HX_CTL_USAGE = 2,
    HX_CTL_ABSENT = 3,  /* nobody is there, or nobody answers in time */
    HX_CTL_DAMAGED = 4, /* the line damages more than can be sent again */
    HX_CTL_STOPPED = 130,
};

/* What every command takes. */
struct hx_ctl_options {
    const char *command;
    const char *connect; /* NULL: found out */
    bool json;
    bool quiet;
    bool timed; /* --timeout was given */
    double timeout_s;
};

/* Each returns an exit status. @argv[0] is "helixctl: NAME", with which getopt begins its complaints. */
int hx_ctl_cmd_events(int argc, char **argv);
int hx_ctl_cmd_exec(int argc, char **argv);
int hx_ctl_cmd_graph(int argc, char **argv);
int hx_ctl_cmd_dmesg(int argc, char **argv);
int hx_ctl_cmd_lsmod(int argc, char **argv);
int hx_ctl_cmd_ps(int argc, char **argv);
int hx_ctl_cmd_push(int argc, char **argv);
int hx_ctl_cmd_reload(int argc, char **argv);
int hx_ctl_cmd_rollback(int argc, char **argv);
int hx_ctl_cmd_swaps(int argc, char **argv);
int hx_ctl_cmd_timeline(int argc, char **argv);
int hx_ctl_cmd_wait_ready(int argc, char **argv);
int hx_ctl_cmd_watch(int argc, char **argv);

/* Prints how the command called @name is used: to standard output for --help, else to standard error. */
void hx_ctl_usage(const char *name, int for_help);

/* The long options that every command takes; own ones follow. */
#define HX_CTL_COMMON_OPTIONS                                                                                          \
    { "connect", required_argument, NULL, 'c' }, { "json", no_argument, NULL, 'j' },                                   \
        { "quiet", no_argument, NULL, 'q' }, { "timeout", required_argument, NULL, 't' },                              \
    {                                                                                                                  \
        "help", no_argument, NULL, 'h'                                                                                 \
    }

enum hx_ctl_parse { HX_CTL_PARSE_OK, HX_CTL_PARSE_HELP, HX_CTL_PARSE_WRONG };
/* Takes @c, which getopt_long() gave, when it is common to all; PARSE_WRONG: says how the command is used. */
enum hx_ctl_parse hx_ctl_take_option(struct hx_ctl_options *options, int c);
/* The options of a command that has none of its own, and the number of its other arguments, from @optind on. */
enum hx_ctl_parse hx_ctl_parse_plain(int argc, char **argv, struct hx_ctl_options *options, int least, int most);
/* Says that the command takes another number of arguments, when that is so. */
bool hx_ctl_count_fits(const struct hx_ctl_options *options, int count, int least, int most);
/* A number of seconds above 0. */
bool hx_ctl_seconds(const char *text, double *out);
