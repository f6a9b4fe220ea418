/* SPDX-License-Identifier: MIT */
/*
 * records.c - see records.h.
 *
 * Policy: a check that finds a violation goes on with the next record unless what follows would read through what is
 *         broken; the sink decides whether it is told of more.
 */
#include "records.h"

#include "capability.h"

#include <lib/fmt.h>
#include <string.h>

#define USE_MACROS "use the macros of helix/module.h"

struct check {
    const struct hx_image *image;
    const struct hx_records_sink *sink;
    struct hx_records *out;
    hx_status_t err; /* of the first violation */
    bool stopped;    /* the sink has heard enough */
};

__attribute__((format(printf, 4, 5))) static void violate(struct check *check, hx_status_t err, const char *subject,
                                                          const char *format, ...)
{
    char message[320];
    va_list arguments;
    if (check->stopped)
        return;
    va_start(arguments, format);
    hx_fmt_v(message, sizeof(message), format, arguments);
    va_end(arguments);
    if (check->err == HX_OK)
        check->err = err;
    check->stopped = !check->sink->violation(check->sink->context, err, subject, message);
}

/* ---- what is looked at again and again ------------------------------------------------------------------------------- */

bool hx_name_is_proper(const char name[HX_NAME_MAX])
{
    uint32_t i = 0;
    for (; i < HX_NAME_MAX && name[i]; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '.' && c != '+' && c != '-')
            return false;
    }
    return i > 0 && i < HX_NAME_MAX;
}

/* A line for people: terminated, printable ASCII. */
static bool summary_is_proper(const char summary[HX_SUMMARY_MAX])
{
    for (uint32_t i = 0; i < HX_SUMMARY_MAX; i++) {
        if (!summary[i])
            return true;
        if (summary[i] < ' ' || summary[i] > '~')
            return false;
    }
    return false;
}

/* The bytes that a pointer of a record means, if they lie in a part that is there for good. */
static const void *lasting_at(const struct hx_image *image, const void *pointer, size_t bytes)
{
    uintptr_t va = (uintptr_t)pointer;
    if (hx_image_in_part(image, va, HX_PART_INIT_TEXT) || hx_image_in_part(image, va, HX_PART_INIT_DATA))
        return NULL;
    return hx_image_at(image, va, bytes);
}

/* What is wrong with @function as code that is called @after_init too; NULL: nothing. */
static const char *code_fault(const struct hx_image *image, const void *function, bool after_init)
{
    if (!hx_image_is_code(image, (uintptr_t)function))
        return "outside the module's code; name a function of it";
    if (after_init && hx_image_in_part(image, (uintptr_t)function, HX_PART_INIT_TEXT))
        return "in code that is given back after init; take HX_INIT off the function";
    return NULL;
}

/* ---- the arrays ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    uint32_t bytes;
    uint32_t align;
    uint32_t max;
} record_kind[HX_RECORDS_COUNT] = {
#define KIND(section, type, most)                                                                                      \
    {                                                                                                                  \
        section, sizeof(struct type), _Alignof(struct type), most                                                      \
    }
    [HX_RECORDS_MODULE] = KIND(".hx.module", hx_module_record, 1),
    [HX_RECORDS_PROVIDES] = KIND(".hx.provides", hx_interface_record, HX_PROVIDES_MAX),
    [HX_RECORDS_REQUIRES] = KIND(".hx.requires", hx_interface_record, HX_REQUIRES_MAX),
    [HX_RECORDS_IRQS] = KIND(".hx.irqs", hx_irq_record, HX_IRQS_MAX),
    [HX_RECORDS_CAPABILITIES] = KIND(".hx.capabilities", hx_capability_record, HX_CAPABILITIES_MAX),
    [HX_RECORDS_PORTS] = KIND(".hx.ports", hx_ports_record, HX_PORTS_MAX),
    [HX_RECORDS_PARAMS] = KIND(".hx.params", hx_param_record, HX_PARAMS_MAX),
    [HX_RECORDS_FIELDS] = KIND(".hx.fields", hx_field_record, HX_FIELDS_MAX),
    [HX_RECORDS_RULES] = KIND(".hx.rules", hx_rule_record, HX_RULES_MAX),
    [HX_RECORDS_CALLBACKS] = KIND(".hx.callbacks", hx_callback_record, HX_CALLBACKS_MAX),
    [HX_RECORDS_CHANNELS] = KIND(".hx.channels", hx_channel_record, HX_CHANNEL_RECORDS_MAX),
    [HX_RECORDS_TOPICS] = KIND(".hx.topics", hx_topic_record, HX_TOPIC_RECORDS_MAX),
    [HX_RECORDS_RECORD] = KIND(".hx.record", hx_record_record, 1),
    [HX_RECORDS_RECORD_FIELDS] = KIND(".hx.record_fields", hx_field_record, HX_FIELDS_MAX),
    [HX_RECORDS_SOURCES] = KIND(".hx.sources", hx_source_record, HX_SOURCES_MAX),
#undef KIND
};

/* Where a range of the read-only part can be read, if it lies there. */
static const uint8_t *range_at(const struct hx_image *image, const struct hx_image_range *range)
{
    const struct hx_image_piece *rodata = &image->part[HX_PART_RODATA];
    if (range->off > rodata->bytes || range->bytes > rodata->bytes - range->off)
        return NULL;
    return rodata->memory + range->off;
}

