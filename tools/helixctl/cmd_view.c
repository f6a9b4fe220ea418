/* SPDX-License-Identifier: MIT */
/* cmd_view.c - helixctl lsmod, ps, swaps, dmesg, events: what the kernel has to show. */
#include "command.h"
#include "command_line.h"
#include "interrupt.h"
#include "terminal.h"
#include "view.h"

#include <stdlib.h>
#include <string.h>

static enum hx_ctl_exit view(const struct hx_ctl_options *options, const char *command, bool endless)
{
    struct hx_ctl_peer peer;
    enum hx_ctl_exit status = hx_ctl_peer_open(&peer, options, false);

    if (status == HX_CTL_OK)
        status = hx_ctl_view(&peer, command, endless);
    hx_ctl_peer_close(&peer);
    return status;
}

static int view_plain(int argc, char **argv, const char *name)
{
    struct hx_ctl_options options = { .command = name };
    enum hx_ctl_parse parse = hx_ctl_parse_plain(argc, argv, &options, 0, 0);

    if (parse != HX_CTL_PARSE_OK)
        return parse == HX_CTL_PARSE_HELP ? HX_CTL_OK : HX_CTL_USAGE;
    return (int)view(&options, name, false);
}

int hx_ctl_cmd_lsmod(int argc, char **argv)
{
    return view_plain(argc, argv, "lsmod");
}

int hx_ctl_cmd_ps(int argc, char **argv)
{
    return view_plain(argc, argv, "ps");
}

int hx_ctl_cmd_swaps(int argc, char **argv)
{
    return view_plain(argc, argv, "swaps");
}

/* ---- what goes on ---------------------------------------------------------------------------------------------------- */
struct follow {
    const char *letters; /* of its own options, for getopt */
    int most;            /* other words */
    bool follow;
    char command[256];
};

static enum hx_ctl_parse parse_follow(int argc, char **argv, struct hx_ctl_options *options, struct follow *follow)
{
    static const struct option all[] = {
        HX_CTL_COMMON_OPTIONS,
        { "follow", no_argument, NULL, 'f' },
        { NULL, 0, NULL, 0 },
    };
    const char *words[8] = { options->command };
    char letter[3] = "-?";
    int c, count = 1;
    enum hx_ctl_parse parse = HX_CTL_PARSE_OK;

    while (parse == HX_CTL_PARSE_OK && (c = getopt_long(argc, argv, follow->letters, all, NULL)) != -1) {
        if (c == 'f') {
            follow->follow = true;
        } else if (c == 'l' || c == 'n') {
            letter[1] = (char)c;
            words[1] = letter;
            words[2] = optarg;
            count = 3;
        } else {
            parse = hx_ctl_take_option(options, c);
        }
    }
    if (parse != HX_CTL_PARSE_OK)
        return parse;
    if (!hx_ctl_count_fits(options, argc - optind, 0, follow->most))
        return HX_CTL_PARSE_WRONG;
    if (optind < argc)
        words[count++] = argv[optind];
    if (follow->follow)
        words[count++] = "-f";
    return hx_ctl_command_line(follow->command, sizeof(follow->command), count, words) ? HX_CTL_PARSE_OK
                                                                                       : HX_CTL_PARSE_WRONG;
}

static int view_followed(int argc, char **argv, struct hx_ctl_options *options, struct follow *follow)
{
    enum hx_ctl_parse parse = parse_follow(argc, argv, options, follow);
    enum hx_ctl_exit status = HX_CTL_OK;

    if (parse != HX_CTL_PARSE_OK)
        return parse == HX_CTL_PARSE_HELP ? HX_CTL_OK : HX_CTL_USAGE;
    status = view(options, follow->command, follow->follow);
    /* Interrupted is how it ends. */
    return status == HX_CTL_STOPPED && follow->follow ? HX_CTL_OK : (int)status;
}

int hx_ctl_cmd_events(int argc, char **argv)
{
    struct hx_ctl_options options = { .command = "events" };
    struct follow follow = { .letters = "c:jqt:hfn:", .most = 1 };

    return view_followed(argc, argv, &options, &follow);
}

int hx_ctl_cmd_dmesg(int argc, char **argv)
{
    struct hx_ctl_options options = { .command = "dmesg" };
    struct follow follow = { .letters = "c:jqt:hfl:" };

    return view_followed(argc, argv, &options, &follow);
}
