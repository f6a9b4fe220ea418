/* SPDX-License-Identifier: MIT */
/*
 * kv.h - hx.kv: a key-value store in memory; and the same by messages.
 *
 * Version 1.1 adds `modified`. A provider of 1.0 has a vtable that ends before it; the kernel answers HX_E_UNSUPPORTED in
 * its place.
 *
 * Slot: sleepable. Context: thread.
 */
#pragma once
#ifndef __ASSEMBLER__ /* assembly takes the list of operations alone */
#include <helix/interface.h>
#include <helix/ipc.h>
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
 * By messages: requests to the service HX_KV_SERVICE, or of type HX_MESSAGE_REQUEST into the channel HX_KV_CHANNEL, whose
 * replies have the `correlation` of their requests. `code` says what is wanted:
 *
 *     code             data of the request             data of the reply     code of the reply
 *     HX_KV_GET        key                             value                 whole length of the value
 *     HX_KV_PUT        u8 length of key, key, value    -                     1: the key is new, 0: it was there
 *     HX_KV_DELETE     key                             -                     0
 *     HX_KV_COUNT      -                               -                     number of keys
 *
 * Errors are those of hx.kv, and HX_E_UNSUPPORTED for another code. Into the channel data may also go as a grant, to be
 * read and written, with a struct hx_kv_large at its beginning: it comes back with the reply. So a value that does not fit
 * an inline payload is cut by the first way and whole by the second.
 * A request that changes nothing, GET or COUNT, is made again when the store crashes over it.
 * All who connect share one end: each reply goes to whoever receives first, and is thrown away when nobody has taken it or
 * one of the HX_KV_CHANNEL_CAPACITY before it in a tenth of a second. Who wants replies of his own asks the service.
 */
enum hx_kv_code { HX_KV_GET, HX_KV_PUT, HX_KV_DELETE, HX_KV_COUNT };
#define HX_KV_SERVICE "kv"
#define HX_KV_CHANNEL "svc_kv/kv"
enum { HX_KV_CHANNEL_CAPACITY = 16, HX_KV_LARGE_MAX = 1 + HX_KV_KEY_MAX + HX_KV_VALUE_MAX };

struct hx_kv_large {
    uint64_t bytes; /* of data; whoever gets the grant does not rely on it */
    uint8_t data[HX_KV_LARGE_MAX];
};

/*
 * The common language of stores: state fields that every store saves under these names, so that any store can take over
 * from any other, whatever its layout. Entry i of one field belongs to entry i of the others. The first two are always
 * there, if empty.
 */
#define HX_KV_STATE_LENGTHS "lengths"   /* hx_u8[2 * n]: length of the key, length of the value */
#define HX_KV_STATE_BYTES "bytes"       /* key and value of each entry, end to end */
#define HX_KV_STATE_MODIFIED "modified" /* hx_u64[n]: time of the last put; not there when times are not kept */
#endif
