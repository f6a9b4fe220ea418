/* SPDX-License-Identifier: MIT */
/* unit.c - sample on the host: tasks of a process, scheduled by it. */
#include <helix_host.h>

enum { TASKS = 3, MS = 1000000 };

static uint64_t counter[TASKS];

/* Works for ever, a tenth of a millisecond at a time. */
static void count(void *argument)
{
    uint64_t *mine = argument;
    for (;;) {
        ++*mine;
        helix_host_pass_ns(MS / 10);
    }
}

static void begin(void)
{
    HELIX_HOST_EXPECT(helix_host_load(MODULE, ""), "%s", helix_host_why());
    for (size_t i = 0; i < TASKS; i++)
        helix_host_spawn("count", (uint8_t)(100 + i), count, &counter[i]);
}

static void expect_fair(void)
{
    uint64_t before[TASKS];
    for (size_t i = 0; i < TASKS; i++)
        before[i] = counter[i];
    helix_host_pass_ns(600 * (uint64_t)MS);
    for (size_t i = 0; i < TASKS; i++) {
        uint64_t got = counter[i] - before[i];
        HELIX_HOST_EXPECT(got > 1500 && got < 2500, "task %zu did %llu parts of 6000", i, (unsigned long long)got);
    }
    HELIX_HOST_EXPECT(helix_host_wrong_answers() == 0, "%llu", (unsigned long long)helix_host_wrong_answers());
}

static void shares(void)
{
    begin();
    expect_fair();
}

static void goes_on(void)
{
    begin();
    expect_fair();
    HELIX_HOST_EXPECT(helix_host_reload("sample", NEXT), "%s", helix_host_why());
    HELIX_HOST_EXPECT(helix_host_version("sample")[2] == '1', "%s", helix_host_version("sample"));
    expect_fair();
}

static void refuses(void)
{
    HELIX_HOST_EXPECT(!helix_host_load(MODULE, "slice_ms=0"));
}

int main(int argc, char **argv)
{
    static const struct helix_host_case cases[] = {
        { "tasks share the time", shares },
        { "the next version knows them all", goes_on },
        { "a slice of nothing is refused", refuses },
    };
    return helix_host_main(cases, HX_ARRAY_SIZE(cases), argc, argv);
}
