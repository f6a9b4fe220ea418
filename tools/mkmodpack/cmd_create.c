/* SPDX-License-Identifier: MIT */
/* cmd_create.c - mkmodpack create: check modules, alone and together, and write them as a pack. */
#include "command.h"
#include "pack_build.h"

#include <getopt.h>
#include <stdlib.h>

/* Long options without a letter. */
enum { OPTION_MANIFEST = 256, OPTION_HOLD, OPTION_DEPFILE, OPTION_STRIP, OPTION_TYPES };

static bool wrong_usage(const char *text)
{
    fprintf(stderr, "mkmodpack: create: %s\n", text);
    hx_mp_usage("create", 0);
    return false;
}

static bool check_request(const struct hx_mp_build *build, bool hold_used)
{
    if (!build->output)
        return wrong_usage("no output: where to write is not said; add -o OUT");
    if (build->count == 0)
        return wrong_usage("no modules: a pack without any boots nothing; name some");
    if (build->manifest && hold_used)
        return wrong_usage("--hold with --manifest: the manifest says what is held; leave out one of them");
    return true;
}

/* Whether option @c is one of those that take a value or set a flag. */
static bool take_option(struct hx_mp_build *out, int c)
{
    switch (c) {
    case 'o': out->output = optarg; return true;
    case 'C': out->directory = optarg; return true;
    case 'n': out->dry = true; return true;
    case 'v': out->verbose = stdout; return true;
    case OPTION_MANIFEST: out->manifest = optarg; return true;
    case OPTION_DEPFILE: out->depfile = optarg; return true;
    case OPTION_STRIP: out->strip = true; return true;
    case OPTION_TYPES: out->require_types = true; return true;
    default: return false;
    }
}

static bool parse(int argc, char **argv, struct hx_mp_build *out, bool *out_help)
{
    static const struct option options[] = {
        { "output", required_argument, NULL, 'o' },
        { "directory", required_argument, NULL, 'C' },
        { "manifest", required_argument, NULL, OPTION_MANIFEST },
        { "hold", no_argument, NULL, OPTION_HOLD },
        { "depfile", required_argument, NULL, OPTION_DEPFILE },
        { "strip-debug", no_argument, NULL, OPTION_STRIP },
        { "require-types", no_argument, NULL, OPTION_TYPES },
        { "dry-run", no_argument, NULL, 'n' },
        { "verbose", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    bool hold = false;
    int c;

    out->path = calloc((size_t)argc, sizeof(*out->path));
    out->hold = calloc((size_t)argc, sizeof(*out->hold));
    if (!out->path || !out->hold)
        return wrong_usage("not enough memory: the command line is too long; name fewer modules");
    /* The leading '-' hands out other arguments in place, as option 1, so that --hold counts from where it stands. */
    while ((c = getopt_long(argc, argv, "-o:C:nvh", options, NULL)) != -1) {
        if (c == 'h')
            return *out_help = true;
        if (c == OPTION_HOLD)
            hold = true;
        else if (c == 1)
            out->hold[out->count] = hold, out->path[out->count++] = optarg;
        else if (!take_option(out, c))
            return hx_mp_usage("create", 0), false;
    }
    for (; optind < argc; optind++) /* after -- */
        out->hold[out->count] = hold, out->path[out->count++] = argv[optind];
    return check_request(out, hold);
}

int hx_mp_cmd_create(int argc, char **argv)
{
    struct hx_mp_findings findings = { 0 };
    struct hx_mp_build build = { 0 };
    bool help = false;
    int status = HX_MP_USAGE;

    if (!parse(argc, argv, &build, &help))
        goto out;
    status = HX_MP_OK;
    if (help)
        hx_mp_usage("create", 1);
    else if (!hx_mp_build_run(&build, &findings))
        status = HX_MP_FINDINGS;
out:
    free(build.path);
    free(build.hold);
    return status;
}
