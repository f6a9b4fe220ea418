/* SPDX-License-Identifier: MIT */
/* test_exports.c - the table that the build makes: every export is in it, nothing else is; and what each does for a module. */
#include "world.h"

#include <criterion/criterion.h>
#include <hal/hx_import.h>
#include <ipc/event_bus.h>
#include <ipc/message_router.h>
#include <module/exports.h>
#include <stdlib.h>
#include <string.h>

static hx_status_t find(const char *name, const void **out_stub)
{
    return hx_exports_find(name, strlen(name), out_stub);
}

static void expect_unknown(const char *name)
{
    const void *stub = &stub;
    cr_assert_eq(find(name, &stub), HX_E_SYMBOL, "`%s' is found", name);
    cr_assert_eq(stub, &stub, "`%s': something is written on refusal", name);
}

#define NAME_OF(name, ...) #name,
static const char *const names[] = { HX_EXPORTS(NAME_OF) };

Test(exports, every_export_is_found_with_its_own_stub)
{
    cr_assert_eq(hx_import_count, HX_ARRAY_SIZE(names));
    for (uint32_t i = 0; i < hx_import_count; i++) {
        const void *stub = NULL;
        cr_assert_eq(find(names[i], &stub), HX_OK, "%s", names[i]);
        cr_assert_str_eq(hx_import_table[i].name, names[i]);
        cr_assert_eq(stub, hx_import_table[i].stub, "%s", names[i]);
    }
}

Test(exports, a_name_is_found_wherever_it_lies_and_ends_where_its_length_says)
{
    char room[64];
    const void *stub = NULL;
    memset(room, 'x', sizeof(room));
    for (size_t shift = 0; shift < 8; shift++) {
        memcpy(room + shift, "hx_state_put", 12); /* no NUL */
        cr_assert_eq(hx_exports_find(room + shift, 12, &stub), HX_OK);
        cr_assert_eq(hx_exports_find(room + shift, 11, &stub), HX_E_SYMBOL);
        cr_assert_eq(hx_exports_find(room + shift, 13, &stub), HX_E_SYMBOL);
    }
}

Test(exports, a_name_that_is_unknown_is_not_found)
{
    expect_unknown("hx_bench_0000"); /* the benchmark's kernel alone */
    expect_unknown("hx_import_hx_log");
    expect_unknown("hx_export_hx_log");
    expect_unknown("HX_LOG");
    expect_unknown("printf");
}

Test(exports, the_empty_name_is_not_found)
{
    expect_unknown("");
}

/* Every cut, every longer name and every other byte in every place. */
Test(exports, what_is_nearly_an_export_is_not_found)
{
    for (uint32_t i = 0; i < hx_import_count; i++) {
        size_t bytes = strlen(names[i]);
        char *name = calloc(1, bytes + 2);
        for (size_t cut = 0; cut < bytes; cut++) {
            memcpy(name, names[i], cut);
            name[cut] = 0;
            expect_unknown(name);
        }
        memcpy(name, names[i], bytes + 1);
        name[bytes] = '_';
        expect_unknown(name);
        name[bytes] = 0;
        for (size_t at = 0; at < bytes; at++) {
            name[at] ^= 1;
            expect_unknown(name);
            name[at] ^= 1;
        }
        free(name);
    }
}

Test(exports, the_table_is_at_most_half_full_and_holds_each_export_once)
{
    uint32_t taken = 0;
    cr_assert_eq(hx_exports_mask & (hx_exports_mask + 1), 0u);
    for (size_t place = 0; place <= hx_exports_mask || hx_exports_table[place].name; place++)
        taken += hx_exports_table[place].name != NULL;
    cr_assert_eq(taken, hx_import_count);
    cr_assert_leq(2 * taken, hx_exports_mask + 1);
}

/* ---- called by a module --------------------------------------------------------------------------------------------- */
enum { PARTS = 9, BELL = 5 }; /* as in tests/fixtures/modules/calls_all.c */

static hx_status_t ask(void *argument)
{
    struct hx_message *message = argument;
    return hx_router_request(hx_router_find("calls_all"), &hx_kernel_holder, message, UINT64_MAX);
}

static void expect_part(uint32_t part)
{
    struct hx_message message = { .code = part };
    cr_assert_eq(world_run(ask, &message), HX_OK);
    cr_assert_eq(message.type, HX_MESSAGE_REPLY);
    cr_expect_eq(message.code, 0, "calls_all.c:%d: something else came out", (int)message.code);
}