/* The array of one kind: whole records, aligned as they are read, not too many. NULL and 0: none, or a violation. */
static const void *array_of(struct check *check, enum hx_image_records kind, uint32_t *out_count)
{
    const struct hx_image_range *range = &check->image->records[kind];
    const char *name = record_kind[kind].name;
    uint32_t bytes = record_kind[kind].bytes;
    *out_count = 0;
    if (range->bytes == 0)
        return NULL;
    const uint8_t *at = range_at(check->image, range);
    if (!at || range->bytes % bytes || (uintptr_t)at % record_kind[kind].align) {
        violate(check, HX_E_FORMAT, name, "broken section %s: its %zu bytes are no whole records of %u; " USE_MACROS,
                name, range->bytes, bytes);
        return NULL;
    }
    if (range->bytes / bytes > record_kind[kind].max) {
        violate(check, record_kind[kind].max == 1 ? HX_E_FORMAT : HX_E_LIMIT, name,
                "too many records in %s: %zu, at most %u are allowed; declare fewer", name, range->bytes / bytes,
                record_kind[kind].max);
        return NULL;
    }
    *out_count = (uint32_t)(range->bytes / bytes);
    return at;
}

static void find_arrays(struct check *check)
{
    struct hx_records *out = check->out;
    uint32_t ignored = 0; /* one at most, and none is said by check_descriptor() */
    out->module = array_of(check, HX_RECORDS_MODULE, &ignored);
    out->provides = array_of(check, HX_RECORDS_PROVIDES, &out->provides_count);
    out->requires = array_of(check, HX_RECORDS_REQUIRES, &out->requires_count);
    out->irqs = array_of(check, HX_RECORDS_IRQS, &out->irqs_count);
    out->callbacks = array_of(check, HX_RECORDS_CALLBACKS, &out->callbacks_count);
    out->channels = array_of(check, HX_RECORDS_CHANNELS, &out->channels_count);
    out->topics = array_of(check, HX_RECORDS_TOPICS, &out->topics_count);
    out->sources = array_of(check, HX_RECORDS_SOURCES, &out->sources_count);
    out->ports = array_of(check, HX_RECORDS_PORTS, &out->ports_count);
    out->params = array_of(check, HX_RECORDS_PARAMS, &out->params_count);
    out->fields.field = array_of(check, HX_RECORDS_FIELDS, &out->fields.count);
    out->fields.rule = array_of(check, HX_RECORDS_RULES, &out->fields.rules_count);
    out->record = array_of(check, HX_RECORDS_RECORD, &ignored);
    out->record_fields.field = array_of(check, HX_RECORDS_RECORD_FIELDS, &out->record_fields.count);
}

/* ---- the module ------------------------------------------------------------------------------------------------------ */

static bool check_descriptor(struct check *check)
{
    const struct hx_module_record *record = check->out->module;
    const char *section = record_kind[HX_RECORDS_MODULE].name;
    if (!record)
        violate(check, HX_E_FORMAT, section,
                "not a Helix module: it has no descriptor, section %s is missing; describe it with HX_MODULE", section);
    else if (record->magic != HX_MODULE_MAGIC)
        violate(check, HX_E_FORMAT, section, "broken descriptor: its magic is 0x%08x, not 0x%08x; " USE_MACROS,
                record->magic, HX_MODULE_MAGIC);
    else if (HX_VERSION_MAJOR(record->abi) != HX_VERSION_MAJOR(HX_ABI) || record->abi > HX_ABI ||
             record->bytes != sizeof(*record))
        violate(
            check, HX_E_ABI, "abi",
            "wrong ABI: built for %u.%u with a descriptor of %u bytes, this kernel has %u.%u and %zu; build it with "
            "this kernel's headers",
            HX_VERSION_MAJOR(record->abi), HX_VERSION_MINOR(record->abi), record->bytes, HX_VERSION_MAJOR(HX_ABI),
            HX_VERSION_MINOR(HX_ABI), sizeof(*record));
    else if (!hx_name_is_proper(record->name) || !summary_is_proper(record->summary))
        violate(
            check, HX_E_FORMAT, section,
            "broken descriptor: the module's name must be 1 to %u of A-Z a-z 0-9 _ . + -, its summary one printable "
            "line; correct them",
            (unsigned)HX_NAME_MAX - 1);
    else
        return true;
    return false;
}

