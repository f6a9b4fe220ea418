/* SPDX-License-Identifier: MIT */
/*
 * exports_table.c - prints the kernel's export table as C source, and the types that it shares with modules: what
 * kernel/module/exports.h and types.h declare.
 *
 * Why a program: the tables are constant, so that nothing is left to do at boot, and their places come from the kernel's own
 * hash function, of which there is one.
 * usage: exports_table CONTRACT [COUNT]: CONTRACT is the object of kernel/main/contract.c. With COUNT, up to 9999: so many names
 * more, hx_bench_0000 and so on, all of them the stub and the type of an export that harms nobody; the benchmark imports them.
 * exports_table --words CONTRACT: the same types with their names and in words, for mkmodpack (kernel_types.h).
 */
#include "input_file.h"
#include "type_words.h"

#include <gate/interfaces.h>
#include <helix/kernel.h>
#include <lib/hash.h>
#include <module/export_needs.h>
#include <module/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BENCH_STUB "hx_clock_ns"

enum { BENCH_MAX = 9999, NAME_MAX_BYTES = 64 };

struct symbol {
    char name[NAME_MAX_BYTES];
    const char *stub;
    unsigned needs;
    uint64_t type;
};

#define EXPORT_NAME(name, ...) #name,
static const char *const names[] = { HX_EXPORTS(EXPORT_NAME) };
#define EXPORT_NEEDS(name, ...) HX_NEED_##name,
static const unsigned needs[] = { HX_EXPORTS(EXPORT_NEEDS) };

enum { OWN = sizeof(names) / sizeof(names[0]) };

/* ---- types ----------------------------------------------------------------------------------------------------------- */
#define INTERFACE(prefix, PREFIX, sleepable) { #prefix "_ops", "operation " #prefix "_" },
static const struct hx_mp_type_list lists[] = { { "contract_exports", "export " }, HX_KERNEL_INTERFACES(INTERFACE) };

static bool read_types(struct hx_mp_types *out, const char *path)
{
    const struct hx_mp_types_wanted wanted = { .list = lists, .list_count = HX_ARRAY_SIZE(lists) };
    struct hx_mp_findings findings = { 0 };
    struct hx_mp_file file = { 0 };
    bool ok = hx_mp_file_read(&file, NULL, path, &findings) &&
              hx_mp_types_describe(out, file.bytes, path, &wanted, &findings);

    for (size_t i = 1; ok && i < out->count; i++)
        if (hx_mp_types_key(&out->type[i]) == hx_mp_types_key(&out->type[i - 1])) {
            fprintf(stderr, "exports_table: %s and %s have the same key\n", out->type[i].name, out->type[i - 1].name);
            ok = false;
        }
    hx_mp_file_free(&file);
    return ok;
}

static bool is_export(const struct hx_mp_type *type)
{
    return strncmp(type->name, "export ", 7) == 0;
}

/* That of an export called @name; 0: it has none, which is a mistake. */
static uint64_t type_of(const struct hx_mp_types *types, const char *name)
{
    for (size_t i = 0; i < types->count; i++)
        if (is_export(&types->type[i]) && strcmp(types->type[i].name + 7, name) == 0)
            return types->type[i].type;
    fprintf(stderr, "exports_table: the type of %s is not known\n", name);
    return 0;
}

static void print_types(const struct hx_mp_types *types)
{
    unsigned count = 0;

    puts("\n#include <module/types.h>\n\nconst uint32_t hx_kernel_types_key[] = {");
    for (size_t i = 0; i < types->count; i++)
        if (!is_export(&types->type[i]))
            printf("    0x%08x, /* %s */\n", hx_mp_types_key(&types->type[i]), types->type[i].name), count++;
    puts("};\nconst uint64_t hx_kernel_types_type[] = {");
    for (size_t i = 0; i < types->count; i++)
        if (!is_export(&types->type[i]))
            printf("    0x%016llx,\n", (unsigned long long)types->type[i].type);
    printf("};\nconst uint32_t hx_kernel_types_count = %u;\n", count);
}

