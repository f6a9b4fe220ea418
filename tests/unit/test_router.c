/* SPDX-License-Identifier: MIT */
/* test_router.c - interrupt lines: claimed, kept by their key, told once, given back. */
#include "world.h"

#include <criterion/criterion.h>
#include <interrupts/router.h>
#include <string.h>

enum { PROBATION_MS = 1000 };

static void begin(const char *file)
{
    struct hx_job job;
    world_begin(PROBATION_MS);
    cr_assert_eq(world_load(file, &job), HX_OK, "%s", job.report.message);
}

Test(router, a_handler_that_answers_like_a_closed_gate_is_told_once)
{
    begin("irq_handler_says_closed.hxm");
    for (uint32_t i = 0; i < 3; i++)
        hal_host_irq(9);
    const struct hx_irq *irq = hx_irq_of_line(9);
    cr_assert_eq(irq->accepted, 3);
    cr_assert_eq(irq->served, 3);
    cr_assert_eq(irq->pending, 0);
}

Test(router, what_comes_while_the_module_is_closed_is_told_when_it_opens)
{
    begin("irq_handler_says_closed.hxm");
    struct hx_module *module = hx_module_find("irq_handler_says_closed");
    hx_module_close(module, true);
    hal_host_irq(9);
    hal_host_irq(9);
    cr_assert_eq(hx_irq_of_line(9)->pending, 2);
    cr_assert_eq(hx_irq_of_line(9)->served, 0);
    hx_lifecycle_reopen(module);
    cr_assert_eq(hx_irq_of_line(9)->pending, 0);
    cr_assert_eq(hx_irq_of_line(9)->served, 2);
}

Test(router, a_level_line_is_masked_from_the_first_interrupt_that_waits_until_it_is_told)
{
    begin("irq_handler_says_closed.hxm");
    hal_host_irq_set_level(9);
    hal_host_irq(9);
    cr_assert(hal_host_irq_unmasked(9), "an open module is told at once");
    struct hx_module *module = hx_module_find("irq_handler_says_closed");
    hx_module_close(module, true);
    hal_host_irq(9);
    cr_assert_eq(hx_irq_of_line(9)->pending, 1);
    cr_assert_not(hal_host_irq_unmasked(9));
    hx_lifecycle_reopen(module);
    cr_assert_eq(hx_irq_of_line(9)->served, 2);
    cr_assert(hal_host_irq_unmasked(9));
}

Test(router, an_edge_line_stays_unmasked_while_its_interrupts_wait)
{
    begin("irq_handler_says_closed.hxm");
    hx_module_close(hx_module_find("irq_handler_says_closed"), true);
    hal_host_irq(9);
    cr_assert(hal_host_irq_unmasked(9));
    hx_lifecycle_reopen(hx_module_find("irq_handler_says_closed"));
}

Test(router, a_fault_in_a_handler_after_probation_silences_its_line)
{
    begin("irq_handler_faults.hxm");
    cr_assert(hal_host_irq_unmasked(8));
    hal_host_irq(8);
    hal_host_advance(1000000);
    const struct hx_irq *irq = hx_irq_of_line(8);
    cr_assert_eq(hx_module_find("drv_rtc")->state, HX_MODULE_ERROR);
    cr_assert_eq(irq->lost, 1);
    cr_assert_not(irq->armed);
    cr_assert_not(hal_host_irq_unmasked(8));
    cr_assert_eq(world_unload("drv_rtc", NULL), HX_OK);
    cr_assert_null(hx_irq_of_line(8));
    cr_assert_eq(world_load("irq_handler_faults.hxm", NULL), HX_OK, "the line cannot be claimed again");
}

Test(router, a_fault_in_a_handler_on_probation_gives_the_line_back_to_the_old_version)
{
    begin("drv_rtc.hxm");
    cr_assert_eq(world_reload("drv_rtc", "irq_handler_faults.hxm", NULL), HX_OK);
    hal_host_irq(8);
    hal_host_advance(1000000);
    const struct hx_irq *irq = hx_irq_of_line(8);
    cr_assert_str_eq(world_version("drv_rtc"), "1.0.0");
    cr_assert(irq->armed);
    hal_host_irq(8);
    cr_assert_eq(irq->served + irq->lost, irq->accepted);
}

