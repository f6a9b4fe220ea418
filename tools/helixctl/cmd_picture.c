/* SPDX-License-Identifier: MIT */
/* cmd_picture.c - helixctl graph, timeline: what is drawn from the kernel's rows. */
#include "command.h"
#include "diagram.h"
#include "terminal.h"
#include "timeline.h"
#include "view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Rows that were kept, from @path; NULL: complained of. */
static json_t *read_rows(const char *path)
{
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "re");
    struct hx_ctl_text text = { 0 };
    char data[4096];
    size_t got;
    unsigned int line = 0;
    json_t *rows = NULL;

    if (!file) {
        hx_ctl_complain("%s: %s; check the path", path, strerror(errno));
        return NULL;
    }
    while ((got = fread(data, 1, sizeof(data), file)) > 0)
        hx_ctl_text_add(&text, data, got);
    if (!is_input)
        (void)fclose(file);
    rows = hx_ctl_rows_parse(text.text ? text.text : "", text.bytes, &line);
    if (!rows)
        hx_ctl_complain("%s: line %u is no JSON object; give it what --json writes", path, line);
    free(text.text);
    return rows;
}

/* The rows that are drawn, as they are: for those who draw otherwise. */
static void print_rows(const json_t *rows)
{
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row) hx_ctl_print_json(json_incref(row));
}

/* The rows of one command, from a file when one is named. */
static enum hx_ctl_exit one_table(int argc, char **argv, struct hx_ctl_peer *peer, const char *command, json_t **out)
{
    if (optind < argc) {
        *out = read_rows(argv[optind]);
        return *out ? HX_CTL_OK : HX_CTL_REFUSED;
    }
    enum hx_ctl_exit status = hx_ctl_peer_open(peer, peer->options, false);

    return status == HX_CTL_OK ? hx_ctl_rows(peer, command, out) : status;
}

int hx_ctl_cmd_timeline(int argc, char **argv)
{
    struct hx_ctl_options options = { .command = "timeline" };
    struct hx_ctl_peer peer = { .line = { .fd = -1 }, .options = &options };
    enum hx_ctl_parse parse = hx_ctl_parse_plain(argc, argv, &options, 0, 1);
    json_t *swaps = NULL;
    enum hx_ctl_exit status = HX_CTL_OK;

    if (parse != HX_CTL_PARSE_OK)
        return parse == HX_CTL_PARSE_HELP ? HX_CTL_OK : HX_CTL_USAGE;
    status = one_table(argc, argv, &peer, "swaps", &swaps);
    if (status == HX_CTL_OK && options.json)
        print_rows(swaps);
    else if (status == HX_CTL_OK)
        hx_ctl_timeline_write(swaps, stdout);
    json_decref(swaps);
    hx_ctl_peer_close(&peer);
    return (int)status;
}

int hx_ctl_cmd_graph(int argc, char **argv)
{
    struct hx_ctl_options options = { .command = "graph" };
    struct hx_ctl_peer peer = { .line = { .fd = -1 }, .options = &options };
    enum hx_ctl_parse parse = hx_ctl_parse_plain(argc, argv, &options, 0, 1);
    json_t *modules = NULL, *services = NULL, *channels = NULL;
    enum hx_ctl_exit status = HX_CTL_OK;

    if (parse != HX_CTL_PARSE_OK)
        return parse == HX_CTL_PARSE_HELP ? HX_CTL_OK : HX_CTL_USAGE;
    status = one_table(argc, argv, &peer, "lsmod", &modules);
    if (status == HX_CTL_OK && peer.line.fd >= 0)
        status = hx_ctl_rows(&peer, "services", &services);
    if (status == HX_CTL_OK && peer.line.fd >= 0)
        status = hx_ctl_rows(&peer, "chan", &channels);
    if (status == HX_CTL_OK && options.json) {
        print_rows(modules);
        print_rows(services);
        print_rows(channels);
    } else if (status == HX_CTL_OK) {
        const struct hx_ctl_diagram diagram = { modules, services, channels };
        hx_ctl_diagram_write(&diagram, stdout);
    }
    json_decref(modules);
    json_decref(services);
    json_decref(channels);
    hx_ctl_peer_close(&peer);
    return (int)status;
}
