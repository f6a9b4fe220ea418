/* SPDX-License-Identifier: MIT */
/*
 * elf_symbols.c - the value of every symbol, each found once, before any relocation is looked at.
 *
 * Why an array: a relocation then costs one load instead of a search, and all missing names are known at once.
 * Policy:    an undefined symbol is what the environment says it is, never another symbol of some module.
 * Why two steps: names are resolved before memory is taken, addresses are known after it.
 * Invariant: after hx_ldr_rebase() value[] is whole; symbols of sections that are not loaded have HX_LDR_NO_VALUE.
 * Source:    System V gABI, chapter 4, "Symbol Table".
 */
#include <modloader/elf_file.h>

#include <lib/fmt.h>

/* Room that the list of missing names leaves for its end. */
enum { TAIL_BYTES = 144 };

/* The list of missing names while it grows. */
struct missing {
    size_t used;      /* bytes of the message */
    uint32_t listed;  /* names in it */
    const char *hint; /* what to do about the first name that a compiler made up; NULL: there is none */
};

const char hx_ldr_tls_hint[] = "module uses thread-local storage; remove __thread and _Thread_local, or build with "
                               "-D__thread= -D_Thread_local=";

/* Names that no source says and compilers emit; those that end with * begin more of them. The first match counts. */
static const struct {
    const char *name;
    const char *hint;
} emitted_names[] = {
    { "__stack_chk_*", "build with -fno-stack-protector" },
    { "__cxa_atexit", "build with -fno-use-cxa-atexit, or without static objects that have destructors" },
    { "__dso_handle", "build with -fno-use-cxa-atexit, or without static objects that have destructors" },
    { "__cxa_guard_*", "build with -fno-threadsafe-statics" },
    { "__gxx_personality_*", "build with -fno-exceptions" },
    { "__gcc_personality_*", "build with -fno-exceptions" },
    { "__cxa_pure_virtual", "define it in the module; a pure virtual function may be called" },
    { "__cxa_*", "build with -fno-exceptions" },
    { "_Unwind_*", "build with -fno-exceptions" },
    { "_ZTVN10__cxxabiv1*", "build with -fno-rtti" },
    { "_Zn*", "define operator new in the module; the kernel has no heap for C++" },
    { "_Zd*", "define operator delete in the module; the kernel has no heap for C++" },
    { "__tls_get_addr", "build with -D__thread= -D_Thread_local=" },
    { "__emutls_*", "build with -D__thread= -D_Thread_local=" },
    { "__fentry__", "build without -pg" },
    { "mcount", "build without -pg" },
    { "_mcount", "build without -pg" },
    { "__cyg_profile_*", "build without -finstrument-functions" },
    { "__gcov_*", "build without --coverage" },
    { "__llvm_prof*", "build without -fprofile-instr-generate" },
    { "__asan_*", "build with -fno-sanitize=all" },
    { "__ubsan_*", "build with -fno-sanitize=all" },
    { "__tsan_*", "build with -fno-sanitize=all" },
    { "__msan_*", "build with -fno-sanitize=all" },
    { "__sanitizer_*", "build with -fno-sanitize=all" },
    { "__x86_indirect_thunk_*", "build with -mindirect-branch=keep (gcc) or -mno-retpoline (clang)" },
    { "__x86_return_thunk", "build with -mfunction-return=keep" },
    { "__llvm_retpoline_*", "build with -mno-retpoline" },
    { "__udivti3", "divide by 64 bits: there is no libgcc here" },
    { "__umodti3", "divide by 64 bits: there is no libgcc here" },
    { "__divti3", "divide by 64 bits: there is no libgcc here" },
    { "__modti3", "divide by 64 bits: there is no libgcc here" },
    { "__popcountdi2", "count bits by hand or build with -mpopcnt: there is no libgcc here" },
    { "__*_chk", "build with -U_FORTIFY_SOURCE" },
    { "memcpy", "link the module with the library of the SDK: compilers emit calls of it" },
    { "memmove", "link the module with the library of the SDK: compilers emit calls of it" },
    { "memset", "link the module with the library of the SDK: compilers emit calls of it" },
    { "memcmp", "link the module with the library of the SDK: compilers emit calls of it" },
};

static hx_status_t refuse_type(struct hx_ldr_job *job, uint32_t index, unsigned int type)
{
    switch (type) {
    case STT_TLS: return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index, "%s", hx_ldr_tls_hint);
    case STT_GNU_IFUNC:
        return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index,
                                    "an indirect function; remove attributes ifunc and target_clones, or build with "
                                    "-D'target_clones(...)='");
    default: return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index, "symbol type %u is not supported", type);
    }
}

