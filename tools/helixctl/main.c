/* SPDX-License-Identifier: MIT */
/*
 * main.c - helixctl: speaks with a running Helix from the machine of the person who writes modules for it.
 *
 * Why: what was built a moment ago is to run a moment later, and what the kernel says of it belongs where it was written.
 */
#include "command.h"

#include "interrupt.h"
#include "terminal.h"

#include <errno.h>
#include <helix/control.h>
#include <helix/module.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef HX_CTL_VERSION
#define HX_CTL_VERSION "0.1.0"
#endif

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *synopsis;
    const char *summary;
    const char *details;
};

#define COMMON                                                                                                         \
    "  -c, --connect PATH        the kernel's Unix socket or serial port\n"                                            \
    "  -j, --json                for programs\n"                                                                       \
    "  -q, --quiet               say nothing but what goes wrong\n"                                                    \
    "  -t, --timeout SECONDS     how long to wait for an answer\n"                                                     \
    "  -h, --help                show this\n"
#define FOLLOW "  -f, --follow              go on until Ctrl-C\n"
#define PUSH                                                                                                           \
    "      --key KEY.pem         sign with this Ed25519 key; without it FILE.sig is taken, if there, as made by\n"     \
    "                            mkmodpack strip -o FILE MODULE; mkmodpack sign --key KEY.pem FILE\n"                  \
    "      --keep-debug          send debug information too\n"                                                         \
    "      --no-check            leave it to the kernel to find out what is wrong with the file\n"
#define ROWS "With FILE, or - for standard input, takes rows from there instead of asking a kernel.\n"

/* The completions and the manual page name the same; a test holds them against each other. */
static const struct command commands[] = {
    { "push", hx_ctl_cmd_push, "FILE [--name NAME] [--reload [MODULE]] [--load] [OPTION...]",
      "send a module's file to the kernel, and have it take its place",
      "  -n, --name NAME           what the kernel is to call the file\n"
      "      --reload[=MODULE]     replace the module of that name; without one, the module that the file says it is\n"
      "      --load                load it; with --reload, when no such module runs\n" PUSH COMMON },
    { "reload", hx_ctl_cmd_reload, "MODULE [FILE] [PARAM=VALUE...] [--with MODULE[=FILE],...]",
      "replace a module by a file that the kernel has", COMMON },
    { "rollback", hx_ctl_cmd_rollback, "MODULE", "take a module on probation back to its last version", COMMON },
    { "lsmod", hx_ctl_cmd_lsmod, "", "show the modules", COMMON },
    { "ps", hx_ctl_cmd_ps, "", "show the tasks", COMMON },
    { "swaps", hx_ctl_cmd_swaps, "", "show what was replaced, and how that went", COMMON },
    { "dmesg", hx_ctl_cmd_dmesg, "[-f] [-l LEVEL]", "show the kernel's log",
      FOLLOW "  -l LEVEL                  error, warn, info or debug: only lines up to it\n" COMMON },
    { "events", hx_ctl_cmd_events, "[-f] [-n COUNT] [TOPIC]", "show what is published",
      FOLLOW "  -n COUNT                  the last of them\n" COMMON },
    { "exec", hx_ctl_cmd_exec, "COMMAND...", "run a command of the kernel's console", COMMON },
    { "wait-ready", hx_ctl_cmd_wait_ready, "", "wait until a kernel answers", COMMON },
    { "watch", hx_ctl_cmd_watch, "DIR [--build COMMAND] [--file FILE] [--ask COMMAND] [OPTION...]",
      "build, push and reload whenever a file below DIR is saved",
      "  -b, --build COMMAND       what builds it (default: ninja or make, as DIR has it)\n"
      "  -F, --file FILE           the module that comes out (default: the only one in DIR/build)\n"
      "  -n, --name NAME           what the kernel is to call the file\n"
      "  -m, --module MODULE       the module to replace (default: the one that the file says it is)\n"
      "  -a, --ask COMMAND         run this command of the kernel's afterwards, and show what it says\n"
      "      --count N             end after N times\n" PUSH COMMON },
    { "graph", hx_ctl_cmd_graph, "[FILE]", "draw modules, interfaces and who uses them, for dot", ROWS COMMON },
    { "timeline", hx_ctl_cmd_timeline, "[FILE]", "draw the phases of each swap, as SVG", ROWS COMMON },
};

