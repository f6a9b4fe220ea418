/* SPDX-License-Identifier: MIT */
/*
 * topics.h - the kernel's own topics, and who publishes on them.
 *
 * The rooms that cause the events know nothing of topics: they tell an observer, which is bound here.
 * May be used by: compose.c.
 */
#pragma once
#include <helix/capability.h>
#include <helix/ipc.h>
#include <module/module.h>

/* Makes them and binds the observers that are this file's alone. HX_E_NOMEM. */
HX_NODISCARD hx_status_t hx_topics_create(void);

/* For struct hx_lifecycle_observer. */
void hx_topics_module_happened(const struct hx_module *module, enum hx_event_type what);
/* For hx_capability_bind(). With caps=warn what would have been denied stands in the log, too. */
void hx_topics_capability_happened(const struct hx_principal *principal, enum hx_capability_event what, uint32_t type,
                                   uint64_t first);
/* An interrupt line of the module called @owner is masked. Interrupt context. */
void hx_topics_line_stormed(uint32_t line, const char owner[HX_NAME_MAX]);
