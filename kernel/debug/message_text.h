/* SPDX-License-Identifier: MIT */
/* message_text.h - who has sent a message or published an event, and its data, for people. Context: the console's task. */
#pragma once
#include <helix/types.h>

/* "svc_kv", "task 12", "kernel" */
void hx_text_source(hx_handle_t source, char out[HX_NAME_MAX]);
/* As text when it is, otherwise in hexadecimal digits. */
void hx_text_data(const uint8_t *data, size_t bytes, char *out, size_t out_bytes);