const char *hx_hook_name(enum hx_hook hook)
{
    static const char *const names[HX_HOOK_COUNT] = { "init",   "start", "stop", "fini", "pause",
                                                      "resume", "save",  "load", "check" };
    return hook < HX_HOOK_COUNT ? names[hook] : "?";
}

const void *hx_records_hook(const struct hx_module_record *record, enum hx_hook hook)
{
    const void *hooks[HX_HOOK_COUNT];
    memcpy(hooks, &record->hooks, sizeof(hooks));
    return hooks[hook];
}

static void check_hooks(struct check *check)
{
    for (uint32_t i = 0; i < HX_HOOK_COUNT; i++) {
        const char *name = hx_hook_name((enum hx_hook)i);
        const void *hook = hx_records_hook(check->out->module, (enum hx_hook)i);
        const char *fault = hook ? code_fault(check->image, hook, i != HX_HOOK_INIT) : NULL;
        if (fault)
            violate(check, HX_E_RANGE, name, "broken hook %s: %p is %s", name, hook, fault);
    }
}

static const uint64_t *check_array(struct check *check, const struct hx_image_range *range, const char *what,
                                   bool after_init, uint32_t *out_count)
{
    if (range->bytes == 0)
        return NULL;
    const uint8_t *at = range_at(check->image, range);
    if (!at || range->bytes % sizeof(uint64_t) || (uintptr_t)at % _Alignof(uint64_t)) {
        violate(check, HX_E_FORMAT, what, "broken array of %ss: its %zu bytes are no whole addresses; build it again",
                what, range->bytes);
        return NULL;
    }
    const uint64_t *address = (const uint64_t *)at;
    *out_count = (uint32_t)(range->bytes / sizeof(uint64_t));
    for (uint32_t i = 0; i < *out_count; i++) {
        const char *fault = code_fault(check->image, (const void *)(uintptr_t)address[i], after_init);
        if (fault)
            violate(check, HX_E_RANGE, what, "broken %s %u: 0x%llx is %s", what, i, (unsigned long long)address[i],
                    fault);
    }
    return address;
}

static void check_constructors(struct check *check)
{
    struct hx_records *out = check->out;
    out->constructors = check_array(check, &check->image->constructors, "constructor", false, &out->constructors_count);
    out->destructors = check_array(check, &check->image->destructors, "destructor", true, &out->destructors_count);
}

/* ---- interfaces ------------------------------------------------------------------------------------------------------ */

struct hx_slice hx_records_ops(const struct hx_image *image, const struct hx_interface_record *record)
{
    const void *ops = hx_image_at(image, (uintptr_t)record->ops, record->ops_bytes);
    return ops ? hx_slice_of(ops, record->ops_bytes) : hx_slice_of(NULL, 0);
}

uint32_t hx_records_vtable(const struct hx_image *image, const struct hx_interface_record *record,
                           const void *out_op[HX_OPS_MAX])
{
    hx_ret_t count = hx_ops_count(hx_records_ops(image, record));
    size_t bytes = sizeof(struct hx_ops_head) + (size_t)count * sizeof(void *);
    const uint8_t *vtable = hx_image_at(image, (uintptr_t)record->vtable, bytes);
    memcpy(out_op, vtable + sizeof(struct hx_ops_head), (size_t)count * sizeof(void *));
    return (uint32_t)count;
}

