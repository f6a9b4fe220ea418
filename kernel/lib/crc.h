/* SPDX-License-Identifier: MIT */
/*
 * crc.h - CRC-32C (Castagnoli, RFC 3720 appendix B.4) of state blobs: by the CPU's crc32 instruction where there is one.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Start with 0; feed the result back in to go on with more data. */
uint32_t hx_crc32c(uint32_t crc, const void *data, size_t bytes);
/* The same without the instruction, for CPUs that lack it: about ten instructions a byte. */
uint32_t hx_crc32c_by_table(uint32_t crc, const void *data, size_t bytes);
