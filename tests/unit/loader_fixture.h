/* SPDX-License-Identifier: MIT */
/*
 * loader_fixture.h - what the loader's tests share: objects to load, an environment that checks its contract.
 *
 * Objects are compiled for the kernel and lie in HX_FIXTURE_DIR. Memory for images comes from the low 2 GiB, so that their
 * 32-bit relocations reach and their functions can be called; the test program itself is linked -no-pie for the same
 * reason. A part runs in one mapping and is written through another, which is gone once the image is sealed. Every
 * allocation is counted, the n-th can be made to fail, and none may be left.
 */
#pragma once
#include <criterion/criterion.h>
#include <elf.h>
#include <modloader/loader.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* An object file in memory of exactly its size, so that AddressSanitizer sees a read past its end. */
struct object {
    uint8_t *bytes;
    size_t size;
};

static inline struct object object_read(const char *name)
{
    struct object object = { NULL, 0 };
    char path[512];
    FILE *file;
    long size;

    snprintf(path, sizeof(path), "%s/%s.o", HX_FIXTURE_DIR, name);
    file = fopen(path, "rb");
    cr_assert_not_null(file, "cannot open %s", path);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    object.size = (size_t)size;
    object.bytes = malloc(object.size);
    cr_assert_eq(fread(object.bytes, 1, object.size, file), object.size);
    fclose(file);
    return object;
}

static inline struct hx_slice object_slice(const struct object *object)
{
    return hx_slice_of(object->bytes, object->size);
}

static inline void object_resize(struct object *object, size_t size)
{
    uint8_t *bytes = calloc(1, size ? size : 1);

    memcpy(bytes, object->bytes, size < object->size ? size : object->size);
    free(object->bytes);
    object->bytes = bytes;
    object->size = size;
}

/* The objects that compilers write are aligned, so the tests may look at them through the structures. */
static inline Elf64_Ehdr *object_header(struct object *object)
{
    return (Elf64_Ehdr *)(void *)object->bytes;
}

static inline Elf64_Shdr *object_section_at(struct object *object, size_t index)
{
    return (Elf64_Shdr *)(void *)(object->bytes + object_header(object)->e_shoff) + index;
}

static inline const char *object_section_name(struct object *object, size_t index)
{
    Elf64_Shdr *names = object_section_at(object, object_header(object)->e_shstrndx);

    return (const char *)object->bytes + names->sh_offset + object_section_at(object, index)->sh_name;
}

static inline size_t object_section_index(struct object *object, const char *name)
{
    for (size_t i = 1; i < object_header(object)->e_shnum; i++)
        if (strcmp(object_section_name(object, i), name) == 0)
            return i;
    cr_assert_fail("no section %s", name);
    return 0;
}

static inline Elf64_Shdr *object_section(struct object *object, const char *name)
{
    return object_section_at(object, object_section_index(object, name));
}

static inline Elf64_Sym *object_symbol_at(struct object *object, size_t index)
{
    return (Elf64_Sym *)(void *)(object->bytes + object_section(object, ".symtab")->sh_offset) + index;
}

static inline size_t object_symbol_index(struct object *object, const char *name)
{
    Elf64_Shdr *symtab = object_section(object, ".symtab");
    Elf64_Shdr *names = object_section_at(object, symtab->sh_link);

    for (size_t i = 1; i < symtab->sh_size / sizeof(Elf64_Sym); i++)
        if (strcmp((const char *)object->bytes + names->sh_offset + object_symbol_at(object, i)->st_name, name) == 0)
            return i;
    cr_assert_fail("no symbol %s", name);
    return 0;
}

static inline Elf64_Sym *object_symbol(struct object *object, const char *name)
{
    return object_symbol_at(object, object_symbol_index(object, name));
}

/* The first relocation of a type in a section. */
static inline Elf64_Rela *object_rela(struct object *object, const char *section, uint32_t type)
{
    Elf64_Shdr *header = object_section(object, section);
    Elf64_Rela *rela = (Elf64_Rela *)(void *)(object->bytes + header->sh_offset);

    for (size_t i = 0; i < header->sh_size / sizeof(*rela); i++)
        if (ELF64_R_TYPE(rela[i].r_info) == type)
            return &rela[i];
    cr_assert_fail("no relocation of type %u in %s", type, section);
    return NULL;
}

static inline void object_rela_type(Elf64_Rela *rela, uint32_t type)
{
    rela->r_info = ELF64_R_INFO(ELF64_R_SYM(rela->r_info), type);
}

