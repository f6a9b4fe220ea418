/* SPDX-License-Identifier: MIT */
/*
 * callbacks.c - see callbacks.h.
 *
 * Locks: one a module, over which callbacks it has and which of them its task has chosen. Requests come from interrupts and from
 * any CPU; it is held for a walk along an array. Counts of what is pending are atomic, the others are written by one task.
 * Timers are armed, disarmed and expire on CPU 0.
 */
#include "callbacks.h"

#include "capability_broker.h"

#include <lib/err.h>
#include <lib/fmt.h>
#include <string.h>

enum { CALLS_PRIORITY = 180, NAP_NS = 1000000 };

static void (*tell_line)(bool bad, const char *line);

#define CALLBACK_OF(ledger_node) ((struct hx_callback *)((char *)(ledger_node)-offsetof(struct hx_callback, node)))
#define CALLBACKS_OF(ledger_node) ((struct hx_callbacks *)((char *)(ledger_node)-offsetof(struct hx_callbacks, node)))

void hx_callbacks_bind_tell(void (*tell)(bool bad, const char *line))
{
    tell_line = tell;
}

/* ---- one call -------------------------------------------------------------------------------------------------------- */

static bool is_open(const struct hx_module *module)
{
    return hx_slot_state(module->calls) == HX_SLOT_OPEN;
}

/* A result that no function returns: it was not called, or broken off. */
#define NOT_CALLED HX_E_RESTART

static uint32_t times_opened(const struct hx_callback *callback)
{
    return __atomic_load_n(&callback->module->called->times_opened, __ATOMIC_SEQ_CST);
}

/* The gate answers as a function might: its slot closed in between, and did not open soon, or opened for a version that does not
 * have the key. Where one that has it has been open all the time it was the function. */
static hx_ret_t call(const struct hx_callback *callback, uint64_t a, uint64_t b)
{
    const struct hx_module *module = callback->module;
    uint32_t opened = times_opened(callback);
    hx_ret_t result = hx_gate_call(module->calls, callback->op, a, b, 0, 0);
    if (module->leaving)
        hx_module_was_left();
    bool of_gate = result == HX_E_TIMEOUT || result == HX_E_CLOSED || result == HX_E_ABSENT || result == HX_E_FAILED ||
                   result == HX_E_UNSUPPORTED || result == HX_E_PAUSED;
    if (of_gate && (!callback->bound || !is_open(module) || times_opened(callback) != opened))
        return NOT_CALLED;
    return result;
}

static void count_call(struct hx_callback *callback, uint64_t count, hx_ret_t result)
{
    if (result == HX_E_FAULT || result == HX_E_KILLED)
        callback->lost += count;
    else
        callback->served += count;
}

/* ---- NAME:calls ------------------------------------------------------------------------------------------------------ */

static bool is_due(const struct hx_callback *callback)
{
    return callback && callback->kind < HX_CALLBACK_TASK && callback->bound &&
           __atomic_load_n(&callback->pending, __ATOMIC_SEQ_CST) > 0;
}

/* The next in turn. Locked. */
static struct hx_callback *find_due(const struct hx_callbacks *callbacks)
{
    for (uint32_t i = 1; is_open(callbacks->module) && i <= HX_OPS_MAX; i++) {
        struct hx_callback *callback = callbacks->by_op[(callbacks->last + i) % HX_OPS_MAX];
        if (is_due(callback))
            return callback;
    }
    return NULL;
}

static bool somebody_is_due(void *context)
{
    struct hx_callbacks *callbacks = context;
    hx_irq_flags_t flags = hx_lock_acquire(&callbacks->lock);
    bool due = find_due(callbacks) != NULL;
    hx_lock_release(&callbacks->lock, flags);
    return due;
}

static struct hx_callback *choose(struct hx_callbacks *callbacks)
{
    hx_irq_flags_t flags = hx_lock_acquire(&callbacks->lock);
    struct hx_callback *callback = find_due(callbacks);
    callbacks->chosen = callback;
    if (callback)
        callbacks->last = callback->op;
    hx_lock_release(&callbacks->lock, flags);
    return callback;
}

