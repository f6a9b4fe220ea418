/* SPDX-License-Identifier: MIT */
/*
 * replace.c - see replace.h.
 *
 * Why not the kernel's own code: it asks a running system, stops at the first refusal, and lies in a room above those that
 *            a tool may use. What is pure in it (lists of operations) is used as it is.
 */
#include "replace.h"

#include <module/capability.h>
#include <module/ops.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct pair {
    const struct hx_mp_module *old, *new;
    struct hx_mp_verdict *verdict;
};

static void add(struct pair *pair, bool refuses, const char *aspect, const char *format, va_list arguments)
{
    struct hx_mp_verdict *verdict = pair->verdict;
    struct hx_mp_change *larger = realloc(verdict->change, (verdict->count + 1) * sizeof(*larger));
    char *text = NULL;

    if (larger)
        verdict->change = larger;
    if (!larger || vasprintf(&text, format, arguments) < 0) {
        verdict->no_memory = true;
        return;
    }
    verdict->change[verdict->count++] = (struct hx_mp_change){ refuses, aspect, text };
    verdict->refusals += refuses;
}

__attribute__((format(printf, 3, 4))) static void note(struct pair *pair, const char *aspect, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(pair, false, aspect, format, arguments);
    va_end(arguments);
}

__attribute__((format(printf, 3, 4))) static void refuse(struct pair *pair, const char *aspect, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(pair, true, aspect, format, arguments);
    va_end(arguments);
}

/* ---- identity -------------------------------------------------------------------------------------------------------- */
static bool same_name(const struct pair *pair)
{
    return strcmp(pair->old->record->name, pair->new->record->name) == 0;
}

static void judge_identity(struct pair *pair)
{
    uint32_t old = pair->old->record->version, new = pair->new->record->version;

    if (!same_name(pair))
        note(pair, "name", "%s becomes %s: no other module may hold that name, and parameters are not kept",
             pair->old->record->name, pair->new->record->name);
    if (old != new)
        note(pair, "version", "%s becomes %s%s", hx_mp_version_text(old).text, hx_mp_version_text(new).text,
             same_name(pair) && new < old ? ", which is older: reload takes it only when its file is named" : "");
}

/* ---- interfaces ------------------------------------------------------------------------------------------------------ */
static const struct hx_interface_record *find(const struct hx_interface_record *record, size_t count,
                                              const char *prefix)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(record[i].prefix, prefix) == 0)
            return &record[i];
    return NULL;
}

static const struct hx_interface_record *find_provided(const struct hx_mp_module *module, const char *prefix)
{
    size_t count;
    const struct hx_interface_record *record = hx_mp_provides(module, &count);

    return find(record, count, prefix);
}

static const struct hx_interface_record *find_required(const struct hx_mp_module *module, const char *prefix)
{
    size_t count;
    const struct hx_interface_record *record = hx_mp_requires(module, &count);

    return find(record, count, prefix);
}

/* The operations that @longer has behind those of @shorter. */
static void note_operations(struct pair *pair, const char *what, struct hx_slice shorter, struct hx_slice longer)
{
    const char *op;

    for (uint64_t at = shorter.bytes - 1; (op = hx_slice_string(longer, at)) && op[0]; at += strlen(op) + 1)
        note(pair, "operation", "%s %s", op, what);
}

static void compare_interface(struct pair *pair, const struct hx_interface_record *old,
                              const struct hx_interface_record *new)
{
    struct hx_mp_text name = hx_mp_interface_name(old->prefix);
    struct hx_mp_text before = hx_mp_interface_version_text(old->version);
    struct hx_mp_text after = hx_mp_interface_version_text(new->version);
    struct hx_slice old_ops = hx_mp_ops(pair->old, old), new_ops = hx_mp_ops(pair->new, new);

    if (HX_VERSION_MAJOR(old->version) != HX_VERSION_MAJOR(new->version))
        refuse(pair, "interface", "%s %s becomes %s: another major is another interface to its users", name.text,
               before.text, after.text);
    else if (!hx_ops_agree(old_ops, old->version, new_ops, new->version))
        refuse(pair, "interface", "%s %s has other operations in the new module: build both with the same header",
               name.text, before.text);
    else if (new->version < old->version)
        refuse(pair, "interface", "%s %s becomes %s: who requires %s would be left without", name.text, before.text,
               after.text, before.text);
    else if (new->version != old->version)
        note(pair, "interface", "%s %s becomes %s", name.text, before.text, after.text);
    if (old_ops.bytes && new_ops.bytes && hx_ops_agree(old_ops, old->version, new_ops, new->version)) {
        note_operations(pair, "is added", old_ops, new_ops);
        note_operations(pair, "is gone", new_ops, old_ops);
    }
}

