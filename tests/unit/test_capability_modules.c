/* SPDX-License-Identifier: MIT */
/* test_capability_modules.c - what modules ask for, get and lose; the ports and lines; what the console says of it. */
#include "capability_world.h"

#include <criterion/criterion.h>
#include <debug/command.h>
#include <debug/console.h>
#include <helix/kv.h>
#include <interrupts/router.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- modules --------------------------------------------------------------------------------------------------------- */

static void begin_modules(void)
{
    static const struct hx_irq_policy irq_policy = { .refusal = hx_capability_line_refusal };
    capability_begin();
    hx_irq_bind_policy(&irq_policy);
    hx_console_set_color(false);
}

TestSuite(module_capability, .init = begin_modules);

Test(module_capability, a_module_holds_what_it_declares_and_loses_it_with_its_end)
{
    uint32_t before = held(NULL);
    cr_assert_eq(world_load("good_minimal.hxm", NULL), HX_OK);
    cr_assert_eq(world_unload("good_minimal", NULL), HX_OK);
    struct census census = world_census();
    cr_assert_eq(world_load("caps_asks.hxm", &job), HX_OK, "%s", job.report.message);
    struct hx_principal *principal = principal_of("caps_asks");
    cr_assert_eq(principal->count, 2, "what is optional is not given");
    cr_assert_eq(port(principal, 0x70, 0x71), HX_OK);
    cr_assert_eq(port(principal, 0x72, 0x72), HX_E_PERM);
    cr_assert_eq(hx_capability_check_path(principal, HX_CAPABILITY_IPC, 0, "svc_echo.x"), HX_OK);
    cr_assert_eq(hx_capability_check_path(principal, HX_CAPABILITY_IPC, 0, "svc_kv"), HX_E_PERM);
    cr_assert_eq(hx_capability_check_path(principal, HX_CAPABILITY_IPC, 0, "caps_asks.topic"), HX_OK, "its own");
    cr_assert_eq(hx_capability_check_path(principal, HX_CAPABILITY_IPC, 0, "caps_asks2"), HX_E_PERM);
    cr_assert_eq(world_unload("caps_asks", NULL), HX_OK);
    cr_assert_eq(held(NULL), before);
    ASSERT_CENSUS(census);
}

Test(module_capability, the_owner_may_grant_what_a_module_asks_for_and_nothing_else)
{
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK);
    struct hx_principal *principal = principal_of("caps_asks");
    struct hx_capability what = cap(HX_CAPABILITY_DEBUG, G, 0, 0, "");
    cr_assert_eq(hx_capability_grant(&hx_console_principal, principal, &what, HX_CAPABILITY_NEVER, &id, &refusal),
                 HX_OK);
    what = cap(HX_CAPABILITY_NETWORK, 0, 85, 91, "");
    cr_assert_eq(hx_capability_grant(&hx_console_principal, principal, &what, HX_CAPABILITY_NEVER, &id, &refusal),
                 HX_E_POLICY);
    cr_assert_str_eq(refusal.policy, "manifest");
    what = cap(HX_CAPABILITY_MODULES, 0, 0, 0, "");
    cr_assert_eq(grant(principal, what, HX_CAPABILITY_NEVER), HX_E_POLICY);
    cr_assert_eq(grant(principal, PORTS(0x3f8, 0x3f8), HX_CAPABILITY_NEVER), HX_E_POLICY);
    cr_assert_str_eq(refusal.policy, "devices");
}

