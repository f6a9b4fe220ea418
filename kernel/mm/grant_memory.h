/* SPDX-License-Identifier: MIT */
/* grant_memory.h - the start of grants' memory and what is shown and audited of it. May be used by: kernel/mm. Locks:
 * hx_mm_lock, but for the start. */
#pragma once
#include "mm.h"

/* Between two slots as much is never mapped as a slot has at most. */
#define HX_MM_GRANT_STRIDE (2ul * HX_HAL_GRANT_PAGES * HX_PAGE_BYTES)
#define HX_MM_GRANT_END (HX_MM_GRANT_BASE + HX_HAL_GRANT_SLOTS * HX_MM_GRANT_STRIDE)

/* Makes the window's page directory. HX_E_NOMEM. */
HX_NODISCARD hx_status_t hx_grant_memory_init(void);
/* Of all grants, wherever they are. */
uint64_t hx_grant_memory_pages(void);
/* Whether the page table behind @va, where a page is mapped, is behind another slot too. */
bool hx_grant_memory_is_twice(uintptr_t va);
