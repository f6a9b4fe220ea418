/* SPDX-License-Identifier: MIT */
/*
 * signature.h - Ed25519 signatures of files, in FILE.sig beside them: the 64 bytes of RFC 8032 and nothing else.
 *
 * Why two implementations: a secret is OpenSSL's business; whether a signature is good is said by the kernel's own verifier,
 * so what is signed here is taken there.
 */
#pragma once
#include "finding.h"

#include <lib/ed25519.h>

/* Of a person: as `openssl genpkey -algorithm ed25519' writes it, or the public half of that. */
struct hx_mp_key {
    void *secret; /* OpenSSL's; NULL: the file holds a public key */
    uint8_t public[HX_ED25519_KEY_BYTES];
};

/* Reads the PEM file at @path; a secret one that is encrypted asks for its passphrase on the terminal. Refusals become
 * findings. */
bool hx_mp_key_read(struct hx_mp_key *out, const char *path, struct hx_mp_findings *findings);
/* Accepts a zeroed one. */
void hx_mp_key_free(struct hx_mp_key *key);

/* Signs the file at @path, by a key with its secret. Refusals become findings. */
bool hx_mp_sign(const struct hx_mp_key *key, const char *path, struct hx_mp_findings *findings);
/* Whether the signature beside the file at @path is one by the owner of @key; findings say why not. */
bool hx_mp_signature_check(const struct hx_mp_key *key, const char *path, struct hx_mp_findings *findings);