/* The environment. */
struct fixture {
    struct hx_ldr_env env;
    uint32_t live;        /* allocations not yet given back */
    uint32_t alloc_count; /* so far */
    uint32_t fail_at;     /* this allocation fails, counted from 1; 0: none */
    uint32_t sealed_count[HX_PART_COUNT];
    uint64_t far_value; /* of the symbol hx_clock_ns; 0: a real function */
    uint32_t resolve_count;
};

static inline bool fixture_fails(struct fixture *fixture)
{
    return ++fixture->alloc_count == fixture->fail_at;
}

enum { FIXTURE_PAGE = 4096, FIXTURE_OFF = 128 }; /* a part begins somewhere in a page */

static inline size_t fixture_mapped(const struct hx_image_piece *piece)
{
    return (FIXTURE_OFF + piece->bytes + FIXTURE_PAGE - 1) & ~(size_t)(FIXTURE_PAGE - 1);
}

static inline size_t fixture_off(const struct hx_image_piece *piece)
{
    return piece->align > FIXTURE_OFF ? 0 : FIXTURE_OFF;
}

static inline void fixture_unmap(uintptr_t at, const struct hx_image_piece *piece)
{
    cr_assert_eq(munmap((void *)(at - fixture_off(piece)), fixture_mapped(piece)), 0); /* NOLINT: a real address */
}

/* One part: mapped with @protection where it runs, and writable elsewhere. */
static inline void fixture_map(struct hx_image_piece *piece, int protection)
{
    size_t bytes = fixture_mapped(piece);
    int file = memfd_create("part", 0);
    uint8_t *runs, *written;

    cr_assert(file >= 0 && ftruncate(file, (off_t)bytes) == 0);
    runs = mmap(NULL, bytes, protection, MAP_SHARED | MAP_32BIT, file, 0);
    written = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    cr_assert(runs != MAP_FAILED && written != MAP_FAILED);
    memset(written, 0xa5, bytes); /* nobody said that it is zeroed */
    close(file);
    piece->va = (uintptr_t)runs + fixture_off(piece);
    piece->memory = written + fixture_off(piece);
}

static inline hx_status_t fixture_alloc(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    static const int protection[HX_PART_COUNT] = {
        [HX_PART_TEXT] = PROT_READ | PROT_EXEC,           [HX_PART_RODATA] = PROT_READ,
        [HX_PART_DATA] = PROT_READ | PROT_WRITE,          [HX_PART_STATE] = PROT_READ | PROT_WRITE,
        [HX_PART_RO_AFTER_INIT] = PROT_READ | PROT_WRITE, [HX_PART_INIT_TEXT] = PROT_READ | PROT_EXEC,
        [HX_PART_INIT_DATA] = PROT_READ | PROT_WRITE,
    };
    struct fixture *fixture = context;

    for (uint32_t i = 0; i < HX_PART_COUNT; i++) {
        if (!part[i].bytes)
            continue;
        cr_assert(part[i].align && part[i].align <= 4096 && !(part[i].align & (part[i].align - 1)));
        if (fixture_fails(fixture))
            return HX_E_NOMEM;
        fixture_map(&part[i], protection[i]);
        fixture->live++;
    }
    return HX_OK;
}

static inline void fixture_seal(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    struct fixture *fixture = context;

    for (uint32_t i = 0; i < HX_PART_COUNT; i++) {
        if (!part[i].bytes)
            continue;
        fixture_unmap((uintptr_t)part[i].memory, &part[i]);
        part[i].memory = (uint8_t *)part[i].va; /* NOLINT: a real address */
        fixture->sealed_count[i]++;
    }
}

static inline void fixture_free(struct fixture *fixture, struct hx_image_piece *piece)
{
    if (!piece->va)
        return;
    if ((uintptr_t)piece->memory != piece->va)
        fixture_unmap((uintptr_t)piece->memory, piece);
    fixture_unmap(piece->va, piece);
    fixture->live--;
    *piece = (struct hx_image_piece){ 0 };
}

static inline void fixture_settle(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    struct hx_image_piece *settled = &part[HX_PART_RO_AFTER_INIT];

    if (settled->bytes)
        cr_assert_eq(mprotect(settled->memory - fixture_off(settled), fixture_mapped(settled), PROT_READ), 0);
    fixture_free(context, &part[HX_PART_INIT_TEXT]);
    fixture_free(context, &part[HX_PART_INIT_DATA]);
}

static inline void fixture_release(void *context, struct hx_image_piece part[HX_PART_COUNT])
{
    for (uint32_t i = 0; i < HX_PART_COUNT; i++)
        fixture_free(context, &part[i]);
}

