/* SPDX-License-Identifier: MIT */
/*
 * test_malformed.c - every malformed object is refused: with its error, at its step, in its words, and without a trace.
 *
 * tests/malformed/cases.py says what they are and makes them. Behind each refusal the good object is loaded in the same
 * environment.
 */
#include "loader_fixture.h"

#include <fnmatch.h>
#include <lib/err.h>

static const char *const step_names[] = {
    [HX_LDR_CHECK] = "check",       [HX_LDR_SYMBOLS] = "symbols", [HX_LDR_PLACE] = "place",
    [HX_LDR_RELOCATE] = "relocate", [HX_LDR_PROTECT] = "protect", [HX_LDR_DONE] = "done",
};

/* What the line before an object says. */
struct malformed {
    char *name, *good, *error, *step, *message;
    size_t bytes;
};

static bool next_case(FILE *file, struct malformed *out)
{
    static char line[1024];
    char *rest = line;

    if (!fgets(line, sizeof(line), file))
        return false;
    out->name = strsep(&rest, "\t");
    out->good = strsep(&rest, "\t");
    out->error = strsep(&rest, "\t");
    out->step = strsep(&rest, "\t");
    out->message = strsep(&rest, "\t");
    out->bytes = strtoul(rest, NULL, 10);
    return true;
}

static void expect_refusal(struct fixture *fixture, const struct malformed *malformed, const struct object *object)
{
    struct hx_image *image = NULL;
    struct hx_ldr_report report;
    hx_status_t err;

    memset(&report, 0xaa, sizeof(report));
    err = hx_ldr_load(object_slice(object), &fixture->env, &image, &report);
    cr_expect_str_eq(hx_err_name(err), malformed->error, "%s: `%s' is expected, not `%s': %s", malformed->name,
                     malformed->error, hx_err_name(err), report.message);
    cr_expect_eq(report.err, err, "%s", malformed->name);
    cr_expect_str_eq(step_names[report.step], malformed->step, "%s: `%s' is expected, not `%s'", malformed->name,
                     malformed->step, step_names[report.step]);
    cr_expect_eq(fnmatch(malformed->message, report.message, 0), 0, "%s:\n  %s\nis expected, not\n  %s",
                 malformed->name, malformed->message, report.message);
    cr_expect_eq(fixture->live, 0u, "%s: %u allocations are left", malformed->name, fixture->live);
}

static void expect_good(struct fixture *fixture, const struct malformed *malformed)
{
    static struct object good;
    static char name[64];
    struct hx_image *image = NULL;
    struct hx_ldr_report report;

    if (strcmp(name, malformed->good) != 0) {
        free(good.bytes);
        snprintf(name, sizeof(name), "%s", malformed->good);
        good = object_read(name);
    }
    cr_assert_eq(hx_ldr_load(object_slice(&good), &fixture->env, &image, &report), HX_OK,
                 "behind %s, %s is refused: %s", malformed->name, name, report.message);
    hx_ldr_unload(image, &fixture->env);
    cr_assert_eq(fixture->live, 0u);
}

Test(malformed, every_malformed_object_is_refused_and_the_good_one_is_loaded_after_it)
{
    FILE *file = fopen(HX_MALFORMED_DIR "/malformed.objects", "rb");
    struct fixture *fixture = fixture_new();
    struct malformed malformed;
    unsigned int count = 0;

    cr_assert_not_null(file);
    while (next_case(file, &malformed)) {
        struct object object = { malloc(malformed.bytes ? malformed.bytes : 1), malformed.bytes };

        cr_assert_eq(fread(object.bytes, 1, object.size, file), object.size);
        expect_refusal(fixture, &malformed, &object);
        expect_good(fixture, &malformed);
        free(object.bytes);
        count++;
    }
    cr_assert_geq(count, 130u);
    fclose(file);
    free(fixture);
}