/* The number of operations, or less than 0 after a violation. The list is read-only: it counts as long as the module. */
static hx_ret_t check_interface(struct check *check, const struct hx_interface_record *record, const char *kind)
{
    char name[HX_NAME_MAX];
    if (!hx_name_is_proper(record->prefix)) {
        violate(check, HX_E_FORMAT, kind, "broken %s record: the interface has no proper name; " USE_MACROS, kind);
        return HX_E_FORMAT;
    }
    hx_interface_display(record->prefix, name);
    bool lies_well = hx_image_in_part(check->image, (uintptr_t)record->ops, HX_PART_RODATA);
    struct hx_slice ops = hx_records_ops(check->image, record);
    if (!lies_well || ops.bytes == 0) {
        violate(check, HX_E_RANGE, record->prefix,
                "broken %s record of %s: its list of operations lies outside the image's constants; " USE_MACROS, kind,
                name);
        return HX_E_RANGE;
    }
    hx_ret_t count = hx_ops_count(ops);
    if (count < 0)
        violate(check, HX_E_FORMAT, record->prefix,
                "broken %s record of %s: its list of operations is malformed; " USE_MACROS, kind, name);
    return count;
}

static void check_vtable(struct check *check, const struct hx_interface_record *record, uint32_t count)
{
    char name[HX_NAME_MAX];
    struct hx_ops_head head;
    size_t bytes = sizeof(head) + count * sizeof(void *);
    const uint8_t *vtable = lasting_at(check->image, record->vtable, bytes);
    hx_interface_display(record->prefix, name);
    if (!vtable) {
        violate(check, HX_E_RANGE, record->prefix,
                "broken vtable of %s: it lies outside the image, or in data that is given back after init; give "
                "HX_PROVIDES the address of a constant",
                name);
        return;
    }
    memcpy(&head, vtable, sizeof(head));
    if (head.version != record->version || head.bytes != bytes) {
        violate(
            check, HX_E_FORMAT, record->prefix,
            "broken vtable of %s: its head says version %u.%u and %u bytes, the record %u.%u and %zu; start it with "
            "HX_OPS_HEAD",
            name, HX_VERSION_MAJOR(head.version), HX_VERSION_MINOR(head.version), head.bytes,
            HX_VERSION_MAJOR(record->version), HX_VERSION_MINOR(record->version), bytes);
        return; /* who is wrong about its length need not have the operations */
    }
    for (uint32_t i = 0; i < count; i++) {
        const void *op = NULL;
        memcpy(&op, vtable + sizeof(head) + i * sizeof(op), sizeof(op));
        const char *fault = code_fault(check->image, op, true);
        if (fault && !op)
            violate(check, HX_E_RANGE, record->prefix,
                    "operation %u of %s is missing: NULL is outside the module's code; write it, or provide an older "
                    "version of the interface",
                    i, name);
        else if (fault)
            violate(check, HX_E_RANGE, record->prefix, "broken operation %u of %s: %p is %s", i, name, op, fault);
    }
}

static void check_interfaces(struct check *check)
{
    const struct hx_records *out = check->out;
    for (uint32_t i = 0; i < out->requires_count; i++)
        (void)check_interface(check, &out->requires[i], "requires");
    for (uint32_t i = 0; i < out->provides_count; i++) {
        const struct hx_interface_record *record = &out->provides[i];
        hx_ret_t count = check_interface(check, record, "provides");
        if (count < 0)
            continue;
        check_vtable(check, record, (uint32_t)count);
        for (uint32_t j = 0; j < i; j++)
            if (strncmp(record->prefix, out->provides[j].prefix, HX_NAME_MAX) == 0)
                violate(check, HX_E_EXIST, record->prefix, "interface %s is provided twice; leave one out",
                        record->prefix);
    }
}

/* ---- declarations ---------------------------------------------------------------------------------------------------- */

static bool irq_line_is_proper(const struct hx_irq_record *irq)
{
    if (irq->flags & HX_IRQ_GSI)
        return irq->line >= HX_IRQ_GSI_FIRST && irq->line <= HX_IRQ_GSI_LAST &&
               !(irq->flags & ~(uint32_t)(HX_IRQ_GSI | HX_IRQ_EDGE));
    return irq->line < HX_IRQ_GSI_FIRST && irq->flags == 0;
}

static void check_irqs(struct check *check)
{
    const struct hx_irq_record *irq = check->out->irqs;
    for (uint32_t i = 0; i < check->out->irqs_count; i++) {
        bool named = hx_name_is_proper(irq[i].key);
        if (!named || !irq_line_is_proper(&irq[i]))
            violate(check, HX_E_RANGE, "irq",
                    "broken interrupt record %u: line %u, flags 0x%x%s; lines are 0 to 15, flags 0 (HX_IRQ_GSI: 16 to "
                    "63), the key is a name",
                    i, irq[i].line, irq[i].flags, named ? "" : ", no proper key");
        const char *fault = code_fault(check->image, (const void *)irq[i].handler, true);
        if (fault)
            violate(check, HX_E_RANGE, named ? irq[i].key : "irq", "broken interrupt record %u: its handler is %s", i,
                    fault);
        for (uint32_t j = 0; j < i && named; j++)
            if (strncmp(irq[i].key, irq[j].key, HX_NAME_MAX) == 0)
                violate(check, HX_E_EXIST, irq[i].key, "interrupt key %s is declared twice; choose another",
                        irq[i].key);
    }
}

