/* SPDX-License-Identifier: MIT */
/*
 * cmd_symbols.c - which function an address belongs to, and where a name lies: the core's, its exports', the modules' and
 * the stubs' through which they call each other.
 *
 * Modules go away while this prints, so what there is to say of one is collected with preemption off and said afterwards.
 */
#include "command.h"
#include "console.h"
#include "nearest.h"

#include <lib/fmt.h>
#include <module/exports.h>
#include <module/where.h>
#include <string.h>

static const char advice[] = "modinfo tells where a module's parts lie";

/* ---- import stubs --------------------------------------------------------------------------------------------------- */
/* One that modules call an operation through, in words of its own: the interface may go. */
struct stub {
    char name[HX_NAME_MAX + HX_NEAREST_NAME_MAX]; /* PREFIX_OPERATION, as they call it */
    char owner[HX_NAME_MAX + 16];
    struct hx_label label;
};

/* Operations of @interface, which may be NULL, that have a stub. */
static uint32_t stub_count(const struct hx_interface *interface)
{
    return interface && interface->stubs_va ? interface->op_count : 0;
}

static void describe_stub(const struct hx_interface *interface, uint32_t op, struct stub *out)
{
    const char *prefix = hx_slot_info(interface->slot)->name;
    char display[HX_NAME_MAX];
    hx_interface_display(prefix, display);
    hx_fmt(out->owner, sizeof(out->owner), "import stub of %s", display);
    hx_fmt(out->name, sizeof(out->name), "%s_%.*s", prefix, (int)interface->name[op].bytes, interface->name[op].text);
    out->label = (struct hx_label){ out->name, interface->stubs_va + op * HX_STUB_BYTES, HX_STUB_BYTES };
}

/* ---- an address ----------------------------------------------------------------------------------------------------- */
static bool describe_in_modules(uintptr_t va, char *text, size_t bytes)
{
    char owner[2 * HX_NAME_MAX + 16], version[16];
    struct hx_where where;
    hx_preempt_disable();
    bool found = hx_where_in(hx_module_version_at(va), va, &where);
    if (found) {
        hx_version_text(where.version->record->version, version);
        hx_fmt(owner, sizeof(owner), "%s %s, %s", where.version->module->name, version, hx_image_part_name(where.part));
        hx_label_text(&where.label, va, owner, text, bytes);
    }
    hx_preempt_enable();
    return found;
}

static bool describe_in_stubs(uintptr_t va, char *text, size_t bytes)
{
    struct stub stub;
    bool found = false;
    hx_preempt_disable();
    for (uint32_t i = 0; i < HX_SLOTS_MAX && !found; i++) {
        const struct hx_interface *interface = hx_interface_in(i);
        uintptr_t op = interface ? (va - interface->stubs_va) / HX_STUB_BYTES : 0;
        found = op < stub_count(interface);
        if (found)
            describe_stub(interface, (uint32_t)op, &stub);
    }
    hx_preempt_enable();
    if (found)
        hx_label_text(&stub.label, va, stub.owner, text, bytes);
    return found;
}

static bool describe_in_core(uintptr_t va, char *text, size_t bytes)
{
    struct hx_label label;
    char name[HX_LABEL_NAME_BYTES];
    if (!hx_console_env()->core_function_at || !hx_console_env()->core_function_at(va, &label, name))
        return false;
    hx_label_text(&label, va, "kernel", text, bytes);
    return true;
}

static hx_status_t explain_address(const char *command, const char *argument)
{
    char text[192];
    uint64_t va = 0;
    hx_status_t err = hx_command_number(argument, UINT64_MAX, &va);
    if (err != HX_OK)
        return hx_command_refuse(command, argument, err, "an address is 0x and up to 16 hexadecimal digits");
    if (!describe_in_core(va, text, sizeof(text)) && !describe_in_modules(va, text, sizeof(text)) &&
        !describe_in_stubs(va, text, sizeof(text))) {
        hx_command_error(command, argument, "neither text of the kernel nor a part of a module is there", advice);
        return HX_E_NOENT;
    }
    hx_console_printf("0x%016llx %s\n", (unsigned long long)va, text);
    return HX_OK;
}

/* ---- a name --------------------------------------------------------------------------------------------------------- */
enum { MATCHES_MAX = 8 }; /* of one version; static functions of several files may share a name */

/* What is looked for, and what was found where it is looked for. */
struct search {
    const char *name;
    uint32_t total;            /* printed */
    struct hx_nearest nearest; /* to it, of all names seen */
    uint32_t count;            /* of the current version; may exceed MATCHES_MAX */
    struct hx_label match[MATCHES_MAX];
};

/* Compilers split functions and call the pieces NAME.cold, NAME.part.0 and so on. */
static bool is_meant(const char *candidate, const char *name)
{
    size_t bytes = strlen(name);
    return strncmp(candidate, name, bytes) == 0 && (candidate[bytes] == '\0' || candidate[bytes] == '.');
}

static bool consider(const struct hx_label *label, void *context)
{
    struct search *search = context;
    if (!is_meant(label->name, search->name)) {
        if (search->total == 0)
            hx_nearest_offer(&search->nearest, label->name);
        return true;
    }
    if (search->count < MATCHES_MAX)
        search->match[search->count] = *label;
    search->count++;
    return true;
}