static void leave(struct hx_callbacks *callbacks)
{
    hx_irq_flags_t flags = hx_lock_acquire(&callbacks->lock);
    callbacks->chosen = NULL;
    hx_lock_release(&callbacks->lock, flags);
}

/* Locked: a swap or a release may take the topic away. */
static bool take_event(struct hx_callback *callback)
{
    hx_irq_flags_t flags = hx_lock_acquire(&callback->module->called->lock);
    const struct hx_topic *topic = hx_capability_warns ? NULL : callback->subscription.topic;
    bool taken = hx_event_next(&callback->subscription, &callback->event);
    while (taken && topic &&
           hx_capability_look_path(callback->module->principal, HX_CAPABILITY_IPC, 0, topic->name) != HX_OK)
        taken = hx_event_next(&callback->subscription, &callback->event); /* not for him: it was revoked */
    callback->taken = taken;
    hx_lock_release(&callback->module->called->lock, flags);
    return taken;
}

/* The next event is taken once, and told until the function has been called. */
static void tell_event(struct hx_callback *callback)
{
    struct hx_event event;
    if (!callback->taken) {
        __atomic_store_n(&callback->pending, 0, __ATOMIC_SEQ_CST);
        if (!take_event(callback))
            return;
        __atomic_store_n(&callback->pending, 1, __ATOMIC_SEQ_CST); /* there may be more */
    }
    event = callback->event; /* the module's to write to */
    hx_ret_t result = call(callback, (uint64_t)(uintptr_t)&event, sizeof(event));
    if (result == NOT_CALLED)
        return;
    callback->taken = false;
    count_call(callback, 1, result);
}

static void serve(struct hx_callback *callback)
{
    if (callback->kind == HX_CALLBACK_EVENT) {
        tell_event(callback);
        return;
    }
    uint64_t count = __atomic_load_n(&callback->pending, __ATOMIC_SEQ_CST);
    hx_ret_t result = call(callback, count, 0);
    if (result == NOT_CALLED)
        return;
    (void)__atomic_sub_fetch(&callback->pending, count, __ATOMIC_SEQ_CST);
    count_call(callback, count, result);
}

static hx_status_t run_calls(void *argument)
{
    struct hx_callbacks *callbacks = argument;
    hx_task_current()->owner = callbacks->module;
    leave(callbacks); /* the one before may have been killed in the middle of a call */
    while (hx_waitq_wait(&callbacks->asked, somebody_is_due, callbacks, UINT64_MAX) == HX_OK) {
        struct hx_callback *callback = choose(callbacks);
        if (callback)
            serve(callback);
        leave(callbacks);
    }
    return HX_E_INTERNAL; /* it waits without a deadline; killed, it does not return */
}

/* ---- declared tasks -------------------------------------------------------------------------------------------------- */

static bool may_run(void *context)
{
    const struct hx_callback *callback = context;
    return callback->bound && !callback->ended && is_open(callback->module);
}

/* Says how the task goes on after a round with @result: HX_OK, or the error that ends it. */
static hx_status_t judge_round(struct hx_callback *callback, hx_ret_t result)
{
    if (result == NOT_CALLED)
        return HX_OK;
    count_call(callback, 1, result);
    if (result >= 0 || result == HX_E_FAULT || result == HX_E_KILLED)
        return HX_OK;
    if (result == HX_E_CLOSED || result == HX_E_TIMEOUT || result == HX_E_PAUSED) /* it would be back at once */
        return hx_task_sleep_until(hx_hal_clock_ns() + NAP_NS);
    return (hx_status_t)result;
}

/* The task ends by the error of a round that began when the module had @opened so often. False: another version runs since, to
 * which that means nothing. From here on nobody waits for the task: it touches nothing of the module's any more. */
