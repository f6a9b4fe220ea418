/* SPDX-License-Identifier: MIT */
/*
 * capability.h - capabilities as values: which are sound, which covers which, how they are written.
 *
 * Pure: who holds one is the broker's business (orchestrator/capability_broker.h).
 * Written: TYPE, TYPE:FIRST-LAST or TYPE:PATH, then :RIGHTS, letters of r w x g (g: may be passed on), if there are some.
 */
#pragma once
#include <helix/capability.h>

enum { HX_CAPABILITY_TEXT_MAX = HX_CAPABILITY_PATH_MAX + 32 };

/* What is wrong with it, for a sentence ("it ends before it begins"), or NULL. Everything may be in it. */
const char *hx_capability_fault(const struct hx_capability *what);
/* Whether who holds @a may all that @b says; both are sound. Paths at the border of a component. */
bool hx_capability_covers(const struct hx_capability *a, const struct hx_capability *b);
/* Whether @path is @prefix or below it, by the borders of @type: '/', and '.' in names of IPC and resources. */
bool hx_capability_path_covers(uint32_t type, const char *prefix, const char *path);
/* "ports:0x70-0x71"; a sound one. */
void hx_capability_text(const struct hx_capability *what, char out[HX_CAPABILITY_TEXT_MAX]);
/* HX_E_INVAL: not written so; or not sound, when @out_why says why. */
HX_NODISCARD hx_status_t hx_capability_parse(const char *text, struct hx_capability *out, const char **out_why);
/* "ports" */
const char *hx_capability_type_name(uint32_t type);
/* How a module asks for one: "HX_PORTS". */
const char *hx_capability_type_macro(uint32_t type);
