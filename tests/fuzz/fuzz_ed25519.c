/* SPDX-License-Identifier: MIT */
/*
 * fuzz_ed25519.c - any key, signature and message: what is refused is nothing but refused, and what is taken says nothing
 * about its neighbours.
 *
 * Input: key, signature, message. Good ones lie in the corpus; a change of one bit of them is what a fuzzer makes first.
 */
#include "invariant.h"

#include <lib/ed25519.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *key, *signature, *message;
    struct hx_slice body;
    bool good;

    if (size < HX_ED25519_KEY_BYTES + HX_ED25519_SIGNATURE_BYTES)
        return 0;
    body = hx_slice_of(data + HX_ED25519_KEY_BYTES + HX_ED25519_SIGNATURE_BYTES,
                       size - HX_ED25519_KEY_BYTES - HX_ED25519_SIGNATURE_BYTES);
    key = copy_of(data, HX_ED25519_KEY_BYTES);
    signature = copy_of(data + HX_ED25519_KEY_BYTES, HX_ED25519_SIGNATURE_BYTES);
    message = copy_of(body.data, body.bytes);
    body.data = message;
    good = hx_ed25519_verify(key, body, signature);
    must(good == hx_ed25519_verify(key, body, signature));
    if (good) { /* one R, one S for a message and a key; and no other message */
        uint8_t *at = signature + (size % HX_ED25519_SIGNATURE_BYTES);

        *at ^= (uint8_t)(1u << size % 8);
        must(!hx_ed25519_verify(key, body, signature));
        *at ^= (uint8_t)(1u << size % 8);
        if (body.bytes) {
            message[body.bytes - 1] ^= 1;
            must(!hx_ed25519_verify(key, body, signature));
        }
    }
    free(message);
    free(signature);
    free(key);
    return 0;
}
