/* SPDX-License-Identifier: MIT */
/*
 * loader.h - from the bytes of a relocatable ELF object to a linked image.
 *
 * Pure: memory comes from and names are resolved through the environment that the caller passes; nothing global is known
 * or touched, so the same code runs in the kernel, in mkmodpack and under fuzzers. The bytes are hostile.
 * May be used by: L5 and up, mkmodpack, tests. May not use: anything but L0, L2 and this room.
 */
#pragma once
#include <helix/module.h>
#include <lib/slice.h>

/* Parts of an image, in address order; each starts on a page of its own and has one permission. */
enum hx_image_part {
    HX_PART_TEXT,   /* RX */
    HX_PART_RODATA, /* R: constants and the .hx records, relocated */
    HX_PART_DATA,   /* RW */
    HX_PART_STATE,  /* RW: the declared state, HX_STATE_SECTION */
    HX_PART_COUNT,
};

/* Record sections (.hx.*) that the kernel reads. */
enum hx_image_records {
    HX_RECORDS_MODULE,
    HX_RECORDS_PROVIDES,
    HX_RECORDS_REQUIRES,
    HX_RECORDS_IRQS,
    HX_RECORDS_PORTS,
    HX_RECORDS_PARAMS,
    HX_RECORDS_FIELDS,
    HX_RECORDS_COUNT,
};

struct hx_image_range {
    size_t off; /* from the image's start */
    size_t bytes;
};

struct hx_image {
    uintptr_t va;    /* where the image is linked to run */
    uint8_t *memory; /* where its bytes lie: (uint8_t *)va in the kernel, elsewhere in mkmodpack */
    size_t bytes;    /* whole, a multiple of the page */
    struct hx_image_range part[HX_PART_COUNT];
    struct hx_image_range records[HX_RECORDS_COUNT]; /* bytes 0: there are none */
    uint32_t section_count;
    uintptr_t *section_va; /* [section_count], 0: not loaded. Owned. */
    uint32_t relocation_count;
    uint32_t import_count; /* undefined symbols resolved */
};

/* Where a load stopped; in order. */
enum hx_ldr_step {
    HX_LDR_CHECK,
    HX_LDR_PLACE,
    HX_LDR_SYMBOLS,
    HX_LDR_RELOCATE,
    HX_LDR_PROTECT,
    HX_LDR_DONE,
};

/*
 * What a person needs to know of a load. Names are copied (cut to fit), so the report outlives the file. message is one
 * line without newline, made once, by the place that refused: "section .rela.text, relocation 7: R_X86_64_PC32 against
 * `far' at offset 0x1c: 0x123456789 does not fit 32 bits".
 */
struct hx_ldr_report {
    enum hx_ldr_step step;
    hx_status_t err;
    char section[HX_NAME_MAX];
    char symbol[64];     /* the first offending one */
    uint32_t relocation; /* index in its section; UINT32_MAX: not about one */
    uint64_t offset;
    uint64_t value;
    uint32_t missing_count; /* undefined symbols that nobody provides */
    char message[384];      /* for missing symbols: all names, as far as they fit, then "and N more" */
};

/*
 * What the loader is owed.
 * alloc:   @bytes (a multiple of the page) of zeroed memory: @out_va is where it is to run, @out_memory where to write it.
 * protect: one part is final; @prot_part says which permission. Called for each non-empty part, once, last of all.
 * release: undoes alloc; also after protect.
 * resolve: the value of an undefined symbol; HX_E_SYMBOL: unknown. @weak ones that stay unknown become 0.
 * scratch: heap for tables during the load and for struct hx_image itself, zeroed; NULL when there is none.
 */
struct hx_ldr_env {
    void *context;
    hx_status_t (*alloc)(void *context, size_t bytes, uintptr_t *out_va, uint8_t **out_memory);
    void (*protect)(void *context, uintptr_t va, size_t bytes, enum hx_image_part part);
    void (*release)(void *context, uintptr_t va, uint8_t *memory, size_t bytes);
    hx_status_t (*resolve)(void *context, const char *name, bool weak, uint64_t *out_value);
    void *(*scratch)(void *context, size_t bytes);
    void (*scratch_free)(void *context, void *memory);
};

/*
 * Links @file (borrowed, not kept). On HX_OK returns *out owned by the caller; on refusal nothing is left allocated and
 * @report says why. @report is always filled.
 * Errors: HX_E_FORMAT, HX_E_TRUNCATED, HX_E_UNSUPPORTED, HX_E_LIMIT, HX_E_RANGE, HX_E_SYMBOL, HX_E_RELOC, HX_E_NOMEM.
 * Cost: linear in sections, symbols and relocations; each symbol is resolved once.
 */
HX_NODISCARD hx_status_t hx_ldr_load(struct hx_slice file, const struct hx_ldr_env *env, struct hx_image **out,
                                     struct hx_ldr_report *report);
/* NULL is accepted. */
void hx_ldr_unload(struct hx_image *image, const struct hx_ldr_env *env);

/*
 * Looks at a file without loading it: the unrelocated records of one kind. Inline names and versions may be read from
 * them, pointers may not. HX_E_NOENT when the file has none; other errors as hx_ldr_load.
 */
HX_NODISCARD hx_status_t hx_ldr_peek(struct hx_slice file, enum hx_image_records kind, struct hx_slice *out);

/* The bytes [@va, @va + @bytes) of the image, or NULL when they do not lie in one of its parts (any, or @part alone). */
const void *hx_image_at(const struct hx_image *image, uintptr_t va, size_t bytes);
bool hx_image_in_part(const struct hx_image *image, uintptr_t va, enum hx_image_part part);
const char *hx_image_part_name(enum hx_image_part part);

/*
 * The function that holds @va, from the file that the image was linked from: its name (borrowed from @file) and the offset
 * in it. For backtraces. HX_E_NOENT.
 */
HX_NODISCARD hx_status_t hx_image_symbol(const struct hx_image *image, struct hx_slice file, uintptr_t va,
                                         const char **out_name, uint64_t *out_offset);
