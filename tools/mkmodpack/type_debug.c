/* SPDX-License-Identifier: MIT */
/*
 * type_debug.c - types in words, out of the debug information of an object or a program.
 *
 * Why no recursion, where types are recursive: the input decides how deep it goes. What is still to be said stands on a stack of
 * fixed depth; a type that wants more is refused.
 * Invariant: what is written depends on the type alone, not on which compiler described it, nor in which order or DWARF version.
 * Source:    DWARF 5, chapters 3 and 5.
 */
#include "type_words.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <lib/hash.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEPTH_MAX = 32,    /* structures in structures */
    PENDING_MAX = 128, /* words of one type still to be said */
    CHAIN_MAX = 64,    /* typedefs and qualifiers in a row */
    WORDS_MAX = 65536, /* of one type, in pieces */
    PATH_MAX_BYTES = 512,
};

struct describer {
    struct hx_mp_types *out;
    const struct hx_mp_types_wanted *wanted;
    const char *path; /* for findings */
    struct hx_mp_findings *findings;
    bool failed; /* told already */
};

/* ---- what debug information says of a thing --------------------------------------------------------------------------- */
static const char *name_of(Dwarf_Die *die)
{
    return dwarf_diename(die);
}

static bool number_of(Dwarf_Die *die, unsigned int attribute, Dwarf_Word *out)
{
    Dwarf_Attribute value;

    return dwarf_attr_integrate(die, attribute, &value) && dwarf_formudata(&value, out) == 0;
}

static bool flag_of(Dwarf_Die *die, unsigned int attribute)
{
    Dwarf_Attribute value;
    bool set = false;

    return dwarf_attr_integrate(die, attribute, &value) && dwarf_formflag(&value, &set) == 0 && set;
}

/* False: it has none, as what is void. */
static bool type_of(Dwarf_Die *die, Dwarf_Die *out)
{
    Dwarf_Attribute value;

    return dwarf_attr_integrate(die, DW_AT_type, &value) && dwarf_formref_die(&value, out);
}

static bool is_transparent(int tag, bool qualifiers_too)
{
    return tag == DW_TAG_typedef || tag == DW_TAG_restrict_type ||
           (qualifiers_too && (tag == DW_TAG_const_type || tag == DW_TAG_volatile_type));
}

/* What a type is behind its names, and, if wanted, behind its qualifiers. False: void. */
static bool look_through(Dwarf_Die *type, bool qualifiers_too)
{
    for (int i = 0; i < CHAIN_MAX && is_transparent(dwarf_tag(type), qualifiers_too); i++)
        if (!type_of(type, type))
            return false;
    return true;
}

static bool is_record(int tag)
{
    return tag == DW_TAG_structure_type || tag == DW_TAG_union_type || tag == DW_TAG_class_type;
}

static const char *record_word(int tag)
{
    return tag == DW_TAG_union_type ? "union" : "struct";
}

/* Calls of it go on from child to child of one kind: returns whether @out is one. */
static bool first_of(Dwarf_Die *parent, int tag, Dwarf_Die *out)
{
    if (dwarf_child(parent, out) != 0)
        return false;
    while (dwarf_tag(out) != tag)
        if (dwarf_siblingof(out, out) != 0)
            return false;
    return true;
}

static bool next_of(int tag, Dwarf_Die *at)
{
    do {
        if (dwarf_siblingof(at, at) != 0)
            return false;
    } while (dwarf_tag(at) != tag);
    return true;
}

/* ---- words ----------------------------------------------------------------------------------------------------------- */
static void say_base(Dwarf_Die *type, FILE *to)
{
    Dwarf_Word encoding = 0, bytes = 0;
    const char *word = "?";

    (void)number_of(type, DW_AT_encoding, &encoding);
    (void)number_of(type, DW_AT_byte_size, &bytes);
    switch (encoding) {
    case DW_ATE_boolean: fputs("bool", to); return;
    case DW_ATE_signed:
    case DW_ATE_signed_char: word = "i"; break;
    case DW_ATE_unsigned:
    case DW_ATE_unsigned_char:
    case DW_ATE_UTF: word = "u"; break;
    case DW_ATE_float: word = "f"; break;
    default: break;
    }
    fprintf(to, "%s%llu", word, (unsigned long long)bytes * 8);
}

/* gcc writes what is not negative in as few bytes as it takes, and no sign is meant. */
static bool has_sign(Dwarf_Attribute *value)
{
    unsigned int form = dwarf_whatform(value);

    return form == DW_FORM_sdata || form == DW_FORM_implicit_const;
}