static inline hx_status_t check_binding(struct hx_ldr_job *job, uint32_t index, unsigned int binding)
{
    if (binding != STB_LOCAL && binding != STB_GLOBAL && binding != STB_WEAK && binding != STB_GNU_UNIQUE)
        return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index, "symbol binding %u is not supported", binding);
    if ((binding == STB_LOCAL) != (index < job->first_global))
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index,
                                    "local symbols must come before, others after sh_info %u of the table",
                                    job->first_global);
    return HX_OK;
}

static inline hx_status_t check_symbol(struct hx_ldr_job *job, uint32_t index, uint32_t name, uint32_t info)
{
    if (name >= job->symbol_names.bytes)
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index, "its name lies outside of the string table");
    if (ELF64_ST_TYPE(info) > STT_COMMON)
        return refuse_type(job, index, ELF64_ST_TYPE(info));
    return check_binding(job, index, ELF64_ST_BIND(info));
}

/* A symbol of a section. The end of a section is a place in it. */
static hx_status_t define(struct hx_ldr_job *job, uint32_t index, const Elf64_Sym *symbol)
{
    const struct hx_ldr_section *section;

    if (symbol->st_shndx >= job->section_count)
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index, "section %u does not exist", symbol->st_shndx);
    section = &job->section[symbol->st_shndx];
    if (symbol->st_value > section->bytes || symbol->st_size > section->bytes - symbol->st_value)
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index,
                                    "its place (0x%lx bytes at 0x%lx) lies outside of its section", symbol->st_size,
                                    symbol->st_value);
    return HX_OK;
}

/* Memory that the linker is to make: st_value is its alignment. */
static hx_status_t define_common(struct hx_ldr_job *job, uint32_t index, const Elf64_Sym *symbol)
{
    uint64_t align = symbol->st_value;

    if (align == 0 || (align & (align - 1)) || align > HX_LDR_PAGE)
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index,
                                    "a common symbol's alignment 0x%lx is no power of two up to a page", align);
    if (symbol->st_size > HX_LDR_IMAGE_MAX)
        return hx_ldr_refuse_symbol(job, HX_E_LIMIT, index, "its 0x%lx bytes make the image exceed %d MiB",
                                    symbol->st_size, HX_LDR_IMAGE_MAX >> 20);
    job->common_count++;
    return HX_OK;
}

/* A value that does not depend on where the image lies. */
static inline void set_outside(struct hx_ldr_job *job, uint32_t index, uint64_t value)
{
    job->value[index] = value;
    job->far_symbols |= !hx_ldr_reaches(job, value);
}

/* The special section numbers that have a meaning here. */
static hx_status_t define_special(struct hx_ldr_job *job, uint32_t index, const Elf64_Sym *symbol)
{
    switch (symbol->st_shndx) {
    case SHN_ABS:
        if (ELF64_ST_TYPE(symbol->st_info) != STT_FILE)
            set_outside(job, index, symbol->st_value);
        return HX_OK;
    case SHN_COMMON:
    case HX_LDR_SHN_LARGE_COMMON: return define_common(job, index, symbol);
    case SHN_XINDEX:
        return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index,
                                    "extended section numbering (SHN_XINDEX) is not supported");
    default:
        return hx_ldr_refuse_symbol(job, HX_E_UNSUPPORTED, index, "reserved section number 0x%x is not supported",
                                    symbol->st_shndx);
    }
}

/* @pattern: with at most one *, which stands for anything. */
static bool is_like(const char *name, const char *pattern)
{
    const char *tail;
    size_t length = strlen(name), left;

    while (*pattern && *pattern != '*' && *name == *pattern)
        name++, pattern++, length--;
    if (*pattern != '*')
        return *pattern == *name;
    tail = pattern + 1;
    left = strlen(tail);
    return length >= left && strcmp(name + length - left, tail) == 0;
}

static const char *emitted_hint(const char *name)
{
    for (size_t i = 0; i < sizeof(emitted_names) / sizeof(emitted_names[0]); i++)
        if (is_like(name, emitted_names[i].name))
            return emitted_names[i].hint;
    return NULL;
}

/* Remembers a name that nobody knows; the message ends up with as many as fit. */
static void add_missing(struct hx_ldr_job *job, struct missing *missing, const char *name)
{
    struct hx_ldr_report *report = job->report;
    char clean[sizeof(report->symbol)];

    if (!missing->hint)
        missing->hint = emitted_hint(name);
    hx_ldr_copy_name(clean, sizeof(clean), name);
    if (report->missing_count++ == 0)
        hx_ldr_copy_name(report->symbol, sizeof(report->symbol), name);
    if (report->missing_count != missing->listed + 1 ||
        missing->used + strlen(clean) + 2 > sizeof(report->message) - TAIL_BYTES)
        return;
    missing->used = hx_fmt_append(report->message, sizeof(report->message), missing->used, "%s%s",
                                  missing->listed ? ", " : "undefined: ", clean);
    missing->listed++;
}

