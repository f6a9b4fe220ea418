/* SPDX-License-Identifier: MIT */
/*
 * exports.c - what the kernel's exports do when a module calls them: the one place where a module's spans are read.
 *
 * The stub has marked the frame, so a fault in here is the kernel's own, except in hx_hal_copy(): every span is copied by
 * it before it is looked at.
 */
#include "exports.h"

#include <debug/log.h>
#include <hal/hx_import.h>
#include <hotreload/state.h>
#include <interrupts/router.h>
#include <orchestrator/capability_broker.h>
#include <string.h>

hx_status_t hx_export_copy_name(char out[HX_NAME_MAX], const void *name, uint64_t name_bytes)
{
    if (name_bytes == 0 || name_bytes >= HX_NAME_MAX)
        return HX_E_INVAL;
    out[name_bytes] = 0;
    return hx_hal_copy(out, name, name_bytes);
}

void hx_export_wait_restartable(void)
{
    struct hx_gate_frame *frame = hx_gate_frame();
    const struct hx_slot_info *info = hx_slot_info(frame->slot);
    if (info->kind == HX_SLOT_KIND_CALLBACKS && info->sleepable)
        hx_task_current()->restartable = frame;
}

hx_ret_t hx_export_hx_log(uint64_t level, const void *text, uint64_t text_bytes)
{
    char line[HX_LOG_TEXT_MAX];
    const struct hx_version *version = hx_module_calling();
    size_t bytes = text_bytes < sizeof(line) ? text_bytes : sizeof(line);
    hx_status_t err = hx_hal_copy(line, text, bytes);
    if (err != HX_OK)
        return err;
    hx_log_text((uint32_t)level, version ? version->module->name : NULL, line, bytes);
    return HX_OK;
}

hx_ret_t hx_export_hx_clock_ns(void)
{
    return (hx_ret_t)hx_hal_clock_ns();
}

hx_ret_t hx_export_hx_port_read8(uint64_t port)
{
    hx_status_t err = hx_capability_check_calling(HX_CAPABILITY_IO_PORT, port, port);
    return err == HX_OK ? hx_hal_port_read8((uint16_t)port) : err;
}

hx_ret_t hx_export_hx_port_write8(uint64_t port, uint64_t value)
{
    hx_status_t err = hx_capability_check_calling(HX_CAPABILITY_IO_PORT, port, port);
    if (err == HX_OK)
        hx_hal_port_write8((uint16_t)port, (uint8_t)value);
    return err;
}

hx_ret_t hx_export_hx_irq_count(const void *key, uint64_t key_bytes)
{
    char name[HX_NAME_MAX];
    hx_status_t err = hx_export_copy_name(name, key, key_bytes);
    if (err != HX_OK)
        return err;
    const struct hx_version *version = hx_module_calling();
    const struct hx_irq *irq = version ? hx_irq_find(version->module, name) : NULL;
    return irq ? (hx_ret_t)irq->accepted : HX_E_NOENT;
}

hx_ret_t hx_export_hx_state_put(const void *name, uint64_t name_bytes, const void *data, uint64_t data_bytes)
{
    char field[HX_NAME_MAX];
    hx_status_t err = data_bytes > HX_SPAN_MAX ? HX_E_LIMIT : hx_export_copy_name(field, name, name_bytes);
    return err == HX_OK ? hx_state_import_put(field, data, data_bytes) : err;
}

hx_ret_t hx_export_hx_state_get(const void *name, uint64_t name_bytes, uint64_t offset, void *data, uint64_t data_bytes)
{
    char field[HX_NAME_MAX];
    hx_status_t err = data_bytes > HX_SPAN_MAX ? HX_E_LIMIT : hx_export_copy_name(field, name, name_bytes);
    return err == HX_OK ? hx_state_import_get(field, offset, data, data_bytes) : err;
}

hx_ret_t hx_export_hx_state_size(const void *name, uint64_t name_bytes)
{
    char field[HX_NAME_MAX];
    hx_status_t err = hx_export_copy_name(field, name, name_bytes);
    return err == HX_OK ? hx_state_import_size(field) : err;
}

hx_ret_t hx_export_hx_sleep_ns(uint64_t duration_ns)
{
    if (!hx_irq_enabled()) /* else it would see to that itself */
        return HX_E_STATE;
    uint64_t deadline_ns = hx_export_wait_begin(duration_ns);
    return hx_export_wait_end(hx_task_sleep_until(deadline_ns));
}
