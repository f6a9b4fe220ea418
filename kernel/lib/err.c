/* SPDX-License-Identifier: MIT */
/*
 * err.c - the texts of the errors, made from the same list as the numbers, so that the two cannot drift.
 */
#include "err.h"

#include <stddef.h>

struct err_text {
    const char *name;
    const char *text;
};

static const struct err_text errors[] = {
    [0] = { "ok", "no error" },
#define HX_ERR(name, number, short_name, text) [number] = { short_name, text },
#include <helix/err.def>
#undef HX_ERR
};

static const struct err_text unknown = { "unknown-error", "a number that is no error of this kernel" };

static const struct err_text *find(hx_ret_t err)
{
    const hx_ret_t count = (hx_ret_t)(sizeof(errors) / sizeof(errors[0]));

    if (err > 0 || err <= -count || !errors[-err].name)
        return &unknown;
    return &errors[-err];
}

const char *hx_err_name(hx_ret_t err)
{
    return find(err)->name;
}

const char *hx_err_text(hx_ret_t err)
{
    return find(err)->text;
}
