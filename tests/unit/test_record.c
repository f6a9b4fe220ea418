/* SPDX-License-Identifier: MIT */
/* test_record.c - what a module may not lose: it survives its crashes, and no crash leaves half a change. */
#include "world.h"

#include <criterion/criterion.h>
#include <helix/kv.h>
#include <hotreload/restart.h>
#include <ipc/message_router.h>
#include <orchestrator/record.h>
#include <orchestrator/resource_broker.h>
#include <stdio.h>
#include <string.h>

enum { MS = 1000000 };
/* record_fixture.h */
enum {
    ADD,
    READ,
    CRASH,
    BEGUN,
    PUT,
    TWICE,
    SLOWLY,
    REFUSE,
    HANG,
    OUTSIDE,
    TOO_MUCH,
    NOWHERE,
    NOT_BEGUN,
    NEXT,
    FAR,
    MANY
};

static char told[2048];

static void hear(bool bad, const char *line)
{
    (void)bad;
    snprintf(told, sizeof(told), "%s", line);
}

static void begin(const char *file)
{
    struct hx_job job;
    world_begin(1000);
    hx_engine_bind(hear);
    hx_engine_set_restarts(true);
    cr_assert_eq(world_load(file, &job), HX_OK, "%s: %s", file, job.report.message);
}

struct asked {
    uint32_t code;
    hx_status_t err;
    int64_t reply;
    hx_handle_t task;
    bool done;
};

static hx_status_t ask_once(void *argument)
{
    struct asked *asked = argument;
    struct hx_message message = { .code = asked->code };
    asked->err = hx_router_request(hx_router_find("account"), &hx_kernel_holder, &message, UINT64_MAX);
    memcpy(&asked->reply, message.data, sizeof(asked->reply));
    if (message.type == HX_MESSAGE_ERROR)
        asked->reply = -(int64_t)message.code;
    asked->done = true;
    return HX_OK;
}

/* What the reply says; or HX_E_FAULT, when there was none. */
static int64_t ask(uint32_t code)
{
    struct asked asked = { .code = code };
    cr_assert_eq(world_run(ask_once, &asked), HX_OK);
    return asked.err == HX_OK ? asked.reply : asked.err;
}

static struct hx_module *account(void)
{
    return hx_module_find("account");
}

static struct hx_record_info look(void)
{
    struct hx_record_info info;
    hx_record_look(account()->running, &info);
    return info;
}

/* By the pointer that the module reads it through. */
static uint8_t *memory(void)
{
    return *(uint8_t **)account()->running->record_region->pointer;
}

static enum hx_record_state restarted_from(void)
{
    return hx_history_get(hx_history_last())->found;
}

static uint64_t charged(void)
{
    struct hx_resource_share share;
    hx_resource_usage(account()->resources, HX_RESOURCE_MEMORY, &share);
    return share.charged;
}

/* So that the next crash leads to a restart as well. */
static void forgive(void)
{
    hal_host_advance(HX_RESTART_RENEWS_NS);
}

static void reload(const char *file, hx_status_t wanted)
{
    struct hx_job job;
    hx_status_t err = world_reload("account", file, &job);
    cr_assert_eq(err, wanted, "%s: %d: %s", file, err, job.swap.report.message);
}

static void simple(enum hx_job_kind kind)
{
    struct hx_job job;
    cr_assert_eq(world_simple(kind, "account", &job), HX_OK, "%s", job.swap.report.message);
}

/* ---- crashes --------------------------------------------------------------------------------------------------------- */

Test(record, what_was_acknowledged_is_there_after_a_crash_and_the_restart_says_so)
{
    begin("account.hxm");
    for (int64_t i = 1; i <= 3; i++)
        cr_assert_eq(ask(ADD), i);
    cr_assert_eq(ask(CRASH), HX_E_FAULT);
    cr_assert(strstr(told, "restarted from its record;"), "%s", told);
    cr_assert_eq(restarted_from(), HX_RECORD_SOUND);
    cr_assert_eq(ask(READ), 3);
    cr_assert_eq(ask(ADD), 4);
    cr_assert_eq(world_unload("account", NULL), HX_OK);
}