Test(router, a_line_that_the_new_version_lacks_is_kept_until_the_commit)
{
    struct hx_job job;
    begin("irq_handler_says_closed.hxm");
    cr_assert_eq(world_reload("irq_handler_says_closed", "good_minimal.hxm", &job), HX_OK, "%s",
                 job.swap.report.message);
    cr_assert_not_null(hx_irq_of_line(9));
    cr_assert_not(hal_host_irq_unmasked(9));
    cr_assert_eq(world_load("irq_handler_says_closed.hxm", &job), HX_E_EXIST);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "good_minimal", &job), HX_OK);
    cr_assert(hal_host_irq_unmasked(9));
    hal_host_irq(9);
    cr_assert_eq(hx_irq_of_line(9)->served, 1);
    cr_assert_eq(world_reload("irq_handler_says_closed", "good_minimal.hxm", &job), HX_OK);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "good_minimal", &job), HX_OK);
    cr_assert_null(hx_irq_of_line(9));
}

Test(router, a_line_of_nobody_is_masked_and_counted)
{
    begin("good_minimal.hxm");
    hx_hal_irq_unmask(11);
    hal_host_irq(11);
    cr_assert_eq(hx_irq_line(11)->unhandled, 1);
    cr_assert_not(hal_host_irq_unmasked(11));
    cr_assert_null(hx_irq_of_line(11));
}

/* ---- shared lines ---------------------------------------------------------------------------------------------------- */

enum { SHARED = 17 };

static hx_status_t run_engine(void *job)
{
    return hx_engine_run(job);
}

static void load_with(const char *file, const char *params)
{
    struct hx_job job = {
        .kind = HX_JOB_LOAD, .file = world_file(file), .params = params, .who = "test", .by = &hx_kernel_principal
    };
    cr_assert_eq(world_run(run_engine, &job), HX_OK, "%s", job.report.message);
}

static void begin_shared(const char *params_a, const char *params_b)
{
    world_begin(PROBATION_MS);
    load_with("irq_shared_a.hxm", params_a);
    load_with("irq_shared_b.hxm", params_b);
}

static const struct hx_irq *line_of(const char *module)
{
    return hx_irq_find(hx_module_find(module), "line");
}

Test(router, an_interrupt_of_a_shared_line_is_told_to_all_and_handled_when_one_calls_it_his_own)
{
    begin_shared("own=0", "own=1");
    for (uint32_t i = 0; i < 3 * HX_IRQ_STORM; i++)
        hal_host_irq(SHARED);
    const struct hx_irq *a = line_of("irq_shared_a"), *b = line_of("irq_shared_b");
    cr_assert(a->accepted == 3 * HX_IRQ_STORM && a->served == a->accepted && a->refused == a->accepted);
    cr_assert(b->accepted == 3 * HX_IRQ_STORM && b->served == b->accepted && b->refused == 0);
    cr_assert_eq(hx_irq_line(SHARED)->unhandled, 0);
    cr_assert(hal_host_irq_unmasked(SHARED));
}

Test(router, who_leaves_a_shared_line_leaves_it_to_the_others)
{
    begin_shared("", "");
    cr_assert_eq(world_unload("irq_shared_a", NULL), HX_OK);
    cr_assert(hal_host_irq_unmasked(SHARED));
    hal_host_irq(SHARED);
    cr_assert_eq(line_of("irq_shared_b")->served, 1);
    load_with("irq_shared_a.hxm", "");
    cr_assert_eq(world_unload("irq_shared_a", NULL), HX_OK);
    hal_host_irq(SHARED);
    cr_assert_eq(line_of("irq_shared_b")->served, 2, "the first of the chain left, or the last: the same");
    load_with("irq_shared_a.hxm", "");
    cr_assert_eq(world_unload("irq_shared_b", NULL), HX_OK);
    hal_host_irq(SHARED);
    cr_assert_eq(line_of("irq_shared_a")->served, 1);
    cr_assert_eq(world_unload("irq_shared_a", NULL), HX_OK);
    cr_assert_not(hal_host_irq_unmasked(SHARED));
    cr_assert_null(hx_irq_next(NULL));
}

