/* SPDX-License-Identifier: MIT */
/*
 * cmd_link.c - mkmodpack link: what the kernel's loader makes of an object at an address.
 *
 * Why other findings than elsewhere: who compares linkers, or wants to know why a module does not load, gets one line that
 * starts with the error's short name.
 */
#include "command.h"
#include "link_object.h"
#include "output_file.h"

#include <errno.h>
#include <getopt.h>
#include <lib/err.h>
#include <stdarg.h>
#include <stdlib.h>

enum { PAGE = 4096 };

struct request {
    struct hx_mp_link_request link;
    const char *object;
    const char *symbols; /* NULL: there are none */
    const char *dump;    /* NULL: a summary for people; "-": standard output */
    bool based;
    bool help;
};

static void take(struct hx_mp_findings *findings, hx_status_t err, const char *file, const char *text)
{
    (void)findings;
    fprintf(stderr, "%s: %s: %s\n", hx_err_name(err), file, text);
}

/* ---- command line ---------------------------------------------------------------------------------------------------- */
__attribute__((format(printf, 1, 2))) static bool wrong_usage(const char *format, ...)
{
    va_list arguments;

    fputs("mkmodpack: link: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    hx_mp_usage("link", 0);
    return false;
}

static bool read_address(const char *text, uintptr_t *out)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, text[0] == '0' && (text[1] | 0x20) == 'x' ? 16 : 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value == 0)
        return wrong_usage("`%s' is no address: write a number above 0 and below 2^64, decimal or 0x hexadecimal",
                           text);
    *out = value;
    return true;
}

static bool read_base(const char *text, struct request *out)
{
    if (!read_address(text, &out->link.base))
        return false;
    if (out->link.base % PAGE != 0)
        return wrong_usage("--base %s: an image begins on a page; name a multiple of %d", text, PAGE);
    return out->based = true;
}

static bool read_place(const char *text, struct request *out)
{
    const char *equals = strchr(text, '=');

    for (unsigned int i = 0; equals && i < HX_PART_COUNT; i++) {
        const char *name = hx_image_part_name((enum hx_image_part)i);

        if (strlen(name) == (size_t)(equals - text) && strncmp(name, text, (size_t)(equals - text)) == 0)
            return read_address(equals + 1, &out->link.part_va[i]);
    }
    return wrong_usage(
        "--place %s: write PART=ADDRESS; parts are text, rodata, data, state, ro_after_init, init_text and "
        "init_data",
        text);
}

static bool parse(int argc, char **argv, struct request *out)
{
    static const struct option options[] = {
        { "base", required_argument, NULL, 'b' }, { "symbols", required_argument, NULL, 's' },
        { "dump", required_argument, NULL, 'd' }, { "place", required_argument, NULL, 'p' },
        { "help", no_argument, NULL, 'h' },       { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'h')
            return out->help = true;
        if (c == 's')
            out->symbols = optarg;
        else if (c == 'd')
            out->dump = optarg;
        else if (c == 'b' ? !read_base(optarg, out) : c == 'p' ? !read_place(optarg, out) : true)
            return c == '?' ? (hx_mp_usage("link", 0), false) : false;
    }
    if (optind + 1 != argc)
        return wrong_usage("%d objects named: it takes one; name one", argc - optind);
    if (!out->based)
        return wrong_usage("no address: where to link is not said; add --base ADDRESS");
    out->object = argv[optind];
    return true;
}

/* ---- the work -------------------------------------------------------------------------------------------------------- */
static bool write_dump(const struct hx_mp_linked *linked, const char *path, struct hx_mp_findings *findings)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream;
    bool ok;

    if (strcmp(path, "-") == 0) {
        hx_mp_linked_dump(linked, stdout);
        return true;
    }
    stream = open_memstream(&text, &bytes);
    ok = stream != NULL;
    if (ok) {
        hx_mp_linked_dump(linked, stream);
        ok = !ferror(stream);
        ok = fclose(stream) == 0 && ok;
    }
    if (!ok)
        hx_mp_find_error(findings, HX_E_NOMEM, path, "not enough memory for the dump; free some");
    else
        ok = hx_mp_file_write(path, hx_slice_of(text, bytes), findings);
    free(text);
    return ok;
}

static bool spares_inputs(const struct request *request, struct hx_mp_findings *findings)
{
    if (!request->dump || strcmp(request->dump, "-") == 0)
        return true;
    return hx_mp_file_spares(request->dump, request->object, findings) &&
           (!request->symbols || hx_mp_file_spares(request->dump, request->symbols, findings));
}

static void link_object(const struct request *request, struct hx_mp_findings *findings)
{
    struct hx_mp_link_request link = request->link;
    struct hx_mp_file object = { 0 };
    struct hx_mp_file text = { 0 };
    struct hx_mp_symbols symbols = { 0 };
    struct hx_mp_linked linked = { 0 };

    link.symbols = &symbols;
    if (!spares_inputs(request, findings))
        goto out;
    if (request->symbols && (!hx_mp_file_read(&text, NULL, request->symbols, findings) ||
                             !hx_mp_symbols_read(&symbols, request->symbols, text.bytes, findings)))
        goto out;
    if (!hx_mp_file_read(&object, NULL, request->object, findings) || !hx_mp_link(&linked, &object, &link, findings))
        goto out;
    if (!request->dump)
        hx_mp_linked_print(&linked, stdout);
    else
        (void)write_dump(&linked, request->dump, findings);
out:
    hx_mp_linked_free(&linked);
    hx_mp_symbols_free(&symbols);
    hx_mp_file_free(&object);
    hx_mp_file_free(&text);
}

int hx_mp_cmd_link(int argc, char **argv)
{
    struct hx_mp_findings findings = { .take = take };
    struct request request = { 0 };

    if (!parse(argc, argv, &request))
        return HX_MP_USAGE;
    if (request.help)
        hx_mp_usage("link", 1);
    else
        link_object(&request, &findings);
    return findings.count > 0 ? HX_MP_FINDINGS : HX_MP_OK;
}
