/* SPDX-License-Identifier: MIT */
/*
 * report.c - how a refusal is put into words.
 *
 * Why separate: it is the cold half of the loader; the steps stay short and their hot loops small.
 * Invariant: names come from a hostile file, so they are cut and cleaned before anything else sees them.
 */
#include <modloader/elf_file.h>

#include <lib/fmt.h>

void hx_ldr_report_init(struct hx_ldr_report *report)
{
    memset(report, 0, sizeof(*report));
    report->step = HX_LDR_CHECK;
    report->relocation = UINT32_MAX;
}

void hx_ldr_copy_name(char *out, size_t bytes, const char *name)
{
    size_t i = 0;

    for (; i + 1 < bytes && name[i]; i++)
        out[i] = name[i] >= ' ' && name[i] <= '~' ? name[i] : '?';
    out[i] = '\0';
}

const char *hx_ldr_symbol_name(const struct hx_ldr_job *job, uint32_t symbol)
{
    Elf64_Sym entry = hx_ldr_symbol(job, symbol);

    if (entry.st_name < job->symbol_names.bytes && job->symbol_names.data[entry.st_name])
        return (const char *)job->symbol_names.data + entry.st_name;
    if (job->section && entry.st_shndx != SHN_UNDEF && entry.st_shndx < job->section_count)
        return job->section[entry.st_shndx].name;
    return "";
}

__attribute__((format(printf, 4, 0))) static void fill(struct hx_ldr_report *report, hx_status_t err, size_t used,
                                                       const char *format, va_list arguments)
{
    report->err = err;
    hx_fmt_v(report->message + used, sizeof(report->message) - used, format, arguments);
}

hx_status_t hx_ldr_refuse(struct hx_ldr_job *job, hx_status_t err, const char *format, ...)
{
    va_list arguments;

    if (!job->report)
        return err;
    va_start(arguments, format);
    fill(job->report, err, 0, format, arguments);
    va_end(arguments);
    return err;
}

hx_status_t hx_ldr_refuse_section(struct hx_ldr_job *job, hx_status_t err, const char *section, const char *format, ...)
{
    struct hx_ldr_report *report = job->report;
    va_list arguments;
    size_t used;

    if (!report)
        return err;
    hx_ldr_copy_name(report->section, sizeof(report->section), section);
    used = hx_fmt_append(report->message, sizeof(report->message), 0, "section %s: ", report->section);
    va_start(arguments, format);
    fill(report, err, used, format, arguments);
    va_end(arguments);
    return err;
}

hx_status_t hx_ldr_refuse_symbol(struct hx_ldr_job *job, hx_status_t err, uint32_t symbol, const char *format, ...)
{
    struct hx_ldr_report *report = job->report;
    va_list arguments;
    size_t used;

    hx_ldr_copy_name(report->symbol, sizeof(report->symbol), hx_ldr_symbol_name(job, symbol));
    used = hx_fmt_append(report->message, sizeof(report->message), 0, "symbol %u `%s': ", symbol, report->symbol);
    va_start(arguments, format);
    fill(report, err, used, format, arguments);
    va_end(arguments);
    return err;
}
