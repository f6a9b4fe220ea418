/* SPDX-License-Identifier: MIT */
/* svc_kv1.c - see module_host.h. */
#include "module_host.h"

#include "../../../modules/svc_kv/svc_kv.c"

MODULE_HOST(svc_kv1, kv, kv_ops, NULL);
const struct svc_kv_served svc_kv1_served = { kv_serve, kv_serve_channel, &kv_guard };

static __attribute__((constructor)) void point_at_record(void)
{
    /* clang would have it initialised with that, in a section without contents. */
    *(const struct kept_record *volatile *)&kept = (const struct kept_record *)(const void *)host_record;
}