const char *hx_callback_kind_name(uint32_t kind)
{
    static const char *const names[HX_CALLBACK_KINDS] = { "?", "deferred", "timer", "event", "task", "service" };
    return names[kind < HX_CALLBACK_KINDS ? kind : 0];
}

/* What is wrong with what a callback is due for; NULL: nothing. */
static const char *callback_fault(const struct hx_callback_record *record)
{
    switch (record->kind) {
    case HX_CALLBACK_DEFERRED:
    case HX_CALLBACK_SERVICE: return NULL;
    case HX_CALLBACK_TIMER:
        if (record->number >= HX_TIMER_PERIOD_MIN_NS && record->number <= HX_TIMER_PERIOD_MAX_NS)
            return NULL;
        return "its period is shorter than 100,000 ns, or longer than 2^60";
    case HX_CALLBACK_EVENT:
        if (!hx_name_is_proper(record->topic))
            return "its topic is no name";
        return record->number ? NULL : "it takes no type of event";
    case HX_CALLBACK_TASK: return record->number <= UINT8_MAX ? NULL : "its priority is above 255";
    default: return "there is no such kind";
    }
}

static void check_callbacks(struct check *check)
{
    const struct hx_callback_record *record = check->out->callbacks;
    for (uint32_t i = 0; i < check->out->callbacks_count; i++) {
        bool named = hx_name_is_proper(record[i].key);
        const char *kind = hx_callback_kind_name(record[i].kind), *subject = named ? record[i].key : "callback";
        const char *fault = code_fault(check->image, (const void *)record[i].function.task, true);
        if (!named || fault)
            violate(check, HX_E_RANGE, subject, "broken callback %u, a %s: its %s %s", i, kind,
                    named ? "function is" : "key is", named ? fault : "no name; " USE_MACROS);
        fault = callback_fault(&record[i]);
        if (fault)
            violate(check, HX_E_RANGE, subject, "broken callback %u, a %s: %s; correct it", i, kind, fault);
        for (uint32_t j = 0; j < i && named; j++)
            if (strncmp(record[i].key, record[j].key, HX_NAME_MAX) == 0)
                violate(check, HX_E_EXIST, record[i].key, "callback %s is declared twice; choose another key",
                        record[i].key);
    }
}

static void check_channels(struct check *check)
{
    const struct hx_channel_record *record = check->out->channels;
    for (uint32_t i = 0; i < check->out->channels_count; i++) {
        bool named = hx_name_is_proper(record[i].key);
        if (!named || record[i].capacity == 0 || record[i].capacity > HX_CHANNEL_CAPACITY_MAX)
            violate(check, HX_E_RANGE, named ? record[i].key : "channel",
                    "broken channel record %u: the key is a name, the capacity 1 to %u; correct them", i,
                    (unsigned)HX_CHANNEL_CAPACITY_MAX);
        for (uint32_t j = 0; j < i && named; j++)
            if (strncmp(record[i].key, record[j].key, HX_NAME_MAX) == 0)
                violate(check, HX_E_EXIST, record[i].key, "channel %s is declared twice; choose another key",
                        record[i].key);
    }
}

/* So that no module can publish what looks like another's, or the kernel's. */
static void check_topics(struct check *check)
{
    const struct hx_topic_record *record = check->out->topics;
    const char *module = check->out->module->name;
    size_t bytes = strlen(module);
    for (uint32_t i = 0; i < check->out->topics_count; i++) {
        if (!hx_name_is_proper(record[i].name) || strncmp(record[i].name, module, bytes) != 0 ||
            record[i].name[bytes] != '.' || !record[i].name[bytes + 1]) {
            violate(check, HX_E_RANGE, "topic",
                    "broken topic record %u: its name does not begin with \"%s.\"; name it so", i, module);
            continue;
        }
        for (uint32_t j = 0; j < i; j++)
            if (strncmp(record[i].name, record[j].name, HX_NAME_MAX) == 0)
                violate(check, HX_E_EXIST, record[i].name, "topic %s is declared twice; choose another name",
                        record[i].name);
    }
}

