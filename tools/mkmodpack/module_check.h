/* SPDX-License-Identifier: MIT */
/* module_check.h - the records of one linked module, by the rules of kernel/module/version.c. */
#pragma once
#include "module_info.h"

/* Every broken rule becomes a finding. When there is none, @module->record is set and all records may be trusted. */
bool hx_mp_module_check(struct hx_mp_module *module, struct hx_mp_findings *findings);

/* Whether the kernel exports @name. */
bool hx_mp_is_export(const char *name);
/* The number of operations in a list, or -1 when it is malformed. */
int hx_mp_ops_count(struct hx_slice ops);
/* Whether provider and user mean the same interface: one major, and the shorter list begins the longer. */
bool hx_mp_ops_agree(struct hx_slice a, uint32_t a_version, struct hx_slice b, uint32_t b_version);
/* Whether the list has an operation of that name. */
bool hx_mp_ops_has(struct hx_slice ops, const char *name);
