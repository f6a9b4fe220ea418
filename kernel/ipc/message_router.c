/* SPDX-License-Identifier: MIT */
/*
 * message_router.c - see message_router.h.
 *
 * What is known of a request stands in a pool, not on the stack of who asks: a task that is killed outside of every module ends
 * at once, and leaves an entry behind that says by its handle that nobody waits.
 *
 * Invariant: a request's service stays: hx_router_leave() waits for those that are under way, but those that wait for a late
 *            reply, which it tells HX_E_ABSENT, have none any more.
 */
#include "message_router.h"

#include <hal/hx_lock.h>
#include <lib/hash.h>
#include <string.h>

enum { BUCKETS = 32, INDEX_BITS = 8, RESTARTS_MAX = 64 };
_Static_assert(HX_REQUESTS_MAX == 1 << INDEX_BITS, "the lower bits of a request's number find it");
static const uint64_t leave_poll_ns = 1000000u;

enum state {
    UNUSED,
    ASKED,    /* the service is called */
    WAITING,  /* for a late reply */
    ANSWERED, /* err, or reply */
};

struct request {
    uint64_t number; /* the last that it had; 0: none yet */
    hx_handle_t task, asker;
    struct hx_service *service;
    enum state state;
    hx_status_t err;
    struct request *next; /* UNUSED */
    struct hx_waitq answered;
    struct hx_message reply;
};

static struct hx_lock lock = HX_LOCK_INIT(HX_RANK_ROUTER);
static struct {
    LIST_HEAD(, hx_service) bucket[BUCKETS];
    uint64_t serial;
    uint32_t fresh; /* entries from here up have never been taken */
    struct request *free;
    struct request request[HX_REQUESTS_MAX];
} router;

/* ---- services ------------------------------------------------------------------------------------------------------- */
static uint32_t bucket_of(const char *name)
{
    return (uint32_t)hx_hash_name(name, strnlen(name, HX_NAME_MAX)) % BUCKETS;
}

/* Locked. */
static struct hx_service *find(const char *name)
{
    struct hx_service *service = NULL;
    LIST_FOREACH(service, &router.bucket[bucket_of(name)], link)
        if (strncmp(service->name, name, HX_NAME_MAX) == 0)
            break;
    return service;
}

/* The handle is the kernel's, so that it counts for nobody's share and nobody gives it up. */
hx_status_t hx_router_enter(struct hx_service *service)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    hx_status_t err = find(service->name)
                          ? HX_E_EXIST
                          : hx_handle_open(HX_HANDLE_SERVICE, service, &hx_kernel_holder, 0, &service->handle);
    if (err == HX_OK)
        LIST_INSERT_HEAD(&router.bucket[bucket_of(service->name)], service, link);
    hx_lock_release(&lock, flags);
    return err;
}

hx_handle_t hx_router_find(const char *name)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    const struct hx_service *service = find(name);
    hx_handle_t handle = service ? service->handle : HX_HANDLE_NONE;
    hx_lock_release(&lock, flags);
    return handle;
}

hx_status_t hx_router_name(hx_handle_t service, char out[HX_NAME_MAX])
{
    hx_status_t err = HX_E_STALE;
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    const struct hx_handle_entry *entry = hx_handle_look(service, HX_HANDLE_SERVICE, NULL, 0, &err);
    if (entry) {
        memcpy(out, ((const struct hx_service *)entry->object)->name, HX_NAME_MAX);
        err = HX_OK;
    }
    hx_lock_release(&lock, flags);
    return err;
}

struct hx_service *hx_router_next(const struct hx_service *service)
{
    struct hx_service *next = service ? LIST_NEXT(service, link) : NULL;
    for (uint32_t i = service ? bucket_of(service->name) + 1 : 0; !next && i < BUCKETS; i++)
        next = LIST_FIRST(&router.bucket[i]);
    return next;
}

/* ---- requests ------------------------------------------------------------------------------------------------------- */
/* Locked, all of these. */
static bool is_orphan(const struct request *request)
{
    return request->state != UNUSED && !hx_task_of(request->task);
}

static void put(struct request *request)
{
    request->state = UNUSED;
    request->next = router.free;
    router.free = request;
}

static void put_orphans(void)
{
    for (uint32_t i = 0; i < router.fresh; i++)
        if (is_orphan(&router.request[i]))
            put(&router.request[i]);
}

static struct request *take(void)
{
    if (!router.free && router.fresh < HX_REQUESTS_MAX) {
        struct request *request = &router.request[router.fresh++];
        hx_waitq_init(&request->answered);
        return request;
    }
    if (!router.free)
        put_orphans();
    struct request *request = router.free;
    if (request)
        router.free = request->next;
    return request;
}

/* Wakes nobody who could run at once: interrupts are off. The state is what is_answered() sees without the lock. */
static void answer(struct request *request, hx_status_t err)
{
    bool waits = request->state == WAITING;
    request->err = err;
    __atomic_store_n(&request->state, ANSWERED, __ATOMIC_RELEASE);
    if (waits)
        (void)hx_waitq_wake_one(&request->answered);
}