static bool is_subscription(const struct hx_records *records, const char key[HX_NAME_MAX])
{
    for (uint32_t i = 0; i < records->callbacks_count; i++)
        if (strncmp(records->callbacks[i].key, key, HX_NAME_MAX) == 0)
            return records->callbacks[i].kind == HX_CALLBACK_EVENT;
    return false;
}

static void check_sources(struct check *check)
{
    const struct hx_source_record *record = check->out->sources;
    for (uint32_t i = 0; i < check->out->sources_count; i++) {
        uint32_t same = 0;
        for (uint32_t j = 0; j < i; j++)
            same += strncmp(record[i].key, record[j].key, HX_NAME_MAX) == 0;
        if (!hx_name_is_proper(record[i].source) || !is_subscription(check->out, record[i].key) ||
            same >= HX_SOURCES_OF_ONE_MAX)
            violate(
                check, HX_E_RANGE, "source",
                "broken source record %u: a name, for one of the module's subscriptions, at most %u for each; correct it",
                i, (unsigned)HX_SOURCES_OF_ONE_MAX);
    }
}

static void check_capabilities(struct check *check)
{
    uint32_t count = 0;
    const struct hx_capability_record *record = array_of(check, HX_RECORDS_CAPABILITIES, &count);
    for (uint32_t i = 0; i < count; i++) {
        const char *fault = hx_capability_fault(&record[i].what);
        if (fault || record[i].optional > 1)
            violate(check, HX_E_RANGE, "capability", "broken capability record %u, type %s: %s; correct it", i,
                    hx_capability_type_name(record[i].what.type), fault ? fault : USE_MACROS);
    }
}

const struct hx_capability_record *hx_records_capabilities(const struct hx_image *image, uint32_t *out_count)
{
    const struct hx_image_range *range = &image->records[HX_RECORDS_CAPABILITIES];
    *out_count = (uint32_t)(range->bytes / sizeof(struct hx_capability_record));
    return *out_count ? (const void *)range_at(image, range) : NULL;
}

static void check_ports(struct check *check)
{
    const struct hx_ports_record *ports = check->out->ports;
    for (uint32_t i = 0; i < check->out->ports_count; i++)
        if (ports[i].first > ports[i].last)
            violate(check, HX_E_RANGE, "ports", "empty port range: 0x%x to 0x%x; put the lower port first",
                    ports[i].first, ports[i].last);
}

static void check_params(struct check *check)
{
    const struct hx_param_record *param = check->out->params;
    for (uint32_t i = 0; i < check->out->params_count; i++) {
        uintptr_t va = (uintptr_t)param[i].variable;
        bool sized = param[i].bytes == 1 || param[i].bytes == 2 || param[i].bytes == 4 || param[i].bytes == 8;
        bool writable = hx_image_in_part(check->image, va, HX_PART_DATA) ||
                        hx_image_in_part(check->image, va, HX_PART_RO_AFTER_INIT);
        if (!hx_name_is_proper(param[i].name) || !summary_is_proper(param[i].summary))
            violate(check, HX_E_RANGE, "parameter",
                    "broken parameter record %u: its name or summary is no printable text; use HX_PARAM", i);
        else if (!sized || !writable || !hx_image_at(check->image, va, param[i].bytes))
            violate(check, HX_E_RANGE, param[i].name,
                    "broken parameter record %u: %s is no variable of 1, 2, 4 or 8 bytes among the module's data; use "
                    "HX_PARAM",
                    i, param[i].name);
    }
}

/* ---- the declared state ---------------------------------------------------------------------------------------------- */

enum { STATE_PADDING = 8 }; /* the state's structure ends less than that behind its last field */

/* @what: "state" or "record", of @whole bytes; 0: the field is broken, otherwise where it ends. */
static uint64_t check_field(struct check *check, const struct hx_field_record *fields, uint32_t index, const char *what,
                            size_t whole)
{
    static const uint8_t type_bytes[] = { [HX_FIELD_u8] = 1,  [HX_FIELD_u16] = 2, [HX_FIELD_u32] = 4,
                                          [HX_FIELD_u64] = 8, [HX_FIELD_i32] = 4, [HX_FIELD_i64] = 8 };
    const struct hx_field_record *field = &fields[index];
    if (!hx_name_is_proper(field->name)) {
        violate(check, HX_E_FORMAT, what, "broken %s field %u: it has no proper name; " USE_MACROS, what, index);
        return 0;
    }
    uint64_t bytes = (uint64_t)field->count * field->elem_bytes;
    /* No sum wraps: the product is at most (2^32 - 1)^2. */
    if (field->type == 0 || field->type >= HX_ARRAY_SIZE(type_bytes) || field->elem_bytes != type_bytes[field->type] ||
        field->count == 0 || field->offset + bytes > whole) {
        violate(check, HX_E_RANGE, field->name,
                "broken %s field %s: its type or place does not fit the %s of %zu bytes; " USE_MACROS, what,
                field->name, what, whole);
        return 0;
    }
    return field->offset + bytes;
}