static void judge_provides(struct pair *pair)
{
    size_t old_count, new_count;
    const struct hx_interface_record *old = hx_mp_provides(pair->old, &old_count);
    const struct hx_interface_record *new = hx_mp_provides(pair->new, &new_count);

    for (size_t i = 0; i < old_count; i++) {
        const struct hx_interface_record *after = find(new, new_count, old[i].prefix);

        if (after)
            compare_interface(pair, &old[i], after);
        else
            refuse(pair, "interface", "%s %s is not provided any more, and others may rely on it",
                   hx_mp_interface_name(old[i].prefix).text, hx_mp_interface_version_text(old[i].version).text);
    }
    for (size_t i = 0; i < new_count; i++)
        if (!find(old, old_count, new[i].prefix))
            note(pair, "interface", "%s %s is provided now: no other module may provide it",
                 hx_mp_interface_name(new[i].prefix).text, hx_mp_interface_version_text(new[i].version).text);
}

/* A module that requires its own interface would wait at its own gate. */
static void judge_requires(struct pair *pair)
{
    size_t old_count, new_count;
    const struct hx_interface_record *old = hx_mp_requires(pair->old, &old_count);
    const struct hx_interface_record *new = hx_mp_requires(pair->new, &new_count);

    for (size_t i = 0; i < new_count; i++) {
        const struct hx_interface_record *before = find(old, old_count, new[i].prefix);
        struct hx_mp_text name = hx_mp_interface_name(new[i].prefix);
        struct hx_mp_text version = hx_mp_interface_version_text(new[i].version);

        if (find_provided(pair->new, new[i].prefix) || find_provided(pair->old, new[i].prefix))
            refuse(pair, "requires", "%s %s is provided by the module itself", name.text, version.text);
        else if (!before)
            note(pair, "requires", "%s %s is required now: somebody who does not rely on this module must provide it",
                 name.text, version.text);
        else if (before->version != new[i].version)
            note(pair, "requires", "%s %s is required, %s before", name.text, version.text,
                 hx_mp_interface_version_text(before->version).text);
    }
    for (size_t i = 0; i < old_count; i++)
        if (!find_required(pair->new, old[i].prefix))
            note(pair, "requires", "%s %s is not required any more", hx_mp_interface_name(old[i].prefix).text,
                 hx_mp_interface_version_text(old[i].version).text);
}

/* ---- state ----------------------------------------------------------------------------------------------------------- */
static bool has_hook(const struct hx_mp_module *module, enum hx_hook hook)
{
    return hx_records_hook(module->record, hook) != NULL;
}

/* Whether they mean the same by "@what NAME", or one of them does not say. */
static bool agree(const struct pair *pair, const char *what)
{
    char name[sizeof("record ") + HX_NAME_MAX];
    const struct hx_mp_type *old, *new;

    snprintf(name, sizeof(name), "%s %s", what, pair->old->record->name);
    old = hx_mp_types_find(&pair->old->types, name);
    new = hx_mp_types_find(&pair->new->types, name);
    return !old || !new || old->type == new->type;
}

/* The name belongs to it: two modules that declare alike need not mean alike. */
static bool declare_alike(const struct pair *pair, const char *what, const struct hx_fields *from,
                          const struct hx_fields *to)
{
    return same_name(pair) && hx_fields_schema(from, 0) == hx_fields_schema(to, 0) && agree(pair, what);
}

/* What becomes of @old where it can be carried over. */
static void note_field(struct pair *pair, const struct hx_field_record *old)
{
    const struct hx_field_record *new =
        hx_fields_successor(&pair->old->records.fields, old, &pair->new->records.fields);

    if (!new) {
        note(pair, "field", "%s is given up", old->name);
        return;
    }
    if (strcmp(new->name, old->name) != 0)
        note(pair, "field", "%s becomes %s", old->name, new->name);
    if (new->type != old->type)
        note(pair, "field", "%s: offset %u, %u bytes, %s here; offset %u, %u bytes, %s before: each value must fit",
             new->name, new->offset, new->elem_bytes *new->count, hx_field_type_name(new->type), old->offset,
             old->elem_bytes * old->count, hx_field_type_name(old->type));
    if (new->count > old->count)
        note(pair, "field", "%s grows from %u to %u elements", new->name, old->count, new->count);
}

