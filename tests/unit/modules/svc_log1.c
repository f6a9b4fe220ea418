/* SPDX-License-Identifier: MIT */
/* svc_log1.c - see module_host.h. */
#include "module_host.h"

#include "../../../modules/svc_log/svc_log.c"

static const struct hx_interface_record none;
MODULE_HOST(svc_log1, journal, none, NULL);
hx_ret_t (*const svc_log1_serve)(struct hx_message *message, uint64_t bytes) = serve;
hx_ret_t (*const svc_log1_hear_tasks)(const struct hx_event *event, uint64_t bytes) = hear_tasks;
hx_ret_t (*const svc_log1_hear_modules)(const struct hx_event *event, uint64_t bytes) = hear_modules;
