/* SPDX-License-Identifier: MIT */
/*
 * cmd_capabilities.c - commands about who may do what.
 */
#include "command.h"
#include "console.h"
#include "module_names.h"

#include <hal/hx_hal.h>
#include <lib/fmt.h>
#include <orchestrator/capability_broker.h>
#include <string.h>

enum { SECONDS_MAX = 1000000000, NS_PER_S = 1000000000 };

/* As `revoke' takes it: index and generation. */
static void id_text(hx_handle_t id, char out[24])
{
    hx_fmt(out, 24, "%u.%u", hx_handle_index(id), hx_handle_generation(id));
}

static bool parse_id(const char *text, hx_handle_t *out)
{
    char index[16];
    uint64_t number = 0, generation = 0;
    size_t bytes = 0;
    while (text[bytes] && text[bytes] != '.')
        bytes++;
    if (!text[bytes] || bytes >= sizeof(index))
        return false;
    hx_fmt(index, sizeof(index), "%.*s", (int)bytes, text);
    if (hx_command_number(index, UINT32_MAX, &number) != HX_OK ||
        hx_command_number(text + bytes + 1, 0xffffff, &generation) != HX_OK)
        return false;
    *out = hx_handle_make(HX_HANDLE_CAPABILITY, (uint32_t)generation, (uint32_t)number);
    return true;
}

/* ---- caps ------------------------------------------------------------------------------------------------------------ */

static void print_grant(const struct hx_capability_grant *grant, const char *holder)
{
    char id[24], text[HX_CAPABILITY_TEXT_MAX], left[24] = "never";
    uint64_t now_ns = hx_hal_clock_ns();
    id_text(grant->id, id);
    hx_capability_text(&grant->what, text);
    if (grant->expires_ns != HX_CAPABILITY_NEVER)
        hx_fmt(left, sizeof(left), "%llu s",
               (unsigned long long)(grant->expires_ns > now_ns ? (grant->expires_ns - now_ns) / NS_PER_S + 1 : 0));
    hx_console_row("id holder capability ends_in by", "%-9s %-16.16s %-30s %-12s %s\n", id, holder, text, left,
                   grant->permanent  ? "for good"
                   : grant->manifest ? "declared"
                                     : "granted");
}

/* The principal called @name, or NULL; preemption is off. */
static struct hx_principal *principal_called(const char *name)
{
    static struct hx_principal *const owners[] = { &hx_console_principal, &hx_control_principal, &hx_kernel_principal };
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(owners); i++)
        if (strcmp(name, owners[i]->name) == 0)
            return owners[i];
    const struct hx_module *module = hx_module_find(name);
    return module ? module->principal : NULL;
}

static bool copy_grant(uint32_t *at, const char *of, struct hx_capability_grant *out, char holder[HX_NAME_MAX])
{
    bool found = false;
    hx_preempt_disable();
    const struct hx_principal *principal = of ? principal_called(of) : NULL;
    do
        found = (!of || principal) && hx_capability_next(at, principal, out);
    while (found && !of && out->permanent); /* what is always there is shown when asked for by name */
    if (found)
        hx_fmt(holder, HX_NAME_MAX, "%s", out->holder->name);
    hx_preempt_enable();
    return found;
}

static void print_denied(const char *name)
{
    struct hx_principal copy = { 0 };
    hx_preempt_disable();
    const struct hx_principal *principal = principal_called(name);
    if (principal)
        copy = *principal;
    hx_preempt_enable();
    if (copy.denied)
        hx_console_printf("caps: denied %llu times, last %s 0x%llx\n", (unsigned long long)copy.denied,
                          hx_capability_type_name(copy.denied_type), (unsigned long long)copy.denied_first);
}

static bool is_known(const char *name)
{
    hx_preempt_disable();
    bool known = principal_called(name) != NULL;
    hx_preempt_enable();
    return known;
}

static hx_status_t cmd_caps(int argc, char **argv)
{
    struct hx_capability_grant grant;
    char holder[HX_NAME_MAX];
    if (argc > 2)
        return hx_command_usage(argv[0]);
    if (argc == 2 && !is_known(argv[1]))
        return hx_names_refuse_module(argv[0], argv[1]);
    hx_capability_purge();
    hx_console_table("ID        HOLDER           CAPABILITY                     ENDS IN      BY");
    for (uint32_t at = 0; copy_grant(&at, argv[1], &grant, holder) && !hx_console_interrupted();)
        print_grant(&grant, holder);
    if (argc == 2)
        print_denied(argv[1]);
    return HX_OK;
}

/* ---- grant, revoke ---------------------------------------------------------------------------------------------------- */

