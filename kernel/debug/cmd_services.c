/* SPDX-License-Identifier: MIT */
/*
 * cmd_services.c - commands that call services through their interfaces: whoever provides them, in whatever version.
 */
#include "command.h"
#include "console.h"
#include "line_editor.h"
#include "nearest.h"

#include <gate/gate.h>
#include <helix/kv.h>
#include <helix/rtc.h>
#include <lib/fmt.h>
#include <orchestrator/callbacks.h>
#include <string.h>

/* ---- generated keys -------------------------------------------------------------------------------------------------- */
/* Key and value number @n: lengths and bytes follow from the number, so what was put can be verified byte for byte. */
static uint64_t make_key(uint64_t n, char key[HX_KV_KEY_MAX])
{
    return hx_fmt(key, HX_KV_KEY_MAX, "key%06llu", (unsigned long long)n);
}

static uint64_t make_value(uint64_t n, uint8_t value[HX_KV_VALUE_MAX])
{
    uint64_t bytes = n * 37 % (HX_KV_VALUE_MAX + 1);
    uint64_t mixed = n;
    for (uint64_t i = 0; i < bytes; i++) {
        /* Source: Knuth, TAOCP vol. 2, 3.3.4, the multiplier of MMIX. */
        mixed = mixed * 6364136223846793005u + 1442695040888963407u;
        value[i] = (uint8_t)(mixed >> 56);
    }
    return bytes;
}

/* ---- kv ------------------------------------------------------------------------------------------------------------- */
/* Prints bytes as text: what is not printable ASCII as \xNN, so that values cannot steer the terminal. */
static void print_escaped(const void *data, uint64_t bytes)
{
    char text[4 * HX_KV_VALUE_MAX + 1];
    size_t used = 0;
    for (uint64_t i = 0; i < bytes && used + 5 < sizeof(text); i++) {
        uint8_t byte = ((const uint8_t *)data)[i];
        bool plain = byte >= ' ' && byte < 0x7f && byte != '\\';
        used = hx_fmt_append(text, sizeof(text), used, plain ? "%c" : "\\x%02x", byte);
    }
    hx_console_text(text, used);
}

static hx_status_t kv_get(int argc, char **argv)
{
    uint8_t value[HX_KV_VALUE_MAX];
    if (argc != 3)
        return hx_command_usage("kv");
    hx_ret_t length = hx_gate_left(hx_kv_get(argv[2], strlen(argv[2]), value, sizeof(value)));
    if (length < 0)
        return hx_command_refuse("kv", argv[2], length, length == HX_E_NOENT ? "see kv list" : NULL);
    print_escaped(value, (uint64_t)length < sizeof(value) ? (uint64_t)length : sizeof(value));
    hx_console_text("\n", 1);
    return HX_OK;
}

static hx_status_t kv_put(int argc, char **argv)
{
    if (argc != 4)
        return hx_command_usage("kv");
    hx_ret_t is_new = hx_gate_left(hx_kv_put(argv[2], strlen(argv[2]), argv[3], strlen(argv[3])));
    if (is_new == HX_E_INVAL)
        return hx_command_refuse("kv", argv[2], is_new, "keys have 1 to 32 bytes, values up to 192");
    if (is_new < 0)
        return hx_command_refuse("kv", argv[2], is_new, NULL);
    hx_console_printf("kv: %s %s\n", is_new ? "stored" : "replaced", argv[2]);
    return HX_OK;
}

static hx_status_t kv_del(int argc, char **argv)
{
    if (argc != 3)
        return hx_command_usage("kv");
    hx_ret_t err = hx_gate_left(hx_kv_del(argv[2], strlen(argv[2])));
    if (err < 0)
        return hx_command_refuse("kv", argv[2], err, err == HX_E_NOENT ? "see kv list" : NULL);
    hx_console_printf("kv: deleted %s\n", argv[2]);
    return HX_OK;
}

static hx_status_t kv_list(int argc, char **argv)
{
    (void)argv;
    if (argc != 2)
        return hx_command_usage("kv");
    uint64_t cursor = 0, shown = 0;
    while (!hx_console_interrupted()) {
        char key[HX_KV_KEY_MAX];
        hx_ret_t next = hx_gate_left(hx_kv_list(cursor, key, sizeof(key)));
        if (next == HX_E_NOENT)
            break;
        if (next < 0)
            return hx_command_refuse("kv", "list", next, NULL);
        if ((uint64_t)next >> 8 <= cursor || ((uint64_t)next & 0xff) > sizeof(key))
            return hx_command_refuse("kv", "list", HX_E_CORRUPT, "the provider answers nonsense: reload it");
        print_escaped(key, (uint64_t)next & 0xff);
        hx_console_text("\n", 1);
        cursor = (uint64_t)next >> 8;
        shown++;
    }
    hx_console_printf("kv: %llu keys\n", (unsigned long long)shown);
    return HX_OK;
}