static bool ends(struct hx_callback *callback, uint32_t opened)
{
    hx_irq_flags_t flags = hx_lock_acquire(&callback->module->called->lock);
    bool over = times_opened(callback) == opened;
    if (over) {
        callback->ended = true;
        callback->task = HX_HANDLE_NONE;
        hx_task_current()->owner = NULL;
    }
    hx_lock_release(&callback->module->called->lock, flags);
    return over;
}

static void tell(const struct hx_callback *callback, const char *what, hx_status_t err)
{
    char line[128];
    hx_fmt(line, sizeof(line), "%s: %s %s %s: %s", callback->module->name, hx_callback_kind_name(callback->kind),
           callback->key, what, hx_err_text(err));
    if (tell_line)
        tell_line(true, line);
}

/* The error that ends the task. */
static hx_status_t run_round(struct hx_callback *callback)
{
    struct hx_task *self = hx_task_current();
    hx_status_t err = HX_OK;
    if (self->kill_pending || !may_run(callback))
        err = hx_waitq_wait(&callback->module->called->opened, may_run, callback, UINT64_MAX);
    uint32_t opened = times_opened(callback);
    if (err == HX_OK)
        err = judge_round(callback, call(callback, 0, 0));
    if (err == HX_OK || times_opened(callback) != opened)
        return HX_OK;
    tell(callback, "ends", err);
    return ends(callback, opened) ? err : HX_OK;
}

static hx_status_t run_task(void *argument)
{
    hx_status_t err = HX_OK;
    hx_task_current()->owner = ((struct hx_callback *)argument)->module;
    while (err == HX_OK)
        err = run_round(argument);
    return err;
}

static hx_status_t start(const struct hx_module *module, const char *name, uint64_t priority,
                         hx_status_t (*body)(void *argument), void *argument, hx_handle_t *task)
{
    char text[HX_NAME_MAX];
    if (hx_task_of(*task))
        return HX_OK;
    hx_fmt(text, sizeof(text), "%.15s:%.15s", module->name, name);
    return hx_task_create(HX_TASK_POLICY, text, (uint8_t)priority, body, argument, task);
}

/* It waits outside of every module, or is about to. */
static void end(hx_handle_t task)
{
    hx_status_t ignored = HX_OK;
    if (!hx_task_of(task) || hx_task_kill(task) != HX_OK)
        return;
    hx_status_t joined = hx_task_join(task, UINT64_MAX, &ignored);
    (void)joined; /* or it is gone already */
}

/* ---- timers ---------------------------------------------------------------------------------------------------------- */

static void expire(struct hx_timer *timer)
{
    struct hx_callback *callback = (struct hx_callback *)((char *)timer - offsetof(struct hx_callback, timer));
    uint64_t periods = 1 + (hx_hal_clock_ns() - callback->due_ns) / callback->number;
    callback->due_ns += periods * callback->number;
    (void)__atomic_add_fetch(&callback->pending, periods, __ATOMIC_SEQ_CST);
    hx_timer_arm(timer, callback->due_ns, expire);
    hx_waitq_wake_all(&callback->module->called->asked);
}

/* A timer that goes on keeps its beat. */
static void bind_timer(struct hx_callback *callback, uint64_t period_ns)
{
    if (callback->timer.armed && callback->number == period_ns)
        return;
    callback->number = period_ns;
    callback->due_ns = hx_hal_clock_ns() + period_ns;
    hx_timer_arm(&callback->timer, callback->due_ns, expire);
}

static void disarm(struct hx_callback *callback)
{
    if (callback->kind == HX_CALLBACK_TIMER)
        (void)hx_timer_disarm(&callback->timer);
}

static bool is_timer(const struct hx_callback *callback)
{
    return callback && callback->kind == HX_CALLBACK_TIMER && callback->bound;
}