static hx_status_t grant_to(const char *name, const struct hx_capability *what, uint64_t expires_ns, hx_handle_t *out,
                            struct hx_capability_refusal *out_refusal)
{
    hx_preempt_disable();
    struct hx_principal *to = principal_called(name);
    hx_status_t err =
        to ? hx_capability_grant(hx_console_sink()->principal, to, what, expires_ns, out, out_refusal) : HX_E_NOENT;
    hx_preempt_enable();
    return err;
}

static hx_status_t refuse_grant(char **argv, hx_status_t err, const struct hx_capability_refusal *refusal)
{
    char what[HX_CAPABILITY_TEXT_MAX + HX_NAME_MAX + 8], why[96];
    hx_fmt(what, sizeof(what), "%s to %.*s", argv[2], HX_NAME_MAX, argv[1]);
    switch (err) {
    case HX_E_POLICY:
        hx_fmt(why, sizeof(why), "policy: %s: %s", refusal->policy, refusal->why);
        hx_command_error(argv[0], what, why, "modinfo shows what it declares");
        return err;
    case HX_E_PERM: return hx_command_refuse(argv[0], what, err, "the console cannot pass on what it does not hold");
    case HX_E_LIMIT: return hx_command_refuse(argv[0], what, err, "revoke some, see caps");
    default: return hx_command_refuse(argv[0], what, err, "grant it for longer");
    }
}

static hx_status_t cmd_grant(int argc, char **argv)
{
    struct hx_capability what;
    struct hx_capability_refusal refusal = { 0 };
    const char *why = NULL;
    uint64_t seconds = 0, expires_ns = HX_CAPABILITY_NEVER;
    hx_handle_t id = HX_HANDLE_NONE;
    char text[24];
    if (argc != 3 && !(argc == 5 && strcmp(argv[3], "--for") == 0))
        return hx_command_usage(argv[0]);
    if (!is_known(argv[1]))
        return hx_names_refuse_module(argv[0], argv[1]);
    hx_status_t err = hx_capability_parse(argv[2], &what, &why);
    if (err != HX_OK) {
        hx_command_error(argv[0], argv[2], why, "write it as caps does");
        return err;
    }
    if (argc == 5) {
        err = hx_command_number(argv[4], SECONDS_MAX, &seconds);
        if (err != HX_OK || seconds == 0)
            return hx_command_refuse(argv[0], argv[4], HX_E_INVAL, "give seconds, from 1 to 1000000000");
        expires_ns = hx_capability_expiry(hx_hal_clock_ns(), seconds * NS_PER_S);
    }
    err = grant_to(argv[1], &what, expires_ns, &id, &refusal);
    if (err == HX_E_NOENT)
        return hx_names_refuse_module(argv[0], argv[1]);
    if (err != HX_OK)
        return refuse_grant(argv, err, &refusal);
    id_text(id, text);
    hx_console_printf("granted %s %s to %s\n", text, argv[2], argv[1]);
    return HX_OK;
}

static hx_status_t cmd_revoke(int argc, char **argv)
{
    hx_handle_t id = HX_HANDLE_NONE;
    if (argc != 2)
        return hx_command_usage(argv[0]);
    if (!parse_id(argv[1], &id))
        return hx_command_refuse(argv[0], argv[1], HX_E_INVAL, "give the ID that caps shows, as 12.3");
    hx_status_t err = hx_capability_revoke(&hx_kernel_principal, id); /* the owner types */
    if (err != HX_OK)
        return hx_command_refuse(argv[0], argv[1], err,
                                 err == HX_E_NOT_REVOCABLE ? "the kernel's and the console's stay"
                                                           : "caps shows those there are");
    hx_console_printf("revoked %s, with what came from it\n", argv[1]);
    return HX_OK;
}

const struct hx_command hx_commands_capabilities[] = {
    { .id = { HX_CAPABILITY_DEBUG, "caps" },
      .arguments = "[MODULE]",
      .summary = "who may do what, and until when",
      .handler = cmd_caps,
      .help = "BY: declared by the module and let pass by the policy, granted by a word, for good. With a name (of a\n"
              "module, console, control, kernel): its own, and how often it was denied something.",
      .complete = hx_names_complete_modules },
    { .id = { HX_CAPABILITY_SYSTEM, "grant" },
      .arguments = "MODULE CAPABILITY [--for SECONDS]",
      .summary = "let a module do what it asks for",
      .handler = cmd_grant,
      .help = "CAPABILITY is TYPE[:FIRST-LAST|:PATH][:RIGHTS]: memory:0xb8000-0xb8fff:rw, ports:0x70-0x71, lines:8,\n"
              "files:/etc:r, network:80-90, modules, system, debug, ipc:svc_echo. Right g: it may be passed on.",
      .complete = hx_names_complete_modules },
    { .id = { HX_CAPABILITY_SYSTEM, "revoke" },
      .arguments = "ID",
      .summary = "end a grant, and what came from it",
      .handler = cmd_revoke },
    { .id = { HX_CAPABILITY_NONE, NULL } },
};
