/* SPDX-License-Identifier: MIT */
/* hx_string_asm.h - the kernel's own: a host process has the same instructions. */
#pragma once
#include "../../../kernel/arch/x86_64/include/hx_string_asm.h"