void hx_callbacks_stop_timers(struct hx_module *module)
{
    uint64_t now_ns = hx_hal_clock_ns();
    for (uint32_t op = 0; module->called && op < HX_OPS_MAX; op++) {
        struct hx_callback *callback = module->called->by_op[op];
        if (!is_timer(callback))
            continue;
        disarm(callback);
        callback->due_ns = callback->due_ns > now_ns ? callback->due_ns - now_ns : 0;
    }
}

void hx_callbacks_continue_timers(struct hx_module *module)
{
    uint64_t now_ns = hx_hal_clock_ns();
    for (uint32_t op = 0; module->called && op < HX_OPS_MAX; op++) {
        struct hx_callback *callback = module->called->by_op[op];
        if (!is_timer(callback))
            continue;
        callback->due_ns += now_ns;
        hx_timer_arm(&callback->timer, callback->due_ns, expire);
    }
}

/* ---- events ---------------------------------------------------------------------------------------------------------- */

static void notify(struct hx_subscription *subscription)
{
    struct hx_callback *callback =
        (struct hx_callback *)((char *)subscription - offsetof(struct hx_callback, subscription));
    __atomic_store_n(&callback->pending, 1, __ATOMIC_SEQ_CST);
    hx_waitq_wake_all(&callback->module->called->asked);
}

/* Whoever takes an event of it may be on his way: not while its topic is taken away. */
static void subscribe(struct hx_callback *callback, struct hx_topic *topic)
{
    hx_irq_flags_t flags = hx_lock_acquire(&callback->module->called->lock);
    hx_event_unsubscribe(&callback->subscription);
    if (topic)
        hx_event_subscribe(topic, &callback->subscription, false);
    hx_lock_release(&callback->module->called->lock, flags);
}

/* Some subscription asks who has published. */
static bool sources_asked;
_Static_assert((int)HX_SOURCES_OF_ONE_MAX == (int)HX_EVENT_SOURCES_MAX, "all that is declared is asked for");

/* Of who publishes under that name. */
static hx_handle_t source_called(const char *name)
{
    const struct hx_module *module = hx_module_find(name);
    if (strcmp(name, hx_kernel_holder.name) == 0)
        return HX_HANDLE_NONE;
    return module ? module->holder.self : hx_handle_make(HX_HANDLE_MODULE, 0, 0); /* nobody's */
}

static void bind_filter(struct hx_callback *callback, const struct hx_version *version, uint64_t types)
{
    struct hx_event_filter filter = { .types = types };
    for (uint32_t i = 0; i < version->sources_count; i++)
        if (strcmp(version->sources[i].key, callback->key) == 0)
            filter.source[filter.sources++] = source_called(version->sources[i].source);
    sources_asked |= filter.sources > 0;
    hx_event_set_filter(&callback->subscription, &filter);
}

void hx_callbacks_meet_sources(void)
{
    if (!sources_asked)
        return;
    for (const struct hx_callback *at = NULL; (at = hx_callback_next(at));)
        if (at->kind == HX_CALLBACK_EVENT && at->bound && at->module->running)
            bind_filter((struct hx_callback *)(uintptr_t)at, at->module->running, at->number);
}

/* A subscription that goes on has what has come meanwhile; one to a topic that was given up goes on with its heir. */
static void bind_event(struct hx_callback *callback, const struct hx_version *version,
                       const struct hx_callback_record *record)
{
    struct hx_subscription *subscription = &callback->subscription;
    struct hx_topic *topic = hx_topic_find(record->topic);
    bind_filter(callback, version, record->number);
    subscription->notify = notify;
    if (!topic || topic == subscription->topic)
        return;
    subscribe(callback, topic);
}

/* ---- services -------------------------------------------------------------------------------------------------------- */

static hx_status_t enter_service(struct hx_callback *callback)
{
    struct hx_service *service = &callback->service;
    if (service->handle != HX_HANDLE_NONE)
        return HX_OK;
    memcpy(service->name, callback->key, sizeof(service->name));
    service->owner = &callback->module->holder;
    service->slot = callback->module->calls;
    service->op = callback->op;
    return hx_router_enter(service);
}

