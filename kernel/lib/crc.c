/* SPDX-License-Identifier: MIT */
/*
 * crc.c - CRC-32C, eight bytes an instruction.
 *
 * Why the compiler's builtin: the instruction works on general registers only, so it is allowed where SSE is not; the
 * target attribute makes it known for this one function. It came with SSE4.2, which is asked for at the first call.
 * Source: Intel SDM volume 2, CRC32 and CPUID; RFC 3720 appendix B.4 (polynomial, initial value, final complement).
 */
#include "crc.h"

#include <cpuid.h>
#include <stdbool.h>

typedef uint64_t __attribute__((may_alias, aligned(1))) word_t;

/* Remainders of all four-bit values, for the reflected polynomial 0x82f63b78. */
static const uint32_t nibble_table[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t hx_crc32c_by_table(uint32_t crc, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    uint32_t sum = ~crc;

    for (; bytes; bytes--, at++) {
        sum ^= *at;
        sum = sum >> 4 ^ nibble_table[sum & 15];
        sum = sum >> 4 ^ nibble_table[sum & 15];
    }
    return ~sum;
}

static bool has_instruction(void)
{
    static enum { UNKNOWN, ABSENT, PRESENT } answer;

    if (answer == UNKNOWN) {
        uint32_t eax, ebx, ecx, edx;
        answer = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_SSE4_2) ? PRESENT : ABSENT;
    }
    return answer == PRESENT;
}

__attribute__((target("crc32"))) static uint32_t by_instruction(uint32_t crc, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    uint64_t sum = ~crc;

    for (; bytes >= 4 * sizeof(word_t); bytes -= 4 * sizeof(word_t), at += 4 * sizeof(word_t)) {
        const word_t *word = (const word_t *)at;
        sum = __builtin_ia32_crc32di(sum, word[0]);
        sum = __builtin_ia32_crc32di(sum, word[1]);
        sum = __builtin_ia32_crc32di(sum, word[2]);
        sum = __builtin_ia32_crc32di(sum, word[3]);
    }
    for (; bytes >= sizeof(word_t); bytes -= sizeof(word_t), at += sizeof(word_t))
        sum = __builtin_ia32_crc32di(sum, *(const word_t *)at);
    for (; bytes; bytes--, at++)
        sum = __builtin_ia32_crc32qi((uint32_t)sum, *at);
    return ~(uint32_t)sum;
}

uint32_t hx_crc32c(uint32_t crc, const void *data, size_t bytes)
{
    return has_instruction() ? by_instruction(crc, data, bytes) : hx_crc32c_by_table(crc, data, bytes);
}
