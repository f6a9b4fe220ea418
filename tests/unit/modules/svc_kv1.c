/* SPDX-License-Identifier: MIT */
/* svc_kv1.c - see module_host.h. */
#include "module_host.h"

#include "../../../modules/svc_kv/svc_kv.c"

MODULE_HOST(svc_kv1, kv, kv_ops, NULL);
