/* SPDX-License-Identifier: MIT */
/*
 * exports_table.c - prints the kernel's export table as C source: what kernel/module/exports.h declares.
 *
 * Why a program: the table is constant, so that nothing is left to do at boot, and its places come from the kernel's own
 * hash function, of which there is one.
 * usage: exports_table [COUNT]. With COUNT, up to 9999: so many names more, hx_bench_0000 and so on, all of them the stub of
 * an export that harms nobody; the benchmark imports them.
 */
#include <helix/kernel.h>
#include <lib/hash.h>
#include <module/export_needs.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BENCH_STUB "hx_clock_ns"

enum { BENCH_MAX = 9999, NAME_MAX_BYTES = 64 };

struct symbol {
    char name[NAME_MAX_BYTES];
    const char *stub;
    unsigned needs;
};

#define EXPORT_NAME(name, ...) #name,
static const char *const names[] = { HX_EXPORTS(EXPORT_NAME) };
#define EXPORT_NEEDS(name, ...) HX_NEED_##name,
static const unsigned needs[] = { HX_EXPORTS(EXPORT_NEEDS) };

enum { OWN = sizeof(names) / sizeof(names[0]) };

/* [OWN + @bench], owned by the caller. */
static struct symbol *make_exports(size_t bench)
{
    struct symbol *symbol = calloc(OWN + bench, sizeof(*symbol));

    for (size_t i = 0; symbol && i < OWN; i++) {
        snprintf(symbol[i].name, sizeof(symbol[i].name), "%s", names[i]);
        symbol[i].stub = names[i];
        symbol[i].needs = needs[i];
    }
    for (size_t i = 0; symbol && i < bench; i++) {
        snprintf(symbol[OWN + i].name, sizeof(symbol[OWN + i].name), "hx_bench_%04zu", i);
        symbol[OWN + i].stub = BENCH_STUB;
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
    for (size_t i = 0; i < end; i++)
        if (place[i])
            printf("    [%zu] = { 0x%llxu, \"%s\", %zu, %u, hx_import_%s },\n", i,
                   (unsigned long long)hx_hash_name(place[i]->name, strlen(place[i]->name)), place[i]->name,
                   strlen(place[i]->name), place[i]->needs, place[i]->stub);
    puts("};");
}

int main(int argc, char **argv)
{
    size_t bench = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, places = 1;
    struct symbol *symbol = bench <= BENCH_MAX ? make_exports(bench) : NULL;
    const struct symbol **place = NULL;
    int status = EXIT_FAILURE;

    while (places < 2 * (OWN + bench))
        places *= 2;
    if (symbol)
        place = place_exports(symbol, OWN + bench, places);
    if (place) {
        print(place, places);
        status = fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    free(place);
    free(symbol);
    return status;
}
