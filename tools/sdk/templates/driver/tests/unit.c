/* SPDX-License-Identifier: MIT */
/* unit.c - sample on the host, with a keyboard controller that is a few lines of C. */
#include <helix_host.h>
#include <string.h>

enum { DATA = 0x60, STATUS = 0x64, LINE = 1, STUCK = 0x02 };

static struct {
    uint8_t command, mode, byte, status;
} device;

static uint8_t device_read(uint16_t port)
{
    if (port == STATUS)
        return device.status;
    device.status &= (uint8_t)~1u;
    return device.byte;
}

static void device_write(uint16_t port, uint8_t value)
{
    if (port == STATUS) {
        device.command = value;
    } else if (device.command == 0x60) {
        device.mode = value;
    } else if (device.command == 0xd2) {
        device.byte = value;
        device.status |= 1;
        helix_host_interrupt(LINE);
    }
}

static void expect_reply(const char *expected)
{
    char reply[HX_INLINE_MAX + 1];
    hx_ret_t err = helix_host_request("sample", 0, NULL, reply);
    HELIX_HOST_EXPECT(err == HX_OK, "%d", (int)err);
    HELIX_HOST_EXPECT(strcmp(reply, expected) == 0, "%s", reply);
}

static hx_ret_t send(const char *text)
{
    char reply[HX_INLINE_MAX + 1];
    return helix_host_request("sample", 1, text, reply);
}

static void begin(void)
{
    helix_host_ports(device_read, device_write);
    HELIX_HOST_EXPECT(helix_host_load(MODULE, ""), "%s", helix_host_why());
}

static void comes_back(void)
{
    begin();
    HELIX_HOST_EXPECT(device.mode == 0x45, "0x%02x", device.mode);
    expect_reply("sample 1.0: 0 bytes, last 0x00");
    HELIX_HOST_EXPECT(send("a") == HX_OK);
    expect_reply("sample 1.0: 1 bytes, last 0x61");
}

static void stuck(void)
{
    begin();
    device.status = STUCK;
    HELIX_HOST_EXPECT(send("a") == HX_E_HARDWARE);
    HELIX_HOST_EXPECT(send(NULL) == HX_E_INVAL);
}

static void goes_on(void)
{
    begin();
    HELIX_HOST_EXPECT(send("a") == HX_OK);
    HELIX_HOST_EXPECT(helix_host_reload("sample", NEXT), "%s", helix_host_why());
    HELIX_HOST_EXPECT(send("b") == HX_OK);
    expect_reply("sample 1.1: 2 bytes, last 0x62");
}

static void leaves_nothing(void)
{
    uint64_t before = helix_host_bytes();
    begin();
    HELIX_HOST_EXPECT(helix_host_unload("sample"), "%s", helix_host_why());
    HELIX_HOST_EXPECT(helix_host_bytes() == before, "%lld bytes", (long long)(helix_host_bytes() - before));
}

int main(int argc, char **argv)
{
    static const struct helix_host_case cases[] = {
        { "a byte that is sent comes back by an interrupt", comes_back },
        { "a device that takes nothing is an error", stuck },
        { "the next version goes on with the count", goes_on },
        { "an unload leaves nothing behind", leaves_nothing },
    };
    return helix_host_main(cases, HX_ARRAY_SIZE(cases), argc, argv);
}
