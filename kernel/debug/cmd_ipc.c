/* SPDX-License-Identifier: MIT */
/*
 * cmd_ipc.c - commands about what is between modules: handles, channels, and messages through them.
 */
#include "command.h"
#include "console.h"
#include "line_editor.h"
#include "message_text.h"
#include "nearest.h"

#include <ipc/channel.h>
#include <lib/fmt.h>
#include <orchestrator/declared.h>
#include <string.h>

enum { TIMEOUT_MS = 1000, TIMEOUT_MS_MAX = 86400000 };

/* Who has handles of the channel's end, each once for each: names separated by commas. */
static void list_owners(uint32_t number, char *out, size_t bytes)
{
    size_t used = 0;
    out[0] = 0;
    hx_preempt_disable(); /* a name goes with its module, and modules by a task of this CPU */
    for (const struct hx_handle_entry *entry = hx_handle_next(0); entry;
         entry = hx_handle_next((uint32_t)(entry - hx_handles))) {
        if (hx_handle_type(entry->name) != HX_HANDLE_CHANNEL || hx_channel_number(entry) != number)
            continue;
        used = hx_fmt_append(out, bytes, used, "%s%s", used ? "," : "", entry->owner->name);
    }
    hx_preempt_enable();
}

/* "module/key" of a declared channel, else "-". */
static void find_name(uint32_t number, char out[2 * HX_NAME_MAX])
{
    hx_handle_t mine = HX_HANDLE_NONE;
    bool found = false;
    hx_preempt_disable();
    for (uint32_t i = 0; !found && hx_declared_channel_name(i, out, &mine); i++) {
        const struct hx_handle_entry *entry = &hx_handles[hx_handle_index(mine) % HX_HANDLES_MAX];
        found = hx_handle_is(entry, mine) && hx_channel_number(entry) == number;
    }
    hx_preempt_enable();
    if (!found)
        hx_fmt(out, 2 * HX_NAME_MAX, "-");
}

static hx_status_t cmd_chan(int argc, char **argv)
{
    struct hx_channel_info info;
    uint32_t shown = 0;
    if (argc != 1)
        return hx_command_usage(argv[0]);
    hx_console_table(NULL);
    for (uint32_t from = 1; !hx_console_interrupted() && hx_channel_describe(from, &info); from = info.number + 1) {
        char owners[128], name[2 * HX_NAME_MAX];
        list_owners(info.number, owners, sizeof(owners));
        find_name(info.number, name);
        if (shown++ == 0)
            hx_console_printf("%6s %6s %-6s %11s %11s %15s  %-16s %s\n", "number", "room", "state", "queued", "waiting",
                              "sent", "name", "owners");
        hx_console_row("number room state queued_0 queued_1 waiting_0 waiting_1 sent_0 sent_1 name owners",
                       "%6u %6u %-6s %5u %5u %5u %5u %7llu %7llu  %-16s %s\n", info.number, info.capacity,
                       info.open ? "open" : "closed", info.queued[0], info.queued[1],
                       info.receivers[0] + info.senders[0], info.receivers[1] + info.senders[1],
                       (unsigned long long)info.sent[0], (unsigned long long)info.sent[1], name, owners);
    }
    if (shown == 0)
        hx_console_printf("chan: there are no channels\n");
    return HX_OK;
}

static hx_status_t cmd_ipc(int argc, char **argv)
{
    static const char *const kinds[HX_HANDLE_TYPE_COUNT] = {
        [HX_HANDLE_MODULE] = "modules",
        [HX_HANDLE_CHANNEL] = "ends of channels",
        [HX_HANDLE_GRANT] = "grants",
        [HX_HANDLE_TOPIC] = "topics",
        [HX_HANDLE_SUBSCRIPTION] = "subscriptions",
        [HX_HANDLE_SERVICE] = "services",
        [HX_HANDLE_CAPABILITY] = "capabilities",
        [HX_HANDLE_ALLOCATION] = "allocations",
    };
    uint32_t count[HX_HANDLE_TYPE_COUNT] = { 0 }, live = 0, channels = 0;
    uint64_t queued = 0, sent = 0;
    struct hx_channel_info info;
    if (argc != 1)
        return hx_command_usage(argv[0]);
    for (const struct hx_handle_entry *entry = hx_handle_next(0); entry;
         entry = hx_handle_next((uint32_t)(entry - hx_handles))) {
        uint32_t type = hx_handle_type(entry->name);
        count[type < HX_HANDLE_TYPE_COUNT ? type : 0]++;
        live++;
    }
    for (uint32_t from = 1; hx_channel_describe(from, &info); from = info.number + 1) {
        channels++;
        queued += info.queued[0] + info.queued[1];
        sent += info.sent[0] + info.sent[1];
    }
    hx_console_printf("handles: %u of %u\n", live, (uint32_t)HX_HANDLES_MAX - 1);
    for (uint32_t i = 0; i < HX_HANDLE_TYPE_COUNT; i++)
        if (count[i] && kinds[i])
            hx_console_printf("  %-18s %u\n", kinds[i], count[i]);
    hx_console_printf("channels: %u, %llu messages queued, %llu sent\n", channels, (unsigned long long)queued,
                      (unsigned long long)sent);
    return HX_OK;
}

