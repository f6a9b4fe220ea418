/* SPDX-License-Identifier: MIT */
/* message_text.c - see message_text.h. */
#include "message_text.h"

#include <lib/fmt.h>
#include <module/module.h>

void hx_text_source(hx_handle_t source, char out[HX_NAME_MAX])
{
    const struct hx_module *module = NULL;
    hx_fmt(out, HX_NAME_MAX, source == HX_HANDLE_NONE ? "kernel" : "task %u", hx_handle_index(source));
    if (hx_handle_type(source) != HX_HANDLE_MODULE)
        return;
    hx_preempt_disable();
    while ((module = hx_module_next(module)) && module->holder.self != source)
        ;
    hx_fmt(out, HX_NAME_MAX, module ? "%s" : "gone", module ? module->name : "");
    hx_preempt_enable();
}

void hx_text_data(const uint8_t *data, size_t bytes, char *out, size_t out_bytes)
{
    bool plain = true;
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < bytes; i++)
        plain = plain && data[i] >= ' ' && data[i] < 0x7f;
    for (size_t i = 0; i < bytes; i++)
        used = hx_fmt_append(out, out_bytes, used, plain ? "%c" : "%02x", data[i]);
}