static void print(struct search *search, const struct hx_label *label, const char *owner)
{
    char text[192];
    hx_label_text(label, label->va, owner, text, sizeof(text));
    hx_console_printf("0x%016llx %s\n", (unsigned long long)label->va, text);
    search->total++;
}

static void search_exports(struct search *search)
{
    for (size_t i = 0; i <= hx_exports_mask || hx_exports_table[i].name; i++) {
        const struct hx_export *export = &hx_exports_table[i];
        struct hx_label label = { .name = export->name, .va = (uintptr_t) export->stub };
        if (!export->name)
            continue;
        if (strcmp(export->name, search->name) == 0)
            print(search, &label, "kernel, export: the stub that modules call");
        else
            hx_nearest_offer(&search->nearest, export->name);
    }
}

static void search_core(struct search *search)
{
    struct hx_label label;
    char name[HX_LABEL_NAME_BYTES];
    bool (*function)(uint32_t, struct hx_label *, char *) = hx_console_env()->core_function;
    for (uint32_t i = 0; function && function(i, &label, name); i++) {
        search->count = 0;
        consider(&label, search);
        if (search->count > 0)
            print(search, &label, "kernel");
    }
}

/* Of the interface of slot @index. */
static void search_stubs(struct search *search, uint32_t index)
{
    struct stub stub;
    bool found = false;
    hx_preempt_disable();
    const struct hx_interface *interface = hx_interface_in(index);
    for (uint32_t op = 0; op < stub_count(interface) && !found; op++) {
        describe_stub(interface, op, &stub);
        found = strcmp(stub.name, search->name) == 0;
        if (!found && search->total == 0)
            hx_nearest_offer(&search->nearest, stub.name);
    }
    hx_preempt_enable();
    if (found)
        print(search, &stub.label, stub.owner);
}

/* Number @index of all versions that are loaded: of each module the running one, then the one before it. NULL: no more. */
static const struct hx_version *nth_version(uint32_t index)
{
    struct hx_module *module = NULL;
    while ((module = hx_module_next(module))) {
        const struct hx_version *loaded[] = { module->running, module->previous };
        for (size_t i = 0; i < HX_ARRAY_SIZE(loaded); i++)
            if (loaded[i] && loaded[i]->image && index-- == 0)
                return loaded[i];
    }
    return NULL;
}

/* The part that @match lies in, behind what names the version. */
static void print_match(struct search *search, const char *version, const struct hx_label *match,
                        enum hx_image_part part)
{
    char owner[2 * HX_NAME_MAX + 16];
    hx_fmt(owner, sizeof(owner), "%s, %s", version, hx_image_part_name(part));
    print(search, match, owner);
}

/* Returns whether there was one. A match's name stays: it lies in the pack. */
static bool search_version(struct search *search, uint32_t index)
{
    char name[HX_NAME_MAX + 16], text[16];
    struct hx_where where[MATCHES_MAX];
    search->count = 0;
    hx_preempt_disable();
    const struct hx_version *version = nth_version(index);
    if (version) {
        hx_version_text(version->record->version, text);
        hx_fmt(name, sizeof(name), "%s %s", version->module->name, text);
        hx_image_for_each_symbol(version->image, version->file, consider, search);
    }
    uint32_t kept = search->count < MATCHES_MAX ? search->count : MATCHES_MAX;
    for (uint32_t i = 0; i < kept; i++)
        (void)hx_where_in(version, search->match[i].va, &where[i]); /* it does: it was found there */
    hx_preempt_enable();
    for (uint32_t i = 0; i < kept; i++)
        print_match(search, name, &search->match[i], where[i].part);
    if (search->count > kept)
        hx_console_printf("... and %u more in %s\n", search->count - kept, name);
    return version;
}

static hx_status_t explain_name(const char *command, const char *name)
{
    struct search search = { .name = name };
    hx_nearest_init(&search.nearest, name);
    search_exports(&search);
    search_core(&search);
    for (uint32_t i = 0; i < HX_SLOTS_MAX; i++)
        search_stubs(&search, i);
    for (uint32_t i = 0; search_version(&search, i); i++)
        continue;
    if (search.total > 0)
        return HX_OK;
    return hx_command_unknown(command, "symbol", name, hx_nearest_name(&search.nearest),
                              "give an address (0x...) or the whole name of a function, a variable or an export");
}

static hx_status_t cmd_sym(int argc, char **argv)
{
    hx_status_t err = HX_OK;
    if (argc < 2)
        return hx_command_usage(argv[0]);
    for (int i = 1; i < argc; i++) {
        bool is_number = argv[i][0] >= '0' && argv[i][0] <= '9';
        hx_status_t one = is_number ? explain_address(argv[0], argv[i]) : explain_name(argv[0], argv[i]);
        err = err == HX_OK ? one : err;
    }
    return err;
}

const struct hx_command hx_commands_symbols[] = {
    { .id = { HX_CAPABILITY_DEBUG, "sym" },
      .arguments = "ADDRESS|NAME...",
      .summary = "what lies at an address, where a name lies",
      .handler = cmd_sym,
      .help =
          "ADDRESS (0x...): function+offset/size and its module; text of the kernel, any part of a module, a stub\n"
          "through which modules call an interface.\n"
          "NAME: every function of the kernel, export, such stub, and function or variable of a module that is called\n"
          "so." },
    { .id = { HX_CAPABILITY_NONE, NULL } },
};