/* Whether a field comes from one of the old ones. */
static bool has_source(const struct pair *pair, const struct hx_field_record *new)
{
    const struct hx_fields *from = &pair->old->records.fields;

    for (size_t i = 0; i < from->count; i++)
        if (hx_fields_successor(from, &from->field[i], &pair->new->records.fields) == new)
            return true;
    return false;
}

/* Field by field, by the kernel's own rules. Returns whether every old one finds its place. */
static bool compare_fields(struct pair *pair, bool by_hooks)
{
    const struct hx_fields *from = &pair->old->records.fields, *to = &pair->new->records.fields;
    void (*say)(struct pair *, const char *, const char *, ...) = by_hooks ? note : refuse;
    const char *without = by_hooks ? "" : ", and save and load hooks to convert it are missing";
    bool ok = true;

    for (size_t i = 0; i < from->count; i++) {
        const struct hx_field_record *old = &from->field[i], *new = hx_fields_successor(from, old, to);

        if (!hx_fields_obstacle(from, old, to)) {
            note_field(pair, old);
            continue;
        }
        ok = false;
        if (new)
            say(pair, "field", "%s shrinks from %u to %u elements%s", old->name, old->count, new->count, without);
        else
            say(pair, "field", "%s is gone%s", old->name, without);
    }
    for (size_t i = 0; i < to->count; i++) {
        const struct hx_rule_record *rule = hx_fields_rule(to, HX_RULE_DEFAULT, to->field[i].name);

        if (!has_source(pair, &to->field[i]) && rule)
            note(pair, "field", "%s is added, with %lld in it", to->field[i].name, (long long)rule->first);
        else if (!has_source(pair, &to->field[i]))
            note(pair, "field", "%s is added", to->field[i].name);
    }
    return ok || by_hooks;
}

static void judge_state(struct pair *pair)
{
    bool saves = has_hook(pair->old, HX_HOOK_SAVE);
    bool hooks = saves && has_hook(pair->new, HX_HOOK_LOAD);
    size_t declared;

    (void)hx_mp_fields(pair->old, &declared);
    if (declared == 0 && !saves) {
        pair->verdict->state = "none";
        (void)compare_fields(pair, false);
    } else if (declared > 0 && declare_alike(pair, "state", &pair->old->records.fields, &pair->new->records.fields)) {
        pair->verdict->state = "shared";
    } else if (declared == 0 && !hooks) {
        pair->verdict->state = "refused";
        refuse(pair, "state", "the old module saves its state by a hook, and the new one has no load to take it");
    } else {
        pair->verdict->state = !compare_fields(pair, hooks) ? "refused" : hooks ? "hooks" : "fields";
    }
}

/* What is kept finds its place, or the swap is refused. */
static void judge_record(struct pair *pair)
{
    const struct hx_fields *from = &pair->old->records.record_fields, *to = &pair->new->records.record_fields;
    bool refused = false;

    for (size_t i = 0; i < from->count; i++)
        if (!hx_fields_place(&from->field[i], to)) {
            refused = true;
            refuse(pair, "record", "what it keeps in %s has no place: missing, smaller or of another type",
                   from->field[i].name);
        }
    for (size_t i = 0; i < to->count; i++)
        if (!hx_fields_find(from, to->field[i].name))
            note(pair, "record", "%s is added, with zeros in it", to->field[i].name);
    if (!refused && from->count > 0 && !declare_alike(pair, "record", from, to))
        note(pair, "record", "it is copied by the names of its fields, and a revert has it as it was");
}

/* ---- what is declared ------------------------------------------------------------------------------------------------ */
static const struct hx_irq_record *irq_called(const struct hx_mp_module *module, const char *key)
{
    size_t count;
    const struct hx_irq_record *irq = hx_mp_irqs(module, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(irq[i].key, key) == 0)
            return &irq[i];
    return NULL;
}

static const struct hx_irq_record *irq_on(const struct hx_mp_module *module, uint32_t line)
{
    size_t count;
    const struct hx_irq_record *irq = hx_mp_irqs(module, &count);

    for (size_t i = 0; i < count; i++)
        if (irq[i].line == line)
            return &irq[i];
    return NULL;
}