static inline void *fixture_scratch(void *context, size_t bytes)
{
    struct fixture *fixture = context;
    void *memory;

    if (fixture_fails(fixture))
        return NULL;
    memory = calloc(1, bytes);
    fixture->live++;
    return memory;
}

static inline void fixture_scratch_free(void *context, void *memory)
{
    struct fixture *fixture = context;

    cr_assert_not_null(memory);
    free(memory);
    fixture->live--;
}

/* What a module may import here. */
static uint64_t fixture_log_bytes;
static inline hx_ret_t fixture_log(uint64_t level, const void *text, uint64_t text_bytes)
{
    (void)level;
    (void)text;
    fixture_log_bytes += text_bytes;
    return (hx_ret_t)text_bytes;
}

static inline hx_status_t fixture_resolve(void *context, const char *name, size_t bytes, bool weak, uint64_t *out_value)
{
    (void)bytes;
    struct fixture *fixture = context;

    fixture->resolve_count++;
    if (strcmp(name, "hx_log") == 0) {
        cr_assert(!weak);
        *out_value = (uintptr_t)fixture_log;
    } else if (strcmp(name, "hx_clock_ns") == 0) {
        *out_value = fixture->far_value ? fixture->far_value : 0x12345;
    } else if (strcmp(name, "weak_present") == 0) {
        cr_assert(weak);
        *out_value = 0x1000;
    } else if (strcmp(name, "refused_import") == 0) {
        return HX_E_PERM;
    } else {
        return HX_E_SYMBOL;
    }
    return HX_OK;
}

static inline struct fixture *fixture_new(void)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->env = (struct hx_ldr_env){
        .context = fixture,
        .low = 0,
        .high = (uintptr_t)1 << 31,
        .alloc = fixture_alloc,
        .seal = fixture_seal,
        .settle = fixture_settle,
        .release = fixture_release,
        .resolve = fixture_resolve,
        .names_hint = "each must be a kernel export or of an interface named by HX_REQUIRES",
        .scratch = fixture_scratch,
        .scratch_free = fixture_scratch_free,
    };
    return fixture;
}

/* A load that must succeed. */
static inline struct hx_image *fixture_load(struct fixture *fixture, const struct object *object)
{
    struct hx_image *image = NULL;
    struct hx_ldr_report report;
    hx_status_t err = hx_ldr_load(object_slice(object), &fixture->env, &image, &report);

    cr_assert_eq(err, HX_OK, "refused: %s", report.message);
    cr_assert_eq(report.step, HX_LDR_DONE);
    cr_assert_eq(report.err, HX_OK);
    cr_assert_str_eq(report.message, "");
    return image;
}

/* A load that must be refused: with this error, at this step, in these words, and nothing left behind. */
static inline void fixture_refuse(struct fixture *fixture, const struct object *object, hx_status_t expected,
                                  enum hx_ldr_step step, const char *words, struct hx_ldr_report *out_report)
{
    struct hx_image *image = NULL;
    struct hx_ldr_report report;
    hx_status_t err;

    memset(&report, 0xaa, sizeof(report));
    err = hx_ldr_load(object_slice(object), &fixture->env, &image, &report);
    cr_assert_eq(err, expected, "error %d, expected %d: %s", err, expected, report.message);
    cr_assert_eq(report.err, expected);
    cr_assert_eq(report.step, step, "step %d, expected %d: %s", report.step, step, report.message);
    cr_assert_not_null(strstr(report.message, words), "`%s' does not say `%s'", report.message, words);
    cr_assert_null(strchr(report.message, '\n'));
    cr_assert_null(image);
    cr_assert_eq(fixture->live, 0u, "%u allocations left", fixture->live);
    if (out_report)
        *out_report = report;
}

/* One patched object: the good one, changed, must be refused. */
static inline void fixture_refuse_object(struct object *object, hx_status_t expected, enum hx_ldr_step step,
                                         const char *words)
{
    struct fixture *fixture = fixture_new();

    fixture_refuse(fixture, object, expected, step, words, NULL);
    free(object->bytes);
    free(fixture);
}

/* The address of a global symbol of a loaded image, found in the object that it was made from. */
static inline uintptr_t fixture_address(const struct hx_image *image, struct object *object, const char *name)
{
    Elf64_Sym *symbol = object_symbol(object, name);

    return image->section_va[symbol->st_shndx] + symbol->st_value;
}

/* The first record of one kind. */
static inline const void *fixture_record(const struct hx_image *image, enum hx_image_records kind)
{
    return image->part[HX_PART_RODATA].memory + image->records[kind].off;
}
