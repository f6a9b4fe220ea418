/* SPDX-License-Identifier: MIT */
/* cmd_wait.c - helixctl wait-ready: until a kernel answers. */
#include "command.h"
#include "interrupt.h"
#include "peer.h"
#include "terminal.h"

static const double again_s = 0.1, one_try_s = 1.0, default_s = 60.0;

static void say(const struct hx_ctl_options *options, const struct hx_ctl_peer *peer, double seconds)
{
    if (options->json)
        hx_ctl_print_json(json_incref(peer->introduction));
    else if (!options->quiet)
        printf("ready: %s after %.1f s: Helix %s, ABI %s\n", peer->line.path, seconds,
               hx_ctl_member(peer->introduction, "version", "?"), hx_ctl_member(peer->introduction, "abi", "?"));
}

/* It need not even be there yet. */
static enum hx_ctl_exit wait(const struct hx_ctl_options *options, double limit_s)
{
    struct hx_ctl_options one = *options;
    struct hx_ctl_peer peer;
    uint64_t begun_ns = hx_ctl_clock_ns(), end_ns = hx_ctl_deadline(limit_s);
    enum hx_ctl_exit status = HX_CTL_ABSENT;

    while (status == HX_CTL_ABSENT && hx_ctl_clock_ns() < end_ns && !hx_ctl_interrupted()) {
        double left_s = (double)(end_ns - hx_ctl_clock_ns()) / 1e9;

        one.timed = true;
        one.timeout_s = left_s < one_try_s ? left_s : one_try_s;
        status = hx_ctl_peer_open(&peer, &one, true);
        if (status == HX_CTL_OK)
            say(options, &peer, (double)(hx_ctl_clock_ns() - begun_ns) / 1e9);
        hx_ctl_peer_close(&peer);
        if (status == HX_CTL_ABSENT)
            (void)hx_ctl_poll(NULL, 0, hx_ctl_deadline(again_s));
    }
    return status;
}

int hx_ctl_cmd_wait_ready(int argc, char **argv)
{
    struct hx_ctl_options options = { .command = "wait-ready" };
    struct hx_ctl_peer peer;
    enum hx_ctl_parse parse = hx_ctl_parse_plain(argc, argv, &options, 0, 0);
    enum hx_ctl_exit status = HX_CTL_ABSENT;
    double limit_s = options.timed ? options.timeout_s : default_s;

    if (parse != HX_CTL_PARSE_OK)
        return parse == HX_CTL_PARSE_HELP ? HX_CTL_OK : HX_CTL_USAGE;
    status = wait(&options, limit_s);
    if (status == HX_CTL_OK || hx_ctl_interrupted())
        return status == HX_CTL_OK ? HX_CTL_OK : HX_CTL_STOPPED;
    /* Once more, to say why. */
    options.timed = true;
    options.timeout_s = again_s;
    status = hx_ctl_peer_open(&peer, &options, false);
    if (status == HX_CTL_OK)
        say(&options, &peer, limit_s);
    hx_ctl_peer_close(&peer);
    return (int)status;
}
