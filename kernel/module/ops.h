/* SPDX-License-Identifier: MIT */
/*
 * ops.h - lists of operations: what an interface is, in the words of the header that both sides were built with.
 *
 * A list names every operation with its arguments as written, each NUL-terminated, the last followed by an empty one (see
 * struct hx_interface_record). Pure: lists are bytes from outside.
 * May be used by: L5 and up, mkmodpack, tests.
 */
#pragma once
#include <lib/slice.h>

/* Operations in a list. HX_E_FORMAT: it does not end, goes on behind its end, has more than HX_OPS_MAX, or one of them is
 * not printable or lacks its arguments. */
HX_NODISCARD hx_ret_t hx_ops_count(struct hx_slice ops);
/* Position of the operation called @name, [@bytes] long, in a list that hx_ops_count() accepts; or HX_E_NOENT. */
HX_NODISCARD hx_ret_t hx_ops_index(struct hx_slice ops, const char *name, size_t bytes);
/* Whether two sides mean the same interface: one major, and the shorter list begins the longer. */
bool hx_ops_agree(struct hx_slice a, uint32_t a_version, struct hx_slice b, uint32_t b_version);
/* How an interface is shown: "hx_kv" -> "hx.kv". */
void hx_interface_display(const char *prefix, char out[HX_NAME_MAX]);
