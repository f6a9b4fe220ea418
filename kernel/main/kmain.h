/* SPDX-License-Identifier: MIT */
/* kmain.h - where boot.S hands over to C. */
#pragma once
#include <stdint.h>

/* Known to boot.S. */
enum hx_boot_protocol { HX_BOOT_MULTIBOOT2 = 1, HX_BOOT_PVH = 2 };

/* Long mode, provisional page tables, interrupts off, on hx_boot_stack. @info_pa: what the protocol's loader left. */
_Noreturn void kmain(uint32_t protocol, uint64_t info_pa);
