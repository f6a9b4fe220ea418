/* SPDX-License-Identifier: MIT */
/*
 * kv.h - hx.kv: a key-value store in memory.
 *
 * Version 1.1 adds `modified`. A provider of 1.0 has a vtable that ends before it; the kernel answers HX_E_UNSUPPORTED in
 * its place.
 *
 * Slot: sleepable. Context: thread.
 */
#pragma once
#ifndef __ASSEMBLER__ /* assembly takes the list of operations alone */
#include <helix/interface.h>
#endif

#define HX_KV_VERSION_1_0 HX_VERSION(1, 0, 0)
#define HX_KV_VERSION HX_VERSION(1, 1, 0)

/*
 * get:      copies the value of `key` to `value`, cut at its size. Returns the whole length. HX_E_NOENT.
 * put:      stores a copy of `value` under a copy of `key`, replacing what was there. Returns 1 when the key is new, else
 *           0. HX_E_INVAL: empty or too long. HX_E_FULL.
 * del:      forgets `key`. HX_E_NOENT.
 * list:     copies the first key at or after position `cursor` to `key`. Returns (next cursor << 8) | length of the key;
 *           HX_E_NOENT past the last. Start with 0. Changes in between may make it skip or repeat keys.
 * count:    returns the number of keys.
 * modified: returns the time of the last put of `key`, ns since boot; 0 when it was put before times were kept.
 */
#define HX_KV_OPS_1_0(OP)                                                                                              \
    OP(hx_kv, 0, get, HX_IN(key), HX_OUT(value))                                                                       \
    OP(hx_kv, 1, put, HX_IN(key), HX_IN(value))                                                                        \
    OP(hx_kv, 2, del, HX_IN(key))                                                                                      \
    OP(hx_kv, 3, list, HX_VAL(cursor), HX_OUT(key))                                                                    \
    OP(hx_kv, 4, count, HX_NOTHING)
#define HX_KV_OPS(OP)                                                                                                  \
    HX_KV_OPS_1_0(OP)                                                                                                  \
    OP(hx_kv, 5, modified, HX_IN(key))

#ifndef __ASSEMBLER__
enum {
    HX_KV_KEY_MAX = 32,    /* bytes of a key; any bytes, at least one */
    HX_KV_VALUE_MAX = 192, /* bytes of a value; any bytes, none too */
    HX_KV_ENTRIES_MAX = 2048,
};

HX_INTERFACE(hx_kv, HX_KV_VERSION, HX_KV_OPS)

/*
 * The common language of stores: state fields that every store saves under these names, so that any store can take over
 * from any other, whatever its layout. Entry i of one field belongs to entry i of the others. The first two are always
 * there, if empty.
 */
#define HX_KV_STATE_LENGTHS "lengths"   /* hx_u8[2 * n]: length of the key, length of the value */
#define HX_KV_STATE_BYTES "bytes"       /* key and value of each entry, end to end */
#define HX_KV_STATE_MODIFIED "modified" /* hx_u64[n]: time of the last put; not there when times are not kept */
#endif
