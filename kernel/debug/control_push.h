/* SPDX-License-Identifier: MIT */
/*
 * control_push.h - a file that comes in pieces by the control channel: PUSH and DATA of helix/control.h.
 *
 * One at a time. What is refused is dropped, with all that has come of it.
 * May be used by: control.c.
 */
#pragma once
#include <lib/slice.h>

/* Whose files are taken: with @is_signed only those that @key, [HX_ED25519_KEY_BYTES], has signed; NULL: nobody has a key. */
void hx_control_push_bind(bool is_signed, const uint8_t *key);

/* Why a file was refused, and what to do. */
struct hx_control_refusal {
    char why[128];
};

/* @payload of PUSH. HX_E_FORMAT, HX_E_LIMIT, HX_E_NOMEM, HX_E_DISABLED: no key. */
HX_NODISCARD hx_status_t hx_control_push_begin(struct hx_slice payload, struct hx_control_refusal *out);
/*
 * @payload of DATA. What does not follow is left alone. *@out_expected: the offset of what does; *@out_done: that was all, and the
 * file is there. HX_E_RANGE: more than was said; HX_E_CHECKSUM; HX_E_PERM: the signature is none, or of another file or key.
 */
HX_NODISCARD hx_status_t hx_control_push_data(struct hx_slice payload, uint32_t *out_expected, bool *out_done,
                                              struct hx_control_refusal *out);
/* What has come is given up; nothing may have. */
void hx_control_push_drop(void);
