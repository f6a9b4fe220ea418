/* SPDX-License-Identifier: MIT */
/* cmd_push.c - helixctl push: a module's file into the kernel, and if wanted into the place of what runs. */
#include "command.h"
#include "deploy.h"
#include "terminal.h"

enum { OPTION_RELOAD = 256, OPTION_LOAD, OPTION_KEY, OPTION_NO_CHECK, OPTION_KEEP_DEBUG };

static enum hx_ctl_parse parse(int argc, char **argv, struct hx_ctl_options *options, struct hx_ctl_deploy *deploy)
{
    static const struct option all[] = {
        HX_CTL_COMMON_OPTIONS,
        { "name", required_argument, NULL, 'n' },
        { "reload", optional_argument, NULL, OPTION_RELOAD },
        { "load", no_argument, NULL, OPTION_LOAD },
        { "key", required_argument, NULL, OPTION_KEY },
        { "no-check", no_argument, NULL, OPTION_NO_CHECK },
        { "keep-debug", no_argument, NULL, OPTION_KEEP_DEBUG },
        { NULL, 0, NULL, 0 },
    };
    int c;

    /* Options may stand behind FILE. */
    while ((c = getopt_long(argc, argv, "c:jqt:hn:", all, NULL)) != -1) {
        enum hx_ctl_parse parse = HX_CTL_PARSE_OK;

        switch (c) {
        case 'n': deploy->name = optarg; break;
        case OPTION_RELOAD:
            deploy->reload = true;
            deploy->module = optarg;
            break;
        case OPTION_LOAD: deploy->load = true; break;
        case OPTION_KEY: deploy->key_path = optarg; break;
        case OPTION_NO_CHECK: deploy->check = false; break;
        case OPTION_KEEP_DEBUG: deploy->keep_debug = true; break;
        default: parse = hx_ctl_take_option(options, c);
        }
        if (parse != HX_CTL_PARSE_OK)
            return parse;
    }
    /* As one would type it too: --reload MODULE behind FILE. */
    if (deploy->reload && !deploy->module && argc - optind == 2)
        deploy->module = argv[--argc];
    return hx_ctl_count_fits(options, argc - optind, 1, 1) ? HX_CTL_PARSE_OK : HX_CTL_PARSE_WRONG;
}

static void say(const struct hx_ctl_options *options, const struct hx_ctl_deploy *deploy, enum hx_ctl_exit status)
{
    if (options->json)
        hx_ctl_print_json(hx_ctl_deploy_json(deploy, status));
    if (status != HX_CTL_OK || options->quiet || options->json)
        return;
    printf("push: %s, %zu bytes in %.3f s%s\n", deploy->pushed, deploy->bytes, deploy->push_s,
           deploy->resumed ? ", parts of it again" : "");
    if (deploy->said.text)
        hx_ctl_print_text(stdout, deploy->said.text, deploy->said.bytes, false);
}

int hx_ctl_cmd_push(int argc, char **argv)
{
    struct hx_ctl_options options = { .command = "push" };
    struct hx_ctl_deploy deploy = { .check = true };
    struct hx_ctl_peer peer;
    enum hx_ctl_parse parsed = parse(argc, argv, &options, &deploy);
    enum hx_ctl_exit status = HX_CTL_OK;

    if (parsed != HX_CTL_PARSE_OK)
        return parsed == HX_CTL_PARSE_HELP ? HX_CTL_OK : HX_CTL_USAGE;
    deploy.path = argv[optind];
    status = hx_ctl_peer_open(&peer, &options, false);
    if (status == HX_CTL_OK) {
        status = hx_ctl_deploy_run(&peer, &deploy);
        say(&options, &deploy, status);
    }
    hx_ctl_deploy_free(&deploy);
    hx_ctl_peer_close(&peer);
    return (int)status;
}