static void judge_irqs(struct pair *pair)
{
    size_t count;
    const struct hx_irq_record *irq = hx_mp_irqs(pair->new, &count);

    for (size_t i = 0; i < count; i++) {
        const struct hx_irq_record *before = irq_called(pair->old, irq[i].key);
        const struct hx_irq_record *holder = irq_on(pair->old, irq[i].line);

        if (before && before->line != irq[i].line)
            refuse(pair, "irq", "%s changes from line %u to %u: declare it under another key", irq[i].key, before->line,
                   irq[i].line);
        else if (!before && holder)
            refuse(pair, "irq", "line %u is held under the key %s, now %s: keep the key", irq[i].line, holder->key,
                   irq[i].key);
        else if (!before)
            note(pair, "irq", "%s, line %u, is added: nobody else may hold the line", irq[i].key, irq[i].line);
        for (size_t j = 0; !before && !holder && j < i; j++)
            if (irq[j].line == irq[i].line)
                refuse(pair, "irq", "line %u is declared by %s and by %s: one key a line", irq[i].line, irq[j].key,
                       irq[i].key);
    }
    irq = hx_mp_irqs(pair->old, &count);
    for (size_t i = 0; i < count; i++)
        if (!irq_called(pair->new, irq[i].key))
            note(pair, "irq", "%s, line %u, is given back", irq[i].key, irq[i].line);
}

static const struct hx_callback_record *callback_called(const struct hx_mp_module *module, const char *key)
{
    size_t count;
    const struct hx_callback_record *record = hx_mp_callbacks(module, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(record[i].key, key) == 0)
            return &record[i];
    return NULL;
}

static void judge_callbacks(struct pair *pair)
{
    size_t count;
    const struct hx_callback_record *record = hx_mp_callbacks(pair->new, &count);

    for (size_t i = 0; i < count; i++) {
        const struct hx_callback_record *before = callback_called(pair->old, record[i].key);
        const char *kind = hx_callback_kind_name(record[i].kind);

        if (before && before->kind != record[i].kind)
            refuse(pair, kind, "%s was a %s: declare it under another key", record[i].key,
                   hx_callback_kind_name(before->kind));
        else if (before && strcmp(before->topic, record[i].topic) != 0)
            note(pair, kind, "%s changes from topic %s to %s: what it has not been told of the first is lost",
                 record[i].key, before->topic, record[i].topic);
        else if (!before)
            note(pair, kind, "%s is added", record[i].key);
    }
    record = hx_mp_callbacks(pair->old, &count);
    for (size_t i = 0; i < count; i++)
        if (!callback_called(pair->new, record[i].key))
            note(pair, hx_callback_kind_name(record[i].kind), "%s is given back", record[i].key);
}

static void judge_channels(struct pair *pair)
{
    size_t new_count, old_count;
    const struct hx_channel_record *new = hx_mp_channels(pair->new, &new_count);
    const struct hx_channel_record *old = hx_mp_channels(pair->old, &old_count);

    for (size_t i = 0; i < new_count; i++)
        for (size_t j = 0; j < old_count; j++)
            if (strcmp(new[i].key, old[j].key) == 0 && new[i].capacity != old[j].capacity)
                refuse(pair, "channel", "%s changes its capacity from %u to %u: declare it under another key",
                       new[i].key, old[j].capacity, new[i].capacity);
}

static bool has_ports(const struct hx_mp_module *module, const struct hx_ports_record *wanted)
{
    size_t count;
    const struct hx_ports_record *ports = hx_mp_ports(module, &count);

    for (size_t i = 0; i < count; i++)
        if (ports[i].first == wanted->first && ports[i].last == wanted->last)
            return true;
    return false;
}

static void compare_ports(struct pair *pair, const struct hx_mp_module *in, const struct hx_mp_module *not_in,
                          const char *what)
{
    size_t count;
    const struct hx_ports_record *ports = hx_mp_ports(in, &count);

    for (size_t i = 0; i < count; i++)
        if (!has_ports(not_in, &ports[i]))
            note(pair, "ports", "0x%x to 0x%x are %s", ports[i].first, ports[i].last, what);
}

