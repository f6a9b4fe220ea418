/* SPDX-License-Identifier: MIT */
/*
 * elf_missing.c - undefined names that nobody knows: are they used at all, which are they, and what is to be done.
 *
 * Why separate: it is what people meet most often, and it may take its time.
 * Policy:    a name that only debugging or unwinding information refers to is not missed. All that are missed are said at
 *            once, as far as they fit; where a compiler made the name up, the flag that keeps it from doing so is said too.
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
    { "atexit", "build without static objects that have destructors" },
    { "__morestack*", "build with -fno-split-stack" },
    { "llvm_gcda_*", "build without --coverage" },
    { "llvm_gcov_*", "build without --coverage" },
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
    { "memcpy", "compilers emit calls of it: link it into the module, as modules/ do with kernel/lib/string.c" },
    { "memmove", "compilers emit calls of it: link it into the module, as modules/ do with kernel/lib/string.c" },
    { "memset", "compilers emit calls of it: link it into the module, as modules/ do with kernel/lib/string.c" },
    { "memcmp", "compilers emit calls of it: link it into the module, as modules/ do with kernel/lib/string.c" },
};

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

    hx_ldr_copy_name(clean, sizeof(clean), name);
    if (report->missing_count++ == 0)
        hx_ldr_copy_name(report->symbol, sizeof(report->symbol), name);
    if (report->missing_count != missing->listed + 1 ||
        missing->used + strlen(clean) + 2 > sizeof(report->message) - TAIL_BYTES)
        return;
    if (!missing->hint)
        missing->hint = emitted_hint(clean);
    missing->used = hx_fmt_append(report->message, sizeof(report->message), missing->used, "%s%s",
                                  missing->listed ? ", " : "undefined: ", clean);
    missing->listed++;
}

static hx_status_t refuse(struct hx_ldr_job *job, const struct missing *missing)
{
    struct hx_ldr_report *report = job->report;
    const char *hint = missing->hint ? missing->hint : job->env->names_hint;
    size_t used = missing->used;

    report->err = HX_E_SYMBOL;
    if (report->missing_count > missing->listed)
        used = hx_fmt_append(report->message, sizeof(report->message), used, " and %u more",
                             report->missing_count - missing->listed);
    if (hint)
        hx_fmt_append(report->message, sizeof(report->message), used, "; %s", hint);
    return HX_E_SYMBOL;
}

/* A missing symbol that has been seen in use is not looked at again. */
static void look_at_table(struct hx_ldr_job *job, struct missing *missing, struct hx_slice table)
{
    Elf64_Rela rela;

    for (uint64_t off = 0; !hx_slice_read(table, off, &rela, sizeof(rela)); off += sizeof(rela)) {
        const uint64_t symbol = ELF64_R_SYM(rela.r_info);

        if (symbol >= job->symbol_count || job->value[symbol] != HX_LDR_NO_VALUE ||
            ELF64_R_TYPE(rela.r_info) == R_X86_64_NONE)
            continue;
        job->value[symbol] = 0;
        add_missing(job, missing, hx_ldr_symbol_name(job, (uint32_t)symbol));
    }
}

hx_status_t hx_ldr_check_missing(struct hx_ldr_job *job)
{
    struct missing missing = { 0, 0, NULL };

    for (uint32_t i = 1; i < job->section_count; i++) {
        const struct hx_ldr_section *table = &job->section[i];

        if (table->type == SHT_RELA && hx_ldr_may_load(&job->section[table->info]))
            look_at_table(job, &missing, table->content);
    }
    return missing.listed ? refuse(job, &missing) : HX_OK;
}
