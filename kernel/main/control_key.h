/* SPDX-License-Identifier: MIT */
/*
 * control_key.h - whose modules the control channel takes when it is started with control=signed.
 *
 * Why built in: whoever can write a command line or an initrd could bring a key of their own in them. Made at build time by
 * control_key.py from the file that the build option control_key names.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* [HX_ED25519_KEY_BYTES]; NULL: none was built in. */
extern const uint8_t *const hx_control_key;
