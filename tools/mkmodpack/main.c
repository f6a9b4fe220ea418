/* SPDX-License-Identifier: MIT */
/*
 * main.c - mkmodpack: makes, shows and checks the initrd of Helix and the modules in it.
 *
 * Why: what the kernel would refuse at boot is refused here, by the kernel's own loader and pack reader, where the person
 *      who can put it right is sitting.
 */
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <helix/module.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#ifndef HX_MP_VERSION
#define HX_MP_VERSION "0.1.0"
#endif

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *synopsis;
    const char *summary;
    const char *details;
};

#define HELP "  -h, --help                show this\n"
#define JSON "      --json                for programs\n"

/* The completions and the manual page name the same; a test holds them against each other. */
static const struct command commands[] = {
    { "create", hx_mp_cmd_create, "-o OUT [OPTION...] MODULE... [--hold MODULE...]", "make a pack of modules",
      "  -o, --output OUT          the pack to write; replaced only when all is well\n"
      "  -C, --directory DIR       look for modules below DIR\n"
      "      --hold                modules after this are not loaded at boot, but there for insmod and reload\n"
      "      --manifest FILE       take this manifest instead of making one\n"
      "      --strip-debug         pack the modules without debug information\n"
      "      --require-types       refuse modules whose types are not recorded\n"
      "      --depfile FILE        write what the pack was made from, for make and Ninja\n"
      "  -n, --dry-run             check everything, write nothing\n"
      "  -v, --verbose             say what goes into the pack\n" HELP },
    { "list", hx_mp_cmd_list, "[--json] PACK", "show what is in a pack", JSON HELP },
    { "verify", hx_mp_cmd_verify, "[--json] PACK", "check a pack and every module in it, list privileged instructions",
      JSON HELP },
    { "extract", hx_mp_cmd_extract, "[-C DIR] [-v] PACK [NAME...]", "take files out of a pack",
      "  -C, --directory DIR       write to DIR\n"
      "  -v, --verbose             say what is written\n" HELP },
    { "info", hx_mp_cmd_info, "[-F FIELD | --json] MODULE", "show what a module declares",
      "  -F, --field FIELD         show the value of one field alone\n" JSON HELP },
    { "symbols", hx_mp_cmd_symbols, "[--json] [MODULE]",
      "show what a module defines and imports; without one, what the kernel offers", JSON HELP },
    { "diff", hx_mp_cmd_diff, "[--json] OLD NEW", "tell whether a module, or those of a pack, may replace another",
      JSON HELP },
    { "graph", hx_mp_cmd_graph, "PACK|MODULE...", "draw dependencies for dot", HELP },
    { "strip", hx_mp_cmd_strip, "-o OUT MODULE", "record a module's types and take its debug information away",
      "  -o, --output OUT          the file to write; may be MODULE itself\n" HELP },
    { "types", hx_mp_cmd_types, "[--json] [MODULE]",
      "show in words the types that a module shares; without one, those of the kernel", JSON HELP },
    { "link", hx_mp_cmd_link, "OBJECT --base ADDRESS [--symbols FILE] [--dump FILE] [--place PART=ADDRESS]...",
      "do with an object what the kernel's loader would do",
      "      --base ADDRESS        where the first part of the image lies: a multiple of a page\n"
      "      --symbols FILE        lines of \"NAME 0xVALUE\" for the undefined symbols\n"
      "      --dump FILE           write what came out, for programs; - is standard output\n"
      "      --place PART=ADDRESS  where one part lies instead of behind the one before\n" HELP },
    { "sign", hx_mp_cmd_sign, "--key KEY [--check] FILE...", "sign modules for a kernel that takes no others",
      "  -k, --key KEY             the Ed25519 key in PEM; only --check takes a public one\n"
      "      --check               tell whether the signatures that are there are good\n" HELP },
};

static void print_help(FILE *to)
{
    fputs("usage: mkmodpack COMMAND [ARGUMENT...]\n\n", to);
    for (size_t i = 0; i < HX_ARRAY_SIZE(commands); i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fputs("\nmkmodpack COMMAND --help says more; mkmodpack --version shows the version.\n"
          "Exit status: 0 all is well, 1 something was found, 2 the command line is wrong.\n",
          to);
}

void hx_mp_usage(const char *name, int for_help)
{
    FILE *to = for_help ? stdout : stderr;

    for (size_t i = 0; i < HX_ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            fprintf(to, "usage: mkmodpack %s %s\n%s", name, commands[i].synopsis, for_help ? commands[i].details : "");
}

bool hx_mp_wrong_count(const char *name, int count, int least, int most)
{
    if (least == most)
        fprintf(stderr, "mkmodpack: %s: %d files named: it takes %d; name as many\n", name, count, least);
    else if (most == INT_MAX)
        fprintf(stderr, "mkmodpack: %s: %d files named: it takes %d or more; name some\n", name, count, least);
    else
        fprintf(stderr, "mkmodpack: %s: %d files named: it takes %d to %d; name fewer\n", name, count, least, most);
    hx_mp_usage(name, 0);
    return false;
}

enum hx_mp_parse hx_mp_parse_files(int argc, char **argv, struct hx_mp_arguments *arguments)
{
    static const struct option all[] = {
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    const struct option *options = arguments->takes_json ? all : all + 1;
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'h') {
            hx_mp_usage(arguments->command, 1);
            return HX_MP_PARSE_HELP;
        }
        if (c != 'j') {
            hx_mp_usage(arguments->command, 0);
            return HX_MP_PARSE_WRONG;
        }
        arguments->json = true;
    }
    arguments->path = argv + optind;
    arguments->count = argc - optind;
    if (arguments->count < arguments->least || arguments->count > arguments->most) {
        (void)hx_mp_wrong_count(arguments->command, arguments->count, arguments->least, arguments->most);
        return HX_MP_PARSE_WRONG;
    }
    return HX_MP_PARSE_OK;
}

static void unknown_command(const char *name)
{
    fprintf(stderr, "mkmodpack: %s: unknown command: there are", name);
    for (size_t i = 0; i < HX_ARRAY_SIZE(commands); i++)
        fprintf(stderr, " %s", commands[i].name);
    fputs("; see mkmodpack --help\n", stderr);
}

static int run_command(const struct command *command, int argc, char **argv)
{
    char called[32];

    snprintf(called, sizeof(called), "mkmodpack: %s", command->name);
    argv[0] = called;
    return command->run(argc, argv);
}

static int run(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < HX_ARRAY_SIZE(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return run_command(&commands[i], argc - 1, argv + 1);
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help(stdout);
        return HX_MP_OK;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("mkmodpack (Helix) %s, module ABI %u.%u\n", HX_MP_VERSION, HX_VERSION_MAJOR(HX_ABI),
               HX_VERSION_MINOR(HX_ABI));
        return HX_MP_OK;
    }
    if (argc > 1)
        unknown_command(argv[1]);
    else
        print_help(stderr);
    return HX_MP_USAGE;
}

int main(int argc, char **argv)
{
    int status = run(argc, argv);

    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "mkmodpack: standard output: cannot write: %s; check where it goes\n", strerror(errno));
        return status == HX_MP_OK ? HX_MP_FINDINGS : status;
    }
    return status;
}
