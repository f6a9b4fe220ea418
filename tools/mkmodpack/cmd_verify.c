/* SPDX-License-Identifier: MIT */
/* cmd_verify.c - mkmodpack verify: everything that create checks, on a finished pack; and what its code may do. */
#include "command.h"
#include "json.h"
#include "pack_file.h"
#include "printable.h"
#include "privileged.h"

#include <lib/err.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- findings for programs: told at the end, and to standard error at once -------------------------------------------- */
struct finding {
    hx_status_t err;
    char *file;
    char *text;
};

struct collected {
    struct finding *finding; /* [count]. Owned. */
    size_t count;
};

static void take(struct hx_mp_findings *findings, hx_status_t err, const char *file, const char *text)
{
    struct collected *collected = findings->context;
    struct finding *larger = realloc(collected->finding, (collected->count + 1) * sizeof(*larger));
    struct finding finding = { err, strdup(file), strdup(text) };

    fprintf(stderr, "mkmodpack: %s: %s\n", file, text);
    if (larger)
        collected->finding = larger;
    if (larger && finding.file && finding.text) {
        collected->finding[collected->count++] = finding;
        return;
    }
    free(finding.file);
    free(finding.text);
}

static void json_findings(const struct collected *collected)
{
    hx_mp_json_open("findings", '[');
    for (size_t i = 0; i < collected->count; i++) {
        hx_mp_json_open(NULL, '{');
        hx_mp_json_text("file", collected->finding[i].file);
        hx_mp_json_text("error", hx_err_name(collected->finding[i].err));
        hx_mp_json_text("text", collected->finding[i].text);
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
}

static void free_collected(struct collected *collected)
{
    for (size_t i = 0; i < collected->count; i++) {
        free(collected->finding[i].file);
        free(collected->finding[i].text);
    }
    free(collected->finding);
}

/* ---- privileged instructions ----------------------------------------------------------------------------------------- */
static void print_privileged(void *context, const struct hx_mp_privileged *found)
{
    const struct hx_mp_module *module = context;

    printf("%s: privileged: %s in ", module->path, found->text);
    hx_mp_print_name(found->function ? found->function : found->part, stdout);
    printf("+0x%llx\n", (unsigned long long)found->offset);
}

static void json_privileged(void *context, const struct hx_mp_privileged *found)
{
    const struct hx_mp_module *module = context;

    hx_mp_json_open(NULL, '{');
    hx_mp_json_text("file", module->name);
    hx_mp_json_text("instruction", found->text);
    if (found->function)
        hx_mp_json_text("function", found->function);
    else
        hx_mp_json_text("part", found->part);
    hx_mp_json_number("offset", found->offset);
    hx_mp_json_close('}');
}

static void list_privileged(const struct hx_mp_pack *pack,
                            void (*each)(void *context, const struct hx_mp_privileged *found),
                            struct hx_mp_findings *findings)
{
    for (size_t i = 0; i < pack->set.count; i++)
        if (pack->set.module[i].image && !hx_mp_privileged_list(&pack->set.module[i], each, &pack->set.module[i])) {
            hx_mp_find_error(findings, HX_E_NOMEM, pack->file.path, "the disassembler cannot start; free some memory");
            return;
        }
}

/* ---- the command ----------------------------------------------------------------------------------------------------- */
static void verify_text(const char *path, struct hx_mp_findings *findings)
{
    struct hx_mp_pack pack = { 0 };

    if (hx_mp_pack_read(&pack, path, findings) && hx_mp_pack_link(&pack, findings)) {
        hx_mp_set_check(&pack.set, findings);
        list_privileged(&pack, print_privileged, findings);
        if (findings->count == 0)
            printf("%s: good: %u modules, %u of them loaded at boot\n", path, pack.pack.count, pack.pack.load_count);
    }
    hx_mp_pack_close(&pack);
}

static void verify_json(const char *path, struct hx_mp_findings *findings)
{
    struct hx_mp_pack pack = { 0 };

    if (hx_mp_pack_read(&pack, path, findings) && hx_mp_pack_link(&pack, findings))
        hx_mp_set_check(&pack.set, findings);
    hx_mp_json_open(NULL, '{');
    hx_mp_json_text("pack", path);
    hx_mp_json_bool("good", findings->count == 0);
    hx_mp_json_number("modules", pack.pack.count);
    hx_mp_json_number("loaded", pack.pack.load_count);
    hx_mp_json_open("privileged", '[');
    list_privileged(&pack, json_privileged, findings);
    hx_mp_json_close(']');
    json_findings(findings->context);
    hx_mp_json_close('}');
    hx_mp_pack_close(&pack);
}

int hx_mp_cmd_verify(int argc, char **argv)
{
    struct collected collected = { 0 };
    struct hx_mp_findings findings = { .context = &collected };
    struct hx_mp_arguments arguments = { .command = "verify", .least = 1, .most = 1, .takes_json = true };
    enum hx_mp_parse parse = hx_mp_parse_files(argc, argv, &arguments);

    if (parse != HX_MP_PARSE_OK)
        return parse == HX_MP_PARSE_HELP ? HX_MP_OK : HX_MP_USAGE;
    if (arguments.json) {
        findings.take = take;
        verify_json(arguments.path[0], &findings);
    } else {
        verify_text(arguments.path[0], &findings);
    }
    free_collected(&collected);
    return findings.count > 0 ? HX_MP_FINDINGS : HX_MP_OK;
}