/* An enumeration: its size, its sign and what may be in it. */
static void say_enumerator(Dwarf_Die *enumerator, FILE *to)
{
    const char *name = name_of(enumerator);
    Dwarf_Attribute value;
    Dwarf_Sword number = 0;
    Dwarf_Word word = 0;

    if (!dwarf_attr(enumerator, DW_AT_const_value, &value))
        return;
    if (!has_sign(&value) && dwarf_formudata(&value, &word) == 0)
        fprintf(to, "%s=%llu,", name ? name : "-", (unsigned long long)word);
    else if (dwarf_formsdata(&value, &number) == 0)
        fprintf(to, "%s=%lld,", name ? name : "-", (long long)number);
}

static void say_enumeration(Dwarf_Die *type, FILE *to)
{
    Dwarf_Word bytes = 0;
    Dwarf_Die child;
    bool is_signed = false;

    (void)number_of(type, DW_AT_byte_size, &bytes);
    for (bool more = first_of(type, DW_TAG_enumerator, &child); more; more = next_of(DW_TAG_enumerator, &child)) {
        Dwarf_Attribute value;
        Dwarf_Sword number = 0;

        if (dwarf_attr(&child, DW_AT_const_value, &value) && has_sign(&value) && dwarf_formsdata(&value, &number) == 0)
            is_signed = is_signed || number < 0;
    }
    fprintf(to, "enum:%c%llu{", is_signed ? 'i' : 'u', (unsigned long long)bytes * 8);
    for (bool more = first_of(type, DW_TAG_enumerator, &child); more; more = next_of(DW_TAG_enumerator, &child))
        say_enumerator(&child, to);
    fputc('}', to);
}

static void say_bounds(Dwarf_Die *array, FILE *to)
{
    Dwarf_Die bound;

    for (bool more = first_of(array, DW_TAG_subrange_type, &bound); more;
         more = next_of(DW_TAG_subrange_type, &bound)) {
        Dwarf_Word count = 0, upper = 0;

        if (!number_of(&bound, DW_AT_count, &count) && number_of(&bound, DW_AT_upper_bound, &upper))
            count = upper + 1;
        if (count)
            fprintf(to, "[%llu]", (unsigned long long)count);
        else
            fputs("[]", to);
    }
}

/* A type is said from its outside to its inside, so that a stack of what is still to come suffices. */
struct pending {
    struct item {
        const char *text; /* NULL: a type, */
        bool is_void;     /* that may be none */
        bool plain;       /* whose outermost qualifiers do not count: an argument's or a result's */
        Dwarf_Die type;
    } item[PENDING_MAX];
    unsigned int count;
    bool overflow;
};

static void push_text(struct pending *pending, const char *text)
{
    if (pending->count == PENDING_MAX)
        pending->overflow = true;
    else
        pending->item[pending->count++] = (struct item){ .text = text };
}

/* The type that @die has. */
static void push_type_of(struct pending *pending, Dwarf_Die *die, bool plain)
{
    struct item item = { .plain = plain };

    item.is_void = !type_of(die, &item.type) || !look_through(&item.type, plain);
    if (pending->count == PENDING_MAX)
        pending->overflow = true;
    else
        pending->item[pending->count++] = item;
}

static void push_function(struct pending *pending, Dwarf_Die *function)
{
    unsigned int from;
    Dwarf_Die child;
    bool any = false;

    push_type_of(pending, function, true); /* last: what it returns */
    push_text(pending, ") ");
    from = pending->count;
    for (int found = dwarf_child(function, &child); found == 0; found = dwarf_siblingof(&child, &child)) {
        int tag = dwarf_tag(&child);

        if (tag != DW_TAG_formal_parameter && tag != DW_TAG_unspecified_parameters)
            continue;
        if (any)
            push_text(pending, ", ");
        if (tag == DW_TAG_formal_parameter)
            push_type_of(pending, &child, true);
        else
            push_text(pending, "...");
        any = true;
    }
    /* The first is to come first, and what was pushed last does. */
    for (unsigned int low = from, high = pending->count; low + 1 < high; low++) {
        struct item swapped = pending->item[low];

        pending->item[low] = pending->item[--high];
        pending->item[high] = swapped;
    }
    push_text(pending, "fn(");
}

