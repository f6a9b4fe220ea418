/* SPDX-License-Identifier: MIT */
/* signature.h - who answers for a module: its Ed25519 signature (RFC 8032), made here or read from beside it. */
#pragma once
#include <helix/control.h>
#include <lib/slice.h>

/*
 * By the private key in @key_path (PEM, PKCS #8) when that is not NULL; else from FILE.sig, when there is one; else zeros.
 * False: complained of.
 */
bool hx_ctl_signature_of(const char *path, struct hx_slice file, const char *key_path,
                         uint8_t out[HX_CONTROL_SIGNATURE_BYTES]);
/* Whether there is a FILE.sig, which holds for the file as it is. */
bool hx_ctl_signature_is_beside(const char *path);
