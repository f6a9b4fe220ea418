/* SPDX-License-Identifier: MIT */
/*
 * cmd_ipc.c - commands that show what is between modules: handles and channels.
 */
#include "command.h"
#include "console.h"

#include <ipc/channel.h>
#include <lib/fmt.h>
#include <string.h>

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

static hx_status_t cmd_chan(int argc, char **argv)
{
    struct hx_channel_info info;
    uint32_t shown = 0;
    if (argc != 1)
        return hx_command_usage(argv[0]);
    for (uint32_t from = 1; !hx_console_interrupted() && hx_channel_describe(from, &info); from = info.number + 1) {
        char owners[128];
        list_owners(info.number, owners, sizeof(owners));
        if (shown++ == 0)
            hx_console_printf("%6s %6s %-6s %11s %11s %15s  %s\n", "number", "room", "state", "queued", "waiting",
                              "sent", "owners");
        hx_console_printf("%6u %6u %-6s %5u %5u %5u %5u %7llu %7llu  %s\n", info.number, info.capacity,
                          info.open ? "open" : "closed", info.queued[0], info.queued[1],
                          info.receivers[0] + info.senders[0], info.receivers[1] + info.senders[1],
                          (unsigned long long)info.sent[0], (unsigned long long)info.sent[1], owners);
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
    { .id = { HX_CAPABILITY_NONE, NULL } },
};
