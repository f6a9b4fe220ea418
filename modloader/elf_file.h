/* SPDX-License-Identifier: MIT */
/*
 * elf_file.h - what the steps of a load share; private to this room.
 *
 * Each step is one function that takes the job, writes its findings into it and returns. None of them cleans up:
 * hx_ldr_load() owns every failure path. A step that refuses fills the report by hx_ldr_refuse*(), once.
 */
#pragma once
#include <modloader/loader.h>

#include <elf.h>

enum {
    HX_LDR_PAGE = 4096,              /* no section may want a larger alignment */
    HX_LDR_IMAGE_MAX = 16 * 1048576, /* bytes of an image */
    HX_LDR_NAME_MAX = 4096,          /* bytes of a name that is looked up, its NUL included */
    HX_LDR_PROBES_MAX = 256,         /* places that a hash is looked for in, before the names are called bad */
    HX_LDR_NOT_LOADED = 0xff,        /* struct hx_ldr_section.part */
};

/* In the value array: the symbol stands in a section that is not loaded. Non-canonical, so no address, but it may be the
 * value of an absolute symbol: hx_ldr_has_value() tells. */
#define HX_LDR_NO_VALUE UINT64_C(0x8000000000000000)

/* One section, decoded and checked against the bounds of the file. */
struct hx_ldr_section {
    const char *name;        /* in the file, NUL-terminated there */
    struct hx_slice content; /* empty for SHT_NOBITS */
    uint64_t bytes;          /* in memory */
    uint64_t flags;
    uint64_t align; /* a power of two */
    uint64_t entry_bytes;
    uint32_t type;
    uint32_t link;
    uint32_t info;
    uint32_t part; /* enum hx_image_part or HX_LDR_NOT_LOADED */
    uint32_t pad;  /* bytes between it and what comes before it in its part */
    size_t off;    /* in its part */
};

struct hx_ldr_job {
    struct hx_slice file;
    const struct hx_ldr_env *env;
    uint64_t reach_first, reach_bytes; /* what every instruction of the image can name relative to itself */
    struct hx_ldr_report *report;      /* NULL: nobody wants to know */

    /* hx_ldr_check_header() */
    struct hx_slice headers;       /* the section header table */
    struct hx_slice section_names; /* a string table that ends with NUL */
    uint32_t section_count;

    /* hx_ldr_check_sections() */
    struct hx_ldr_section *section; /* [section_count], by the caller */
    uint32_t symtab_index;
    uint32_t symbol_count;
    uint32_t first_global;
    uint32_t group_count;
    struct hx_slice symbols;
    struct hx_slice symbol_names; /* a string table that ends with NUL */

    /* hx_ldr_resolve(), finished by hx_ldr_rebase() */
    uint64_t *value; /* [symbol_count], by the caller */
    uint32_t common_count, import_count, missing_count;
    uint32_t got_symbol; /* the undefined _GLOBAL_OFFSET_TABLE_; 0: there is none */
    bool far_symbols;    /* a value from outside of the image is further away than a call reaches */

    /* hx_ldr_place() */
    struct hx_image *image;             /* the memory of its parts by hx_ldr_load(), after placing */
    size_t bytes;                       /* of all parts so far */
    size_t sections_end[HX_PART_COUNT]; /* in each part: behind them comes what the loader makes itself */

    /* hx_ldr_make_room() */
    bool counts_room;         /* whether it is asked at all; by hx_ldr_load() */
    bool lacks_room;          /* hx_ldr_relocate() met what wants it */
    struct hx_ldr_made *made; /* [symbol_count], freed by hx_ldr_load(); NULL: no symbol needs anything */
};

/* What the loader makes for a symbol: its numbers, from 1 on, in the GOT and among the veneers; 0: none. */
struct hx_ldr_made {
    uint32_t slot;
    uint32_t veneer;
};

enum {
    HX_LDR_SLOT_BYTES = 8,
    HX_LDR_VENEER_BYTES = 16,
};

/* elf_check.c: nothing but the file is read. */
HX_NODISCARD hx_status_t hx_ldr_check_header(struct hx_ldr_job *job);
/* All of @out but its place in a part. */
HX_NODISCARD hx_status_t hx_ldr_read_section(struct hx_ldr_job *job, uint32_t index, struct hx_ldr_section *out);
HX_NODISCARD hx_status_t hx_ldr_check_sections(struct hx_ldr_job *job);
/* The symbol table, by its section, and the string table at its link. */
HX_NODISCARD hx_status_t hx_ldr_check_symtab(struct hx_ldr_job *job, uint32_t index,
                                             const struct hx_ldr_section *symtab, const struct hx_ldr_section *names);

/* elf_symbols.c: checks all symbols; those that the image does not define get their value. */
HX_NODISCARD hx_status_t hx_ldr_resolve(struct hx_ldr_job *job);
/* The parts lie where they will run: what the image defines gets its address. */
void hx_ldr_rebase(struct hx_ldr_job *job);
/* Says where the common symbols lie, to whom wants to know. */
void hx_ldr_tell_commons(const struct hx_ldr_job *job);

/* elf_missing.c: HX_OK when nothing that is loaded refers to the names that were not found. */
HX_NODISCARD hx_status_t hx_ldr_check_missing(struct hx_ldr_job *job);