/* ---- send, receive --------------------------------------------------------------------------------------------------- */
static void complete_channels(uint32_t position, struct hx_editor_matches *matches)
{
    char name[2 * HX_NAME_MAX];
    for (uint32_t i = 0; position == 1 && hx_declared_channel_name(i, name, NULL); i++)
        hx_editor_offer(matches, name);
}

/* A handle of end @side of channel @number, made from whatever handle of it may be cloned. */
static hx_status_t clone_side(uint64_t number, uint32_t side, hx_handle_t *out)
{
    hx_status_t err = HX_E_NOENT;
    for (const struct hx_handle_entry *entry = hx_handle_next(0); entry && err != HX_OK;
         entry = hx_handle_next((uint32_t)(entry - hx_handles)))
        if (hx_handle_type(entry->name) == HX_HANDLE_CHANNEL && hx_channel_number(entry) == number &&
            hx_channel_side(entry) == side)
            err = hx_ipc_clone(entry->name, NULL, HX_RIGHT_SEND | HX_RIGHT_RECEIVE, &hx_kernel_holder, out);
    return err;
}

/* A handle for "module/key" or "number/end"; says why there is none. */
static hx_status_t connect(const char *command, const char *name, hx_handle_t *out)
{
    char other[2 * HX_NAME_MAX] = "";
    size_t bytes = strlen(name);
    uint64_t number = 0;
    struct hx_nearest nearest;
    if (bytes > 2 && bytes < sizeof(other) && name[bytes - 2] == '/')
        memcpy(other, name, bytes - 2);
    hx_status_t err = hx_command_number(other, UINT32_MAX, &number);
    if (err == HX_OK && (name[bytes - 1] | 1) == '1')
        err = clone_side(number, name[bytes - 1] == '1', out);
    else
        err = hx_declared_connect(name, &hx_kernel_holder, out);
    if (err == HX_OK)
        return HX_OK;
    if (err == HX_E_INVAL)
        return hx_command_refuse(command, name, err, "give MODULE/KEY, or NUMBER/0 or /1 of a channel; see chan");
    if (err != HX_E_NOENT)
        return hx_command_refuse(command, name, err, NULL);
    hx_nearest_init(&nearest, name);
    for (uint32_t i = 0; hx_declared_channel_name(i, other, NULL); i++)
        hx_nearest_offer(&nearest, other);
    return hx_command_unknown(command, "channel", name, hx_nearest_name(&nearest), "see chan");
}

static void let_go(hx_handle_t handle)
{
    hx_status_t stale = hx_handle_close(handle, &hx_kernel_holder);
    (void)stale;
}

static hx_status_t cmd_send(int argc, char **argv)
{
    struct hx_message message = { .priority = HX_PRIORITY_NORMAL, .payload = HX_PAYLOAD_INLINE };
    hx_handle_t end = HX_HANDLE_NONE;
    uint64_t code = 0;
    hx_status_t err = HX_OK;
    if (argc != 3 && (argc != 5 || strcmp(argv[3], "--request") != 0))
        return hx_command_usage(argv[0]);
    if (argc == 5)
        err = hx_command_number(argv[4], UINT32_MAX, &code);
    if (err != HX_OK)
        return hx_command_refuse(argv[0], argv[4], err, "give the number of what is requested");
    size_t bytes = strlen(argv[2]);
    if (bytes > HX_INLINE_MAX)
        return hx_command_refuse(argv[0], "TEXT", HX_E_LIMIT, "give at most 64 bytes");
    err = connect(argv[0], argv[1], &end);
    if (err != HX_OK)
        return err;
    message.type = argc == 5 ? HX_MESSAGE_REQUEST : HX_MESSAGE_NOTIFICATION;
    message.code = (uint32_t)code;
    message.bytes = (uint8_t)bytes;
    memcpy(message.data, argv[2], bytes);
    err = hx_ipc_send(end, &hx_kernel_holder, &message, 0);
    let_go(end);
    if (err != HX_OK)
        return hx_command_refuse(argv[0], argv[1], err, err == HX_E_FULL ? "nobody receives; see chan" : NULL);
    hx_console_printf("send: %zu bytes\n", bytes);
    return HX_OK;
}