Test(module_capability, what_a_module_passes_on_ends_with_it)
{
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK);
    struct hx_principal *principal = principal_of("caps_asks");
    cr_assert_eq(grant(principal, cap(HX_CAPABILITY_NETWORK, G, 80, 90, ""), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(derive(principal, id, &alice, cap(HX_CAPABILITY_NETWORK, 0, 80, 80, ""), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(held(&alice), 1);
    cr_assert_eq(world_unload("caps_asks", NULL), HX_OK);
    cr_assert_eq(held(&alice), 0);
}

Test(module_capability, a_version_that_asks_for_less_ends_what_it_does_not_ask_for)
{
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK);
    struct hx_principal *principal = principal_of("caps_asks");
    cr_assert_eq(grant(principal, cap(HX_CAPABILITY_DEBUG, 0, 0, 0, ""), HX_CAPABILITY_NEVER), HX_OK);
    cr_assert_eq(world_reload("caps_asks", "caps_asks_less.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(principal->count, 4, "the old one may come back");
    hal_host_advance(2000000000);
    cr_assert_eq(principal_of("caps_asks"), principal);
    cr_assert_eq(principal->count, 1);
    cr_assert_eq(port(principal, 0x70, 0x71), HX_OK);
    cr_assert_eq(world_reload("caps_asks", "caps_asks.hxm", &job), HX_OK, "%s", job.swap.report.message);
    cr_assert_eq(principal->count, 3);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "caps_asks", &job), HX_OK);
    cr_assert_eq(principal->count, 1, "it came with the version that is gone again");
}

Test(module_capability, an_import_that_was_not_asked_for_is_refused_by_name)
{
    struct census census = world_census();
    cr_assert_eq(world_load("caps_imports.hxm", &job), HX_E_PERM);
    cr_assert_str_eq(job.report.step, "link");
    cr_assert_str_eq(job.report.subject, "hx_port_read8");
    cr_assert(strstr(job.report.message, "type ports; declare it with HX_PORTS"), "%s", job.report.message);
    ASSERT_CENSUS(census);
}

Test(module_capability, the_kernels_own_devices_are_refused_with_the_reason)
{
    uint32_t before = held(NULL);
    struct census census = world_census();
    cr_assert_eq(world_load("caps_console.hxm", &job), HX_E_POLICY);
    cr_assert(strstr(job.report.message, "ports:0x300-0x3f8, which no module may have: it is the kernel's console"),
              "%s", job.report.message);
    cr_assert_eq(held(NULL), before);
    ASSERT_CENSUS(census);
}

Test(module_capability, a_broken_record_is_refused)
{
    cr_assert_eq(world_load("caps_broken.hxm", &job), HX_E_RANGE);
    cr_assert(strstr(job.report.message, "type network: it ends before it begins"), "%s", job.report.message);
    cr_assert_eq(world_load("caps_flags.hxm", &job), HX_E_RANGE);
    cr_assert(strstr(job.report.message, "broken capability record 0, type network: "), "%s", job.report.message);
}

/* No module: it has asked for nothing, so that what the first policy lets pass is refused by the second. */
static const char *refusing(uint32_t type, uint64_t at)
{
    struct hx_principal module = { .name = "module", .kind = HX_PRINCIPAL_MODULE };
    cr_assert_eq(grant(&module, cap(type, 0, at, at, ""), HX_CAPABILITY_NEVER), HX_E_POLICY);
    return refusal.policy;
}

Test(module_capability, exactly_the_kernels_own_devices_are_reserved)
{
    static const struct {
        uint32_t type;
        uint64_t first, last;
    } own[] = { { HX_CAPABILITY_IO_PORT, 0x20, 0x21 },   { HX_CAPABILITY_IO_PORT, 0x40, 0x43 },
                { HX_CAPABILITY_IO_PORT, 0xa0, 0xa1 },   { HX_CAPABILITY_IO_PORT, 0xf4, 0xf4 },
                { HX_CAPABILITY_IO_PORT, 0x2f8, 0x2ff }, { HX_CAPABILITY_IO_PORT, 0x3f8, 0x3ff },
                { HX_CAPABILITY_IO_PORT, 0xcf8, 0xcff }, { HX_CAPABILITY_INTERRUPT, 0, 0 },
                { HX_CAPABILITY_INTERRUPT, 2, 2 },       { HX_CAPABILITY_INTERRUPT, 3, 3 },
                { HX_CAPABILITY_INTERRUPT, 4, 4 } };
    for (uint32_t type = HX_CAPABILITY_IO_PORT; type <= HX_CAPABILITY_INTERRUPT; type++)
        for (uint64_t at = 0; at <= (type == HX_CAPABILITY_IO_PORT ? 0x1000 : 63); at++) {
            bool reserved = false;
            for (size_t i = 0; i < HX_ARRAY_SIZE(own); i++)
                reserved = reserved || (own[i].type == type && at >= own[i].first && at <= own[i].last);
            cr_assert_str_eq(refusing(type, at), reserved ? "devices" : "manifest", "%u 0x%lx", type, at);
        }
}

static hx_ret_t ask_port(uint16_t number)
{
    uint8_t bytes[256];
    return hx_kv_get("k", 1, bytes, number - 1u);
}

static hx_status_t use_ports(void *unused)
{
    (void)unused;
    struct hx_principal *principal = principal_of("caps_asks");
    struct hx_capability_grant copy;
    uint8_t bytes[0x6f] = { 0 };
    uint32_t at = 0;
    cr_assert_eq(ask_port(0x71), 0x71);
    cr_assert_eq(ask_port(0x72), HX_E_PERM);
    cr_assert_eq(hx_kv_put("k", 1, "", 0), HX_E_PERM);
    cr_assert_eq(written, 0);
    cr_assert_eq(hx_kv_put("k", 1, bytes, 0x6f), HX_OK);
    cr_assert_eq(written, 1);
    do
        cr_assert(hx_capability_next(&at, principal, &copy));
    while (copy.what.type != HX_CAPABILITY_IO_PORT);
    cr_assert_eq(hx_capability_revoke(&hx_kernel_principal, copy.id), HX_OK);
    cr_assert_eq(ask_port(0x71), HX_E_PERM);
    cr_assert_eq(grant(principal, PORTS(0x71, 0x71), hx_hal_clock_ns() + 100), HX_OK);
    cr_assert_eq(ask_port(0x71), 0x71);
    cr_assert_eq(ask_port(0x70), HX_E_PERM);
    hal_host_advance(100);
    cr_assert_eq(ask_port(0x71), HX_E_EXPIRED);
    return HX_OK;
}

Test(module_capability, a_port_is_checked_each_time_it_is_used)
{
    hal_host_port_read = read_port;
    hal_host_port_write = write_port;
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK);
    cr_assert_eq(world_run(use_ports, NULL), HX_OK);
}

Test(module_capability, a_line_without_a_capability_is_not_claimed)
{
    struct hx_irq_record record = { .key = "key", .line = 9 };
    struct hx_version version = { .irqs = &record, .irqs_count = 1 };
    struct hx_report why;
    hx_report_init(&why);
    cr_assert_eq(world_load("good_minimal.hxm", NULL), HX_OK);
    cr_assert_eq(hx_irq_claim_all(hx_module_find("good_minimal"), &version, &why), HX_E_PERM);
    cr_assert(strstr(why.message, "holds no capability"), "%s", why.message);
}

static hx_status_t load_until_nothing_fails(void *unused)
{
    (void)unused;
    uint32_t before = held(NULL), failures = 0;
    for (uint64_t nth = 1;; nth++, failures++) {
        job = (struct hx_job){ .kind = HX_JOB_LOAD, .params = "", .who = "test", .by = &hx_kernel_principal };
        job.file = world_file("caps_asks.hxm");
        struct census census = world_census();
        hal_host_fail_at(nth);
        hx_status_t err = hx_engine_run(&job);
        bool failed = hal_host_has_failed();
        hal_host_fail_at(0);
        if (!failed) {
            cr_assert_eq(err, HX_OK);
            cr_assert_gt(failures, 5);
            return HX_OK;
        }
        cr_assert_eq(err, HX_E_NOMEM, "%lu: %s", nth, job.report.message);
        cr_assert_eq(held(NULL), before);
        ASSERT_CENSUS(census);
    }
}

Test(module_capability, whatever_allocation_fails_nothing_is_left)
{
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK); /* what is made once */
    cr_assert_eq(world_unload("caps_asks", NULL), HX_OK);
    cr_assert_eq(world_run(load_until_nothing_fails, NULL), HX_OK);
}