/* ---- claims ---------------------------------------------------------------------------------------------------------- */

static const struct hx_callback_record *record_of(const struct hx_version *version, const char *key)
{
    for (uint32_t i = 0; version && i < version->callbacks_count; i++)
        if (strcmp(version->callbacks[i].key, key) == 0)
            return &version->callbacks[i];
    return NULL;
}

static struct hx_callback *find(const struct hx_module *module, const char *key)
{
    for (uint32_t op = 0; module->called && op < HX_OPS_MAX; op++)
        if (module->called->by_op[op] && strcmp(module->called->by_op[op]->key, key) == 0)
            return module->called->by_op[op];
    return NULL;
}

static void enter(struct hx_callback *callback, struct hx_callback *content)
{
    struct hx_callbacks *callbacks = callback->module->called;
    hx_irq_flags_t flags = hx_lock_acquire(&callbacks->lock);
    callbacks->by_op[callback->op] = content;
    hx_lock_release(&callbacks->lock, flags);
}

static bool is_chosen(const struct hx_callbacks *callbacks, const struct hx_callback *callback)
{
    return *(struct hx_callback *const volatile *)&callbacks->chosen == callback && hx_task_of(callbacks->task);
}

/* The slot is closed and empty, or has another function in its place. */
static void release(struct hx_ledger_node *node)
{
    struct hx_callback *callback = CALLBACK_OF(node);
    disarm(callback);
    if (callback->kind == HX_CALLBACK_TASK)
        end(callback->task);
    else if (callback->kind == HX_CALLBACK_EVENT)
        subscribe(callback, NULL);
    else if (callback->kind == HX_CALLBACK_SERVICE)
        hx_router_leave(&callback->service);
    enter(callback, NULL);
    while (is_chosen(callback->module->called, callback)) {
        hx_status_t slept = hx_task_sleep_until(hx_hal_clock_ns() + NAP_NS);
        (void)slept; /* the worker is not killed */
    }
    hx_hal_free(callback);
}

static void release_all(struct hx_ledger_node *node)
{
    struct hx_callbacks *callbacks = CALLBACKS_OF(node);
    end(callbacks->task);
    callbacks->module->called = NULL;
    hx_hal_free(callbacks);
}

static hx_status_t need_callbacks(struct hx_module *module)
{
    hx_status_t err = hx_module_need_calls(module);
    if (err != HX_OK || module->called)
        return err;
    struct hx_callbacks *callbacks = hx_hal_alloc(sizeof(*callbacks));
    if (!callbacks)
        return HX_E_NOMEM;
    callbacks->module = module;
    callbacks->lock = (struct hx_lock)HX_LOCK_INIT(HX_RANK_CALLBACKS);
    hx_waitq_init(&callbacks->asked);
    hx_waitq_init(&callbacks->opened);
    module->called = callbacks;
    hx_ledger_enter(&module->ledger, &callbacks->node, "callbacks", release_all);
    return HX_OK;
}

/* The first operation that no key of the module has. There are more than two versions can declare together. */
static uint32_t free_op(const struct hx_callbacks *callbacks)
{
    uint32_t op = 0;
    while (callbacks->by_op[op])
        op++;
    return op;
}
_Static_assert(2 * HX_CALLBACKS_MAX <= HX_OPS_MAX, "free_op() finds one");

/* What it needs beside its place, for the first time or again. */
static hx_status_t prepare(struct hx_callback *callback, const struct hx_callback_record *record)
{
    struct hx_callbacks *callbacks = callback->module->called;
    switch (callback->kind) {
    case HX_CALLBACK_EVENT:
        if (!hx_topic_find(record->topic))
            return HX_E_NOENT;
        __attribute__((fallthrough));
    case HX_CALLBACK_DEFERRED:
    case HX_CALLBACK_TIMER:
        return start(callback->module, "calls", CALLS_PRIORITY, run_calls, callbacks, &callbacks->task);
    case HX_CALLBACK_TASK:
        return start(callback->module, callback->key, record->number, run_task, callback, &callback->task);
    default: return enter_service(callback);
    }
}

