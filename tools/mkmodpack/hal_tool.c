/* SPDX-License-Identifier: MIT */
/* hal_tool.c - the part of the seam that the linked kernel sources need on the host: the heap. */
#include <hal/hx_hal.h>
#include <stdlib.h>

void *hx_hal_alloc(size_t bytes)
{
    return calloc(1, bytes);
}

void hx_hal_free(void *memory)
{
    free(memory);
}