static void print_help(FILE *to)
{
    fputs("usage: helixctl COMMAND [ARGUMENT...]\n\n", to);
    for (size_t i = 0; i < HX_ARRAY_SIZE(commands); i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs(
        "\nhelixctl COMMAND --help says more; helixctl --version shows the version.\n"
        "Finds the kernel by --connect, $HELIX_CONTROL, or where qemu/run and helix-run put its socket.\n"
        "Exit status: 0 done, 1 refused, 2 the command line is wrong, 3 no kernel or no answer, 4 the line damages too much,\n"
        "130 interrupted.\n",
        to);
}

void hx_ctl_usage(const char *name, int for_help)
{
    FILE *to = for_help ? stdout : stderr;

    for (size_t i = 0; i < HX_ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            fprintf(to, "usage: helixctl %s%s%s\n%s", name, commands[i].synopsis[0] ? " " : "", commands[i].synopsis,
                    for_help ? commands[i].details : "");
}

bool hx_ctl_seconds(const char *text, double *out)
{
    char *end = NULL;
    double value = strtod(text, &end);

    if (end == text || *end || !(value > 0 && value < 1e7))
        return false;
    *out = value;
    return true;
}

enum hx_ctl_parse hx_ctl_take_option(struct hx_ctl_options *options, int c)
{
    switch (c) {
    case 'c': options->connect = optarg; return HX_CTL_PARSE_OK;
    case 'j': options->json = true; return HX_CTL_PARSE_OK;
    case 'q': options->quiet = true; return HX_CTL_PARSE_OK;
    case 'h': hx_ctl_usage(options->command, 1); return HX_CTL_PARSE_HELP;
    case 't':
        options->timed = hx_ctl_seconds(optarg, &options->timeout_s);
        if (options->timed)
            return HX_CTL_PARSE_OK;
        hx_ctl_complain("%s: --timeout %s: give a number of seconds above 0", options->command, optarg);
        break;
    default: break;
    }
    hx_ctl_usage(options->command, 0);
    return HX_CTL_PARSE_WRONG;
}

bool hx_ctl_count_fits(const struct hx_ctl_options *options, int count, int least, int most)
{
    if (count >= least && count <= most)
        return true;
    hx_ctl_complain("%s: %s", options->command,
                    count < least ? "something is to be named that is not" : "too many arguments");
    hx_ctl_usage(options->command, 0);
    return false;
}

enum hx_ctl_parse hx_ctl_parse_plain(int argc, char **argv, struct hx_ctl_options *options, int least, int most)
{
    static const struct option all[] = { HX_CTL_COMMON_OPTIONS, { NULL, 0, NULL, 0 } };
    /* Of a command that is the kernel's the options are the kernel's too. */
    const char *letters = strcmp(options->command, "exec") == 0 ? "+c:jqt:h" : "c:jqt:h";
    enum hx_ctl_parse parse = HX_CTL_PARSE_OK;
    int c;

    while (parse == HX_CTL_PARSE_OK && (c = getopt_long(argc, argv, letters, all, NULL)) != -1)
        parse = hx_ctl_take_option(options, c);
    if (parse == HX_CTL_PARSE_OK && !hx_ctl_count_fits(options, argc - optind, least, most))
        parse = HX_CTL_PARSE_WRONG;
    return parse;
}

static void unknown_command(const char *name)
{
    fprintf(stderr, "helixctl: %s: unknown command: there are", name);
    for (size_t i = 0; i < HX_ARRAY_SIZE(commands); i++)
        fprintf(stderr, " %s", commands[i].name);
    fputs("; see helixctl --help\n", stderr);
}

static int run_command(const struct command *command, int argc, char **argv)
{
    char called[32];

    snprintf(called, sizeof(called), "helixctl: %s", command->name);
    argv[0] = called;
    hx_ctl_interrupt_init();
    return command->run(argc, argv);
}

static int run(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < HX_ARRAY_SIZE(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return run_command(&commands[i], argc - 1, argv + 1);
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help(stdout);
        return HX_CTL_OK;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("helixctl (Helix) %s, protocol %d, module ABI %u.%u\n", HX_CTL_VERSION, HX_CONTROL_VERSION,
               HX_VERSION_MAJOR(HX_ABI), HX_VERSION_MINOR(HX_ABI));
        return HX_CTL_OK;
    }
    if (argc > 1)
        unknown_command(argv[1]);
    else
        print_help(stderr);
    return HX_CTL_USAGE;
}

int main(int argc, char **argv)
{
    int status = run(argc, argv);

    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (errno != EPIPE) /* who reads no more has seen enough */
            fprintf(stderr, "helixctl: standard output: cannot write: %s; check where it goes\n", strerror(errno));
        return status == HX_CTL_OK ? HX_CTL_REFUSED : status;
    }
    return status;
}