Test(record, a_crash_at_any_point_keeps_whole_changes_only)
{
    static const struct {
        uint32_t code;
        int64_t kept;
    } points[] = { { CRASH, 0 }, { BEGUN, 0 }, { PUT, 0 }, { TWICE, 1 } };
    begin("account.hxm");
    struct census before = world_census();
    int64_t count = 0;
    for (uint32_t i = 0; i < 4 * HX_ARRAY_SIZE(points); i++) {
        cr_assert_eq(ask(ADD), ++count);
        cr_assert_eq(ask(points[i % 4].code), HX_E_FAULT);
        count += points[i % 4].kept;
        cr_assert_eq(ask(READ), count, "point %u", i % 4);
        forgive();
    }
    ASSERT_CENSUS(before);
}

Test(record, acknowledged_and_recorded_are_the_same_number_over_a_thousand_calls)
{
    begin("account.hxm");
    int64_t acknowledged = 0;
    for (uint32_t i = 1; i <= 1000; i++) {
        int64_t count = ask(i % 50 ? ADD : i % 100 ? PUT : BEGUN);
        cr_assert(count == acknowledged + 1 || (i % 50 == 0 && count == HX_E_FAULT), "call %u: %ld", i, count);
        acknowledged += count > 0;
        if (count < 0)
            forgive();
    }
    cr_assert_eq(acknowledged, 980);
    cr_assert_eq(ask(READ), acknowledged);
    cr_assert_eq(account()->restarts, 20);
    cr_assert_eq(look().commits, 980);
}

Test(record, a_restart_by_hand_goes_on_with_it)
{
    begin("account.hxm");
    cr_assert_eq(ask(ADD), 1);
    simple(HX_JOB_RESTART);
    cr_assert_eq(restarted_from(), HX_RECORD_SOUND);
    cr_assert_eq(ask(ADD), 2);
}

Test(record, damage_is_found_and_the_restart_is_clean)
{
    static const size_t places[] = { 0, 8, 1023, 1024, 2407 };
    begin("account.hxm");
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(places); i++) {
        cr_assert_eq(ask(ADD), 1);
        memory()[places[i]] ^= 0x10;
        cr_assert_eq(ask(CRASH), HX_E_FAULT);
        cr_assert(strstr(told, "restarted clean, its record was damaged;"), "%s", told);
        cr_assert_eq(restarted_from(), HX_RECORD_DAMAGED);
        cr_assert_eq(ask(READ), 0);
        for (size_t k = 0; k < look().bytes; k++)
            cr_assert_eq(memory()[k], 0);
        forgive();
    }
    cr_assert_not(look().damaged);
}

Test(record, a_change_does_not_hide_damage_beside_it)
{
    begin("account.hxm");
    cr_assert_eq(ask(ADD), 1);
    memory()[900] ^= 1;
    cr_assert_eq(ask(ADD), 2);
    cr_assert(look().damaged);
    simple(HX_JOB_RESTART);
    cr_assert_eq(restarted_from(), HX_RECORD_DAMAGED);
    cr_assert_eq(ask(ADD), 1);
}

/* ---- a change -------------------------------------------------------------------------------------------------------- */

Test(record, an_error_keeps_what_was_put)
{
    begin("account.hxm");
    cr_assert_eq(ask(REFUSE), HX_E_HARDWARE);
    cr_assert_eq(ask(READ), 1);
}

