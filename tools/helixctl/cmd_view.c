/* SPDX-License-Identifier: MIT */
/* cmd_view.c - helixctl lsmod, ps, swaps, dmesg, events: what the kernel has to show. */
#include "command.h"
#include "command_line.h"
#include "interrupt.h"
#include "terminal.h"
#include "view.h"

#include <stdlib.h>
#include <string.h>

static const double look_s = 0.4; /* how often a log is looked at that is followed */

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
    return view(&options, name, false);
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
    return hx_ctl_command_line(follow->command, sizeof(follow->command), count, words) ? HX_CTL_PARSE_OK
                                                                                       : HX_CTL_PARSE_WRONG;
}

/* Interrupted is how it ends. */
static int ended(enum hx_ctl_exit status, const struct follow *follow)
{
    return status == HX_CTL_STOPPED && follow->follow ? HX_CTL_OK : (int)status;
}

/* The kernel shows its log and is done: what is new is what stands behind the line that was last. */
static const char *behind(const struct hx_ctl_text *log, const struct hx_ctl_text *last)
{
    for (const char *at = log->text + log->bytes - last->bytes; last->bytes > 0 && at >= log->text; at--)
        if (memcmp(at, last->text, last->bytes) == 0 && (at == log->text || at[-1] == '\n'))
            return at + last->bytes;
    return log->text;
}

static void remember_last(const struct hx_ctl_text *log, struct hx_ctl_text *last)
{
    const char *at = log->text + log->bytes - 1;

    while (at > log->text && at[-1] != '\n')
        at--;
    last->bytes = 0;
    hx_ctl_text_add(last, at, (size_t)(log->text + log->bytes - at));
}

static enum hx_ctl_exit show_new(struct hx_ctl_peer *peer, const char *command, struct hx_ctl_text *last)
{
    struct hx_ctl_text log = { 0 };
    struct hx_ctl_ask ask = { .kind = peer->options->json ? HX_CONTROL_QUERY : HX_CONTROL_EXEC,
                              .command = command,
                              .repeatable = true,
                              .take = hx_ctl_text_add,
                              .context = &log };
    struct hx_ctl_answer answer;
    enum hx_ctl_exit status = hx_ctl_peer_ask(peer, &ask, &answer);

    if (status == HX_CTL_REFUSED && answer.end)
        hx_ctl_peer_complain(command, &answer);
    if (status == HX_CTL_OK && log.bytes > 0) {
        const char *at = behind(&log, last);
        hx_ctl_print_text(stdout, at, (size_t)(log.text + log.bytes - at), false);
        remember_last(&log, last);
        if (fflush(stdout) != 0)
            status = HX_CTL_STOPPED;
    }
    hx_ctl_answer_free(&answer);
    free(log.text);
    return status;
}

static enum hx_ctl_exit follow_log(const struct hx_ctl_options *options, const char *command)
{
    struct hx_ctl_peer peer;
    struct hx_ctl_text last = { 0 };
    enum hx_ctl_exit status = hx_ctl_peer_open(&peer, options, false);

    while (status == HX_CTL_OK) {
        status = show_new(&peer, command, &last);
        if (status == HX_CTL_OK && (hx_ctl_poll(NULL, 0, hx_ctl_deadline(look_s)) < 0 || hx_ctl_interrupted()))
            status = HX_CTL_STOPPED;
    }
    free(last.text);
    hx_ctl_peer_close(&peer);
    return status;
}

int hx_ctl_cmd_events(int argc, char **argv)
{
    struct hx_ctl_options options = { .command = "events" };
    struct follow follow = { .letters = "c:jqt:hfn:", .most = 1 };
    enum hx_ctl_parse parse = parse_follow(argc, argv, &options, &follow);

    if (parse != HX_CTL_PARSE_OK)
        return parse == HX_CTL_PARSE_HELP ? HX_CTL_OK : HX_CTL_USAGE;
    if (follow.follow)
        strcat(follow.command, " -f");
    return ended(view(&options, follow.command, follow.follow), &follow);
}

int hx_ctl_cmd_dmesg(int argc, char **argv)
{
    struct hx_ctl_options options = { .command = "dmesg" };
    struct follow follow = { .letters = "c:jqt:hfl:" };
    enum hx_ctl_parse parse = parse_follow(argc, argv, &options, &follow);

    if (parse != HX_CTL_PARSE_OK)
        return parse == HX_CTL_PARSE_HELP ? HX_CTL_OK : HX_CTL_USAGE;
    if (follow.follow)
        return ended(follow_log(&options, follow.command), &follow);
    return view(&options, follow.command, false);
}
