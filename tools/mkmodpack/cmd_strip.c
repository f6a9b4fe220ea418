/* SPDX-License-Identifier: MIT */
/*
 * cmd_strip.c - mkmodpack strip: a module as it is handed to a kernel, its types recorded, without debug information.
 *
 * Why not strip(1): that would take the types away with the rest, and nobody would compare them.
 */
#include "command.h"
#include "module_types.h"
#include "object.h"
#include "output_file.h"

#include <getopt.h>
#include <stdlib.h>

static bool parse(int argc, char **argv, const char **out_path, bool *out_help)
{
    static const struct option options[] = {
        { "output", required_argument, NULL, 'o' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1)
        if (c == 'h')
            return *out_help = true;
        else if (c == 'o')
            *out_path = optarg;
        else
            return hx_mp_usage("strip", 0), false;
    if (argc - optind != 1)
        return hx_mp_wrong_count("strip", argc - optind, 1, 1);
    if (*out_path)
        return true;
    fputs("mkmodpack: strip: no output: where to write is not said; add -o OUT\n", stderr);
    return hx_mp_usage("strip", 0), false;
}

static void strip_module(const char *path, const char *output, struct hx_mp_findings *findings)
{
    struct hx_mp_file file = { 0 };
    struct hx_slice made = { 0 };

    if (hx_mp_file_read(&file, NULL, path, findings) && hx_mp_object_check(&file, findings) &&
        hx_mp_module_types_record(file.bytes, path, true, &made, findings))
        (void)hx_mp_file_write(output, made, findings);
    free((void *)(uintptr_t)made.data);
    hx_mp_file_free(&file);
}

int hx_mp_cmd_strip(int argc, char **argv)
{
    struct hx_mp_findings findings = { 0 };
    const char *output = NULL;
    bool help = false;

    if (!parse(argc, argv, &output, &help))
        return HX_MP_USAGE;
    if (help)
        hx_mp_usage("strip", 1);
    else
        strip_module(argv[optind], output, &findings);
    return findings.count > 0 ? HX_MP_FINDINGS : HX_MP_OK;
}
