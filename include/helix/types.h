/* SPDX-License-Identifier: MIT */
/*
 * types.h - scalars, handles and limits that kernel and modules share.
 *
 * Conventions of the whole contract: priorities run from 0 (lowest) to 255 (highest); durations and times are in
 * nanoseconds, times since boot; sizes are in bytes.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <helix/err.h>

typedef uint8_t hx_u8;
typedef uint16_t hx_u16;
typedef uint32_t hx_u32;
typedef uint64_t hx_u64;
typedef int32_t hx_i32;
typedef int64_t hx_i64;

/*
 * A handle names a kernel object without being a pointer: bits 56..62 type, 32..55 generation, 0..31 index. It is never
 * negative as hx_ret_t, so an operation may return one. 0 is no object. A stale handle is an error (HX_E_STALE), never
 * another object.
 */
typedef uint64_t hx_handle_t;
#define HX_HANDLE_NONE ((hx_handle_t)0)

enum hx_handle_type {
    HX_HANDLE_TASK = 1,
    HX_HANDLE_MODULE,
    HX_HANDLE_CHANNEL, /* one end of it */
    HX_HANDLE_GRANT,
    HX_HANDLE_TOPIC,
    HX_HANDLE_SUBSCRIPTION,
    HX_HANDLE_SERVICE,
    HX_HANDLE_CAPABILITY,
    HX_HANDLE_ALLOCATION,
    HX_HANDLE_TYPE_COUNT,
};

static inline hx_handle_t hx_handle_make(uint32_t type, uint32_t generation, uint32_t index)
{
    return ((uint64_t)(type & 0x7fu) << 56) | ((uint64_t)(generation & 0xffffffu) << 32) | index;
}
static inline uint32_t hx_handle_index(hx_handle_t h)
{
    return (uint32_t)h;
}
static inline uint32_t hx_handle_generation(hx_handle_t h)
{
    return (uint32_t)(h >> 32) & 0xffffffu;
}
static inline uint32_t hx_handle_type(hx_handle_t h)
{
    return (uint32_t)(h >> 56);
}

/* Limits of the contract. Each is checked; exceeding one is HX_E_LIMIT with the name of what exceeds it. */
enum {
    HX_NAME_MAX = 32,    /* module, interface and field names, NUL included */
    HX_SUMMARY_MAX = 64, /* one-line descriptions, NUL included */
    HX_TASKS_MAX = 4096, /* tasks at one time; the index of a task's handle is below it */
    HX_CPUS_MAX = 8,
    HX_SPAN_MAX = 4096, /* bytes of one span argument */
    HX_OPS_MAX = 16,    /* operations of one interface */
};

#ifdef __cplusplus
#define HX_STATIC_ASSERT(condition, text) static_assert(condition, text)
#define HX_EXTERN_C_BEGIN extern "C" {
#define HX_EXTERN_C_END }
#else
#define HX_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#define HX_EXTERN_C_BEGIN
#define HX_EXTERN_C_END
#endif

#define HX_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Versions: major.minor.patch in one word, ordered by <. An interface has no patch. */
#define HX_VERSION(major, minor, patch) (((uint32_t)(major) << 24) | ((uint32_t)(minor) << 12) | (uint32_t)(patch))
#define HX_VERSION_MAJOR(v) ((v) >> 24)
#define HX_VERSION_MINOR(v) (((v) >> 12) & 0xfffu)
#define HX_VERSION_PATCH(v) ((v)&0xfffu)
