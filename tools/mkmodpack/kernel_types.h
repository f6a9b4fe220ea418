/* SPDX-License-Identifier: MIT */
/* kernel_types.h - the types that this program's kernel shares with modules, in words; made by exports_table.c. */
#pragma once
#include "type_words.h"

extern const struct hx_mp_type hx_mp_kernel_types[]; /* ascending by key */
extern const size_t hx_mp_kernel_types_count;