static hx_status_t kv_count(int argc, char **argv)
{
    (void)argv;
    if (argc != 2)
        return hx_command_usage("kv");
    hx_ret_t count = hx_gate_left(hx_kv_count());
    if (count < 0)
        return hx_command_refuse("kv", "count", count, NULL);
    hx_console_printf("kv: %lld keys\n", (long long)count);
    return HX_OK;
}

/* The number of generated keys that argv[2] asks for. */
static hx_status_t parse_amount(int argc, char **argv, uint64_t *out)
{
    if (argc != 3)
        return hx_command_usage("kv");
    hx_status_t err = hx_command_number(argv[2], HX_KV_ENTRIES_MAX, out);
    return err == HX_OK ? HX_OK : hx_command_refuse("kv", argv[2], err, "give a number of keys up to 2048");
}

static hx_status_t kv_fill(int argc, char **argv)
{
    uint64_t amount = 0, fresh = 0, n = 0;
    hx_status_t err = parse_amount(argc, argv, &amount);
    if (err != HX_OK)
        return err;
    for (; n < amount && !hx_console_interrupted(); n++) {
        char key[HX_KV_KEY_MAX];
        uint8_t value[HX_KV_VALUE_MAX];
        uint64_t value_bytes = make_value(n, value);
        hx_ret_t is_new = hx_gate_left(hx_kv_put(key, make_key(n, key), value, value_bytes));
        if (is_new < 0)
            return hx_command_refuse("kv", key, is_new, NULL);
        fresh += is_new == 1;
    }
    hx_console_printf("kv: put %llu keys, %llu of them new\n", (unsigned long long)n, (unsigned long long)fresh);
    return HX_OK;
}

/* Whether generated key @n is there with its value. */
static hx_ret_t verify_one(uint64_t n)
{
    char key[HX_KV_KEY_MAX];
    uint8_t expected[HX_KV_VALUE_MAX], value[HX_KV_VALUE_MAX];
    uint64_t bytes = make_value(n, expected);
    hx_ret_t length = hx_gate_left(hx_kv_get(key, make_key(n, key), value, sizeof(value)));
    if (length < 0)
        return length;
    return (uint64_t)length == bytes && memcmp(value, expected, bytes) == 0 ? HX_OK : HX_E_CORRUPT;
}

static hx_status_t kv_verify(int argc, char **argv)
{
    uint64_t amount = 0, right = 0;
    hx_ret_t first_err = HX_OK;
    hx_status_t err = parse_amount(argc, argv, &amount);
    if (err != HX_OK)
        return err;
    for (uint64_t n = 0; n < amount; n++) {
        hx_ret_t found = verify_one(n);
        right += found == HX_OK;
        if (first_err == HX_OK)
            first_err = found;
    }
    hx_console_printf("kv: %llu of %llu keys as they were put\n", (unsigned long long)right,
                      (unsigned long long)amount);
    return first_err == HX_OK ? HX_OK : hx_command_refuse("kv", "verify", first_err, "were they put by kv fill?");
}

static hx_status_t cmd_kv(int argc, char **argv)
{
    static const struct {
        const char *name;
        hx_status_t (*run)(int argc, char **argv);
    } operations[] = {
        { "get", kv_get },     { "put", kv_put },   { "del", kv_del },       { "list", kv_list },
        { "count", kv_count }, { "fill", kv_fill }, { "verify", kv_verify },
    };
    if (argc < 2)
        return hx_command_usage(argv[0]);
    struct hx_nearest nearest;
    hx_nearest_init(&nearest, argv[1]);
    for (size_t i = 0; i < HX_ARRAY_SIZE(operations); i++) {
        if (strcmp(argv[1], operations[i].name) == 0)
            return operations[i].run(argc, argv);
        hx_nearest_offer(&nearest, operations[i].name);
    }
    return hx_command_unknown(argv[0], "operation", argv[1], hx_nearest_name(&nearest), "type help kv");
}

