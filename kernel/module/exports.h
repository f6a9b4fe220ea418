/* SPDX-License-Identifier: MIT */
/*
 * exports.h - the kernel's own symbols that a module may import, by name; bound once by the composition root.
 */
#pragma once
#include <hal/hx_import.h>

/* @imports, [@count], is borrowed. HX_E_LIMIT: the table here is too small. */
HX_NODISCARD hx_status_t hx_exports_bind(const struct hx_import *imports, uint32_t count);
/* The import stub of @name, by hash. HX_E_SYMBOL. */
HX_NODISCARD hx_status_t hx_exports_find(const char *name, const void **out_stub);
