/* SPDX-License-Identifier: MIT */
/*
 * err.h - error numbers, and how a result and an error share one return value.
 *
 * A status is HX_OK or a negative HX_E_*. A result (hx_ret_t) is a value >= 0 or a negative HX_E_*; every operation of an
 * interface returns one, so that the gate can always answer in the callee's place.
 */
#pragma once
#include <stdint.h>

enum hx_err {
    HX_OK = 0,
#define HX_ERR(name, number, short_name, text) HX_E_##name = -(number),
#include <helix/err.def>
#undef HX_ERR
};

typedef int32_t hx_status_t; /* HX_OK or HX_E_* */
typedef int64_t hx_ret_t;    /* a value >= 0, or HX_E_* */

#define HX_NODISCARD __attribute__((warn_unused_result))