Test(record, what_is_refused_changes_nothing)
{
    begin("account.hxm");
    cr_assert_eq(ask(NOT_BEGUN), HX_E_STATE);
    cr_assert_eq(ask(OUTSIDE), HX_E_RANGE);
    cr_assert_eq(ask(FAR), HX_E_RANGE);
    cr_assert_eq(ask(READ), 0);
    cr_assert_eq(ask(TOO_MUCH), HX_E_LIMIT);
    cr_assert_eq(ask(READ), 1, "what was put before it is kept");
    cr_assert_eq(ask(NOWHERE), HX_E_FAULT);
    cr_assert_eq(ask(READ), 2);
}

static hx_status_t check_at_once(void *argument)
{
    (void)argument;
    hx_preempt_disable();
    hx_ret_t result = hx_version_hook(account()->running, HX_HOOK_CHECK, 0);
    hx_preempt_enable();
    return (hx_status_t)result;
}

static hx_status_t check(void *argument)
{
    (void)argument;
    return (hx_status_t)hx_version_hook(account()->running, HX_HOOK_CHECK, 0);
}

Test(record, a_change_is_begun_where_one_may_wait_and_by_the_version_that_runs)
{
    begin("account_hooks.hxm"); /* by its init, too */
    cr_assert_eq(world_run(check, NULL), HX_OK);
    cr_assert_eq(world_run(check_at_once, NULL), HX_E_STATE);
    hal_host_irq(5);
    hal_host_run();
    int64_t seen = 0;
    memcpy(&seen, account()->running->state, sizeof(seen));
    cr_assert_eq(seen, HX_E_STATE);
    reload("account_hooks.hxm", HX_E_STATE);
    cr_assert_eq(world_run(check, NULL), HX_OK, "nothing was left begun");
}

Test(record, the_last_of_several_puts_counts_and_there_is_room_for_so_many)
{
    begin("account.hxm");
    cr_assert_eq(ask(MANY), HX_E_LIMIT);
    uint64_t count = 0;
    memcpy(&count, memory(), sizeof(count));
    cr_assert_eq(count, HX_RECORD_PUT_MAX / 16);
}

Test(record, a_call_further_in_has_a_change_of_its_own)
{
    begin("account.hxm");
    cr_assert_eq(ask(NEXT), HX_E_BUSY, "the call further out has begun");
    cr_assert_eq(ask(READ), 1, "one was added before");
    cr_assert_eq(ask(ADD), 2);
}

static void start(struct asked *asked, uint32_t code, uint8_t priority)
{
    *asked = (struct asked){ .code = code };
    cr_assert_eq(hx_task_create(HX_TASK_POLICY, "asks", priority, ask_once, asked, &asked->task), HX_OK);
}

Test(record, two_tasks_change_it_one_after_the_other)
{
    struct asked asked[3];
    begin("account.hxm");
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(asked); i++)
        start(&asked[i], i == 2 ? ADD : SLOWLY, 100);
    hal_host_advance(30 * MS);
    cr_assert(asked[0].done && !asked[1].done && !asked[2].done, "one has it alone");
    cr_assert_eq(ask(READ), 1);
    hal_host_advance(30 * MS);
    for (uint32_t i = 0; i < HX_ARRAY_SIZE(asked); i++)
        cr_assert(asked[i].done && asked[i].err == HX_OK && asked[i].reply == i + 1, "%u: %ld", i, asked[i].reply);
    cr_assert_eq(ask(READ), 3);
}

Test(record, who_crashes_while_another_waits_leaves_nothing_and_the_other_is_kept)
{
    struct asked slow, next;
    begin("account.hxm");
    start(&slow, SLOWLY, 100);
    hal_host_advance(5 * MS);
    start(&next, PUT, 100); /* which crashes when it is its turn */
    hal_host_advance(100 * MS);
    cr_assert(slow.done && slow.err == HX_OK && slow.reply == 1, "%d", slow.err);
    cr_assert(next.done && next.err == HX_E_FAULT, "%d", next.err);
    cr_assert_eq(ask(READ), 1);
}