static void print_message(const struct hx_message *message)
{
    static const char *const types[HX_MESSAGE_TYPE_COUNT] = { "notification", "request", "reply",
                                                              "error",        "system",  "event" };
    char source[HX_NAME_MAX], data[2 * HX_INLINE_MAX + 1] = "";
    hx_text_source(message->source, source);
    if (message->payload == HX_PAYLOAD_INLINE)
        hx_text_data(message->data, message->bytes, data, sizeof(data));
    else if (message->payload == HX_PAYLOAD_MEMORY)
        hx_fmt(data, sizeof(data), "a grant of %llu bytes", (unsigned long long)message->memory.bytes);
    else if (message->payload == HX_PAYLOAD_CAPABILITY)
        hx_fmt(data, sizeof(data), "a capability");
    hx_console_printf("receive: %s of %s, code %u: %s\n",
                      message->type < HX_MESSAGE_TYPE_COUNT ? types[message->type] : "?", source, message->code, data);
}

static hx_status_t cmd_receive(int argc, char **argv)
{
    struct hx_message message;
    hx_handle_t end = HX_HANDLE_NONE;
    uint64_t timeout_ms = TIMEOUT_MS;
    hx_status_t err = HX_OK;
    if (argc != 2 && (argc != 4 || strcmp(argv[2], "--timeout") != 0))
        return hx_command_usage(argv[0]);
    if (argc == 4)
        err = hx_command_number(argv[3], TIMEOUT_MS_MAX, &timeout_ms);
    if (err != HX_OK)
        return hx_command_refuse(argv[0], argv[3], err, "give a number of milliseconds, a day at most");
    err = connect(argv[0], argv[1], &end);
    if (err != HX_OK)
        return err;
    err = hx_ipc_receive(end, &hx_kernel_holder, &message, hx_hal_clock_ns() + timeout_ms * 1000000);
    let_go(end);
    if (err != HX_OK)
        return hx_command_refuse(argv[0], argv[1], err, err == HX_E_TIMEOUT ? "nothing came; see chan" : NULL);
    print_message(&message);
    if (message.payload > HX_PAYLOAD_INLINE) /* of both the handle comes first */
        let_go(message.capability);
    return HX_OK;
}

const struct hx_command hx_commands_ipc[] = {
    { .id = { HX_CAPABILITY_DEBUG, "chan" },
      .arguments = "",
      .summary = "channels: what is queued, who waits",
      .handler = cmd_chan,
      .help = "Pairs of figures are those of the two ends: messages that can be received there, tasks that\n"
              "wait there, messages sent from there. owners: who has handles, the kernel among them." },
    { .id = { HX_CAPABILITY_DEBUG, "ipc" },
      .arguments = "",
      .summary = "handles and messages, in figures",
      .handler = cmd_ipc },
    { .id = { HX_CAPABILITY_IPC, "send" },
      .arguments = "CHANNEL TEXT [--request CODE]",
      .summary = "send a message into a channel",
      .handler = cmd_send,
      .help = "CHANNEL is MODULE/KEY, a channel that a module declares, or NUMBER/END: what end 0 or 1 of a\n"
              "channel would send. TEXT is up to 64 bytes. --request: a request with that code; see receive.",
      .complete = complete_channels },
    { .id = { HX_CAPABILITY_IPC, "receive" },
      .arguments = "CHANNEL [--timeout MS]",
      .summary = "take the next message that comes by a channel",
      .handler = cmd_receive,
      .help = "CHANNEL as in send; nobody else receives what is taken here. MS is 1000 if left out.",
      .complete = complete_channels },
    { .id = { HX_CAPABILITY_NONE, NULL } },
};
