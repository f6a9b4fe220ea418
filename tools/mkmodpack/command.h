/* SPDX-License-Identifier: MIT */
/* command.h - the commands of mkmodpack; main.c has the table of them. Each reads its arguments and says what came out. */
#pragma once
#include <stdbool.h>

enum hx_mp_exit {
    HX_MP_OK = 0,
    HX_MP_FINDINGS = 1, /* the input was refused, or the output could not be written */
    HX_MP_USAGE = 2,
};

/* Each returns an exit status. @argv[0] is "mkmodpack: NAME", with which getopt begins its complaints. */
int hx_mp_cmd_create(int argc, char **argv);
int hx_mp_cmd_diff(int argc, char **argv);
int hx_mp_cmd_extract(int argc, char **argv);
int hx_mp_cmd_graph(int argc, char **argv);
int hx_mp_cmd_info(int argc, char **argv);
int hx_mp_cmd_link(int argc, char **argv);
int hx_mp_cmd_list(int argc, char **argv);
int hx_mp_cmd_sign(int argc, char **argv);
int hx_mp_cmd_strip(int argc, char **argv);
int hx_mp_cmd_symbols(int argc, char **argv);
int hx_mp_cmd_types(int argc, char **argv);
int hx_mp_cmd_verify(int argc, char **argv);

/* Prints how the command called @name is used: to standard output for --help, else to standard error. */
void hx_mp_usage(const char *name, int for_help);

/* The arguments of a command that takes files and perhaps --json. */
struct hx_mp_arguments {
    const char *command;
    int least, most; /* files */
    bool takes_json;
    bool json;
    char **path; /* [count], in argv */
    int count;
};
enum hx_mp_parse { HX_MP_PARSE_OK, HX_MP_PARSE_HELP, HX_MP_PARSE_WRONG };
enum hx_mp_parse hx_mp_parse_files(int argc, char **argv, struct hx_mp_arguments *arguments);
/* Says that so many files were named and how many there must be; returns false. */
bool hx_mp_wrong_count(const char *name, int count, int least, int most);