static hx_status_t refuse_missing(struct hx_ldr_job *job, const struct missing *missing)
{
    struct hx_ldr_report *report = job->report;
    const char *hint =
        missing->hint ? missing->hint : "each must be a kernel export or of an interface named by HX_REQUIRES";
    size_t used = missing->used;

    report->err = HX_E_SYMBOL;
    if (report->missing_count > missing->listed)
        used = hx_fmt_append(report->message, sizeof(report->message), used, " and %u more",
                             report->missing_count - missing->listed);
    hx_fmt_append(report->message, sizeof(report->message), used, "; %s", hint);
    return HX_E_SYMBOL;
}

/* The one undefined name that the loader knows itself. */
static bool is_got(const char *name)
{
    return name[0] == '_' && name[1] == 'G' && strcmp(name, "_GLOBAL_OFFSET_TABLE_") == 0;
}

static hx_status_t import_got(struct hx_ldr_job *job, uint32_t index)
{
    if (job->got_symbol)
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index, "it is there twice, first as symbol %u", job->got_symbol);
    job->got_symbol = index;
    return HX_OK;
}

static hx_status_t import(struct hx_ldr_job *job, uint32_t index, const char *name, bool weak, struct missing *missing)
{
    uint64_t value = 0;
    hx_status_t err;

    if (!name[0] || index < job->first_global)
        return hx_ldr_refuse_symbol(job, HX_E_FORMAT, index, "an undefined symbol must be global and have a name");
    if (is_got(name))
        return import_got(job, index);
    err = job->env->resolve(job->env->context, name, weak, &value);
    if (!err) {
        set_outside(job, index, value);
        job->import_count++;
        return HX_OK;
    }
    if (err != HX_E_SYMBOL)
        return hx_ldr_refuse_symbol(job, err, index, "it cannot be imported");
    if (weak)
        set_outside(job, index, 0);
    else
        add_missing(job, missing, name);
    return HX_OK;
}

/* Symbols of the image are not those that cost, so the whole entry is read again. */
static hx_status_t define_any(struct hx_ldr_job *job, uint32_t index)
{
    const Elf64_Sym symbol = hx_ldr_symbol(job, index);

    return symbol.st_shndx < SHN_LORESERVE ? define(job, index, &symbol) : define_special(job, index, &symbol);
}

hx_status_t hx_ldr_resolve(struct hx_ldr_job *job)
{
    const uint8_t *at = job->symbols.data + sizeof(Elf64_Sym);
    struct missing missing = { 0, 0, NULL };
    hx_status_t err = HX_OK;

    job->value[0] = 0;
    for (uint32_t i = 1; i < job->symbol_count; i++, at += sizeof(Elf64_Sym)) {
        uint32_t name = hx_ldr_load32(at + offsetof(Elf64_Sym, st_name));
        uint32_t info = at[offsetof(Elf64_Sym, st_info)];

        err = check_symbol(job, i, name, info);
        if (err)
            return err;
        if (hx_ldr_load16(at + offsetof(Elf64_Sym, st_shndx)) == SHN_UNDEF)
            err =
                import(job, i, (const char *)job->symbol_names.data + name, ELF64_ST_BIND(info) == STB_WEAK, &missing);
        else
            err = define_any(job, i);
        if (err)
            return err;
    }
    if (job->report->missing_count)
        return refuse_missing(job, &missing);
    return HX_OK;
}

/* ---- once the parts have their place --------------------------------------------------------------------------------- */
static uint64_t section_value(const struct hx_image *image, const uint8_t *at, uint32_t section)
{
    uintptr_t va = image->section_va[section];

    return va ? va + hx_ldr_load64(at + offsetof(Elf64_Sym, st_value)) : HX_LDR_NO_VALUE;
}

void hx_ldr_rebase(struct hx_ldr_job *job)
{
    const uint8_t *at = job->symbols.data + sizeof(Elf64_Sym);

    if (job->got_symbol)
        job->value[job->got_symbol] = hx_ldr_got_va(job);
    for (uint32_t i = 1; i < job->symbol_count; i++, at += sizeof(Elf64_Sym)) {
        uint32_t section = hx_ldr_load16(at + offsetof(Elf64_Sym, st_shndx));

        if (section == SHN_UNDEF)
            continue;
        if (section < SHN_LORESERVE)
            job->value[i] = section_value(job->image, at, section);
        else if (hx_ldr_is_common(section))
            job->value[i] += job->image->part[HX_PART_DATA].va;
    }
}

void hx_ldr_tell_commons(const struct hx_ldr_job *job)
{
    for (uint32_t i = 1; job->common_count && job->env->common && i < job->symbol_count; i++)
        if (hx_ldr_is_common(hx_ldr_symbol(job, i).st_shndx))
            job->env->common(job->env->context, i, job->value[i]);
}
