/* SPDX-License-Identifier: MIT */
/*
 * sample.c - a service that says how often it was asked.
 *
 * State: the count, which a swap keeps. Requests come in any number of tasks at once, so it is changed by atomic steps.
 */
#include <helix/fmt.h>
#include <helix/module.h>

#ifndef SAMPLE_MINOR
#define SAMPLE_MINOR 0
#endif

#define SAMPLE_FIELDS(SCALAR, ARRAY) SCALAR(u64, asked)
HX_STATE(sample, SAMPLE_FIELDS); /* static struct sample_state sample */

enum { SAMPLE_COUNT }; /* codes of requests */

static hx_ret_t sample_serve(struct hx_message *message, uint64_t bytes)
{
    (void)bytes;
    if (message->code != SAMPLE_COUNT)
        return HX_E_UNSUPPORTED;
    uint64_t asked = __atomic_add_fetch(&sample.asked, 1, __ATOMIC_RELAXED);
    message->payload = HX_PAYLOAD_INLINE;
    message->bytes = (uint8_t)hx_fmt((char *)message->data, sizeof(message->data), "sample 1.%u: request %llu",
                                     (unsigned)SAMPLE_MINOR, (unsigned long long)asked);
    return HX_OK;
}

HX_MODULE("sample", HX_VERSION(1, SAMPLE_MINOR, 0), "says how often it was asked");
HX_SERVICE("sample", 0, sample_serve);
