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
#include <lib/label.h>
#include <lib/slice.h>

/*
 * Parts of an image: each has one permission and lies where the environment puts it, apart from the others. Parts of small
 * modules share pages with those of other modules.
 */
enum hx_image_part {
    HX_PART_TEXT,          /* RX: code, and the veneers that reach further than a call */
    HX_PART_RODATA,        /* R: constants, the .hx records, constructors' addresses, the GOT; relocated */
    HX_PART_DATA,          /* RW: common symbols included */
    HX_PART_STATE,         /* RW: the declared state, HX_STATE_SECTION; whole pages of its own */
    HX_PART_RO_AFTER_INIT, /* RW until the image is settled, then R; whole pages of its own */
    HX_PART_INIT_TEXT,     /* RX, given back when the image is settled */
    HX_PART_INIT_DATA,     /* RW, given back when the image is settled */
    HX_PART_COUNT,
};

/* Record sections (.hx.*) that the kernel reads. */
enum hx_image_records {
    HX_RECORDS_MODULE,
    HX_RECORDS_PROVIDES,
    HX_RECORDS_REQUIRES,
    HX_RECORDS_IRQS,
    HX_RECORDS_PORTS,
    HX_RECORDS_CAPABILITIES,
    HX_RECORDS_PARAMS,
    HX_RECORDS_FIELDS,
    HX_RECORDS_RULES,
    HX_RECORDS_CALLBACKS,
    HX_RECORDS_CHANNELS,
    HX_RECORDS_TOPICS,
    HX_RECORDS_RECORD,
    HX_RECORDS_RECORD_FIELDS,
    HX_RECORDS_SOURCES,
    HX_RECORDS_TYPES, /* not loaded: for hx_ldr_peek() alone */
    HX_RECORDS_COUNT,
};

struct hx_image_piece {
    uintptr_t va;    /* where it is linked to run; 0: there is none */
    uint8_t *memory; /* where its bytes can be read, and during the load written; the kernel: va once it is sealed */
    size_t bytes;
    size_t align; /* a power of two, at most a page */
    bool zeroed;  /* by alloc: its memory is zero already */
};

struct hx_image_range {
    size_t off; /* from the start of the part that it is in */
    size_t bytes;
};

struct hx_image {
    struct hx_image_piece part[HX_PART_COUNT];
    struct hx_image_range records[HX_RECORDS_COUNT]; /* in RODATA; bytes 0: there are none */
    struct hx_image_range constructors;              /* in RODATA: addresses, to be called in order before init */
    struct hx_image_range destructors;               /* in RODATA: addresses, to be called backwards after fini */
    struct hx_image_range got;                       /* in RODATA */
    struct hx_image_range veneers;                   /* in TEXT */
    uint32_t section_count;
    uintptr_t *section_va; /* [section_count], 0: not loaded. Owned. */
    uint32_t relocation_count;
    uint32_t import_count; /* undefined symbols resolved */
};

/* Where a load stopped; in order. */
enum hx_ldr_step {
    HX_LDR_CHECK,
    HX_LDR_SYMBOLS,
    HX_LDR_PLACE,
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
    char section[96];    /* as far as its name fits */
    char symbol[96];     /* the first offending one */
    uint32_t relocation; /* index in its section; UINT32_MAX: not about one */
    uint64_t offset;
    uint64_t value;
    uint32_t missing_count; /* undefined symbols that nobody provides */
    char message[384];      /* for missing symbols: all names, as far as they fit, then "and N more" */
};

/*
 * What the loader is owed.
 * low, high: alloc places every part in [low, high), whatever happens; what is out of reach is decided by them.
 * alloc:   for each part with bytes: va is where it is to run, memory where to write it, zeroed whether it is zero. A refusal
 *          may leave some with a va; release follows. It may be called once more after release, with other sizes.
 * seal:    the contents are final: each part gets its permission, and memory becomes where it is read from now on.
 * settle:  init has run: RO_AFTER_INIT becomes read-only, INIT_TEXT and INIT_DATA are given back and their pieces zeroed.
 * release: gives back all parts that have a va.
 * resolve: the value of an undefined symbol, [@bytes] and NUL; HX_E_SYMBOL: unknown. @weak ones that stay unknown become 0.
 * names_hint: what to do about names that nobody knows; may be NULL.
 * common:  told where each common symbol was put, last of all; may be NULL.
 * scratch: heap for tables during the load and for struct hx_image itself, zeroed; NULL when there is none.
 */
struct hx_ldr_env {
    void *context;
    uintptr_t low, high;
    hx_status_t (*alloc)(void *context, struct hx_image_piece part[HX_PART_COUNT]);
    void (*seal)(void *context, struct hx_image_piece part[HX_PART_COUNT]);
    void (*settle)(void *context, struct hx_image_piece part[HX_PART_COUNT]);
    void (*release)(void *context, struct hx_image_piece part[HX_PART_COUNT]);
    hx_status_t (*resolve)(void *context, const char *name, size_t bytes, bool weak, uint64_t *out_value);
    void (*common)(void *context, uint32_t symbol, uintptr_t va);
    const char *names_hint;
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
/* Its init has run: what was needed for that alone goes, what init alone may write becomes read-only. Once. */
void hx_ldr_settle(struct hx_image *image, const struct hx_ldr_env *env);
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
bool hx_image_holds(const struct hx_image *image, uintptr_t va);
/* Whether @va is code of the image: of a part that may run. */
bool hx_image_is_code(const struct hx_image *image, uintptr_t va);
size_t hx_image_bytes(const struct hx_image *image); /* of all parts */
const char *hx_image_part_name(enum hx_image_part part);

/* The function or object that holds @va, from the file that the image was linked from; its name is borrowed from @file.
 * HX_E_NOENT. */
HX_NODISCARD hx_status_t hx_image_symbol(const struct hx_image *image, struct hx_slice file, uintptr_t va,
                                         struct hx_label *out);
/* Calls @visit with each function and object of the image, in the order of the file, until it returns false. */
void hx_image_for_each_symbol(const struct hx_image *image, struct hx_slice file,
                              bool (*visit)(const struct hx_label *label, void *context), void *context);
