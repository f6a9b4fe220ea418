/* SPDX-License-Identifier: MIT */
/*
 * cmd_watch.c - helixctl watch: from a saved file to the new version that runs, again and again.
 *
 * What goes wrong on the way is said, and the next save is waited for: whoever is writing must not start this again for every
 * mistake. A kernel that goes away is waited for as well, and gets the module when it is back.
 */
#include "command.h"
#include "deploy.h"
#include "interrupt.h"
#include "project.h"
#include "terminal.h"
#include "tree.h"

#include <helix/module.h>
#include <lib/crc.h>
#include <mkmodpack/input_file.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_KEY = 256, OPTION_NO_CHECK, OPTION_KEEP_DEBUG, OPTION_COUNT };
/* Several files saved at once are one change; and how often a kernel is looked for that is gone. */
static const double quiet_s = 0.015, look_s = 0.5;

struct watch {
    struct hx_ctl_options options;
    struct hx_ctl_project project;
    struct hx_ctl_deploy wanted; /* what each turn begins with */
    const char *ask;
    unsigned long turns; /* still to come; 0: no end */
    struct hx_ctl_tree tree;
    struct hx_ctl_peer peer;
    bool connected;
    uint32_t sum; /* of the file that the kernel has; 0: none */
};

/* What one turn has come to. */
struct turn {
    uint64_t begun_ns;
    double build_s, ask_s, live_s;
    bool same; /* as the kernel has it already */
    struct hx_ctl_deploy deploy;
    struct hx_ctl_text answer; /* to --ask. Owned. */
};

static double since(uint64_t begun_ns)
{
    return (double)(hx_ctl_clock_ns() - begun_ns) / 1e9;
}

/* ---- one turn ------------------------------------------------------------------------------------------------------------ */
static bool is_same(const struct watch *watch, uint32_t *out_sum)
{
    struct hx_mp_findings findings = { 0 };
    struct hx_mp_file file = { 0 };

    *out_sum = 0;
    if (hx_mp_file_read(&file, NULL, watch->project.built, &findings))
        *out_sum = hx_crc32c(0, file.bytes.data, file.bytes.bytes);
    hx_mp_file_free(&file);
    return *out_sum != 0 && *out_sum == watch->sum;
}

static enum hx_ctl_exit take_turn(struct watch *watch, struct turn *turn)
{
    uint32_t sum = 0;
    uint64_t begun_ns = hx_ctl_clock_ns();
    enum hx_ctl_exit status = HX_CTL_REFUSED;

    /* What is known to come out is all that need be built. */
    (void)hx_ctl_project_find(&watch->project, true);
    if (!hx_ctl_project_build(&watch->project, watch->options.quiet) || !hx_ctl_project_find(&watch->project, false))
        return HX_CTL_REFUSED;
    turn->build_s = since(begun_ns);
    turn->deploy = watch->wanted;
    turn->deploy.path = watch->project.built;
    turn->same = is_same(watch, &sum);
    if (turn->same)
        return HX_CTL_OK;
    status = hx_ctl_deploy_run(&watch->peer, &turn->deploy);
    if (status == HX_CTL_OK)
        watch->sum = sum;
    begun_ns = hx_ctl_clock_ns();
    if (status == HX_CTL_OK && watch->ask)
        status = hx_ctl_change(&watch->peer, watch->ask, &turn->answer, NULL);
    turn->ask_s = watch->ask ? since(begun_ns) : 0;
    turn->live_s = since(turn->begun_ns);
    return status;
}

static void say_json(const struct watch *watch, const struct turn *turn, enum hx_ctl_exit status)
{
    json_t *out = hx_ctl_deploy_json(&turn->deploy, status);

    json_object_set_new(out, "changed", json_string(watch->tree.changed));
    json_object_set_new(out, "same", json_boolean(turn->same));
    json_object_set_new(out, "build_s", json_real(turn->build_s));
    json_object_set_new(out, "ask_s", json_real(turn->ask_s));
    json_object_set_new(out, "live_s", json_real(turn->live_s));
    if (turn->answer.text)
        json_object_set_new(out, "answer", json_string(turn->answer.text));
    hx_ctl_print_json(out);
}

