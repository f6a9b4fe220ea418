/* SPDX-License-Identifier: MIT */
/*
 * main.c - mkmodpack: packs, lists and verifies the initrd of Helix.
 *
 * Why: what the kernel would refuse at boot is refused here, by the kernel's own loader and pack reader, where the person
 *      who can put it right is sitting.
 */
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <helix/module.h>
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

static const struct command commands[] = {
    { "create", hx_mp_create, "-o OUT [-C DIR] [--manifest FILE] MODULE... [--hold MODULE...]",
      "make a pack of modules",
      "  -o, --output OUT     the pack to write; replaced only when all is well\n"
      "  -C, --directory DIR  look for modules below DIR\n"
      "      --hold           modules after this are not loaded at boot, but there for insmod and reload\n"
      "      --manifest FILE  take this manifest instead of making one\n" },
    { "list", hx_mp_list, "[--json] PACK", "show what is in a pack", "      --json           for programs\n" },
    { "verify", hx_mp_verify, "PACK", "check a pack and every module in it", "" },
    { "info", hx_mp_info, "[--json] MODULE", "show what a module declares", "      --json           for programs\n" },
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

enum hx_mp_parse hx_mp_parse_one_file(int argc, char **argv, int *out_json, const char **out_path)
{
    static const struct option options[] = {
        { "help", no_argument, NULL, 'h' },
        { "json", no_argument, NULL, 'j' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'h') {
            hx_mp_usage(argv[0], 1);
            return HX_MP_PARSE_HELP;
        }
        if (c != 'j' || !out_json) {
            hx_mp_usage(argv[0], 0);
            return HX_MP_PARSE_WRONG;
        }
        *out_json = 1;
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "mkmodpack: %s: %d files named: it takes one; name one\n", argv[0], argc - optind);
        hx_mp_usage(argv[0], 0);
        return HX_MP_PARSE_WRONG;
    }
    *out_path = argv[optind];
    return HX_MP_PARSE_OK;
}

static int run(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < HX_ARRAY_SIZE(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
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
        fprintf(stderr,
                "mkmodpack: %s: unknown command: there are create, list, verify and info; see mkmodpack --help\n",
                argv[1]);
    else
        print_help(stderr);
    return HX_MP_USAGE;
}

int main(int argc, char **argv)
{
    int status = run(argc, argv);

    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "mkmodpack: standard output: cannot write: %s; check its free space\n", strerror(errno));
        return status == HX_MP_OK ? HX_MP_FINDINGS : status;
    }
    return status;
}
