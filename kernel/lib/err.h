/* SPDX-License-Identifier: MIT */
/* err.h - the texts of the errors in helix/err.def. */
#pragma once
#include <helix/err.h>

/* "no-memory"; "unknown-error" for a number that is none. Never NULL. */
const char *hx_err_name(hx_ret_t err);
/* "not enough memory". */
const char *hx_err_text(hx_ret_t err);