Test(record, one_inside_when_another_crashes_is_kept_by_the_restart)
{
    struct asked slow;
    begin("account.hxm");
    start(&slow, SLOWLY, 100);
    hal_host_advance(5 * MS);
    cr_assert_eq(ask(CRASH), HX_E_FAULT);
    hal_host_advance(100 * MS);
    cr_assert(slow.done && slow.err == HX_OK && slow.reply == 1, "%d", slow.err);
    cr_assert_eq(account()->restarts, 1);
    cr_assert_eq(ask(READ), 1);
}

Test(record, a_task_that_is_killed_leaves_nothing_and_holds_nobody_up)
{
    struct asked slow, next;
    begin("account.hxm");
    start(&slow, SLOWLY, 100);
    hal_host_advance(5 * MS);
    start(&next, ADD, 100);
    hal_host_advance(5 * MS);
    cr_assert_not(next.done);
    cr_assert_eq(hx_task_kill(slow.task), HX_OK);
    hal_host_advance(5 * MS);
    cr_assert(next.done && next.reply == 1);
    cr_assert_eq(account()->restarts, 0);
}

Test(record, a_task_that_is_killed_while_it_waits_takes_nothing)
{
    struct asked slow, next;
    begin("account.hxm");
    start(&slow, SLOWLY, 100);
    hal_host_advance(5 * MS);
    start(&next, ADD, 100);
    hal_host_advance(5 * MS);
    cr_assert_eq(hx_task_kill(next.task), HX_OK);
    hal_host_advance(100 * MS);
    cr_assert(slow.done && slow.reply == 1 && next.err != HX_OK, "%d", next.err);
    cr_assert_eq(ask(ADD), 2);
}

/* ---- swaps ----------------------------------------------------------------------------------------------------------- */

Test(record, a_swap_of_the_same_fields_goes_on_with_it_and_so_does_its_revert)
{
    begin("account.hxm");
    cr_assert_eq(ask(ADD), 1);
    uint8_t *before = memory();
    reload("account_2.hxm", HX_OK);
    cr_assert_eq(memory(), before, "it was copied");
    cr_assert_eq(ask(ADD), 2);
    simple(HX_JOB_ROLLBACK);
    cr_assert_str_eq(world_version("account"), "1.0.0");
    cr_assert_eq(ask(READ), 2, "the new version's");
    reload("account_2.hxm", HX_OK);
    cr_assert_eq(ask(PUT), HX_E_FAULT);
    cr_assert_str_eq(world_version("account"), "1.0.0");
    cr_assert_eq(ask(ADD), 3);
    reload("account_2.hxm", HX_OK);
    simple(HX_JOB_COMMIT);
    cr_assert_eq(ask(ADD), 4);
}

Test(record, a_swap_of_other_fields_takes_them_over_by_name_and_its_revert_has_them_as_they_were)
{
    begin("account.hxm");
    struct census before = world_census();
    for (int64_t i = 1; i <= 5; i++)
        cr_assert_eq(ask(ADD), i);
    reload("account_3.hxm", HX_OK);
    cr_assert_eq(ask(ADD), 6);
    cr_assert_eq(look().commits, 6);
    simple(HX_JOB_ROLLBACK);
    ASSERT_CENSUS(before);
    cr_assert_eq(ask(READ), 5);
    reload("account_3.hxm", HX_OK);
    simple(HX_JOB_COMMIT);
    cr_assert_eq(ask(ADD), 6);
    cr_assert_eq(ask(CRASH), HX_E_FAULT);
    cr_assert_eq(restarted_from(), HX_RECORD_SOUND);
    cr_assert_eq(ask(READ), 6);
}

