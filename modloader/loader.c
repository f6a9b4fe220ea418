/* SPDX-License-Identifier: MIT */
/*
 * loader.c - the load as a whole: its steps in order, its memory, its one way out.
 *
 * Invariant: whatever the steps did, a refusal leaves no memory behind, and the report says which step it was.
 * Context:   whatever the environment's functions allow.   Locks: none.
 */
#include <modloader/elf_file.h>

static hx_status_t refuse_memory(struct hx_ldr_job *job, const char *what, size_t bytes)
{
    return hx_ldr_refuse(job, HX_E_NOMEM, "no memory for %s (%zu bytes)", what, bytes);
}

static hx_status_t check(struct hx_ldr_job *job)
{
    hx_status_t err;
    size_t bytes;

    err = hx_ldr_check_header(job);
    if (err)
        return err;
    bytes = job->section_count * sizeof(*job->section);
    job->section = job->env->scratch(job->env->context, bytes);
    if (!job->section)
        return refuse_memory(job, "the section table", bytes);
    return hx_ldr_check_sections(job);
}

static hx_status_t resolve(struct hx_ldr_job *job)
{
    size_t bytes = job->symbol_count * sizeof(*job->value);

    job->value = job->env->scratch(job->env->context, bytes);
    if (!job->value)
        return refuse_memory(job, "the symbol values", bytes);
    return hx_ldr_resolve(job);
}

/* The image and its section addresses are one piece of memory. */
static hx_status_t place(struct hx_ldr_job *job)
{
    size_t bytes = sizeof(struct hx_image) + job->section_count * sizeof(uintptr_t);
    struct hx_image *image = job->env->scratch(job->env->context, bytes);
    hx_status_t err;

    if (!image)
        return refuse_memory(job, "the image's description", bytes);
    job->image = image;
    image->section_count = job->section_count;
    image->section_va = (uintptr_t *)(image + 1);
    image->import_count = job->import_count;
    err = hx_ldr_place(job);
    if (err)
        return err;
    err = job->env->alloc(job->env->context, image->part);
    if (err)
        return hx_ldr_refuse(job, err, "no memory for the image (%zu bytes)", job->bytes);
    hx_ldr_copy(job);
    hx_ldr_rebase(job);
    hx_ldr_fill_room(job);
    return HX_OK;
}

static hx_status_t place_and_relocate(struct hx_ldr_job *job)
{
    hx_status_t err;

    job->report->step = HX_LDR_PLACE;
    err = place(job);
    if (err)
        return err;
    job->report->step = HX_LDR_RELOCATE;
    return hx_ldr_relocate(job);
}

/* Everything since the symbols were resolved. */
static void undo_placing(struct hx_ldr_job *job)
{
    hx_ldr_unload(job->image, job->env);
    job->image = NULL;
    job->bytes = 0;
    for (uint32_t i = 0; i < job->section_count; i++)
        job->section[i].part = HX_LDR_NOT_LOADED;
}

/*
 * Hardly any module needs a GOT or veneers, and to look for who does costs a tenth of relocating. So unless the symbols give
 * a hint it is not looked for, and an image that turns out to need them is begun again.
 */
static hx_status_t make_image(struct hx_ldr_job *job)
{
    hx_status_t err;

    job->counts_room = job->got_symbol || job->far_symbols;
    err = place_and_relocate(job);
    if (!job->lacks_room)
        return err;
    undo_placing(job);
    hx_ldr_report_init(job->report);
    job->lacks_room = false;
    job->counts_room = true;
    return place_and_relocate(job);
}

static hx_status_t run(struct hx_ldr_job *job)
{
    struct hx_ldr_report *report = job->report;
    hx_status_t err;

    err = check(job);
    if (err)
        return err;
    report->step = HX_LDR_SYMBOLS;
    err = resolve(job);
    if (err)
        return err;
    err = make_image(job);
    if (err)
        return err;
    hx_ldr_tell_commons(job);
    report->step = HX_LDR_PROTECT;
    job->env->seal(job->env->context, job->image->part);
    report->step = HX_LDR_DONE;
    return HX_OK;
}

/* The end of a field, from which the processor counts, lies in [low + 4, high]; from there it is 2 GiB either way. */
static void set_reach(struct hx_ldr_job *job)
{
    const uint64_t half = UINT64_C(1) << 31, low = job->env->low + sizeof(uint32_t), high = job->env->high;

    job->reach_first = high - half;
    job->reach_bytes = high - low < 2 * half ? 2 * half - (high - low) : 0;
}

hx_status_t hx_ldr_load(struct hx_slice file, const struct hx_ldr_env *env, struct hx_image **out,
                        struct hx_ldr_report *report)
{
    struct hx_ldr_job job = { .file = file, .env = env, .report = report };
    hx_status_t err;

    hx_ldr_report_init(report);
    set_reach(&job);
    err = run(&job);
    report->err = err;
    if (job.made)
        env->scratch_free(env->context, job.made);
    if (job.value)
        env->scratch_free(env->context, job.value);
    if (job.section)
        env->scratch_free(env->context, job.section);
    if (err)
        hx_ldr_unload(job.image, env);
    else
        *out = job.image;
    return err;
}

void hx_ldr_unload(struct hx_image *image, const struct hx_ldr_env *env)
{
    if (!image)
        return;
    env->release(env->context, image->part);
    env->scratch_free(env->context, image);
}

void hx_ldr_settle(struct hx_image *image, const struct hx_ldr_env *env)
{
    env->settle(env->context, image->part);
}
