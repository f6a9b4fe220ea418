/* SPDX-License-Identifier: MIT */
/*
 * module_info.h - a module as the kernel would see it: linked by the kernel's own loader, its records readable.
 */
#pragma once
#include "input_file.h"
#include "object.h"
#include "type_words.h"

#include <module/records.h>

struct hx_mp_module {
    const char *path;       /* for findings. Borrowed. */
    const char *name;       /* of the file in a pack. Borrowed. */
    struct hx_slice bytes;  /* Borrowed. */
    bool load;              /* at boot; otherwise held */
    struct hx_image *image; /* NULL: refused. Owned, as is what follows. */
    struct hx_mp_imports imports;
    struct hx_records records;
    struct hx_mp_types types;              /* none: not recorded */
    const struct hx_module_record *record; /* in the image, all records are checked; NULL: refused */
};

/*
 * Links @file, which must outlive @out, and checks its records. All that the kernel would refuse, seen from the file
 * alone, becomes findings. False when there were some; @out is to be closed either way.
 */
bool hx_mp_module_open(struct hx_mp_module *out, const struct hx_mp_file *file, struct hx_mp_findings *findings);
/* The same for bytes inside a pack; @path is what findings call them. */
bool hx_mp_module_open_bytes(struct hx_mp_module *out, const char *path, const char *name, struct hx_slice bytes,
                             struct hx_mp_findings *findings);
void hx_mp_module_close(struct hx_mp_module *module);

/* The records of one kind, in the image; @out_count of them. */
const struct hx_interface_record *hx_mp_provides(const struct hx_mp_module *module, size_t *out_count);
const struct hx_interface_record *hx_mp_requires(const struct hx_mp_module *module, size_t *out_count);
const struct hx_irq_record *hx_mp_irqs(const struct hx_mp_module *module, size_t *out_count);
const struct hx_callback_record *hx_mp_callbacks(const struct hx_mp_module *module, size_t *out_count);
const struct hx_channel_record *hx_mp_channels(const struct hx_mp_module *module, size_t *out_count);
const struct hx_topic_record *hx_mp_topics(const struct hx_mp_module *module, size_t *out_count);
const struct hx_ports_record *hx_mp_ports(const struct hx_mp_module *module, size_t *out_count);
const struct hx_param_record *hx_mp_params(const struct hx_mp_module *module, size_t *out_count);
const struct hx_field_record *hx_mp_fields(const struct hx_mp_module *module, size_t *out_count);

/* What a pointer in a record refers to, or NULL when it does not lie in the image. */
const void *hx_mp_at(const struct hx_mp_module *module, const void *pointer, size_t bytes);
/* The operations of an interface record that was checked. */
struct hx_slice hx_mp_ops(const struct hx_mp_module *module, const struct hx_interface_record *record);
/* What a module means that calls @name for an operation of the interface in @record, linked or not: PREFIX_OPERATION. NULL:
 * it is called otherwise. Whether there is such an operation is known only once the file is linked. */
const char *hx_mp_operation_called(const char *name, const struct hx_interface_record *record);

struct hx_mp_text {
    char text[HX_NAME_MAX + 16];
};
struct hx_mp_text hx_mp_version_text(uint32_t version);           /* "1.2.3" */
struct hx_mp_text hx_mp_interface_version_text(uint32_t version); /* "1.2" */
struct hx_mp_text hx_mp_interface_name(const char *prefix);       /* "hx_kv" -> "hx.kv" */