Test(record, a_version_that_would_lose_some_of_it_is_refused)
{
    struct hx_job job;
    begin("account.hxm");
    cr_assert_eq(ask(ADD), 1);
    struct census before = world_census();
    cr_assert_eq(world_reload("account", "account_4.hxm", &job), HX_E_SCHEMA);
    cr_assert_str_eq(job.swap.report.subject, "copies");
    cr_assert_str_eq(job.swap.report.message,
                     "record account: what it keeps in copies has no place in the new version, where it is "
                     "missing, smaller or of another type; give it one");
    cr_assert_eq(world_reload("account", "account_5.hxm", &job), HX_E_SCHEMA);
    cr_assert_str_eq(job.swap.report.subject, "count");
    ASSERT_CENSUS(before);
    cr_assert_eq(ask(ADD), 2);
}

Test(record, a_record_of_another_type_is_copied_though_its_fields_are_the_same)
{
    begin("account.hxm");
    cr_assert_eq(ask(ADD), 1);
    const uint8_t *before = memory();
    reload("account_2.hxm", HX_OK);
    cr_assert_eq(memory(), before, "alike in fields and type, and it is not shared");
    reload("account_6.hxm", HX_OK);
    cr_assert_neq(memory(), before, "of another type, and shared");
    cr_assert_eq(ask(READ), 1);
    cr_assert_eq(ask(ADD), 2);
    simple(HX_JOB_ROLLBACK);
    cr_assert_eq(memory(), before);
    cr_assert_eq(ask(READ), 1, "not as at the swap");
}

Test(record, one_that_begins_to_keep_something_begins_with_nothing)
{
    begin("account_5.hxm");
    cr_assert_null(account()->running->kept);
    reload("account.hxm", HX_OK);
    cr_assert_eq(ask(READ), 0);
    cr_assert_eq(ask(ADD), 1);
    simple(HX_JOB_ROLLBACK);
    cr_assert_eq(charged(), 0);
}

Test(record, damage_refuses_a_swap_that_would_copy_it)
{
    begin("account.hxm");
    cr_assert_eq(ask(ADD), 1);
    memory()[0] ^= 1;
    reload("account_3.hxm", HX_E_CORRUPT);
    cr_assert_str_eq(world_version("account"), "1.0.0");
    simple(HX_JOB_RESTART);
    reload("account_3.hxm", HX_OK);
}

/* ---- memory ---------------------------------------------------------------------------------------------------------- */

Test(record, it_is_charged_once_and_for_as_long_as_it_is_there)
{
    begin("account.hxm");
    uint64_t one = charged();
    cr_assert(one > look().bytes && one < look().bytes + 1024, "%lu for %zu", one, look().bytes);
    reload("account_2.hxm", HX_OK);
    cr_assert_eq(charged(), one);
    simple(HX_JOB_COMMIT);
    reload("account_3.hxm", HX_OK);
    cr_assert_gt(charged(), 2 * one, "until it cannot come back any more");
    simple(HX_JOB_COMMIT);
    cr_assert_lt(charged(), 2 * one);
    uint64_t three = charged();
    simple(HX_JOB_RESTART);
    cr_assert_eq(charged(), three);
    struct hx_report report;
    cr_assert_eq(hx_resource_charge(account()->running, 100, &report), HX_OK);
    cr_assert_eq(charged(), three + 100);
    cr_assert_eq(hx_resource_charge(account()->running, UINT64_C(1) << 40, &report), HX_E_EXHAUSTED);
}

static hx_status_t load_within(void *quota)
{
    struct hx_job job = { .kind = HX_JOB_LOAD,
                          .file = world_file("account.hxm"),
                          .params = quota,
                          .who = "test",
                          .by = &hx_kernel_principal };
    hx_status_t err = hx_engine_run(&job);
    cr_assert(err == HX_OK || (strcmp(job.report.subject, "memory") == 0 && err == HX_E_QUOTA), "%s",
              job.report.message);
    return err;
}

Test(record, a_quota_counts_it)
{
    char quota[40];
    begin("account.hxm");
    struct hx_resource_share share;
    hx_resource_usage(account()->resources, HX_RESOURCE_MEMORY, &share);
    cr_assert_eq(world_unload("account", NULL), HX_OK);
    struct census before = world_census();
    snprintf(quota, sizeof(quota), "quota.memory=%lu", (unsigned long)share.allocated - 1);
    cr_assert_eq(world_run(load_within, quota), HX_E_QUOTA);
    ASSERT_CENSUS(before);
}

