/* SPDX-License-Identifier: MIT */
/* paging.h - the instructions of paging, in kernel/arch/x86_64/paging.S. Source: Intel SDM vol. 2 and 3A, 4.10. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* INVLPG: forgets the page at @va on this CPU. */
void hx_paging_flush(uintptr_t va);
/* Forgets all that is not global on this CPU. */
void hx_paging_reload(void);
/* Translates by the tables at @root_pa; turns global pages on where the CPU has them. */
void hx_paging_load(uint64_t root_pa);
bool hx_paging_has_nx(void);
/* Width of a physical address: at least 36. */
uint32_t hx_paging_pa_bits(void);