static void say_item(struct pending *pending, struct item *item, FILE *to)
{
    Dwarf_Die *type = &item->type;
    int tag;

    if (item->text || item->is_void) {
        fputs(item->text ? item->text : "void", to);
        return;
    }
    tag = dwarf_tag(type);
    switch (tag) {
    case DW_TAG_base_type: say_base(type, to); break;
    case DW_TAG_enumeration_type: say_enumeration(type, to); break;
    case DW_TAG_const_type:
    case DW_TAG_volatile_type:
    case DW_TAG_atomic_type:
        fputs(tag == DW_TAG_const_type ? "const " : tag == DW_TAG_volatile_type ? "volatile " : "atomic ", to);
        push_type_of(pending, type, false);
        break;
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
        fputc(tag == DW_TAG_pointer_type ? '*' : '&', to);
        push_type_of(pending, type, false);
        break;
    case DW_TAG_array_type:
        say_bounds(type, to);
        push_type_of(pending, type, false);
        break;
    case DW_TAG_subroutine_type:
    case DW_TAG_subprogram: push_function(pending, type); break;
    default:
        if (is_record(tag))
            fprintf(to, "%s %s", record_word(tag), name_of(type) ? name_of(type) : "-");
        else
            fprintf(to, "tag%d", tag);
    }
}

/* The words of the type that @die has, or, with @itself, that it is. False: it is too deep. */
static bool say_type(Dwarf_Die *die, bool itself, FILE *to)
{
    struct pending pending = { 0 };
    unsigned int said = 0;

    if (itself)
        pending.item[pending.count++] = (struct item){ .type = *die };
    else
        push_type_of(&pending, die, false);
    while (pending.count > 0 && !pending.overflow && said++ < WORDS_MAX) {
        struct item item = pending.item[--pending.count];

        say_item(&pending, &item, to);
    }
    return pending.count == 0 && !pending.overflow;
}

/* ---- members --------------------------------------------------------------------------------------------------------- */
/* A structure that is being walked through; its members have @prefix bytes of the path in front. */
struct level {
    Dwarf_Die member;
    bool more;
    Dwarf_Word base_bits;
    size_t prefix;
};

static Dwarf_Word place_in_bits(Dwarf_Die *member, Dwarf_Word *out_width)
{
    Dwarf_Word place = 0, bytes = 0, storage = 0, from_top = 0;

    *out_width = 0;
    (void)number_of(member, DW_AT_bit_size, out_width);
    if (number_of(member, DW_AT_data_bit_offset, &place))
        return place;
    (void)number_of(member, DW_AT_data_member_location, &bytes);
    place = bytes * 8;
    /* DWARF 3: counted from the most significant bit of what it is stored in. */
    if (*out_width && number_of(member, DW_AT_bit_offset, &from_top)) {
        Dwarf_Die type;

        if (!number_of(member, DW_AT_byte_size, &storage) && type_of(member, &type) && look_through(&type, true))
            (void)number_of(&type, DW_AT_byte_size, &storage);
        place += storage * 8 - from_top - *out_width;
    }
    return place;
}

static Dwarf_Word bytes_of(Dwarf_Die *member)
{
    Dwarf_Word bytes = 0;
    Dwarf_Die type;

    if (!type_of(member, &type) || dwarf_aggregate_size(&type, &bytes) != 0)
        bytes = 0;
    return bytes;
}

/* The structure that a member is, or is an array of; false: it is something else. */
static bool record_in(Dwarf_Die *member, Dwarf_Die *out, bool *out_array)
{
    *out_array = false;
    if (!type_of(member, out) || !look_through(out, true))
        return false;
    while (dwarf_tag(out) == DW_TAG_array_type) {
        *out_array = true;
        if (!type_of(out, out) || !look_through(out, true))
            return false;
    }
    return is_record(dwarf_tag(out));
}

static bool say_member(struct level *level, char *path, Dwarf_Word *out_bits, FILE *to)
{
    Dwarf_Word width, bits = level->base_bits + place_in_bits(&level->member, &width);
    const char *name = name_of(&level->member);
    bool ok;

    snprintf(path + level->prefix, PATH_MAX_BYTES - level->prefix, "%s", name ? name : "-");
    fprintf(to, "%llu", (unsigned long long)bits / 8);
    if (width)
        fprintf(to, ".%llu %llub", (unsigned long long)bits % 8, (unsigned long long)width);
    else
        fprintf(to, " %llu", (unsigned long long)bytes_of(&level->member));
    fprintf(to, " %s ", path);
    ok = say_type(&level->member, false, to);
    fputc('\n', to);
    *out_bits = bits;
    return ok;
}