/* ---- date ----------------------------------------------------------------------------------------------------------- */
static bool is_leap(uint32_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* "2026-01-31 23:59:59" for seconds since 1970, Gregorian calendar, up to the year 9999. */
static hx_status_t format_date(uint64_t seconds, char *out, size_t bytes)
{
    static const uint8_t month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    uint64_t days = seconds / 86400u;
    uint32_t year = 1970, month = 0, of_day = (uint32_t)(seconds % 86400u);
    while (year <= 9999 && days >= (is_leap(year) ? 366u : 365u))
        days -= is_leap(year++) ? 366u : 365u;
    if (year > 9999)
        return HX_E_RANGE;
    while (days >= month_days[month] + (uint64_t)(month == 1 && is_leap(year))) {
        days -= month_days[month] + (uint64_t)(month == 1 && is_leap(year));
        month++;
    }
    hx_fmt(out, bytes, "%04u-%02u-%02u %02u:%02u:%02u", year, month + 1, (uint32_t)days + 1, of_day / 3600u,
           of_day / 60u % 60u, of_day % 60u);
    return HX_OK;
}

static hx_status_t cmd_date(int argc, char **argv)
{
    char date[32];
    if (argc != 1)
        return hx_command_usage(argv[0]);
    hx_ret_t now_ns = hx_gate_left(hx_rtc_now_ns()),
             now = now_ns < 0 ? hx_gate_left(hx_rtc_now()) : now_ns / 1000000000;
    if (now < 0)
        return hx_command_refuse(argv[0], "clock", now, NULL);
    hx_status_t err = format_date((uint64_t)now, date, sizeof(date));
    if (err != HX_OK)
        return hx_command_refuse(argv[0], "clock", err, "the provider answers nonsense: reload it");
    hx_ret_t ticks = hx_gate_left(hx_rtc_ticks()), rate = hx_gate_left(hx_rtc_rate());
    if (now_ns < 0)
        hx_console_printf("%s UTC, %lld s since 1970", date, (long long)now);
    else
        hx_console_printf("%s.%06u UTC, %lld s since 1970", date, (uint32_t)(now_ns / 1000 % 1000000), (long long)now);
    if (ticks >= 0 && rate >= 0)
        hx_console_printf(", %lld ticks at %lld Hz", (long long)ticks, (long long)rate);
    hx_console_printf("\n");
    return HX_OK;
}

/* ---- calls ----------------------------------------------------------------------------------------------------------- */
static bool copy_callback(uint32_t nth, struct hx_callback *out, char owner[HX_NAME_MAX])
{
    hx_preempt_disable();
    const struct hx_callback *callback = hx_callback_next(NULL);
    while (callback && nth-- > 0)
        callback = hx_callback_next(callback);
    if (callback) {
        *out = *callback;
        memcpy(owner, callback->module->name, HX_NAME_MAX);
    }
    hx_preempt_enable();
    return callback != NULL;
}

static hx_status_t cmd_calls(int argc, char **argv)
{
    struct hx_callback callback;
    char owner[HX_NAME_MAX];
    if (argc != 1)
        return hx_command_usage(argv[0]);
    hx_console_heading("MODULE           KEY              KIND         SERVED PENDING    LOST");
    for (uint32_t nth = 0; copy_callback(nth, &callback, owner); nth++) {
        if (callback.kind == HX_CALLBACK_EVENT)
            callback.lost += callback.subscription.lost;
        if (callback.kind == HX_CALLBACK_SERVICE) {
            callback.served = callback.service.replies;
            callback.lost = callback.service.errors;
        }
        hx_console_printf("%-16.16s %-16.16s %-8s %10llu %7llu %7llu%s\n", owner, callback.key,
                          hx_callback_kind_name(callback.kind), (unsigned long long)callback.served,
                          (unsigned long long)callback.pending, (unsigned long long)callback.lost,
                          !callback.bound  ? " not in this version"
                          : callback.ended ? " ended"
                                           : "");
    }
    return HX_OK;
}

/* ---- the family ------------------------------------------------------------------------------------------------------ */
const struct hx_command hx_commands_services[] = {
    { .id = { HX_CAPABILITY_IPC, "kv" },
      .arguments = "get|put|del|list|count|...",
      .summary = "the key-value store",
      .handler = cmd_kv,
      .help = "kv get KEY, kv put KEY VALUE, kv del KEY, kv list, kv count\n"
              "kv fill N puts N generated keys, kv verify N compares each of them byte for byte.",
      .words = "get put del list count fill verify" },
    { .id = { HX_CAPABILITY_DEBUG, "calls" },
      .arguments = "",
      .summary = "what the kernel calls of modules in tasks",
      .handler = cmd_calls,
      .help =
          "Deferred functions, timers, events, tasks and services, with how often they were called: SERVED, PENDING (due, and\n"
          "called when the module is open; of events 1: there may be some) and LOST (it faulted; also: events that were\n"
          "overwritten before it came to them, requests without a reply)." },
    { .id = { HX_CAPABILITY_NONE, "date" },
      .arguments = "",
      .summary = "the wall clock and its ticks",
      .handler = cmd_date },
    { .id = { HX_CAPABILITY_NONE, NULL } },
};
