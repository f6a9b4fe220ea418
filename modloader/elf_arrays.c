/* SPDX-License-Identifier: MIT */
/*
 * elf_arrays.c - constructors and destructors: arrays of addresses, put together in the order in which they run.
 *
 * Why by hand: a file has one section for each priority, and as a relocatable one nobody has sorted them yet.
 * Policy:    ".init_array.00101" before ".init_array.5000" before ".init_array", then as they stand in the file; so do the
 *            linkers' default scripts. All of them are constants once relocated.
 * Source:    System V gABI, chapter 5, "Initialization and Termination Functions"; GNU ld manual, SORT_BY_INIT_PRIORITY.
 */
#include <modloader/elf_file.h>

#include <lib/sort.h>

enum { PRIORITY_LAST = 65536 }; /* of a section without a number in its name */

static const char init_array[] = ".init_array";
static const char fini_array[] = ".fini_array";

/* What follows @family in @name, or NULL: it is another. */
static const char *suffix_of(const char *name, const char *family)
{
    while (*family)
        if (*name++ != *family++)
            return NULL;
    return !*name || *name == '.' ? name : NULL;
}

static bool is_constructors(const struct hx_ldr_section *section)
{
    return section->type == SHT_INIT_ARRAY || (section->type == SHT_PROGBITS && suffix_of(section->name, init_array));
}

/* Assemblers may give such a section the type of any other data. */
bool hx_ldr_is_array(const struct hx_ldr_section *section)
{
    if (!(section->flags & SHF_ALLOC))
        return false;
    if (section->type == SHT_PROGBITS)
        return suffix_of(section->name, init_array) || suffix_of(section->name, fini_array);
    return section->type == SHT_INIT_ARRAY || section->type == SHT_FINI_ARRAY;
}

static uint32_t priority_of(const struct hx_ldr_section *section)
{
    const char *digit = suffix_of(section->name, is_constructors(section) ? init_array : fini_array);
    uint32_t priority = 0;

    if (!digit || !digit[0] || !digit[1])
        return PRIORITY_LAST;
    for (digit++; *digit >= '0' && *digit <= '9' && priority < PRIORITY_LAST; digit++)
        priority = 10 * priority + (uint32_t)(*digit - '0');
    return *digit || priority > PRIORITY_LAST ? PRIORITY_LAST : priority;
}

static hx_status_t check_array(struct hx_ldr_job *job, const struct hx_ldr_section *section)
{
    if (section->bytes % sizeof(uint64_t) != 0 || section->align > sizeof(uint64_t))
        return hx_ldr_refuse_section(job, HX_E_FORMAT, section->name, "its 0x%lx bytes are no array of addresses",
                                     section->bytes);
    if (section->flags & SHF_EXECINSTR)
        return hx_ldr_refuse_section(job, HX_E_FORMAT, section->name, "an array of addresses must be data");
    return HX_OK;
}

static hx_status_t append_array(struct hx_ldr_job *job, struct hx_ldr_section *section)
{
    struct hx_image_range *range = is_constructors(section) ? &job->image->constructors : &job->image->destructors;
    hx_status_t err = check_array(job, section);

    if (err)
        return err;
    section->align = sizeof(uint64_t);
    err = hx_ldr_append_section(job, section, HX_PART_RODATA);
    if (!err && range->bytes == 0)
        range->off = section->off;
    range->bytes += section->bytes;
    return err;
}

/* A key sorts by kind, priority and place in the file, in that order. */
static uint64_t key_of(const struct hx_ldr_job *job, uint32_t index)
{
    const struct hx_ldr_section *section = &job->section[index];

    return (uint64_t)!is_constructors(section) << 63 | (uint64_t)priority_of(section) << 32 | index;
}

/* @key: as many as there are arrays. */
static hx_status_t place_sorted(struct hx_ldr_job *job, uint64_t *key)
{
    hx_status_t err = HX_OK;
    size_t count = 0;

    for (uint32_t i = 1; i < job->section_count; i++)
        if (hx_ldr_is_array(&job->section[i]))
            key[count++] = key_of(job, i);
    hx_sort_u64(key, count);
    for (size_t i = 0; i < count && !err; i++)
        err = append_array(job, &job->section[(uint32_t)key[i]]);
    return err;
}

hx_status_t hx_ldr_place_arrays(struct hx_ldr_job *job)
{
    size_t count = 0;
    uint64_t *key;
    hx_status_t err;

    for (uint32_t i = 1; i < job->section_count; i++)
        count += hx_ldr_is_array(&job->section[i]);
    if (!count)
        return HX_OK;
    key = job->env->scratch(job->env->context, count * sizeof(*key));
    if (!key)
        return hx_ldr_refuse(job, HX_E_NOMEM, "no memory for sorting %zu sections of constructors", count);
    err = place_sorted(job, key);
    job->env->scratch_free(job->env->context, key);
    return err;
}