static hx_status_t load_failing(void *nth)
{
    struct hx_job job = {
        .kind = HX_JOB_LOAD, .file = world_file("account.hxm"), .params = "", .who = "test", .by = &hx_kernel_principal
    };
    hal_host_fail_at(*(uint64_t *)nth);
    hx_status_t err = hx_engine_run(&job);
    cr_assert(err == HX_OK || err == HX_E_NOMEM, "%d: %s", err, job.report.message);
    return err;
}

Test(record, without_memory_it_is_not_loaded_and_nothing_is_left)
{
    begin("account.hxm");
    cr_assert_eq(world_unload("account", NULL), HX_OK);
    struct census before = world_census();
    bool failed = true;
    for (uint64_t nth = 1; failed && nth < 200; nth++) {
        hx_status_t err = world_run(load_failing, &nth);
        failed = hal_host_has_failed();
        hal_host_fail_at(0);
        if (err == HX_OK)
            cr_assert_eq(world_unload("account", NULL), HX_OK);
        ASSERT_CENSUS(before);
    }
    cr_assert_not(failed);
}

/* ---- by hand --------------------------------------------------------------------------------------------------------- */

Test(record, a_call_that_leaves_is_kept_and_goes_on_where_it_would_have)
{
    struct asked slow;
    begin("account.hxm");
    start(&slow, SLOWLY, 100);
    hal_host_advance(5 * MS);
    struct hx_gate_frame *frame = hx_task_of(slow.task)->frame;
    cr_assert_eq(ask(READ), 0);
    hx_gate_let_go(frame, hx_record_leave(frame));
    cr_assert_eq(ask(READ), 1);
    cr_assert_eq(ask(ADD), 2, "it has it no more");
    hal_host_advance(100 * MS);
    cr_assert(slow.done && slow.err == HX_OK && slow.reply == 1);
    cr_assert_eq(look().commits, 2);
}

Test(record, a_call_that_is_dropped_is_forgotten_and_no_other_is)
{
    struct asked slow;
    struct hx_gate_frame other;
    begin("account.hxm");
    start(&slow, SLOWLY, 100);
    hal_host_advance(5 * MS);
    hx_record_drop(&other);
    hx_record_drop(hx_task_of(slow.task)->frame);
    cr_assert_eq(hx_task_kill(slow.task), HX_OK); /* it may not return any more */
    cr_assert_eq(ask(ADD), 1);
    hal_host_advance(100 * MS);
    cr_assert_eq(ask(READ), 1);
}

Test(record, versions_that_declare_the_same_share_it)
{
    struct hx_report report;
    begin("account.hxm");
    cr_assert_eq(ask(ADD), 1);
    const struct hx_version *running = account()->running;
    struct hx_version another = { .record_region = running->record_region,
                                  .record_fields = running->record_fields,
                                  .record_schema = running->record_schema };
    hx_ledger_init(&another.ledger);
    cr_assert_eq(hx_record_admit(account(), &another, &report), HX_OK);
    cr_assert_eq(another.kept, running->kept);
    cr_assert_eq(hx_record_carry(running, &another, &report), HX_OK);
    hx_ledger_release_all(&another.ledger);
    cr_assert_eq(ask(ADD), 2, "it is gone");
}

Test(record, people_are_told_what_a_restart_has_begun_from)
{
    cr_assert_str_eq(hx_record_state_text(HX_RECORD_NONE), "clean");
    cr_assert_str_eq(hx_record_state_text(HX_RECORD_SOUND), "from its record");
    cr_assert_str_eq(hx_record_state_text(HX_RECORD_DAMAGED), "clean, its record was damaged");
}