/* ---- the console's words --------------------------------------------------------------------------------------------- */

static hx_status_t run_line(void *line)
{
    return hx_command_run(hx_command_table, line);
}

static hx_status_t run(const char *text)
{
    char line[256];
    snprintf(line, sizeof(line), "%s", text);
    hal_host_console_clear();
    return world_run(run_line, line);
}

static void expect(const char *text)
{
    cr_assert_not_null(strstr(hal_host_console(), text), "`%s' is not in: %s", text, hal_host_console());
}

Test(module_capability, caps_lists_grants_and_what_was_denied)
{
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK);
    cr_assert_eq(port(principal_of("caps_asks"), 0x99, 0x99), HX_E_PERM);
    cr_assert_eq(run("caps"), HX_OK);
    expect("caps_asks        ports:0x70-0x71                never        declared");
    expect("ipc:svc_echo");
    cr_assert_null(strstr(hal_host_console(), "for good"));
    cr_assert_eq(run("caps caps_asks"), HX_OK);
    expect("denied 1 times, last ports 0x99");
    cr_assert_eq(run("caps console"), HX_OK);
    expect("console          modules:g                      never        for good");
    cr_assert_eq(run("caps nobody"), HX_E_NOENT);
    expect("no such module");
    cr_assert_eq(run("caps a b"), HX_E_INVAL);
}