Test(router, a_closed_module_of_a_shared_line_holds_it_until_it_has_been_told)
{
    begin_shared("", "");
    struct hx_module *module = hx_module_find("irq_shared_a");
    hx_module_close(module, true);
    hal_host_irq(SHARED);
    cr_assert_eq(line_of("irq_shared_a")->pending, 1);
    cr_assert_eq(line_of("irq_shared_b")->served, 1, "the other is told at once");
    cr_assert(hx_irq_line(SHARED)->held && !hal_host_irq_unmasked(SHARED));
    hx_lifecycle_reopen(hx_module_find("irq_shared_b"));
    cr_assert_not(hal_host_irq_unmasked(SHARED), "nothing of the other was pending");
    hx_lifecycle_reopen(module);
    cr_assert_eq(line_of("irq_shared_a")->served, 1);
    cr_assert(!hx_irq_line(SHARED)->held && hal_host_irq_unmasked(SHARED));
}

Test(router, a_held_line_goes_on_when_the_module_that_held_it_has_failed)
{
    begin_shared("", "");
    hx_module_close(hx_module_find("irq_shared_a"), true);
    hal_host_irq(SHARED);
    cr_assert_not(hal_host_irq_unmasked(SHARED));
    hx_lifecycle_fail(hx_module_find("irq_shared_a"));
    cr_assert(hal_host_irq_unmasked(SHARED));
    hal_host_irq(SHARED);
    cr_assert_eq(line_of("irq_shared_b")->served, 2);
}

/* ---- storms ---------------------------------------------------------------------------------------------------------- */

static uint32_t storms_told, storm_line;
static void stormed(uint32_t line, const struct hx_module *module)
{
    cr_assert_not_null(module);
    storm_line = line;
    storms_told++;
}

static const char *refusal(const struct hx_module *module, uint32_t line)
{
    (void)module;
    return line == 9 ? "it is reserved" : NULL;
}

static const struct hx_irq_policy policy = { .refusal = refusal, .stormed = stormed };

static void ring(uint32_t line, uint32_t times)
{
    for (uint32_t i = 0; i < times; i++)
        hal_host_irq(line);
}

Test(router, a_line_whose_interrupts_nobody_calls_his_own_is_masked_and_told_of_once)
{
    begin_shared("own=0", "own=0");
    hx_irq_bind_policy(&policy);
    ring(SHARED, HX_IRQ_STORM - 1);
    cr_assert(hal_host_irq_unmasked(SHARED) && storms_told == 0);
    ring(SHARED, 5);
    cr_assert_not(hal_host_irq_unmasked(SHARED));
    cr_assert(storms_told == 1 && storm_line == SHARED && hx_irq_line(SHARED)->storms == 1);
    cr_assert_eq(hx_irq_line(SHARED)->unhandled, HX_IRQ_STORM);
    cr_assert_eq(line_of("irq_shared_a")->served, HX_IRQ_STORM);
}

Test(router, a_stormed_line_is_tried_again_when_a_module_of_it_is_replaced)
{
    begin_shared("own=0", "own=0");
    ring(SHARED, HX_IRQ_STORM);
    cr_assert(hx_irq_line(SHARED)->stormed);
    struct hx_job job = { .kind = HX_JOB_RELOAD,
                          .module = "irq_shared_b",
                          .params = "own=1",
                          .who = "test",
                          .by = &hx_kernel_principal,
                          .file = world_file("irq_shared_b.hxm") };
    cr_assert_eq(world_run(run_engine, &job), HX_OK, "%s", job.swap.report.message);
    cr_assert(hal_host_irq_unmasked(SHARED));
    ring(SHARED, HX_IRQ_STORM);
    cr_assert_not(hx_irq_line(SHARED)->stormed);
    cr_assert_eq(hx_irq_line(SHARED)->unhandled, HX_IRQ_STORM);
}

