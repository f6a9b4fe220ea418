/* SPDX-License-Identifier: MIT */
/*
 * records.h - the records (.hx.*) of a linked image: every rule that they must keep, in one place.
 *
 * Pure: image and file in, no slot, no registry, no allocation. The kernel stops at the first violation, mkmodpack goes on
 * and shows them all; both say the same of the same module.
 * Invariant: bounds come first; nothing is read through a pointer of a record before that was found to lie in the image,
 *            in a part that stays as long as it is needed.
 * May be used by: L5 and up, mkmodpack, tests, fuzzers.
 */
#pragma once
#include <modloader/loader.h>

#include "fields.h"
#include "ops.h"

enum {
    HX_PROVIDES_MAX = 4,
    HX_REQUIRES_MAX = 8,
    HX_IRQS_MAX = 4,
    HX_CALLBACKS_MAX = 8,
    HX_CAPABILITIES_MAX = 8,
    HX_CHANNEL_RECORDS_MAX = 4,
    HX_TOPIC_RECORDS_MAX = 4,
    HX_SOURCES_MAX = 16,
    HX_SOURCES_OF_ONE_MAX = 4,
    HX_PORTS_MAX = 4,
    HX_PARAMS_MAX = 16,
    HX_FIELDS_MAX = 64,
    HX_RULES_MAX = 128,
};

/* All in the image's read-only part, or NULL when there are none. */
struct hx_records {
    const struct hx_module_record *module;
    const struct hx_interface_record *provides, *requires;
    const struct hx_irq_record *irqs;
    const struct hx_callback_record *callbacks;
    const struct hx_channel_record *channels;
    const struct hx_topic_record *topics;
    const struct hx_source_record *sources;
    const struct hx_ports_record *ports;
    const struct hx_param_record *params;
    const struct hx_record_record *record;      /* what the module may not lose; NULL: it declares nothing of that */
    const uint64_t *constructors, *destructors; /* addresses; called forwards and backwards */
    uint32_t provides_count, requires_count, irqs_count, ports_count, params_count;
    uint32_t callbacks_count, channels_count, topics_count, sources_count;
    uint32_t constructors_count, destructors_count;
    struct hx_fields fields, record_fields;
    size_t state_bytes; /* that the fields take, from the start of the state */
};

/*
 * What is told of each violation. @subject: the record, interface, field or section that breaks the rule; @message: one
 * line, what is wrong and what to do, printable whatever the image holds. Both for the time of the call. Returns whether
 * to go on looking.
 */
struct hx_records_sink {
    bool (*violation)(void *context, hx_status_t err, const char *subject, const char *message);
    void *context;
};

/*
 * Checks every record of @image, and that those which are read before linking say the same in @file, from which it was
 * linked. Returns HX_OK, with @out filled, or the error of the first violation:
 * HX_E_FORMAT: broken records; HX_E_LIMIT: too many; HX_E_ABI; HX_E_RANGE: a pointer, number or place that is out of
 * bounds; HX_E_EXIST: something declared twice.
 * On a violation the arrays may be read that are not NULL in @out, but nothing that they point to.
 */
HX_NODISCARD hx_status_t hx_records_check(const struct hx_image *image, struct hx_slice file,
                                          const struct hx_records_sink *sink, struct hx_records *out);

/* ---- of checked records ---------------------------------------------------------------------------------------------- */
/* [@out_count]: what the module asks for beside ports and lines. */
const struct hx_capability_record *hx_records_capabilities(const struct hx_image *image, uint32_t *out_count);
/* The list of operations of an interface that is provided or required. */
struct hx_slice hx_records_ops(const struct hx_image *image, const struct hx_interface_record *record);
/* The operations of one that is provided; returns how many. */
uint32_t hx_records_vtable(const struct hx_image *image, const struct hx_interface_record *record,
                           const void *out_op[HX_OPS_MAX]);
/* "timer", "task": for people. */
const char *hx_callback_kind_name(uint32_t kind);
/* The function of a hook; NULL: the module has none. */
const void *hx_records_hook(const struct hx_module_record *record, enum hx_hook hook);

/* ---- without an image ------------------------------------------------------------------------------------------------ */
/* A name that people and tools will meet: not empty, terminated, of [A-Za-z0-9_.+-]. */
bool hx_name_is_proper(const char name[HX_NAME_MAX]);
/* The name that a file declares, read without linking it. The errors of hx_ldr_peek; HX_E_FORMAT: not a proper name. */
HX_NODISCARD hx_status_t hx_records_peek_name(struct hx_slice file, char out[HX_NAME_MAX]);
/* The interface records of a file that is not linked: only prefix and version mean something. None is no error. */
struct hx_slice hx_records_peek_interfaces(struct hx_slice file, enum hx_image_records kind);
/* Whether the file asks for a capability of @type, if not for all that it may be needed for; HX_CAPABILITY_NONE: it need not. */
bool hx_records_ask_for(struct hx_slice file, uint32_t type);
const char *hx_hook_name(enum hx_hook hook);