Test(exports, each_does_for_a_module_what_it_says_and_refuses_what_is_wrong)
{
    struct hx_topic *topic = NULL;
    struct hx_job job;
    world_begin(1000);
    cr_assert_eq(hx_topic_create(HX_TOPIC_MODULES, &hx_kernel_holder, &topic), HX_OK);
    struct census before = world_census();
    cr_assert_eq(world_load("calls_all.hxm", &job), HX_OK, "%s", job.report.message);
    uint32_t handles = hx_module_find("calls_all")->holder.count;
    for (uint32_t part = 0; part < PARTS; part++)
        expect_part(part);
    cr_assert_eq(hx_module_find("calls_all")->holder.count, handles, "a refused call has left a handle");
    hal_host_irq(BELL);
    hal_host_advance(1000000);
    expect_part(PARTS);
    cr_assert_eq(world_unload("calls_all", &job), HX_OK, "%s", job.report.message);
    ASSERT_CENSUS(before);
}

/* What nobody asks for who is a module. */
Test(exports, outside_of_every_module_nothing_is_done)
{
    struct hx_channel_ends ends;
    struct hx_message message = { .payload = HX_PAYLOAD_NONE };
    struct hx_message_memory memory;
    struct hx_event event = { .type = HX_EVENT_CUSTOM };
    struct hx_resource_account account;
    hx_handle_t none = HX_HANDLE_NONE;
    world_begin(0);
    cr_expect_eq(hx_export_hx_channel_create(1, &ends, sizeof(ends)), HX_E_STATE);
    cr_expect_eq(hx_export_hx_channel_clone(none, 0), HX_E_STATE);
    cr_expect_eq(hx_export_hx_channel_send(none, &message, sizeof(message), 0), HX_E_STATE);
    cr_expect_eq(hx_export_hx_channel_receive(none, &message, sizeof(message), 0), HX_E_STATE);
    cr_expect_eq(hx_export_hx_channel_select(&none, sizeof(none), 0), HX_E_STATE);
    cr_expect_eq(hx_export_hx_channel_count(none), HX_E_STATE);
    cr_expect_eq(hx_export_hx_channel_is_open(none), HX_E_STATE);
    cr_expect_eq(hx_export_hx_channel_close(none), HX_E_STATE);
    cr_expect_eq(hx_export_hx_handle_drop(none), HX_E_STATE);
    cr_expect_eq(hx_export_hx_grant_create(1, &memory, sizeof(memory)), HX_E_STATE);
    cr_expect_eq(hx_export_hx_memory_map(0, 1, 1, &memory, sizeof(memory)), HX_E_STATE);
    cr_expect_eq(hx_export_hx_grant_look(none, &memory, sizeof(memory)), HX_E_STATE);
    cr_expect_eq(hx_export_hx_request(none, &message, sizeof(message), 0), HX_E_STATE);
    cr_expect_eq(hx_export_hx_res_allocate(HX_TEXT("memory"), 1), HX_E_STATE);
    cr_expect_eq(hx_export_hx_res_use(none, 0), HX_E_STATE);
    cr_expect_eq(hx_export_hx_res_spend(HX_TEXT("cpu"), 1), HX_E_STATE);
    cr_expect_eq(hx_export_hx_res_look(HX_TEXT("memory"), &account, sizeof(account)), HX_E_STATE);
    cr_expect_eq(hx_export_hx_handle_drop(hx_handle_make(HX_HANDLE_ALLOCATION, 1, 0)), HX_E_STATE);
    cr_expect_eq(hx_export_hx_reply(0, &message, sizeof(message)), HX_E_STALE);
    cr_expect_eq(hx_export_hx_defer(HX_TEXT("nothing")), HX_E_NOENT);
    cr_expect_eq(hx_export_hx_irq_count(HX_TEXT("bell")), HX_E_NOENT);
    cr_expect_eq(hx_export_hx_publish(HX_TEXT("nobody.news"), &event, sizeof(event)), HX_E_NOENT);
    cr_expect_eq(hx_export_hx_channel_mine(HX_TEXT("in")), HX_E_NOENT);
    cr_expect_eq(hx_export_hx_channel_connect(HX_TEXT("calls_all/in")), HX_E_INVAL);
    cr_expect_eq(hx_export_hx_port_read8(0x80), HX_E_PERM);
    cr_expect_eq(hx_export_hx_port_write8(0x80, 0), HX_E_PERM);
}