Test(router, one_interrupt_that_is_handled_ends_the_row)
{
    begin_shared("own=0", "own=0");
    uint32_t *own = hx_module_find("irq_shared_a")->running->params[0].variable;
    ring(SHARED, HX_IRQ_STORM - 1);
    *own = 1;
    ring(SHARED, 1);
    cr_assert_eq(hx_irq_line(SHARED)->in_a_row, 0);
    *own = 0;
    ring(SHARED, HX_IRQ_STORM - 1);
    cr_assert_not(hx_irq_line(SHARED)->stormed);
    ring(SHARED, 1);
    cr_assert(hx_irq_line(SHARED)->stormed);
}

/* ---- who may have a line --------------------------------------------------------------------------------------------- */

static struct hx_report why;

/* Of a module that declares none, so nobody is asked whether it may. */
static hx_status_t claim(uint32_t line, uint32_t flags)
{
    hx_irq_bind_policy(NULL);
    struct hx_irq_record record = { .key = "key", .line = line, .flags = flags };
    struct hx_version version = { .irqs = &record, .irqs_count = 1 };
    hx_report_init(&why);
    return hx_irq_claim_all(hx_module_find("good_minimal"), &version, &why);
}

Test(router, a_line_that_the_policy_reserves_is_refused_with_its_reason)
{
    struct hx_job job;
    world_begin(PROBATION_MS);
    hx_irq_bind_policy(&policy);
    cr_assert_eq(world_load("irq_handler_says_closed.hxm", &job), HX_E_PERM);
    cr_assert(strstr(job.report.message, "line 9: it is reserved"), "%s", job.report.message);
    cr_assert_null(hx_irq_next(NULL));
}

Test(router, lines_that_the_machine_does_not_have_are_refused)
{
    begin("good_minimal.hxm");
    cr_assert_eq(claim(HAL_HOST_LINES, HX_IRQ_GSI), HX_E_NOENT);
    cr_assert(strstr(why.message, "no line 40"), "%s", why.message);
    cr_assert_eq(claim(HAL_HOST_ISA_INPUT, HX_IRQ_GSI), HX_E_IN_USE);
    cr_assert(strstr(why.message, "GSI 20 is an ISA line's"), "%s", why.message);
}

Test(router, an_edge_triggered_line_has_one_owner)
{
    begin("irq_handler_says_closed.hxm");
    cr_assert_eq(world_load("good_minimal.hxm", NULL), HX_OK);
    cr_assert_eq(claim(9, 0), HX_E_IN_USE);
    cr_assert(strstr(why.message, "line 9 belongs to irq_handler_says_closed (line)"), "%s", why.message);
    hal_host_irq_set_level(9);
    cr_assert_eq(claim(9, 0), HX_OK, "%s", why.message);
}

Test(router, who_wants_edges_does_not_share_a_level_line)
{
    begin_shared("", "");
    cr_assert_eq(world_load("good_minimal.hxm", NULL), HX_OK);
    cr_assert_eq(claim(SHARED, HX_IRQ_GSI | HX_IRQ_EDGE), HX_E_IN_USE);
    cr_assert_eq(claim(SHARED + 1, HX_IRQ_GSI | HX_IRQ_EDGE), HX_OK);
    cr_assert_not(hx_hal_irq_is_level(SHARED + 1));
    cr_assert(hx_hal_irq_is_level(SHARED));
}

Test(router, a_refused_claim_takes_those_before_it_back)
{
    struct hx_irq_record records[] = { { .key = "good", .line = 10 },
                                       { .key = "also", .line = 11 },
                                       { .key = "bad", .line = 9 } };
    struct hx_version version = { .irqs = records, .irqs_count = 3 };
    begin("good_minimal.hxm");
    hx_irq_bind_policy(&policy);
    hx_report_init(&why);
    struct census before = world_census();
    cr_assert_eq(hx_irq_claim_all(hx_module_find("good_minimal"), &version, &why), HX_E_PERM);
    cr_assert_null(hx_irq_next(NULL));
    ASSERT_CENSUS(before);
}
