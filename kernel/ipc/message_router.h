/* SPDX-License-Identifier: MIT */
/*
 * message_router.h - requests by the name of a service, and their replies.
 *
 * A service is a callback of a module. A request is a call of it through the gate, in the task that asks: while the module is
 * swapped the request waits at the gate and is served by the new version; when it crashes, the one who asks gets HX_E_FAULT,
 * or the request is made once more when the operation is declared repeatable and the module serves again in time. A service
 * that cannot answer at once says HX_REPLY_LATER; the one who asks then waits for hx_router_reply() with the number of
 * the request. So each request ends once: in one reply or one error.
 *
 * Knows no module: whoever binds a service says what to call, and what has become of it.
 * Context: thread. Locks: HX_RANK_ROUTER, over the table of services and the requests that wait for a late reply.
 */
#pragma once
#include <gate/gate.h>
#include <task/task.h>

#include "handle.h"

enum { HX_REQUESTS_MAX = 256 }; /* under way at one time */

/* Of whoever serves. The slot and the operation are a swap's business, and stay what they are. */
struct hx_service {
    char name[HX_NAME_MAX];
    struct hx_holder *owner;
    struct hx_slot *slot; /* sleepable */
    uint32_t op;          /* of it: hx_ret_t (*)(struct hx_message *message, uint64_t bytes) */
    uint64_t repeatable;  /* codes 0 to 63 that may be served twice, a bit each */
    hx_handle_t handle;   /* HX_HANDLE_SERVICE; anybody's */
    uint64_t requests, replies, errors, repeated;
    uint64_t forsaken_ns; /* the router's: when it was last */
    LIST_ENTRY(hx_service) link;
};

/* Enters @service, filled in by the caller, under its name. HX_E_EXIST, HX_E_LIMIT. */
HX_NODISCARD hx_status_t hx_router_enter(struct hx_service *service);
/* Nobody can ask it any more; those who wait for a late reply get HX_E_ABSENT. Its slot answers at once by then (absent or
 * failed): waits until nobody is on the way there, so that the slot may become another's. Preemption on. */
void hx_router_leave(struct hx_service *service);
/* It has crashed, or was replaced by a version that does not know of them: late replies will not come. HX_E_FAULT to who waits.
 * Its slot is not open, and nobody is inside. Any context. */
void hx_router_forsake(struct hx_service *service);
/* By hash; HX_HANDLE_NONE: nobody serves it. Any CPU. */
hx_handle_t hx_router_find(const char *name);
/* What @service is called. HX_E_STALE, HX_E_INVAL. Any CPU. */
HX_NODISCARD hx_status_t hx_router_name(hx_handle_t service, char out[HX_NAME_MAX]);
struct hx_service *hx_router_next(const struct hx_service *service); /* NULL starts and ends; CPU 0, preemption off */

/*
 * Asks @service. @message is the request and becomes the reply: type HX_MESSAGE_REPLY, or HX_MESSAGE_ERROR with what the
 * service answered instead. @deadline_ns: for the service to be there and for a late reply; at a closed gate nobody waits
 * longer than hx_module_gate_wait() lets him.
 * HX_OK: there is a reply. Otherwise @message is as it was: HX_E_ABSENT or HX_E_STALE: no such service (any more); HX_E_FAULT: it
 * crashed, what it did is not known; HX_E_TIMEOUT, HX_E_KILLED; HX_E_FAILED: it is in Error; HX_E_PAUSED: its module is, and
 * was until the deadline; HX_E_CLOSED: see hx_module_gate_wait(); HX_E_RESTART: the caller's wait, which is restartable, was
 * broken off; HX_E_INVAL: the payload is neither none nor inline; HX_E_LIMIT: HX_REQUESTS_MAX are under way; HX_E_STATE:
 * nobody may wait here. These numbers are the kernel's: a service that returns one of HX_E_FAULT to HX_E_FAILED,
 * HX_E_TIMEOUT, HX_E_KILLED or HX_E_PAUSED is taken for gone; one that returns HX_E_RESTART is called again, until the
 * deadline or some dozens of times, and then is HX_E_TIMEOUT or HX_E_FAULT.
 */
HX_NODISCARD hx_status_t hx_router_request(hx_handle_t service, const struct hx_holder *asker,
                                           struct hx_message *message, uint64_t deadline_ns);
/* The reply to request @correlation, which @owner's service put off or is still working at. The first answer counts. Type
 * HX_MESSAGE_ERROR stays one. HX_E_STALE: it is answered, given up or not its own; HX_E_INVAL: as above. Any context. */
HX_NODISCARD hx_status_t hx_router_reply(uint64_t correlation, const struct hx_holder *owner,
                                         const struct hx_message *message);
