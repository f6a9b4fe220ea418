/* SPDX-License-Identifier: MIT */
/* module_check.h - one linked module, by the rules of kernel/module/records.c and by what the kernel offers. */
#pragma once
#include "module_info.h"

/* Every broken rule becomes a finding. When there is none, @module->record is set and all records may be trusted. */
bool hx_mp_module_check(struct hx_mp_module *module, struct hx_mp_findings *findings);
/* A finding: @mine, of the module at @path, is @other of another side, which is called @there. */
void hx_mp_find_type(const char *path, const struct hx_mp_type *mine, const struct hx_mp_type *other, const char *there,
                     const char *advice, struct hx_mp_findings *findings);