Test(exports, a_history_without_memory_for_it_says_so)
{
    enum { TOPICS = 6 };
    struct hx_topic *topic = NULL;
    struct hx_message message = { .code = TOPICS };
    world_begin(0);
    cr_assert_eq(hx_topic_create(HX_TOPIC_MODULES, &hx_kernel_holder, &topic), HX_OK);
    cr_assert_eq(world_load("calls_all.hxm", NULL), HX_OK);
    hal_host_fail_at(2); /* the task that asks, and the history */
    cr_assert_eq(world_run(ask, &message), HX_OK);
    cr_assert(hal_host_has_failed() && message.code != 0, "it came out as it does with memory");
    expect_part(TOPICS);
}

static hx_status_t sleep_with_interrupts_off(void *argument)
{
    (void)argument;
    hx_irq_flags_t flags = hx_irq_save();
    hx_ret_t off = hx_export_hx_sleep_ns(1);
    hx_irq_restore(flags);
    return off == HX_E_STATE ? (hx_status_t)hx_export_hx_sleep_ns(1) : HX_E_INTERNAL;
}

Test(exports, nobody_sleeps_with_interrupts_off)
{
    world_begin(0);
    cr_assert_eq(world_run(sleep_with_interrupts_off, NULL), HX_OK);
    cr_assert_eq(hx_export_hx_sleep_ns(1), HX_E_STATE, "nor the idle task");
}

/* ---- the same lookup in a table made here --------------------------------------------------------------------------- */
#define hx_exports_table own_table
#define hx_exports_mask own_mask
#define hx_exports_find own_find
#define hx_exports_look own_look
const struct hx_export *own_look(const char *name, size_t bytes);
hx_status_t own_find(const char *name, size_t bytes, const void **out_stub);
enum { OWN_PLACES = 4 };
static struct hx_export own_table[OWN_PLACES + 2];
static const size_t own_mask = OWN_PLACES - 1;
#include <module/exports.c>

enum { TWIN_BYTES = 16 };

/* Of the hash of a name of TWIN_BYTES, by that of one of eight, which starts from its own length. */
static uint64_t state_after(uint64_t first_word)
{
    first_word ^= TWIN_BYTES ^ sizeof(first_word);
    return hx_hash_name((const char *)&first_word, sizeof(first_word));
}

/* A name with the hash of @name. The first word goes into the hash of the second as it is, so the second can make up for it. */
static void make_twin(const char name[TWIN_BYTES], char out[TWIN_BYTES])
{
    uint64_t word[2], twin[2];
    memcpy(word, name, sizeof(word));
    twin[0] = word[0] ^ 1;
    twin[1] = word[1] ^ state_after(word[0]) ^ state_after(twin[0]);
    memcpy(out, twin, sizeof(twin));
}

Test(exports, a_name_with_the_hash_of_an_export_is_not_taken_for_it)
{
    char name[TWIN_BYTES + 1] = "hx_sixteen_bytes", twin[TWIN_BYTES];
    const void *stub = NULL;
    make_twin(name, twin);
    uint64_t hash = hx_hash_name(name, TWIN_BYTES);
    cr_assert_eq(hx_hash_name(twin, TWIN_BYTES), hash, "the test makes no twin any more");
    own_table[hash & own_mask] =
        (struct hx_export){ .hash = (uint32_t)hash, .name = name, .bytes = TWIN_BYTES, .stub = name };
    cr_assert_eq(own_find(name, TWIN_BYTES, &stub), HX_OK);
    cr_assert_eq(stub, name);
    cr_assert_eq(own_find(twin, TWIN_BYTES, &stub), HX_E_SYMBOL);
    /* Of two with one hash each is found. */
    own_table[(hash & own_mask) + 1] =
        (struct hx_export){ .hash = (uint32_t)hash, .name = twin, .bytes = TWIN_BYTES, .stub = twin };
    cr_assert_eq(own_find(twin, TWIN_BYTES, &stub), HX_OK);
    cr_assert_eq(stub, twin);
}

Test(exports, what_runs_over_the_end_is_found)
{
    char name[] = "hx_0";
    const void *stub = NULL;
    while ((hx_hash_name(name, 4) & own_mask) != own_mask)
        name[3]++;
    own_table[own_mask] = (struct hx_export){ .name = "other", .bytes = 5, .stub = "" };
    own_table[own_mask + 1] =
        (struct hx_export){ .hash = (uint32_t)hx_hash_name(name, 4), .name = name, .bytes = 4, .stub = name };
    cr_assert_eq(own_find(name, 4, &stub), HX_OK);
    cr_assert_eq(stub, name);
    name[2] = 'X';
    cr_assert_eq(own_find(name, 4, &stub), HX_E_SYMBOL);
}