/* All members of @record, and theirs. False: it is too deep. */
static bool say_members(Dwarf_Die *record, FILE *to)
{
    struct level level[DEPTH_MAX];
    unsigned int depth = 0;
    char path[PATH_MAX_BYTES];

    level[0] = (struct level){ .base_bits = 0 };
    level[0].more = first_of(record, DW_TAG_member, &level[0].member);
    for (unsigned int said = 0; said < WORDS_MAX; said++) {
        struct level *at = &level[depth];
        Dwarf_Word bits;
        Dwarf_Die inner;
        bool is_array;

        if (!at->more) {
            if (depth-- == 0)
                return true;
            continue;
        }
        if (!say_member(at, path, &bits, to))
            return false;
        if (record_in(&at->member, &inner, &is_array)) {
            size_t used = strlen(path);

            if (depth + 1 == DEPTH_MAX || used + sizeof("[].") >= PATH_MAX_BYTES)
                return false;
            depth++;
            snprintf(path + used, PATH_MAX_BYTES - used, "%s.", is_array ? "[]" : "");
            level[depth] = (struct level){ .base_bits = bits, .prefix = strlen(path) };
            level[depth].more = first_of(&inner, DW_TAG_member, &level[depth].member);
        }
        at->more = next_of(DW_TAG_member, &at->member);
    }
    return false;
}

/* ---- one type -------------------------------------------------------------------------------------------------------- */
static void refuse(struct describer *describer, const char *what, const char *why)
{
    if (!describer->failed)
        hx_mp_find_error(describer->findings, HX_E_FORMAT, describer->path, "%s %s", what, why);
    describer->failed = true;
}

/* Two units that mean different things by one name would not get along even without the kernel. */
static void enter(struct describer *describer, const char *name, char *text)
{
    const struct hx_mp_type *before = hx_mp_types_find(describer->out, name);
    uint64_t type = hx_hash_xxh64(text, strlen(text), 0);

    if (before && before->type != type) {
        char *difference = hx_mp_type_difference(before->text, "in one unit", text, "in another");

        hx_mp_find_error(describer->findings, HX_E_FORMAT, describer->path,
                         "two types for %s: %s; build all of it with the same headers", name,
                         difference ? difference : "not enough memory to say more");
        free(difference);
        describer->failed = true;
    } else if (!before && !hx_mp_types_add(describer->out, name, text, type)) {
        refuse(describer, "not enough memory", "for its types; free some");
    }
}

/* @die is a type, or a function. */
static void describe(struct describer *describer, Dwarf_Die *die, const char *name)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    Dwarf_Word size = 0;
    bool ok = to != NULL;

    if (to && is_record(dwarf_tag(die))) {
        (void)number_of(die, DW_AT_byte_size, &size);
        fprintf(to, "%s %llu\n", record_word(dwarf_tag(die)), (unsigned long long)size);
        ok = say_members(die, to);
    } else if (to) {
        ok = say_type(die, true, to);
        fputc('\n', to);
    }
    if (!to || fclose(to) != 0 || !text)
        refuse(describer, name, "is more than there is memory for; free some");
    else if (!ok)
        refuse(describer, name, "is a type too deep to be described; build it with simpler ones, or without -g");
    else
        enter(describer, name, text);
    free(text);
}

static void describe_list(struct describer *describer, Dwarf_Die *structure, const struct hx_mp_type_list *list)
{
    Dwarf_Die member;

    for (bool more = first_of(structure, DW_TAG_member, &member); more; more = next_of(DW_TAG_member, &member)) {
        Dwarf_Die type;
        char name[128];

        if (!name_of(&member) || !type_of(&member, &type) || !look_through(&type, true) ||
            dwarf_tag(&type) != DW_TAG_pointer_type || !type_of(&type, &type) || !look_through(&type, true) ||
            dwarf_tag(&type) != DW_TAG_subroutine_type)
            continue; /* the head */
        snprintf(name, sizeof(name), "%s%s", list->prefix, name_of(&member));
        describe(describer, &type, name);
    }
}

/* ---- what is wanted -------------------------------------------------------------------------------------------------- */
static bool ends_with(const char *text, const char *end)
{
    size_t bytes = strlen(text), end_bytes = strlen(end);

    return bytes >= end_bytes && strcmp(text + bytes - end_bytes, end) == 0;
}