static void print_words(const struct hx_mp_types *types)
{
    puts("/* SPDX-License-Identifier: MIT */\n/* Made by exports_table.c. */\n#include \"kernel_types.h\"\n");
    puts("const struct hx_mp_type hx_mp_kernel_types[] = {");
    for (size_t i = 0; i < types->count; i++) {
        const struct hx_mp_type *type = &types->type[i];

        printf("    { (char *)\"%s\",\n      (char *)\"", type->name);
        for (const char *at = type->text; *at; at++)
            if (*at == '\n')
                fputs("\\n\"\n              \"", stdout);
            else
                putchar(*at);
        printf("\",\n      0x%016llxu },\n", (unsigned long long)type->type);
    }
    printf("};\nconst size_t hx_mp_kernel_types_count = %zu;\n", types->count);
}

/* ---- the table of exports -------------------------------------------------------------------------------------------- */
/* [OWN + @bench], owned by the caller. */
static struct symbol *make_exports(size_t bench, const struct hx_mp_types *types)
{
    struct symbol *symbol = calloc(OWN + bench, sizeof(*symbol));
    uint64_t bench_type = type_of(types, BENCH_STUB);

    for (size_t i = 0; symbol && i < OWN; i++) {
        snprintf(symbol[i].name, sizeof(symbol[i].name), "%s", names[i]);
        symbol[i].stub = names[i];
        symbol[i].needs = needs[i];
        symbol[i].type = type_of(types, names[i]);
    }
    for (size_t i = 0; symbol && i < bench; i++) {
        snprintf(symbol[OWN + i].name, sizeof(symbol[OWN + i].name), "hx_bench_%04zu", i);
        symbol[OWN + i].stub = BENCH_STUB;
        symbol[OWN + i].type = bench_type;
    }
    return symbol;
}

/* [@places + @count + 1]: each of @count exports at its place or in the next free one. Owned by the caller. */
static const struct symbol **place_exports(const struct symbol *symbol, size_t count, size_t places)
{
    const struct symbol **place = calloc(places + count + 1, sizeof(const struct symbol *));

    for (size_t i = 0; place && i < count; i++) {
        size_t at = hx_hash_name(symbol[i].name, strlen(symbol[i].name)) % places;

        while (place[at])
            at++;
        place[at] = &symbol[i];
    }
    return place;
}

static void print(const struct symbol *const *place, size_t places)
{
    size_t end = places;

    while (place[end])
        end++;
    puts("/* SPDX-License-Identifier: MIT */\n/* Made by exports_table.c. */\n#include <module/exports.h>\n");
    for (size_t i = 0; i < OWN; i++)
        printf("extern const char hx_import_%s[];\n", names[i]);
    printf("\nconst size_t hx_exports_mask = %zu;\nconst struct hx_export hx_exports_table[%zu] = {\n", places - 1,
           end + 1);
    for (size_t i = 0; i <= end; i++)
        if (!place[i])
            printf("    [%zu] = { .hash = %zu },\n", i, i + 1 < places ? i + 1 : 0); /* see exports.h */
        else
            printf("    [%zu] = { \"%s\", hx_import_%s, 0x%016llxu, 0x%08xu, %zu, %u },\n", i, place[i]->name,
                   place[i]->stub, (unsigned long long)place[i]->type,
                   (unsigned)hx_hash_name(place[i]->name, strlen(place[i]->name)), strlen(place[i]->name),
                   place[i]->needs);
    puts("};");
}

static bool print_tables(const struct hx_mp_types *types, size_t bench)
{
    struct symbol *symbol = bench <= BENCH_MAX ? make_exports(bench, types) : NULL;
    const struct symbol **place = NULL;
    bool ok = symbol != NULL;
    size_t places = 1;

    for (size_t i = 0; ok && i < OWN + bench; i++)
        ok = symbol[i].type != 0;
    while (places < 2 * (OWN + bench))
        places *= 2;
    if (ok)
        place = place_exports(symbol, OWN + bench, places);
    if (place) {
        print(place, places);
        print_types(types);
    }
    ok = place != NULL;
    free(place);
    free(symbol);
    return ok;
}

int main(int argc, char **argv)
{
    bool words = argc == 3 && strcmp(argv[1], "--words") == 0, ok = false;
    struct hx_mp_types types = { 0 };

    if (argc >= 2 && read_types(&types, argv[words ? 2 : 1])) {
        ok = true;
        if (words)
            print_words(&types);
        else
            ok = print_tables(&types, argc > 2 ? strtoul(argv[2], NULL, 10) : 0);
    }
    hx_mp_types_free(&types);
    return ok && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
