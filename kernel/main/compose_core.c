/* SPDX-License-Identifier: MIT */
/* compose_core.c - see compose_core.h. */
#include "compose_core.h"

#include <hotreload/engine.h>
#include <interrupts/exception.h>
#include <interrupts/hang.h>
#include <interrupts/router.h>
#include <ipc/channel.h>
#include <ipc/grant.h>
#include <ipc/handle.h>
#include <orchestrator/callbacks.h>
#include <orchestrator/capability_broker.h>
#include <orchestrator/lifecycle.h>
#include <orchestrator/record.h>
#include <orchestrator/resource_broker.h>

static void provider_came(struct hx_slot *slot)
{
    if (slot == &hx_slots[HX_SLOT_hx_sched])
        hx_sched_announce_all();
}

static void provider_went(struct hx_slot *slot)
{
    if (slot == &hx_slots[HX_SLOT_hx_sched])
        hx_sched_forget_all();
}

static const struct hx_gate_policy gate_policy = {
    .wait = hx_engine_gate_wait, .hung = hx_hang_ended, .dropped = hx_record_drop, .leaving = hx_record_leave
};
static struct hx_lifecycle_observer observer = { .came = provider_came, .went = provider_went };
static struct hx_irq_policy irq_policy = { .refusal = hx_capability_line_refusal };

hx_status_t hx_compose_core(const struct hx_compose_ties *ties)
{
    observer.happened = ties->module_happened;
    irq_policy.stormed = ties->line_stormed;
    hx_exception_bind(hx_engine_on_fault);
    hx_gate_init();
    hx_gate_bind(&gate_policy);
    hx_task_bind_idle(hx_hang_idle_changed);
    hx_task_bind_owners(hx_resource_task_ran);
    hx_task_bind_unfit(hx_engine_on_unfit);
    hx_capability_init();
    hx_capability_bind(ties->capability_happened);
    hx_channel_bind_capabilities(hx_capability_carry);
    hx_handle_bind_memory(hx_resource_pay);
    hx_lifecycle_bind(&observer);
    hx_irq_bind_policy(&irq_policy);
    hx_engine_bind(ties->tell);
    hx_callbacks_bind_tell(ties->tell);
    hx_resource_init();
    hx_module_registry_init();
    hx_grant_init();
    return hx_interface_init();
}
