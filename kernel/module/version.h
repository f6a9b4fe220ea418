/* SPDX-License-Identifier: MIT */
/*
 * version.h - one version of a module: an image with everything that belongs to it alone.
 *
 * Made from a file, destroyed as a whole; what it holds hangs on its ledger. A version knows what it declares, but claims
 * nothing outside itself save references to interfaces: claiming is the identity's business (module.h).
 * Context: thread; one task at a time. Locks: none.
 */
#pragma once
#include <gate/ledger.h>
#include <modloader/loader.h>

#include "interface.h"
#include "records.h"
#include "types.h"

enum { HX_PARAM_TEXT_MAX = 128 };
/* Begins a word among parameters that is the kernel's: orchestrator/resource_broker.h. */
#define HX_PARAM_QUOTA "quota."

struct hx_provided {
    struct hx_interface *interface;
    struct hx_interface_offer offer;
    uint32_t version;
    uint32_t op_count;
    struct hx_gate_vtable vtable;
};

struct hx_version {
    struct hx_module *module;              /* c: whose version it is */
    const struct hx_module_record *record; /* in the image, checked */
    struct hx_slice file;                  /* the pristine bytes: borrowed from the pack */
    struct hx_types types;                 /* in the file */
    uint64_t file_hash;                    /* 0: not asked for yet; hx_version_file_hash() */
    struct hx_image *image;
    struct hx_ledger ledger;
    struct hx_ledger_node image_node, hooks_node, interfaces_node;
    struct hx_ledger_node memory_node;
    hx_handle_t memory; /* what it is charged for that */
    struct hx_ledger_node kept_node;
    struct hx_record *kept; /* what the module may not lose: orchestrator/record.h; NULL: it declares nothing of that */

    struct hx_slot *hooks; /* enum hx_hook; for as long as the version lives */
    struct hx_gate_vtable hooks_vtable;
    struct hx_gate_vtable callbacks_vtable; /* operation i is irqs[i]'s handler */
    struct hx_gate_vtable calls_vtable;     /* which operation is whose the identity says: orchestrator/callbacks.h */

    uint32_t provides_count, requires_count, irqs_count, ports_count, params_count;
    uint32_t constructors_count, destructors_count;
    struct hx_provided provides[HX_PROVIDES_MAX];
    struct hx_interface_use requires[HX_REQUIRES_MAX];
    const struct hx_irq_record *irqs; /* the rest: in the image, checked */
    const struct hx_callback_record *callbacks;
    const struct hx_channel_record *channels;
    const struct hx_topic_record *topics;
    const struct hx_source_record *sources;
    uint32_t callbacks_count, channels_count, topics_count, sources_count;
    const struct hx_ports_record *ports;
    const struct hx_param_record *params;
    struct hx_fields fields, record_fields;
    const struct hx_record_record *record_region;
    const uint64_t *constructors, *destructors;

    uint64_t schema;                     /* identity of the declared state; 0: none declared */
    uint64_t record_schema;              /* likewise of the record */
    uint8_t *state;                      /* the declared state in the image, NULL: none */
    size_t state_bytes;                  /* declared */
    size_t state_mapped;                 /* in whole pages */
    char params_text[HX_PARAM_TEXT_MAX]; /* as given by the owner */
    char fault[128];                     /* of its last hook that faulted: what, and in which function */
    bool initialised;                    /* hx_version_init() has succeeded, hx_version_fini() was not called */
};

enum { HX_SET_MAX = 8 };

/* What takes the place of running versions in one step: modules with the versions that are to run, providers before their
 * users; NULL: not made yet. */
struct hx_version_set {
    uint32_t count;
    struct hx_module *module[HX_SET_MAX];
    struct hx_version *version[HX_SET_MAX];
};
/* @module's version in @set, or the running one when it has none there. @set may be NULL. */
struct hx_version *hx_version_to_be(const struct hx_version_set *set, const struct hx_module *module);
/* Who will provide @interface; NULL: nobody. */
struct hx_module *hx_version_set_provider(const struct hx_version_set *set, const struct hx_interface *interface);
bool hx_version_set_has(const struct hx_version_set *set, const struct hx_module *module);

/*
 * Links and checks @file (borrowed for the life of the version) for @module. @params is "name=value name=value" or "".
 * Requires that every required interface has a provider whose version suffices, in @set (NULL: it takes nobody's place) or
 * else among those that run. Nothing runs yet.
 * On refusal nothing is left; @report says why.
 */
HX_NODISCARD hx_status_t hx_version_create(struct hx_module *module, const struct hx_version_set *set,
                                           struct hx_slice file, const char *params, struct hx_version **out,
                                           struct hx_report *report);
/* Frees everything; calls no hook. Nobody is in it, and no module has it any more: a trap on another CPU that looks at it by
 * what it found before is waited for. NULL is accepted. */
void hx_version_destroy(struct hx_version *version);

/*
 * Calls its constructors and the init hook. When all have succeeded the image is settled: what only they needed is given
 * back, what only they may write becomes read-only, and none of them can be called any more. Once in a version's life.
 * On refusal @report says which of them it was; what was constructed is destroyed again unless one has faulted.
 */
HX_NODISCARD hx_status_t hx_version_init(struct hx_version *version, struct hx_report *report);
/* Undoes it: the fini hook, then the destructors backwards. A fault in one of them ends it. Nothing when it is not
 * initialised. */
void hx_version_fini(struct hx_version *version);

/* XXH64 of the file: which build it is. */
uint64_t hx_version_file_hash(struct hx_version *version);

static inline const char *hx_version_name(const struct hx_version *version)
{
    return version->record->name;
}
/* "1.2.3" */
void hx_version_text(uint32_t version, char out[16]);
/* Calls a hook through the gate; a hook that the version does not have is HX_OK. */
HX_NODISCARD hx_ret_t hx_version_hook(struct hx_version *version, enum hx_hook hook, uint64_t argument);
/* The same, with the reason of a refusal or fault in @report. */
HX_NODISCARD hx_status_t hx_version_try_hook(struct hx_version *version, enum hx_hook hook, uint64_t argument,
                                             struct hx_report *report);
static inline bool hx_version_has_hook(const struct hx_version *version, enum hx_hook hook)
{
    return version->hooks_vtable.op[hook] != (const void *)hx_gate_op_unsupported;
}
/* The provided interface, or NULL. */
const struct hx_provided *hx_version_provided(const struct hx_version *version, const struct hx_interface *interface);
