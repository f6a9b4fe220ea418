/* SPDX-License-Identifier: MIT */
/*
 * ed25519.h - whether a message was signed by the owner of a key.
 *
 * Why only this half: the kernel knows a public key and no secret; who signs is a person's machine, with OpenSSL.
 * Source: RFC 8032, section 5.1.7.
 */
#pragma once
#include "slice.h"

enum { HX_ED25519_KEY_BYTES = 32, HX_ED25519_SIGNATURE_BYTES = 64 };

/*
 * Whether @signature is one of @message by the secret that belongs to the public @key.
 *
 * Strict: one message and one R have one signature that is taken. Refused are an S that is not less than the order of the
 * group, a coordinate that is not less than 2^255 - 19, a key that is no point, and a key of small order: every message has
 * signatures for that one which anybody can make. The equation is checked without the cofactor, as OpenSSL and libsodium
 * do.
 *
 * Context: any; nothing here is secret, so the time it takes depends on what is checked. About four million instructions,
 * and hx_sha512_add() of the message. Uses about 1.5 KB of stack.
 */
bool hx_ed25519_verify(const uint8_t key[HX_ED25519_KEY_BYTES], struct hx_slice message,
                       const uint8_t signature[HX_ED25519_SIGNATURE_BYTES]);