static hx_status_t claim(struct hx_module *module, const struct hx_callback_record *record, struct hx_callback **out)
{
    struct hx_callback *callback = hx_hal_alloc(sizeof(*callback));
    if (!callback)
        return HX_E_NOMEM;
    memcpy(callback->key, record->key, sizeof(callback->key));
    callback->kind = record->kind;
    callback->number = record->number;
    callback->module = module;
    callback->op = free_op(module->called);
    hx_status_t err = prepare(callback, record);
    if (err != HX_OK) {
        hx_hal_free(callback);
        return err;
    }
    enter(callback, callback);
    hx_ledger_enter(&module->ledger, &callback->node, hx_callback_kind_name(record->kind), release);
    *out = callback;
    return HX_OK;
}

static hx_status_t claim_one(struct hx_module *module, const struct hx_callback_record *record,
                             struct hx_callback **out, struct hx_report *report)
{
    struct hx_callback *callback = find(module, record->key);
    const char *kind = hx_callback_kind_name(record->kind);
    hx_status_t err = HX_OK;
    const struct hx_topic *topic =
        callback && callback->kind == HX_CALLBACK_EVENT ? callback->subscription.topic : NULL;
    if (topic && record->kind == HX_CALLBACK_EVENT && strcmp(topic->name, record->topic) != 0)
        return hx_report_fail(report, HX_E_INVAL, record->key, "%s %s: its topic was %s; declare it under another key",
                              kind, record->key, topic->name);
    if (callback && callback->kind != record->kind)
        return hx_report_fail(report, HX_E_INVAL, record->key, "%s %s was a %s; declare it under another key", kind,
                              record->key, hx_callback_kind_name(callback->kind));
    *out = callback;
    err = callback ? prepare(callback, record) : claim(module, record, out);
    if (err != HX_OK)
        return hx_report_fail(report, err, record->key, "%s %s: %s", kind, record->key, hx_err_text(err));
    return HX_OK;
}

hx_status_t hx_callbacks_claim_all(struct hx_module *module, struct hx_version *version, struct hx_report *report)
{
    struct hx_callback *callback = NULL;
    hx_status_t err = HX_OK;
    if (version->callbacks_count == 0)
        return HX_OK;
    err = need_callbacks(module);
    if (err != HX_OK)
        return hx_report_fail(report, err, "callbacks", "no memory or slot for its callbacks; unload a module");
    for (uint32_t i = 0; err == HX_OK && i < version->callbacks_count; i++) {
        const struct hx_callback_record *record = &version->callbacks[i];
        err = claim_one(module, record, &callback, report);
        if (err == HX_OK)
            memcpy(&version->calls_vtable.op[callback->op], &record->function, sizeof(void *));
    }
    return err;
}

static void bind(struct hx_callback *callback, const struct hx_version *version)
{
    const struct hx_callback_record *record = record_of(version, callback->key);
    callback->bound = record != NULL;
    callback->ended = false;
    if (!record) {
        disarm(callback);
        return;
    }
    if (callback->kind == HX_CALLBACK_TIMER)
        bind_timer(callback, record->number);
    else if (callback->kind == HX_CALLBACK_EVENT)
        bind_event(callback, version, record);
    else if (callback->kind == HX_CALLBACK_SERVICE)
        callback->service.repeatable = record->number;
    callback->number = record->number;
}

/* Locked, so that no task ends by an error of before. */
static void count_opening(struct hx_callbacks *callbacks)
{
    hx_irq_flags_t flags = hx_lock_acquire(&callbacks->lock);
    (void)__atomic_add_fetch(&callbacks->times_opened, 1, __ATOMIC_SEQ_CST);
    hx_lock_release(&callbacks->lock, flags);
}

