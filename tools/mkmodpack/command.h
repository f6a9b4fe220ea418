/* SPDX-License-Identifier: MIT */
/* command.h - the commands of mkmodpack; main.c has the table of them. */
#pragma once

enum hx_mp_exit {
    HX_MP_OK = 0,
    HX_MP_FINDINGS = 1, /* the input was refused, or the output could not be written */
    HX_MP_USAGE = 2,
};

/* Each gets its own name as @argv[0] and returns an exit status. */
int hx_mp_create(int argc, char **argv);
int hx_mp_list(int argc, char **argv);
int hx_mp_verify(int argc, char **argv);
int hx_mp_info(int argc, char **argv);

/* Prints how the command called @name is used: to standard output for --help, else to standard error. */
void hx_mp_usage(const char *name, int for_help);

/* The arguments of a command that takes one file and perhaps --json; @out_json NULL: it does not. */
enum hx_mp_parse { HX_MP_PARSE_OK, HX_MP_PARSE_HELP, HX_MP_PARSE_WRONG };
enum hx_mp_parse hx_mp_parse_one_file(int argc, char **argv, int *out_json, const char **out_path);