/* Whether a structure is one of the contract's, or of an interface's; those of operations grow, and go one by one. */
static bool is_shared(const struct hx_mp_types_wanted *wanted, const char *name)
{
    bool found = strncmp(name, "hx_", 3) == 0;

    for (size_t i = 0; i < wanted->prefix_count && !found; i++) {
        size_t bytes = strlen(wanted->prefix[i]);

        found = strncmp(name, wanted->prefix[i], bytes) == 0 && name[bytes] == '_';
    }
    return found && !ends_with(name, "_ops");
}

static void take_record(struct describer *describer, Dwarf_Die *die, const char *name)
{
    const struct hx_mp_types_wanted *wanted = describer->wanted;
    char full[128];

    if (flag_of(die, DW_AT_declaration))
        return;
    for (size_t i = 0; i < wanted->list_count; i++)
        if (strcmp(wanted->list[i].structure, name) == 0)
            describe_list(describer, die, &wanted->list[i]);
    if (!is_shared(wanted, name))
        return;
    snprintf(full, sizeof(full), "%s %s", record_word(dwarf_tag(die)), name);
    describe(describer, die, full);
}

static int compare_names(const void *key, const void *name)
{
    return strcmp(key, *(char *const *)name);
}

static void take_function(struct describer *describer, Dwarf_Die *die, const char *name)
{
    const struct hx_mp_types_wanted *wanted = describer->wanted;
    char full[128];

    if (!wanted->import_count || !flag_of(die, DW_AT_external) ||
        !bsearch(name, wanted->import, wanted->import_count, sizeof(*wanted->import), compare_names))
        return;
    snprintf(full, sizeof(full), "import %s", name);
    describe(describer, die, full);
}

static void take_variable(struct describer *describer, Dwarf_Die *die, const char *name)
{
    const struct hx_mp_types_wanted *wanted = describer->wanted;
    Dwarf_Die type;

    if (!type_of(die, &type) || !look_through(&type, true))
        return;
    if (wanted->state && strcmp(name, wanted->state) == 0)
        describe(describer, &type, wanted->state_type);
    else if (wanted->record && strcmp(name, wanted->record) == 0 && dwarf_tag(&type) == DW_TAG_pointer_type &&
             type_of(&type, &type) && look_through(&type, true))
        describe(describer, &type, wanted->record_type);
}

static void take_unit(struct describer *describer, Dwarf_Die *unit)
{
    Dwarf_Die die;

    for (int found = dwarf_child(unit, &die); found == 0; found = dwarf_siblingof(&die, &die)) {
        const char *name = name_of(&die);
        int tag = dwarf_tag(&die);

        if (!name)
            continue;
        if (is_record(tag))
            take_record(describer, &die, name);
        else if (tag == DW_TAG_subprogram)
            take_function(describer, &die, name);
        else if (tag == DW_TAG_variable)
            take_variable(describer, &die, name);
    }
}

/* ---- public ---------------------------------------------------------------------------------------------------------- */
/* Nothing is looked for outside of the file. */
static int no_debug_file(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, const char *file,
                         const char *link, GElf_Word crc, char **out)
{
    (void)module, (void)data, (void)name, (void)base, (void)file, (void)link, (void)crc, (void)out;
    return -1;
}

bool hx_mp_types_describe(struct hx_mp_types *out, struct hx_slice bytes, const char *path,
                          const struct hx_mp_types_wanted *wanted, struct hx_mp_findings *findings)
{
    static const Dwfl_Callbacks callbacks = { .find_debuginfo = no_debug_file,
                                              .section_address = dwfl_offline_section_address };
    struct describer describer = { .out = out, .wanted = wanted, .path = path, .findings = findings };
    char *copy = malloc(bytes.bytes); /* its debug sections are relocated in place */
    Dwfl *dwfl = dwfl_begin(&callbacks);
    Dwfl_Module *module = NULL;
    Dwarf_CU *unit = NULL;
    Dwarf *debug = NULL;
    Dwarf_Addr bias;
    Dwarf_Die die;

    if (!copy || !dwfl) {
        refuse(&describer, "not enough memory", "to read its types; free some");
        goto out;
    }
    memcpy(copy, bytes.data, bytes.bytes);
    module = dwfl_report_offline_memory(dwfl, "module", path, copy, bytes.bytes);
    if (module && dwfl_report_end(dwfl, NULL, NULL) == 0)
        debug = dwfl_module_getdwarf(module, &bias);
    while (debug && !describer.failed && dwarf_get_units(debug, unit, &unit, NULL, NULL, &die, NULL) == 0)
        take_unit(&describer, &die);
    hx_mp_types_sort(out);
out:
    dwfl_end(dwfl);
    free(copy);
    return !describer.failed;
}
