/* SPDX-License-Identifier: MIT */
/* unit.c - sample on the host. */
#include <helix_host.h>
#include <string.h>

static void expect_reply(const char *expected)
{
    char reply[HX_INLINE_MAX + 1];
    hx_ret_t err = helix_host_request("sample", 0, NULL, reply);
    HELIX_HOST_EXPECT(err == HX_OK, "%d", (int)err);
    HELIX_HOST_EXPECT(strcmp(reply, expected) == 0, "%s", reply);
}

static void begin(void)
{
    HELIX_HOST_EXPECT(helix_host_load(MODULE, ""), "%s", helix_host_why());
}

static void counts(void)
{
    begin();
    expect_reply("sample 1.0: request 1");
    expect_reply("sample 1.0: request 2");
}

static void refuses(void)
{
    char reply[HX_INLINE_MAX + 1];
    begin();
    HELIX_HOST_EXPECT(helix_host_request("sample", 99, NULL, reply) == HX_E_UNSUPPORTED);
}

static void goes_on(void)
{
    begin();
    expect_reply("sample 1.0: request 1");
    HELIX_HOST_EXPECT(helix_host_reload("sample", NEXT), "%s", helix_host_why());
    expect_reply("sample 1.1: request 2");
    HELIX_HOST_EXPECT(helix_host_rollback("sample"), "%s", helix_host_why());
    expect_reply("sample 1.0: request 2"); /* back to the moment of the swap */
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
        { "requests are counted", counts },
        { "another code is refused", refuses },
        { "the next version goes on with the count, and a rollback goes back", goes_on },
        { "an unload leaves nothing behind", leaves_nothing },
    };
    return helix_host_main(cases, HX_ARRAY_SIZE(cases), argc, argv);
}