/* Whether it asks for that, in this way. */
static bool has_capability(const struct hx_mp_module *module, const struct hx_capability_record *wanted)
{
    uint32_t count;
    const struct hx_capability_record *record = hx_records_capabilities(module->image, &count);

    for (uint32_t i = 0; i < count; i++)
        if (memcmp(&record[i], wanted, sizeof(*wanted)) == 0)
            return true;
    return false;
}

static void compare_capabilities(struct pair *pair, const struct hx_mp_module *in, const struct hx_mp_module *not_in,
                                 const char *what)
{
    uint32_t count;
    const struct hx_capability_record *record = hx_records_capabilities(in->image, &count);
    char text[HX_CAPABILITY_TEXT_MAX];

    for (uint32_t i = 0; i < count; i++) {
        hx_capability_text(&record[i].what, text);
        if (!has_capability(not_in, &record[i]))
            note(pair, "capability", "%s%s is %s", text, record[i].optional ? ", optional," : "", what);
    }
}

static const struct hx_param_record *find_param(const struct hx_mp_module *module, const char *name)
{
    size_t count;
    const struct hx_param_record *param = hx_mp_params(module, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(param[i].name, name) == 0)
            return &param[i];
    return NULL;
}

/* What the owner has set goes on to hold, so it depends on him whether a parameter that is gone stands in the way. */
static void compare_params(struct pair *pair)
{
    const char *until = same_name(pair) ? ": while the owner has set it, a swap is refused" : "";
    size_t count;
    const struct hx_param_record *param = hx_mp_params(pair->old, &count);

    for (size_t i = 0; i < count; i++) {
        const struct hx_param_record *after = find_param(pair->new, param[i].name);

        if (!after)
            note(pair, "param", "%s is gone%s", param[i].name, until);
        else if (after->bytes != param[i].bytes)
            note(pair, "param", "%s has %u bits, %u before", param[i].name, after->bytes * 8, param[i].bytes * 8);
    }
    param = hx_mp_params(pair->new, &count);
    for (size_t i = 0; i < count; i++)
        if (!find_param(pair->old, param[i].name))
            note(pair, "param", "%s is added", param[i].name);
}

static bool imports(const struct hx_mp_module *module, const char *name)
{
    for (size_t i = 0; i < module->imports.count; i++)
        if (strcmp(module->imports.name[i], name) == 0)
            return true;
    return false;
}

static void compare_imports(struct pair *pair, const struct hx_mp_module *in, const struct hx_mp_module *not_in,
                            const char *what)
{
    for (size_t i = 0; i < in->imports.count; i++)
        if (!imports(not_in, in->imports.name[i]))
            note(pair, "import", "%s is %s", in->imports.name[i], what);
}

/* ---- types ----------------------------------------------------------------------------------------------------------- */
static void judge_types(struct pair *pair)
{
    for (size_t i = 0; i < pair->new->types.count; i++) {
        const struct hx_mp_type *mine = &pair->new->types.type[i];
        const struct hx_mp_type *before = hx_mp_types_find(&pair->old->types, mine->name);
        char *difference;

        if (!before || before->type == mine->type)
            continue;
        difference = hx_mp_type_difference(mine->text, "here", before->text, "there");
        if (!difference)
            pair->verdict->no_memory = true;
        else
            note(pair, "type", "%s: %s", mine->name, difference);
        free(difference);
    }
}

/* ---- public ---------------------------------------------------------------------------------------------------------- */
void hx_mp_judge(struct hx_mp_verdict *out, const struct hx_mp_module *old, const struct hx_mp_module *new)
{
    struct pair pair = { .old = old, .new = new, .verdict = out };

    *out = (struct hx_mp_verdict){ .state = "none" };
    judge_identity(&pair);
    judge_provides(&pair);
    judge_requires(&pair);
    judge_state(&pair);
    judge_record(&pair);
    judge_types(&pair);
    judge_irqs(&pair);
    judge_callbacks(&pair);
    judge_channels(&pair);
    compare_ports(&pair, new, old, "added");
    compare_capabilities(&pair, new, old, "added");
    compare_ports(&pair, old, new, "gone");
    compare_capabilities(&pair, old, new, "gone");
    compare_params(&pair);
    compare_imports(&pair, new, old, "added");
    compare_imports(&pair, old, new, "gone");
}

void hx_mp_verdict_free(struct hx_mp_verdict *verdict)
{
    for (size_t i = 0; i < verdict->count; i++)
        free(verdict->change[i].text);
    free(verdict->change);
    *verdict = (struct hx_mp_verdict){ 0 };
}
