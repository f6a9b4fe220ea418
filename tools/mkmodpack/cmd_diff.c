/* SPDX-License-Identifier: MIT */
/*
 * cmd_diff.c - mkmodpack diff: may one module replace another, and what is between two packs.
 *
 * Why on standard output: as with other programs of this name, the differences are what was asked for. Standard error is for
 * what kept them from being found.
 */
#include "command.h"
#include "json.h"
#include "pack_diff.h"

#include <stdio.h>

/* ---- a verdict ------------------------------------------------------------------------------------------------------- */
static const char *state_text(const char *state)
{
    static const struct {
        const char *name, *text;
    } texts[] = {
        { "none", "there is none to carry over" },
        { "shared", "declared alike: the new module gets the old one's pages" },
        { "hooks", "converted by the old one's save and the new one's load" },
        { "fields", "converted field by field, by name" },
        { "refused", "cannot be carried over" },
    };

    for (size_t i = 0; i < HX_ARRAY_SIZE(texts); i++)
        if (strcmp(texts[i].name, state) == 0)
            return texts[i].text;
    return "?";
}

static void print_verdict(const struct hx_mp_verdict *verdict, const char *indent)
{
    printf("%sstate: %s\n", indent, state_text(verdict->state));
    for (size_t i = 0; i < verdict->count; i++)
        printf("%s%s%s: %s\n", indent, verdict->change[i].refuses ? "refused: " : "", verdict->change[i].aspect,
               verdict->change[i].text);
}

static void json_verdict(const struct hx_mp_verdict *verdict)
{
    hx_mp_json_bool("may_replace", verdict->refusals == 0);
    hx_mp_json_text("state", verdict->state);
    hx_mp_json_open("changes", '[');
    for (size_t i = 0; i < verdict->count; i++) {
        hx_mp_json_open(NULL, '{');
        hx_mp_json_bool("refuses", verdict->change[i].refuses);
        hx_mp_json_text("aspect", verdict->change[i].aspect);
        hx_mp_json_text("text", verdict->change[i].text);
        hx_mp_json_close('}');
    }
    hx_mp_json_close(']');
}

static void json_side(const char *key, const struct hx_mp_module *module)
{
    hx_mp_json_open(key, '{');
    hx_mp_json_text("file", module->name);
    hx_mp_json_bool("load", module->load);
    if (module->record) {
        hx_mp_json_text("module", module->record->name);
        hx_mp_json_text("version", hx_mp_version_text(module->record->version).text);
    }
    hx_mp_json_close('}');
}

/* ---- two modules ----------------------------------------------------------------------------------------------------- */
static void show_modules(const struct hx_mp_module *old, const struct hx_mp_module *new,
                         const struct hx_mp_verdict *verdict, bool json)
{
    if (json) {
        hx_mp_json_open(NULL, '{');
        json_side("old", old);
        json_side("new", new);
        json_verdict(verdict);
        hx_mp_json_close('}');
        return;
    }
    print_verdict(verdict, "");
    printf("%s: %s %s may %sreplace %s %s in a swap\n", new->path, new->record->name,
           hx_mp_version_text(new->record->version).text, verdict->refusals ? "not " : "", old->record->name,
           hx_mp_version_text(old->record->version).text);
}

static bool diff_modules(const struct hx_mp_file *old_file, const struct hx_mp_file *new_file, bool json,
                         struct hx_mp_findings *findings)
{
    struct hx_mp_module old = { 0 }, new = { 0 };
    struct hx_mp_verdict verdict = { 0 };
    bool old_good = hx_mp_module_open(&old, old_file, findings);
    bool new_good = hx_mp_module_open(&new, new_file, findings);
    bool may = false;

    if (old_good && new_good) {
        old.load = new.load = true;
        hx_mp_judge(&verdict, &old, &new);
        if (verdict.no_memory)
            hx_mp_find_error(findings, HX_E_NOMEM, new.path, "not enough memory to compare it; free some");
        else
            show_modules(&old, &new, &verdict, json);
        may = verdict.refusals == 0;
    }
    hx_mp_verdict_free(&verdict);
    hx_mp_module_close(&old);
    hx_mp_module_close(&new);
    return may;
}