/* Unlocked again: a switch that became due meanwhile. */
static void give_way(void)
{
    hx_preempt_disable();
    hx_preempt_enable();
}

static bool is_valid(const struct hx_message *message)
{
    return message->payload == HX_PAYLOAD_NONE ||
           (message->payload == HX_PAYLOAD_INLINE && message->bytes <= HX_INLINE_MAX);
}

static hx_handle_t name_of(const struct hx_holder *holder)
{
    return holder->self ? holder->self : hx_task_current()->handle;
}

/* Of the reply to @request, whatever its service wrote there. */
static void stamp_reply(struct hx_message *message, const struct request *request, const struct hx_holder *from)
{
    message->source = name_of(from);
    message->destination = request->asker;
    message->time_ns = hx_hal_clock_ns();
    message->correlation = request->number;
    if (message->type != HX_MESSAGE_ERROR)
        message->type = HX_MESSAGE_REPLY;
}

static hx_status_t begin(hx_handle_t handle, const struct hx_holder *asker, struct hx_message *message,
                         struct request **out)
{
    hx_status_t err = HX_E_STALE;
    struct request *request = NULL;
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    const struct hx_handle_entry *entry = hx_handle_look(handle, HX_HANDLE_SERVICE, NULL, 0, &err);
    if (entry && !(request = take()))
        err = HX_E_LIMIT;
    if (request) {
        request->service = entry->object;
        request->service->requests++;
        request->number = ++router.serial << INDEX_BITS | (uint64_t)(request - router.request);
        request->task = hx_task_current()->handle;
        request->state = ASKED;
        err = HX_OK;
    }
    hx_lock_release(&lock, flags);
    if (!request)
        return err;
    request->asker = message->source = name_of(asker);
    message->destination = handle;
    message->correlation = request->number;
    message->type = HX_MESSAGE_REQUEST;
    *out = request;
    return HX_OK;
}

/* What the gate says instead of the service. */
static bool is_gates(hx_ret_t result)
{
    switch (result) {
    case HX_E_TIMEOUT:
    case HX_E_FAULT:
    case HX_E_CLOSED:
    case HX_E_ABSENT:
    case HX_E_FAILED:
    case HX_E_KILLED:
    case HX_E_PAUSED:
    case HX_E_RESTART: return true;
    default: return false;
    }
}

static bool is_repeatable(const struct hx_service *service, const struct hx_message *message)
{
    return message->code < 64 && (service->repeatable >> message->code & 1u);
}

/* Why it has been asked again: bits and a count in one word, which is all that outlives the calls. */
enum { REPEATED = 1, RESTARTED = 2 };

/* The service's wait was broken off for a swap, or so it says: a module can return that as well, and then asking has an end. */
static __attribute__((noinline)) hx_ret_t may_restart(uint32_t again, const struct hx_task_patience *patience)
{
    if (hx_hal_clock_ns() >= patience->deadline_ns)
        return HX_E_TIMEOUT;
    return again < RESTARTED * RESTARTS_MAX ? HX_OK : HX_E_FAULT;
}

/* Calls the service, and again where nothing has been done or may be done twice. @message: what it left there. */
static hx_ret_t ask(struct request *request, struct hx_message *message, const struct hx_message *original,
                    struct hx_task_patience *patience)
{
    struct hx_task *self = hx_task_current();
    struct hx_service *service = request->service;
    struct hx_task_patience *outer = self->patience;
    uint32_t again = 0;
    hx_ret_t result = HX_E_INTERNAL;
    self->patience = patience;
    for (;;) {
        patience->passed_ns = hx_hal_clock_ns();
        result = hx_gate_call(service->slot, service->op, (uint64_t)(uintptr_t)message, sizeof(*message), 0, 0);
        if (result == HX_E_FAULT && !(again & REPEATED) && is_repeatable(service, original))
            again |= REPEATED;
        else if (result == HX_E_RESTART && (result = may_restart(again, patience)) == HX_OK)
            again += RESTARTED;
        else
            break;
        *message = *original;
    }
    self->patience = outer;
    if (!(again & REPEATED))
        return result;
    (void)__atomic_add_fetch(&service->repeated, 1, __ATOMIC_RELAXED);
    /* It has crashed, whatever has kept it from being asked again. */
    return is_gates(result) && result != HX_E_KILLED ? HX_E_FAULT : result;
}

static bool is_answered(void *context)
{
    return __atomic_load_n(&((struct request *)context)->state, __ATOMIC_ACQUIRE) == ANSWERED;
}

/* Locked. The service has put its reply off. Served by a version that was forsaken since, it will not come; the same is believed
 * where that has happened between the look at the clock and the gate. */