/* What is wrong with a rule about @field, which is NULL when there is none of its name; NULL: nothing. */
static const char *rule_fault(const struct hx_rule_record *rule, const struct hx_field_record *field)
{
    bool held = field && hx_field_holds(field->type, rule->first) && hx_field_holds(field->type, rule->second);
    if (rule->kind == HX_RULE_DROPS)
        return field ? "the state has that field still" : NULL;
    if (!field)
        return "the state has no such field";
    if (rule->kind == HX_RULE_WAS)
        return hx_name_is_proper(rule->was) ? NULL : "the name before is none";
    if (rule->kind == HX_RULE_DEFAULT)
        return held ? NULL : "the value does not fit the field";
    if (rule->kind == HX_RULE_RANGE)
        return held && !hx_field_is_less(field->type, rule->second, rule->first) ? NULL : "there is no such range";
    return "its kind is unknown";
}

static void check_rule(struct check *check, uint32_t index)
{
    const struct hx_fields *fields = &check->out->fields;
    const struct hx_rule_record *rule = &fields->rule[index];
    if (!hx_name_is_proper(rule->field)) {
        violate(check, HX_E_FORMAT, "state", "broken state rule %u: it has no proper name; " USE_MACROS, index);
        return;
    }
    const char *fault = rule_fault(rule, hx_fields_find(fields, rule->field));
    if (fault)
        violate(check, HX_E_RANGE, rule->field, "broken state rule for %s: %s; correct it", rule->field, fault);
    else if (hx_fields_rule(fields, rule->kind, rule->field) != rule)
        violate(check, HX_E_EXIST, rule->field, "state field %s has two rules of one kind; take one away", rule->field);
}

static void check_fields(struct check *check)
{
    size_t state_bytes = check->image->part[HX_PART_STATE].bytes;
    bool sound = true;
    for (uint32_t i = 0; i < check->out->fields.count; i++) {
        uint64_t end = check_field(check, check->out->fields.field, i, "state", state_bytes);
        sound = sound && end;
        if (end > check->out->state_bytes)
            check->out->state_bytes = (size_t)end;
    }
    for (uint32_t i = 0; i < check->out->fields.rules_count && sound; i++)
        check_rule(check, i);
    if (check->out->fields.count == 0 && state_bytes > 0)
        violate(check, HX_E_FORMAT, HX_STATE_SECTION,
                "section " HX_STATE_SECTION " without fields; declare the state with HX_STATE");
    /* Fields are counted from the section's start, and pages of it stand in for those of the next version. */
    if (check->out->fields.count > 0 && sound && state_bytes >= check->out->state_bytes + STATE_PADDING)
        violate(check, HX_E_FORMAT, HX_STATE_SECTION,
                "section " HX_STATE_SECTION " has %zu bytes, its fields %zu: only HX_STATE may put something there; "
                "declare the rest elsewhere",
                state_bytes, check->out->state_bytes);
}

/* ---- the record ------------------------------------------------------------------------------------------------------ */

static void check_record(struct check *check)
{
    const struct hx_record_record *record = check->out->record;
    const struct hx_image_piece *data = &check->image->part[HX_PART_DATA];
    const char *section = record_kind[HX_RECORDS_RECORD].name;
    if (!record != !check->out->record_fields.count)
        violate(check, HX_E_FORMAT, section,
                "a record without fields, or fields without one; declare it with HX_RECORD");
    if (!record)
        return;
    if (record->bytes == 0 || record->bytes > HX_RECORD_BYTES_MAX)
        violate(check, HX_E_RANGE, section, "its record has %u bytes; it may have 1 to %u", record->bytes,
                (unsigned)HX_RECORD_BYTES_MAX);
    /* The kernel writes it, whenever the version is linked. */
    uintptr_t off = (uintptr_t)record->pointer - data->va;
    if (off >= data->bytes || data->bytes - off < sizeof(void *) || (uintptr_t)record->pointer % sizeof(void *))
        violate(check, HX_E_RANGE, section, "the pointer to its record is not among the module's data; " USE_MACROS);
    for (uint32_t i = 0; i < check->out->record_fields.count; i++)
        (void)check_field(check, check->out->record_fields.field, i, "record", record->bytes);
}