static void say_text(const struct watch *watch, const struct turn *turn, enum hx_ctl_exit status)
{
    const char *changed = watch->tree.changed[0] ? watch->tree.changed : "as it is";

    if (turn->same) {
        printf("%s: built in %.3f s, and nothing is different\n", changed, turn->build_s);
        return;
    }
    if (status != HX_CTL_OK)
        return;
    printf("%s%s: live after %.3f s%s (build %.3f, check %.3f, push %.3f, reload %.3f",
           hx_ctl_style(stdout, HX_CTL_GOOD), changed, turn->live_s, hx_ctl_style(stdout, HX_CTL_PLAIN), turn->build_s,
           turn->deploy.check_s, turn->deploy.push_s, turn->deploy.reload_s);
    if (watch->ask)
        printf(", answered %.3f", turn->ask_s);
    printf(")\n");
    if (turn->deploy.said.text)
        hx_ctl_print_text(stdout, turn->deploy.said.text, turn->deploy.said.bytes, false);
    if (turn->answer.text)
        hx_ctl_print_text(stdout, turn->answer.text, turn->answer.bytes, false);
}

/* @begun_ns: when it was noticed that something was saved. */
static enum hx_ctl_exit turn_once(struct watch *watch, uint64_t begun_ns)
{
    struct turn turn = { .begun_ns = begun_ns };
    enum hx_ctl_exit status = take_turn(watch, &turn);

    if (watch->options.json)
        say_json(watch, &turn, status);
    else if (!watch->options.quiet)
        say_text(watch, &turn, status);
    (void)fflush(stdout);
    hx_ctl_deploy_free(&turn.deploy);
    free(turn.answer.text);
    return status;
}

/* ---- waiting ------------------------------------------------------------------------------------------------------------- */
static void disconnect(struct watch *watch)
{
    hx_ctl_peer_close(&watch->peer);
    watch->connected = false;
    watch->sum = 0;
}

/* Whether the kernel is there; when it has come back, it is to get what is built. */
static bool connect_again(struct watch *watch, bool *out_back)
{
    *out_back = false;
    if (!watch->connected) {
        *out_back = watch->connected = hx_ctl_peer_open(&watch->peer, &watch->options, true) == HX_CTL_OK;
        if (!watch->connected)
            hx_ctl_peer_close(&watch->peer);
    }
    return watch->connected;
}

/* What comes while nothing is asked for means nothing, but the end. */
static void look_at_line(struct watch *watch)
{
    struct hx_control_frame frame;
    enum hx_ctl_event event = HX_CTL_EVENT_FRAME;

    while (event == HX_CTL_EVENT_FRAME || event == HX_CTL_EVENT_TOLD || event == HX_CTL_EVENT_GAP)
        event = hx_ctl_peer_receive(&watch->peer, 0, &frame);
    if (event != HX_CTL_EVENT_CLOSED)
        return;
    hx_ctl_complain("%s: the connection has ended; the module is pushed again when a kernel is there",
                    watch->peer.line.path);
    disconnect(watch);
}

/* Until something was saved, or a kernel has come back. False: Ctrl-C. */
static bool wait_for_change(struct watch *watch, uint64_t *out_begun_ns)
{
    bool saved = false, back = false;

    while (!hx_ctl_interrupted()) {
        struct pollfd fds[2] = { { .fd = watch->tree.fd, .events = POLLIN },
                                 { .fd = watch->connected ? watch->peer.line.fd : -1, .events = POLLIN } };
        uint64_t deadline_ns = saved              ? hx_ctl_deadline(quiet_s)
                               : watch->connected ? UINT64_MAX
                                                  : hx_ctl_deadline(look_s);
        int ready = hx_ctl_poll(fds, 2, deadline_ns);

        if (ready == 0 && saved)
            return true;
        if (ready > 0 && fds[1].revents)
            look_at_line(watch);
        if (ready > 0 && fds[0].revents && hx_ctl_tree_read(&watch->tree)) {
            *out_begun_ns = saved ? *out_begun_ns : hx_ctl_clock_ns();
            saved = true;
        }
        if (ready == 0 && !watch->connected && connect_again(watch, &back) && back) {
            *out_begun_ns = hx_ctl_clock_ns();
            return true;
        }
    }
    return false;
}

static enum hx_ctl_exit run(struct watch *watch)
{
    uint64_t begun_ns = hx_ctl_clock_ns();
    enum hx_ctl_exit status = HX_CTL_OK;
    bool back = false;

