/* SPDX-License-Identifier: MIT */
/*
 * crc.c - CRC-32C, eight bytes an instruction.
 *
 * Why the compiler's builtin: the instruction works on general registers only, so it is allowed where SSE is not; the
 * target attribute makes it known for this one function.
 * Source: Intel SDM volume 2, CRC32; RFC 3720 appendix B.4 (initial value and final complement).
 */
#include "crc.h"

typedef uint64_t __attribute__((may_alias, aligned(1))) word_t;

__attribute__((target("crc32"))) uint32_t hx_crc32c(uint32_t crc, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    uint64_t sum = ~crc;

    for (; bytes >= sizeof(word_t); bytes -= sizeof(word_t), at += sizeof(word_t))
        sum = __builtin_ia32_crc32di(sum, *(const word_t *)at);
    for (; bytes; bytes--, at++)
        sum = __builtin_ia32_crc32qi((uint32_t)sum, *at);
    return ~(uint32_t)sum;
}
