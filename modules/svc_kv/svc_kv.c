/* SPDX-License-Identifier: MIT */
/*
 * svc_kv.c - the key-value store, version 1: provides hx.kv 1.0.
 *
 * Why: a service with state worth carrying over. Version 2 has another layout and one operation more.
 */
#include "dense_store.h"

/* It keeps no times. */
static hx_ret_t kv_put_at(const void *key, uint64_t key_bytes, const void *value, uint64_t value_bytes,
                          uint64_t modified_ns)
{
    (void)modified_ns;
    return kv_put(key, key_bytes, value, value_bytes);
}

static uint64_t kv_modified_of(uint32_t entry)
{
    (void)entry;
    return 0;
}

#include "served.h"

static const struct hx_kv_ops kv_ops = {
    HX_OPS_HEAD_UNTIL(hx_kv, HX_KV_VERSION_1_0, modified),
    .get = kv_op_get,
    .put = kv_op_put,
    .del = kv_op_del,
    .list = kv_op_list,
    .count = kv_op_count,
};

HX_MODULE("svc_kv", HX_VERSION(1, 0, 0), "key-value store", .save = kv_save, .load = kv_load,
          .check = kv_check_at_rest);
HX_PROVIDES_VERSION(hx_kv, HX_KV_VERSION_1_0, HX_KV_OPS_1_0, &kv_ops);