/* ---- what was read before linking ------------------------------------------------------------------------------------ */

hx_status_t hx_records_peek_name(struct hx_slice file, char out[HX_NAME_MAX])
{
    struct hx_slice records;
    hx_status_t err = hx_ldr_peek(file, HX_RECORDS_MODULE, &records);
    if (err == HX_OK)
        err = hx_slice_read(records, offsetof(struct hx_module_record, name), out, HX_NAME_MAX);
    if (err == HX_OK && !hx_name_is_proper(out))
        err = HX_E_FORMAT;
    return err;
}

struct hx_slice hx_records_peek_interfaces(struct hx_slice file, enum hx_image_records kind)
{
    struct hx_slice records;
    return hx_ldr_peek(file, kind, &records) == HX_OK ? records : hx_slice_of(NULL, 0);
}

bool hx_records_ask_for(struct hx_slice file, uint32_t type)
{
    struct hx_slice records;
    struct hx_capability_record record;
    if (type == HX_CAPABILITY_IO_PORT || type == HX_CAPABILITY_INTERRUPT) {
        enum hx_image_records kind = type == HX_CAPABILITY_IO_PORT ? HX_RECORDS_PORTS : HX_RECORDS_IRQS;
        if (hx_ldr_peek(file, kind, &records) == HX_OK && records.bytes)
            return true;
    }
    if (type == HX_CAPABILITY_NONE || hx_ldr_peek(file, HX_RECORDS_CAPABILITIES, &records) != HX_OK)
        return type == HX_CAPABILITY_NONE;
    for (uint64_t i = 0; hx_slice_read(records, i * sizeof(record), &record, sizeof(record)) == HX_OK; i++)
        if (record.what.type == type)
            return true;
    return false;
}

static void check_unlinked_interfaces(struct check *check, struct hx_slice unlinked,
                                      const struct hx_interface_record *linked, uint32_t count, const char *kind)
{
    for (uint32_t i = 0; i < count; i++) {
        struct hx_interface_record record;
        bool same = hx_slice_read(unlinked, (uint64_t)i * sizeof(record), &record, sizeof(record)) == HX_OK &&
                    memcmp(record.prefix, linked[i].prefix, sizeof(record.prefix)) == 0 &&
                    record.version == linked[i].version;
        if (!same)
            violate(check, HX_E_FORMAT, kind, "broken %s record %u: a relocation changes its name; " USE_MACROS, kind,
                    i);
    }
}

/* Plans are made of it, and undefined names resolved: linking may not change it. */
static void check_unlinked(struct check *check, struct hx_slice file)
{
    const struct hx_records *out = check->out;
    char name[HX_NAME_MAX];
    if (hx_records_peek_name(file, name) != HX_OK || strcmp(name, out->module->name) != 0)
        violate(check, HX_E_FORMAT, "name", "broken descriptor: a relocation changes its name; " USE_MACROS);
    check_unlinked_interfaces(check, hx_records_peek_interfaces(file, HX_RECORDS_PROVIDES), out->provides,
                              out->provides_count, "provides");
    check_unlinked_interfaces(check, hx_records_peek_interfaces(file, HX_RECORDS_REQUIRES), out->requires,
                              out->requires_count, "requires");
}

/* ---- all of them ----------------------------------------------------------------------------------------------------- */

hx_status_t hx_records_check(const struct hx_image *image, struct hx_slice file, const struct hx_records_sink *sink,
                             struct hx_records *out)
{
    struct check check = { .image = image, .sink = sink, .out = out };
    memset(out, 0, sizeof(*out));
    find_arrays(&check);
    /* Without a descriptor of this ABI nothing says that the rest means what it seems to. */
    if (check.err != HX_OK || !check_descriptor(&check))
        return check.err;
    check_unlinked(&check, file);
    check_interfaces(&check);
    check_irqs(&check);
    check_callbacks(&check);
    check_capabilities(&check);
    check_channels(&check);
    check_topics(&check);
    check_sources(&check);
    check_ports(&check);
    check_fields(&check);
    check_record(&check);
    check_params(&check);
    check_hooks(&check);
    check_constructors(&check);
    return check.err;
}