void hx_callbacks_bind(struct hx_module *module, const struct hx_version *version)
{
    if (!module->called)
        return;
    /* Before anything is bound: who finds an error after this knows that it was the version's before. */
    count_opening(module->called);
    for (uint32_t op = 0; op < HX_OPS_MAX; op++) {
        struct hx_callback *callback = module->called->by_op[op];
        if (callback)
            bind(callback, version);
    }
}

void hx_callbacks_resume(struct hx_module *module)
{
    if (!module->called)
        return;
    (void)__atomic_add_fetch(&module->called->times_opened, 1, __ATOMIC_SEQ_CST);
    hx_waitq_wake_all(&module->called->asked);
    hx_waitq_wake_all(&module->called->opened);
}

void hx_callbacks_restore(struct hx_module *module)
{
    for (uint32_t i = 0; i < module->running->callbacks_count; i++) {
        const struct hx_callback_record *record = &module->running->callbacks[i];
        struct hx_callback *callback = find(module, record->key);
        if (!callback || callback->ended) /* by its own error */
            continue;
        hx_status_t err = prepare(callback, record);
        if (err != HX_OK)
            tell(callback, "is not called any more", err);
    }
}

void hx_callbacks_disarm(struct hx_module *module)
{
    for (uint32_t op = 0; module->called && op < HX_OPS_MAX; op++)
        if (module->called->by_op[op])
            disarm(module->called->by_op[op]);
}

void hx_callbacks_forsake(struct hx_module *module)
{
    for (uint32_t op = 0; module->called && op < HX_OPS_MAX; op++) {
        struct hx_callback *callback = module->called->by_op[op];
        if (callback && callback->kind == HX_CALLBACK_SERVICE)
            hx_router_forsake(&callback->service);
    }
}

static void keep_or_release(struct hx_callback *callback, const struct hx_callback_record *record)
{
    if (!record) {
        hx_ledger_strike(&callback->module->ledger, &callback->node);
        release(&callback->node);
    } else if (callback->kind == HX_CALLBACK_TASK) {
        hx_status_t err = hx_task_set_priority(callback->task, (uint8_t)record->number);
        (void)err; /* or it has ended */
    }
}

void hx_callbacks_release_others(struct hx_module *module, const struct hx_version *keep)
{
    for (uint32_t op = 0; module->called && op < HX_OPS_MAX; op++) {
        struct hx_callback *callback = module->called->by_op[op];
        if (callback)
            keep_or_release(callback, record_of(keep, callback->key));
    }
}

/* ---- for others ------------------------------------------------------------------------------------------------------ */

hx_status_t hx_callback_ask(const struct hx_module *module, const char *key)
{
    struct hx_callbacks *callbacks = module->called;
    if (!callbacks)
        return HX_E_NOENT;
    hx_irq_flags_t flags = hx_lock_acquire(&callbacks->lock);
    struct hx_callback *callback = find(module, key);
    bool known = callback && callback->bound && callback->kind == HX_CALLBACK_DEFERRED;
    if (known)
        (void)__atomic_add_fetch(&callback->pending, 1, __ATOMIC_SEQ_CST);
    hx_lock_release(&callbacks->lock, flags);
    if (!known)
        return HX_E_NOENT;
    hx_waitq_wake_all(&callbacks->asked);
    return HX_OK;
}

const struct hx_callback *hx_callback_find(const struct hx_module *module, const char *key)
{
    return find(module, key);
}

const struct hx_callback *hx_callback_next(const struct hx_callback *callback)
{
    const struct hx_module *module = callback ? callback->module : hx_module_next(NULL);
    uint32_t op = callback ? callback->op + 1 : 0;
    for (; module; module = hx_module_next(module), op = 0)
        for (; module->called && op < HX_OPS_MAX; op++)
            if (module->called->by_op[op])
                return module->called->by_op[op];
    return NULL;
}
