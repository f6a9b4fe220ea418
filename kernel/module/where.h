/* SPDX-License-Identifier: MIT */
/*
 * where.h - what lies at an address of a module, in the words of its source: for backtraces and for people who ask.
 *
 * Context: any, also a fault's: nothing is allocated and no lock is taken. Versions go away unless the registry is locked or,
 * in a thread on CPU 0, preemption is off (module.h).
 */
#pragma once
#include <lib/label.h>

#include "module.h"

struct hx_where {
    const struct hx_version *version;
    enum hx_image_part part;
    struct hx_label label; /* a function, an object, or when none is known the part */
};

/* @version may be NULL. Whether @va lies in its image. */
bool hx_where_in(const struct hx_version *version, uintptr_t va, struct hx_where *out);
