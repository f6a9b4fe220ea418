/* SPDX-License-Identifier: MIT */
/*
 * interface.h - how an interface is declared: once, as a list of operations with their arguments.
 *
 *     #define HX_KV_VERSION HX_VERSION(1, 1, 0)
 *     #define HX_KV_OPS(OP)                                             \
 *         OP(hx_kv, 0, get, HX_IN(key), HX_OUT(value))                  \
 *         OP(hx_kv, 1, put, HX_IN(key), HX_IN(value))
 *     HX_INTERFACE(hx_kv, HX_KV_VERSION, HX_KV_OPS)
 *
 * makes the vtable type struct hx_kv_ops (version and size first), the prototypes of the callers hx_kv_get() and
 * hx_kv_put(), and the record by which the kernel checks that provider and user mean the same. In the kernel the callers
 * are gate entries; in a module they are undefined symbols that the loader binds to gate stubs. Either way a call is a
 * plain C call that may also return HX_E_FAULT, HX_E_CLOSED, HX_E_ABSENT, HX_E_FAILED, HX_E_TIMEOUT, HX_E_PAUSED or
 * HX_E_KILLED.
 *
 * Arguments are scalars and spans, nothing else. A span lies in the caller's memory, is at most HX_SPAN_MAX bytes, and is
 * passed as pointer and length. At most six machine words an operation, a span counting two.
 */
#pragma once
#include <helix/types.h>

#define HX_VAL(name) uint64_t name
#define HX_IN(name) const void *name, uint64_t name##_bytes
#define HX_OUT(name) void *name, uint64_t name##_bytes
#define HX_INOUT(name) void *name, uint64_t name##_bytes
#define HX_NOTHING void

/* The head of every vtable: who reads it knows how much of it there is. */
struct hx_ops_head {
    uint32_t version; /* HX_VERSION of the interface that the provider was built with */
    uint32_t bytes;   /* sizeof the vtable; operations past it do not exist */
};

/*
 * The record of one interface, as provider (HX_PROVIDES) or user (HX_REQUIRES) see it. ops names every operation with its
 * arguments as written, in order, each NUL-terminated, the last followed by an empty one; it is the contract that both
 * sides are compared by: of two versions with one major the shorter list must be a prefix of the longer.
 */
struct hx_interface_record {
    char prefix[HX_NAME_MAX]; /* "hx_kv": of the callers' symbols; shown as hx.kv, the first _ being a dot */
    uint32_t version;         /* provided, or the least required */
    uint32_t ops_bytes;       /* length of ops, the closing empty name included */
    const char *ops;          /* "get(HX_IN(key), HX_OUT(value))\0...\0", in the image */
    const void *vtable;       /* provider: struct hx_ops_head and the operations, in the image; user: NULL */
};

#define HX_OP_FIELD_(iface, index, op, ...) hx_ret_t (*op)(__VA_ARGS__);
#define HX_OP_CALLER_(iface, index, op, ...) HX_NODISCARD hx_ret_t iface##_##op(__VA_ARGS__);
#define HX_OP_TEXT_(iface, index, op, ...) #op "(" #__VA_ARGS__ ")\0"
#define HX_OP_INDEX_(iface, index, op, ...)                                                                            \
    HX_STATIC_ASSERT(offsetof(struct iface##_ops, op) == sizeof(struct hx_ops_head) + (index) * sizeof(void *),        \
                     "operations are numbered in order");

#define HX_INTERFACE(iface, version_number, OPS)                                                                       \
    struct iface##_ops {                                                                                               \
        struct hx_ops_head head;                                                                                       \
        OPS(HX_OP_FIELD_)                                                                                              \
    };                                                                                                                 \
    OPS(HX_OP_INDEX_)                                                                                                  \
    enum { iface##_version = (int)(version_number) };                                                                  \
    HX_EXTERN_C_BEGIN                                                                                                  \
    OPS(HX_OP_CALLER_) HX_EXTERN_C_END

/* First initialiser of a provider's vtable; the second form is for one that stops before `first_missing_op`. */
#define HX_OPS_HEAD(iface) .head = { (uint32_t)iface##_version, (uint32_t)sizeof(struct iface##_ops) }
#define HX_OPS_HEAD_UNTIL(iface, version_number, first_missing_op)                                                     \
    .head = { (version_number), (uint32_t)offsetof(struct iface##_ops, first_missing_op) }
