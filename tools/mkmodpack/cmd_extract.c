/* SPDX-License-Identifier: MIT */
/* cmd_extract.c - mkmodpack extract: files out of a pack. */
#include "command.h"
#include "extract.h"

#include <getopt.h>
#include <limits.h>

struct request {
    const char *directory;
    const char *pack;
    char **name; /* [count], in argv */
    int count;
    bool verbose;
    bool help;
};

static bool parse(int argc, char **argv, struct request *out)
{
    static const struct option options[] = {
        { "directory", required_argument, NULL, 'C' },
        { "verbose", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    out->directory = ".";
    while ((c = getopt_long(argc, argv, "C:vh", options, NULL)) != -1) {
        if (c == 'h')
            return out->help = true;
        if (c == 'C')
            out->directory = optarg;
        else if (c == 'v')
            out->verbose = true;
        else
            return hx_mp_usage("extract", 0), false;
    }
    if (optind == argc)
        return hx_mp_wrong_count("extract", 0, 1, INT_MAX);
    out->pack = argv[optind];
    out->name = argv + optind + 1;
    out->count = argc - optind - 1;
    return true;
}

int hx_mp_cmd_extract(int argc, char **argv)
{
    struct hx_mp_findings findings = { 0 };
    struct hx_mp_pack pack = { 0 };
    struct request request = { 0 };

    if (!parse(argc, argv, &request))
        return HX_MP_USAGE;
    if (request.help) {
        hx_mp_usage("extract", 1);
        return HX_MP_OK;
    }
    if (hx_mp_pack_read(&pack, request.pack, &findings))
        hx_mp_extract(&pack, request.directory, request.name, (size_t)request.count, request.verbose ? stdout : NULL,
                      &findings);
    hx_mp_pack_close(&pack);
    return findings.count > 0 ? HX_MP_FINDINGS : HX_MP_OK;
}
