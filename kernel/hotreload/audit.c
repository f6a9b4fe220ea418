/* SPDX-License-Identifier: MIT */
/* audit.c - see audit.h. */
#include "audit.h"

#include <hal/hx_lock.h>
#include <task/audit.h>

#if HX_CHECKS
/* Without a state of its predecessor's a policy is told everything anew. */
static bool is_audited(const struct hx_state_transfer *transfer)
{
    const struct hx_version *to = transfer->to;
    if (transfer->way == HX_STATE_NONE || !hx_version_has_hook(to, HX_HOOK_SAVE))
        return false;
    for (uint32_t i = 0; i < to->provides_count; i++)
        if (to->provides[i].interface->slot == &hx_slots[HX_SLOT_hx_sched])
            return true;
    return false;
}

hx_status_t hx_audit_prepare(struct hx_state_transfer *transfer, struct hx_report *report)
{
    return is_audited(transfer) ? hx_state_prepare_again(transfer, report) : HX_OK;
}

/* NULL where it is missing. */
static const void *find(const struct hx_blob *blob, const char *name, size_t unit_bytes, size_t *out_count)
{
    const struct hx_blob_field *field = hx_blob_find(blob, name);
    *out_count = field ? field->bytes / unit_bytes : 0;
    return field ? blob->data + field->off : NULL;
}

static hx_status_t compare(const struct hx_blob *blob, struct hx_report *report)
{
    struct hx_sched_saved saved;
    struct hx_sched_difference found;
    saved.ready = find(blob, HX_SCHED_STATE_READY, sizeof(hx_handle_t), &saved.ready_count);
    saved.waiting = find(blob, HX_SCHED_STATE_WAITING, sizeof(hx_handle_t), &saved.waiting_count);
    saved.cpu = find(blob, HX_SCHED_STATE_CPU, 1, &saved.cpu_count);
    hx_status_t err = hx_sched_audit(&saved, &found);
    if (err == HX_OK)
        return HX_OK;
    return hx_report_fail(report, err, found.name,
                          "task %s is %s on CPU %u for the kernel, and for the new version %s on CPU %u", found.name,
                          found.is, found.is_on, found.has, found.has_on);
}

hx_status_t hx_audit_run(struct hx_state_transfer *transfer, struct hx_report *report)
{
    if (!is_audited(transfer))
        return HX_OK;
    hx_status_t err = hx_state_save_again(transfer, report);
    if (err == HX_OK)
        return compare(&transfer->blob, report);
    return err == HX_E_FAULT || err == HX_E_CORRUPT ? err : HX_OK;
}
#endif