Test(module_capability, grant_and_revoke_do_as_they_say)
{
    char line[64], text[24];
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK);
    cr_assert_eq(run("grant caps_asks debug --for 2"), HX_OK);
    const char *granted = strstr(hal_host_console(), "granted ");
    cr_assert_not_null(granted);
    cr_assert_eq(sscanf(granted, "granted %23s debug to caps_asks", text), 1);
    cr_assert_eq(hx_capability_check(principal_of("caps_asks"), HX_CAPABILITY_DEBUG, 0, 0, 0), HX_OK);
    cr_assert_eq(run("caps caps_asks"), HX_OK);
    expect("debug                          2 s          granted");
    snprintf(line, sizeof(line), "revoke %s", text);
    cr_assert_eq(run(line), HX_OK);
    expect("revoked");
    cr_assert_eq(run(line), HX_E_STALE);
    cr_assert_eq(run("grant caps_asks debug --for 1"), HX_OK);
    hal_host_advance(1000000001);
    cr_assert_eq(run("caps caps_asks"), HX_OK);
    cr_assert_null(strstr(hal_host_console(), "debug"));
}

Test(module_capability, what_cannot_be_granted_is_refused_with_what_to_do)
{
    cr_assert_eq(world_load("caps_asks.hxm", NULL), HX_OK);
    cr_assert_eq(run("grant caps_asks modules"), HX_E_POLICY);
    expect("policy: manifest: it does not ask for that");
    cr_assert_eq(run("grant caps_asks ports:0x3f8"), HX_E_POLICY);
    expect("policy: devices: it is the kernel's console");
    cr_assert_eq(run("grant caps_asks ports:9-8"), HX_E_INVAL);
    expect("it ends before it begins");
    cr_assert_eq(run("grant caps_asks nonsense"), HX_E_INVAL);
    cr_assert_eq(run("grant caps_asks debug --for 0"), HX_E_INVAL);
    cr_assert_eq(run("grant caps_asks debug --to 5"), HX_E_INVAL);
    cr_assert_eq(run("grant nobody debug"), HX_E_NOENT);
    cr_assert_eq(run("revoke x"), HX_E_INVAL);
    cr_assert_eq(run("revoke 3"), HX_E_INVAL);
    cr_assert_eq(run("revoke 400.1"), HX_E_STALE);
    cr_assert_eq(run("revoke 0.1"), HX_E_NOT_REVOCABLE);
}