/* ---- two packs ------------------------------------------------------------------------------------------------------- */
static const char *const kind_names[] = { "added", "removed", "changed" };

static void print_change(const struct hx_mp_pack_change *change)
{
    const struct hx_mp_module *module = change->new ? change->new : change->old;

    printf("%-8s %s", change->judged || change->kind != HX_MP_FILE_CHANGED ? kind_names[change->kind] : "moved",
           module->name);
    if (change->moved)
        printf(": %s, %s before", change->new->load ? "loaded" : "held", change->old->load ? "loaded" : "held");
    if (change->judged)
        printf(": may %sreplace its predecessor", change->verdict.refusals ? "not " : "");
    else if (change->kind != HX_MP_FILE_CHANGED)
        printf(": %s", module->load ? "loaded" : "held");
    putchar('\n');
    if (change->judged)
        print_verdict(&change->verdict, "         ");
}

static void json_change(const struct hx_mp_pack_change *change)
{
    hx_mp_json_open(NULL, '{');
    hx_mp_json_text("kind", kind_names[change->kind]);
    if (change->old)
        json_side("old", change->old);
    if (change->new)
        json_side("new", change->new);
    if (change->judged)
        json_verdict(&change->verdict);
    hx_mp_json_close('}');
}

static void show_packs(const struct hx_mp_pack_diff *diff, bool json)
{
    if (json) {
        hx_mp_json_open(NULL, '{');
        hx_mp_json_bool("may_replace", diff->refusals == 0);
        hx_mp_json_open("files", '[');
    }
    for (size_t i = 0; i < diff->count; i++)
        if (json)
            json_change(&diff->change[i]);
        else
            print_change(&diff->change[i]);
    if (json) {
        hx_mp_json_close(']');
        hx_mp_json_close('}');
    }
}

/* Takes the contents of both files. */
static bool diff_packs(struct hx_mp_file *old_file, struct hx_mp_file *new_file, bool json,
                       struct hx_mp_findings *findings)
{
    struct hx_mp_pack old = { 0 }, new = { 0 };
    struct hx_mp_pack_diff diff = { 0 };
    bool old_good = hx_mp_pack_open(&old, old_file, findings);
    bool new_good = hx_mp_pack_open(&new, new_file, findings);
    bool may = false;

    if (!old_good || !new_good || !hx_mp_pack_link(&old, findings) || !hx_mp_pack_link(&new, findings))
        goto out;
    if (!hx_mp_pack_compare(&diff, &old, &new)) {
        hx_mp_find_error(findings, HX_E_NOMEM, new.file.path, "not enough memory to compare it; free some");
        goto out;
    }
    show_packs(&diff, json);
    may = diff.refusals == 0;
out:
    hx_mp_pack_diff_free(&diff);
    hx_mp_pack_close(&old);
    hx_mp_pack_close(&new);
    return may;
}

int hx_mp_cmd_diff(int argc, char **argv)
{
    struct hx_mp_findings findings = { 0 };
    struct hx_mp_file old = { 0 }, new = { 0 };
    struct hx_mp_arguments arguments = { .command = "diff", .least = 2, .most = 2, .takes_json = true };
    enum hx_mp_parse parse = hx_mp_parse_files(argc, argv, &arguments);
    bool may = false, readable;

    if (parse != HX_MP_PARSE_OK)
        return parse == HX_MP_PARSE_HELP ? HX_MP_OK : HX_MP_USAGE;
    readable = hx_mp_file_read(&old, NULL, arguments.path[0], &findings);
    readable = hx_mp_file_read(&new, NULL, arguments.path[1], &findings) && readable;
    if (readable && hx_mp_is_pack(old.bytes) != hx_mp_is_pack(new.bytes))
        hx_mp_find(&findings, arguments.path[1],
                   "cannot be compared: of the two one is a pack and one is not; "
                   "name two packs or two modules");
    else if (readable && hx_mp_is_pack(old.bytes))
        may = diff_packs(&old, &new, arguments.json, &findings);
    else if (readable)
        may = diff_modules(&old, &new, arguments.json, &findings);
    hx_mp_file_free(&old);
    hx_mp_file_free(&new);
    return may && findings.count == 0 ? HX_MP_OK : HX_MP_FINDINGS;
}