    for (;;) {
        if (connect_again(watch, &back))
            status = turn_once(watch, begun_ns);
        else
            hx_ctl_complain("no kernel is there; the module is pushed when one is");
        if (hx_ctl_interrupted())
            return HX_CTL_OK;
        if (watch->connected && watch->peer.closed)
            disconnect(watch);
        if (watch->turns > 0 && --watch->turns == 0)
            return status;
        if (!wait_for_change(watch, &begun_ns))
            return HX_CTL_OK;
    }
}

/* ---- arguments ----------------------------------------------------------------------------------------------------------- */
static enum hx_ctl_parse take_option(struct watch *watch, int c)
{
    char *end = NULL;

    switch (c) {
    case 'b': watch->project.command = optarg; return HX_CTL_PARSE_OK;
    case 'F': watch->project.file = optarg; return HX_CTL_PARSE_OK;
    case 'n': watch->wanted.name = optarg; return HX_CTL_PARSE_OK;
    case 'm': watch->wanted.module = optarg; return HX_CTL_PARSE_OK;
    case 'a': watch->ask = optarg; return HX_CTL_PARSE_OK;
    case OPTION_KEY: watch->wanted.key_path = optarg; return HX_CTL_PARSE_OK;
    case OPTION_NO_CHECK: watch->wanted.check = false; return HX_CTL_PARSE_OK;
    case OPTION_KEEP_DEBUG: watch->wanted.keep_debug = true; return HX_CTL_PARSE_OK;
    case OPTION_COUNT:
        watch->turns = strtoul(optarg, &end, 10);
        if (watch->turns > 0 && *end == '\0' && optarg[0] != '-')
            return HX_CTL_PARSE_OK;
        hx_ctl_complain("watch: --count %s: give a number from 1 on", optarg);
        hx_ctl_usage("watch", 0);
        return HX_CTL_PARSE_WRONG;
    default: return hx_ctl_take_option(&watch->options, c);
    }
}

static enum hx_ctl_parse parse(int argc, char **argv, struct watch *watch)
{
    static const struct option all[] = {
        HX_CTL_COMMON_OPTIONS,
        { "build", required_argument, NULL, 'b' },
        { "file", required_argument, NULL, 'F' },
        { "name", required_argument, NULL, 'n' },
        { "module", required_argument, NULL, 'm' },
        { "ask", required_argument, NULL, 'a' },
        { "key", required_argument, NULL, OPTION_KEY },
        { "no-check", no_argument, NULL, OPTION_NO_CHECK },
        { "keep-debug", no_argument, NULL, OPTION_KEEP_DEBUG },
        { "count", required_argument, NULL, OPTION_COUNT },
        { NULL, 0, NULL, 0 },
    };
    enum hx_ctl_parse parse = HX_CTL_PARSE_OK;
    int c;

    while (parse == HX_CTL_PARSE_OK && (c = getopt_long(argc, argv, "c:jqt:hb:F:n:m:a:", all, NULL)) != -1)
        parse = take_option(watch, c);
    if (parse == HX_CTL_PARSE_OK && !hx_ctl_count_fits(&watch->options, argc - optind, 1, 1))
        parse = HX_CTL_PARSE_WRONG;
    return parse;
}

int hx_ctl_cmd_watch(int argc, char **argv)
{
    struct watch watch = { .options = { .command = "watch" },
                           .wanted = { .check = true, .reload = true, .load = true },
                           .tree = { .fd = -1 },
                           .peer = { .line = { .fd = -1 } } };
    enum hx_ctl_parse parsed = parse(argc, argv, &watch);
    enum hx_ctl_exit status = HX_CTL_REFUSED;

    if (parsed != HX_CTL_PARSE_OK)
        return parsed == HX_CTL_PARSE_HELP ? HX_CTL_OK : HX_CTL_USAGE;
    watch.project.directory = argv[optind];
    if (hx_ctl_tree_open(&watch.tree, watch.project.directory)) {
        status = hx_ctl_peer_open(&watch.peer, &watch.options, false);
        watch.connected = status == HX_CTL_OK;
    }
    if (status == HX_CTL_OK)
        status = run(&watch);
    hx_ctl_tree_close(&watch.tree);
    hx_ctl_peer_close(&watch.peer);
    hx_ctl_project_free(&watch.project);
    return (int)status;
}
