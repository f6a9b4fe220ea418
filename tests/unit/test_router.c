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
    cr_assert_null(hx_irq_of_line(8)->module);
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
    cr_assert_not_null(hx_irq_of_line(9)->module);
    cr_assert_not(hal_host_irq_unmasked(9));
    cr_assert_eq(world_load("irq_handler_says_closed.hxm", &job), HX_E_EXIST);
    cr_assert_eq(world_simple(HX_JOB_ROLLBACK, "good_minimal", &job), HX_OK);
    cr_assert(hal_host_irq_unmasked(9));
    hal_host_irq(9);
    cr_assert_eq(hx_irq_of_line(9)->served, 1);
    cr_assert_eq(world_reload("irq_handler_says_closed", "good_minimal.hxm", &job), HX_OK);
    cr_assert_eq(world_simple(HX_JOB_COMMIT, "good_minimal", &job), HX_OK);
    cr_assert_null(hx_irq_of_line(9)->module);
}

Test(router, a_line_of_nobody_is_masked_and_counted)
{
    begin("good_minimal.hxm");
    hx_hal_irq_unmask(11);
    hal_host_irq(11);
    cr_assert_eq(hx_irq_of_line(11)->unhandled, 1);
    cr_assert_not(hal_host_irq_unmasked(11));
    cr_assert_null(hx_irq_of_line(HX_IRQ_LINES));
}