/* elf_place.c: where in the parts each section goes, then its bytes. */
HX_NODISCARD hx_status_t hx_ldr_place(struct hx_ldr_job *job);
void hx_ldr_copy(struct hx_ldr_job *job);
HX_NODISCARD hx_status_t hx_ldr_append_section(struct hx_ldr_job *job, struct hx_ldr_section *section, uint32_t part);
/* Whether a section is of those that are loaded, if they are in order. */
bool hx_ldr_may_load(const struct hx_ldr_section *section);
/* Room at the end of a part, aligned to @align; HX_E_LIMIT without a report. */
HX_NODISCARD hx_status_t hx_ldr_append(struct hx_ldr_job *job, uint32_t part, uint64_t bytes, uint64_t align,
                                       size_t *out_off);
extern const char *const hx_ldr_record_names[HX_RECORDS_COUNT];

/* elf_got.c: what the loader makes itself. Room is found while placing, contents once symbols have their values. */
HX_NODISCARD hx_status_t hx_ldr_make_room(struct hx_ldr_job *job);
void hx_ldr_fill_room(struct hx_ldr_job *job);
uint64_t hx_ldr_got_va(const struct hx_ldr_job *job);
/* 0: the symbol has none. */
uint64_t hx_ldr_slot_va(const struct hx_ldr_job *job, uint32_t symbol);
uint64_t hx_ldr_veneer_va(const struct hx_ldr_job *job, uint32_t symbol);

/*
 * elf_relax.c: an instruction that loads a symbol's address from the GOT may often name it directly. What becomes of it
 * depends on the file and the environment's window alone, so it is the same before and after placing.
 */
struct hx_ldr_relaxed {
    uint32_t type;      /* R_X86_64_PC32, _32 or _32S instead; R_X86_64_NONE: it needs its slot */
    uint32_t field_off; /* of the field, in the code */
    uint32_t before;    /* the code begins this many bytes before the relocation's offset */
    uint32_t bytes;     /* of the code */
    uint8_t code[8];    /* what stands there now, its field zero */
};
void hx_ldr_relax(const struct hx_ldr_job *job, const struct hx_ldr_section *section, const Elf64_Rela *rela,
                  struct hx_ldr_relaxed *out);

/* What a person does about thread-local storage. */
extern const char hx_ldr_tls_hint[];

/* elf_arrays.c: constructors and destructors, in their order, behind the constants. */
bool hx_ldr_is_array(const struct hx_ldr_section *section);
HX_NODISCARD hx_status_t hx_ldr_place_arrays(struct hx_ldr_job *job);

/* elf_link.c */
HX_NODISCARD hx_status_t hx_ldr_relocate(struct hx_ldr_job *job);

/* report.c */
void hx_ldr_report_init(struct hx_ldr_report *report);
/* Each of these returns @err. Only the first two may be called without a report. */
__attribute__((format(printf, 3, 4), cold)) hx_status_t hx_ldr_refuse(struct hx_ldr_job *job, hx_status_t err,
                                                                      const char *format, ...);
__attribute__((format(printf, 4, 5), cold)) hx_status_t hx_ldr_refuse_section(struct hx_ldr_job *job, hx_status_t err,
                                                                              const char *section, const char *format,
                                                                              ...);
__attribute__((format(printf, 4, 5), cold)) hx_status_t hx_ldr_refuse_symbol(struct hx_ldr_job *job, hx_status_t err,
                                                                             uint32_t symbol, const char *format, ...);
/* Copies a name from the file, cut to fit, with ? for what is no printable ASCII. */
void hx_ldr_copy_name(char *out, size_t bytes, const char *name);
/* What a person calls a symbol: a section symbol goes by the section's name. Of a checked symbol table only. */
const char *hx_ldr_symbol_name(const struct hx_ldr_job *job, uint32_t symbol);

/* elf_symbols.c: of a checked symbol, once the parts have their place. */
bool hx_ldr_has_value(const struct hx_ldr_job *job, uint32_t symbol);

/* Words of a file, which aligns nothing. */
static inline uint64_t hx_ldr_load64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint32_t hx_ldr_load32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint32_t hx_ldr_load16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

/* Entry @index of a table whose bounds were checked as a whole; copied, because the file aligns nothing. */
static inline Elf64_Sym hx_ldr_symbol(const struct hx_ldr_job *job, uint32_t index)
{
    Elf64_Sym symbol;

    memcpy(&symbol, job->symbols.data + (size_t)index * sizeof(symbol), sizeof(symbol));
    return symbol;
}

/* @name has two characters or more; nearly all others differ in their second. */
static inline bool hx_ldr_is_named(const char *text, const char *name)
{
    return text[0] == name[0] && text[1] == name[1] && strcmp(text, name) == 0;
}

/* A common symbol, or one that may lie far away (psABI 1.0, 4.2) and here does not. */
#define HX_LDR_SHN_LARGE_COMMON 0xff02u
static inline bool hx_ldr_is_common(uint32_t section)
{
    return section == SHN_COMMON || section == HX_LDR_SHN_LARGE_COMMON;
}

/* Whether an instruction anywhere in the image can name @value relative to itself. Asked of every import. */
static inline bool hx_ldr_reaches(const struct hx_ldr_job *job, uint64_t value)
{
    return value - job->reach_first < job->reach_bytes;
}
