/* SPDX-License-Identifier: MIT */
/*
 * sha512.h - SHA-512, which Ed25519 is made with.
 *
 * Why not SHA-256, which is shorter: a signature by Ed25519 names this one (RFC 8032, section 5.1). Where a checksum or an
 * identity is wanted, hash.h and crc.h are ten times as fast.
 * Context: any. Allocates nothing. About 4,000 instructions for each 128 bytes.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { HX_SHA512_BYTES = 64, HX_SHA512_BLOCK_BYTES = 128, HX_SHA512_WORDS = 8 };

struct hx_sha512 {
    uint64_t hash[HX_SHA512_WORDS];
    uint64_t bytes;                       /* taken so far */
    uint8_t block[HX_SHA512_BLOCK_BYTES]; /* the last bytes % HX_SHA512_BLOCK_BYTES of them */
};

void hx_sha512_init(struct hx_sha512 *sha);
/* As often as wanted: pieces make the whole. */
void hx_sha512_add(struct hx_sha512 *sha, const void *data, size_t bytes);
/* Writes the digest; @sha has to be initialised before it is used again. */
void hx_sha512_end(struct hx_sha512 *sha, uint8_t out[HX_SHA512_BYTES]);
