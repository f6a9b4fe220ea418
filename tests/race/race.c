/* SPDX-License-Identifier: MIT */
/*
 * race.c - channels, handles, topics, requests and grants under real threads and ThreadSanitizer: the kernel's own files on the
 * task layer of race_task.c. Speaks TAP; a race that is found ends the program with an error.
 */
#include "race.h"

#include <ipc/handle.h>
#include <stdio.h>
#include <unistd.h>

enum { TRIAL_LIMIT_S = 400 };

static uint32_t complaints;

void race_complain(const char *what, uint64_t got, uint64_t wanted)
{
    __atomic_add_fetch(&complaints, 1, __ATOMIC_RELAXED);
    printf("# %s: %llu, not %llu\n", what, (unsigned long long)got, (unsigned long long)wanted);
}

void race_expect(const char *what, uint64_t got, uint64_t wanted)
{
    if (got != wanted)
        race_complain(what, got, wanted);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } trials[] = {
        { "two senders and two receivers: none lost, doubled or out of order within its priority",
          race_channel_arrive },
        { "what is handed to one who is killed before he sees it is received by another", race_channel_kill },
        { "what was sent before a channel was closed is received", race_channel_close },
        { "handles are cloned, given away and closed while messages go through them", race_channel_clone },
        { "a subscription changes its topic while somebody looks for events", race_topic_change },
        { "each request has one outcome, whoever answers late, leaves, is killed or takes the service away",
          race_router_outcomes },
        { "each grant has one owner, whoever takes, gives, drops or looks, and whose holder ends", race_grant_owners },
    };
    bool failed = false;
    race_enter();
    printf("1..%zu\n", HX_ARRAY_SIZE(trials));
    for (size_t i = 0; i < HX_ARRAY_SIZE(trials); i++) {
        complaints = 0;
        alarm(TRIAL_LIMIT_S); /* one that waits for ever ends the program */
        trials[i].run();
        race_expect("objects left", race_allocations(), 0);
        race_expect("handles left", hx_handle_next(0) != NULL, 0);
        printf("%sok %zu - %s\n", complaints ? "not " : "", i + 1, trials[i].name);
        fflush(stdout);
        failed = failed || complaints;
    }
    return failed;
}