static hx_status_t await(struct request *request, const struct hx_task_patience *patience, hx_irq_flags_t *flags)
{
    uint64_t forsaken_ns = request->service->forsaken_ns; /* 0: never */
    if (forsaken_ns && forsaken_ns >= patience->passed_ns)
        return HX_E_FAULT;
    request->state = WAITING;
    hx_lock_release(&lock, *flags);
    hx_status_t err = hx_waitq_wait(&request->answered, is_answered, request, patience->deadline_ns);
    *flags = hx_lock_acquire(&lock);
    return err;
}

/* Locked. The service has returned @result, with its reply in @message. */
static hx_status_t take_reply(struct request *request, struct hx_message *message, hx_ret_t result)
{
    if (is_gates(result))
        return (hx_status_t)result;
    if (result >= 0 && !is_valid(message))
        result = HX_E_INVAL;
    if (result < 0) {
        message->type = HX_MESSAGE_ERROR;
        message->code = (uint32_t)-result;
        message->payload = HX_PAYLOAD_NONE;
        message->bytes = 0;
    }
    stamp_reply(message, request, request->service->owner);
    return HX_OK;
}

/* The one outcome. */
static hx_status_t finish(struct request *request, struct hx_message *message, hx_ret_t result,
                          const struct hx_task_patience *patience)
{
    hx_status_t err = HX_E_INTERNAL;
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    if (result == HX_REPLY_LATER && request->state == ASKED)
        err = await(request, patience, &flags);
    if (request->state == ANSWERED) {
        err = request->err;
        if (err == HX_OK)
            *message = request->reply;
    } else if (result != HX_REPLY_LATER) {
        err = take_reply(request, message, result);
    }
    struct hx_service *service = request->service;
    if (service && err == HX_OK)
        service->replies++;
    else if (service)
        service->errors++;
    put(request);
    hx_lock_release(&lock, flags);
    return err;
}

hx_status_t hx_router_request(hx_handle_t service, const struct hx_holder *asker, struct hx_message *message,
                              uint64_t deadline_ns)
{
    struct request *request = NULL;
    struct hx_message original;
    if (!hx_cpu_is_thread() || !hx_irq_enabled())
        return HX_E_STATE;
    if (!is_valid(message))
        return HX_E_INVAL;
    hx_status_t err = begin(service, asker, message, &request);
    if (err != HX_OK)
        return err;
    message->time_ns = hx_hal_clock_ns();
    original = *message;
    struct hx_task_patience patience = { .frame = hx_gate_frame(), .deadline_ns = deadline_ns };
    hx_ret_t result = ask(request, message, &original, &patience);
    err = finish(request, message, result, &patience);
    if (err != HX_OK)
        *message = original;
    return err;
}

hx_status_t hx_router_reply(uint64_t correlation, const struct hx_holder *owner, const struct hx_message *message)
{
    struct request *request = &router.request[correlation % HX_REQUESTS_MAX];
    hx_status_t err = HX_E_STALE;
    if (!is_valid(message))
        return HX_E_INVAL;
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    bool pending = request->number == correlation && (request->state == ASKED || request->state == WAITING);
    /* An orphan's service may be gone. */
    if (pending && !is_orphan(request) && request->service->owner == owner) {
        request->reply = *message;
        stamp_reply(&request->reply, request, owner);
        answer(request, HX_OK);
        err = HX_OK;
    }
    hx_lock_release(&lock, flags);
    if (err == HX_OK)
        give_way();
    return err;
}

/* ---- services that go ------------------------------------------------------------------------------------------------ */
/* Locked. */
static void answer_all(const struct hx_service *service, hx_status_t err)
{
    for (uint32_t i = 0; i < router.fresh; i++) {
        struct request *request = &router.request[i];
        if (request->state != WAITING || request->service != service)
            continue;
        if (err == HX_E_ABSENT)
            request->service = NULL;
        answer(request, err);
    }
}

/* Locked. */
static bool is_asked(const struct hx_service *service)
{
    bool asked = false;
    for (uint32_t i = 0; i < router.fresh && !asked; i++) {
        const struct request *request = &router.request[i];
        asked = request->state != UNUSED && request->service == service && !is_orphan(request);
    }
    return asked;
}

void hx_router_leave(struct hx_service *service)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    LIST_REMOVE(service, link);
    hx_status_t closed = hx_handle_close(service->handle, &hx_kernel_holder);
    (void)closed; /* it is the kernel's */
    for (;;) {
        answer_all(service, HX_E_ABSENT); /* and again: who was on the way back from the gate begins to wait only now */
        bool asked = is_asked(service);
        hx_lock_release(&lock, flags);
        give_way();
        if (!asked)
            return;
        hx_status_t slept = hx_task_sleep_until(hx_hal_clock_ns() + leave_poll_ns);
        (void)slept;
        flags = hx_lock_acquire(&lock);
    }
}

void hx_router_forsake(struct hx_service *service)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    service->forsaken_ns = hx_hal_clock_ns();
    answer_all(service, HX_E_FAULT);
    hx_lock_release(&lock, flags);
    give_way();
}
