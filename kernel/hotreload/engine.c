/* SPDX-License-Identifier: MIT */
/*
 * engine.c - see engine.h.
 *
 * Locks: the queue of jobs has one. What the worker waits for is made true, on whatever CPU, before it is woken.
 */
#include "engine.h"

#include "probation.h"
#include "restart.h"

#include <hal/hx_lock.h>
#include <lib/fmt.h>
#include <orchestrator/lifecycle.h>
#include <string.h>

static struct {
    TAILQ_HEAD(, hx_job) jobs;
    struct hx_lock lock;
    hx_handle_t task;        /* the worker */
    struct hx_waitq worker;  /* it waits here for something to do */
    struct hx_waitq clients; /* requesters wait here for their job */
    bool attention;          /* a: a module faulted or a probation ended; cleared before they are looked for */
    bool reloads, restarts;
    void (*tell)(bool bad, const char *line);
} engine = { .lock = HX_LOCK_INIT(HX_RANK_REGISTRY), .reloads = true, .restarts = true };

void hx_engine_bind(void (*tell)(bool bad, const char *line))
{
    engine.tell = tell;
}

void hx_engine_set_reloads(bool on)
{
    engine.reloads = on;
}

bool hx_engine_reloads(void)
{
    return engine.reloads;
}

void hx_engine_set_restarts(bool on)
{
    engine.restarts = on;
}

__attribute__((format(printf, 2, 3))) static void tell(bool bad, const char *format, ...)
{
    char line[480];
    va_list arguments;
    va_start(arguments, format);
    hx_fmt_v(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (engine.tell)
        engine.tell(bad, line);
}

static void want_attention(void)
{
    __atomic_store_n(&engine.attention, true, __ATOMIC_SEQ_CST);
    hx_waitq_wake_all(&engine.worker);
}

/* ---- faults --------------------------------------------------------------------------------------------------------- */

void hx_engine_on_fault(const struct hx_gate_frame *frame, const char *description, const char *backtrace)
{
    const struct hx_slot_info *info = hx_slot_info(frame->slot);
    bool in_hook = info->kind == HX_SLOT_KIND_HOOKS;
    /* Whoever called a hook is in the middle of a transaction and sees the error; nothing of the module is closed for it. */
    if (in_hook) {
        struct hx_version *version = info->owner;
        hx_fmt(version->fault, sizeof(version->fault), "%s", description);
    } else if (info->owner && hx_module_fault(info->owner, description, backtrace)) {
        want_attention();
    }
}

void hx_engine_on_unfit(void)
{
    const struct hx_slot_info *info = hx_slot_info(&hx_slots[HX_SLOT_hx_sched]);
    char what[64];
    hx_fmt(what, sizeof(what), "%u wrong answers within a second", (unsigned)HX_SCHED_WRONG_MAX);
    hx_irq_flags_t flags =
        hx_irq_save(); /* whoever closes the slot waits for this processor: until then the owner lives */
    bool first = info->state == HX_SLOT_OPEN && hx_module_fault(info->owner, what, "");
    hx_irq_restore(flags);
    if (first)
        want_attention();
}

/* @why says what keeps its predecessor from coming back, if it has one, or else from being restarted, if that was tried. */
static void fail_module(struct hx_module *module, const struct hx_report *why)
{
    const char *reason = why->message;
    if (module->faulted)
        hx_lifecycle_fail(module);
    if (module->previous)
        tell(true, "%s: %s: it is in Error: %s: `rollback %s'", module->name, module->fault, reason, module->name);
    else
        tell(true, "%s: %s: it is in Error%s%s; restart it, or rmmod it and insmod a version that works", module->name,
             module->fault, reason[0] ? ": " : "", reason);
}

/* A module without a predecessor has crashed. Who waits at its gate goes on with the new version. */
static void restart_or_fail(struct hx_module *module, struct hx_report *why)
{
    struct hx_swap_record *record = NULL;
    char fault[sizeof(module->fault)];
    hx_report_init(why);
    memcpy(fault, module->fault, sizeof(fault));
    if (!engine.restarts || !hx_restart_take_turn(module)) {
        fail_module(module, why);
    } else if (hx_restart_run(module, "fault", &record) != HX_OK) {
        hx_fmt(why->message, sizeof(why->message), "no restart: %s: %s", record->report.step, record->report.message);
        hx_fmt(module->fault, sizeof(module->fault), "%s", fault);
        fail_module(module, why);
    } else {
        tell(true, "%s: %s: restarted %s; after another crash it stays in Error, for %u s from now", module->name,
             fault, hx_record_state_text(record->found), (unsigned)(HX_RESTART_RENEWS_NS / 1000000000u));
    }
}

static void tell_backtrace(const struct hx_module *module)
{
    if (module->backtrace[0])
        tell(true, "%s: backtrace: %s", module->name, module->backtrace);
    if (module->faults > 1)
        tell(true, "%s: %u more faults before this one was answered", module->name, module->faults - 1);
}

/* Those that went back with @record's module; NULL: nobody knows any more. */
static void tell_others(const struct hx_swap_record *record)
{
    char text[16];
    uint64_t number = record ? record->transaction : 0;
    for (const struct hx_swap_record *other = NULL;
         (other = hx_history_get(number)) && other->transaction == record->transaction; number++) {
        if (other == record)
            continue;
        hx_version_text(other->old_version, text);
        tell(true, "%s: reverted to %s %s with it; %llu calls served since are lost", other->new_name, other->old_name,
             text, (unsigned long long)other->calls_since);
    }
}

static void answer_fault(struct hx_module *module)
{
    struct hx_report cause, why;
    struct hx_swap_record *record = NULL;
    char name[HX_NAME_MAX], text[16];
    hx_report_init(&cause);
    hx_report_init(&why);
    cause.step = "probation";
    if (!module->previous) {
        restart_or_fail(module, &why);
        return;
    }
    hx_fmt(name, sizeof(name), "%s", module->name);
    hx_status_t err = hx_report_fail(&cause, HX_E_FAULT, name, "%s", module->fault);
    err = hx_probation_revert(module, &cause, &record, &why);
    if (err != HX_OK && module->faulted) {
        fail_module(module, &why);
        return;
    }
    hx_version_text(module->running->record->version, text);
    tell(true, "%s: %s: reverted to %s %s with its state of the swap; %llu calls served since are lost", name,
         cause.message, module->name, text, record ? (unsigned long long)record->calls_since : 0ull);
    tell_others(record);
    if (err != HX_OK)
        tell(true, "%s; it is in Error; rmmod it, then insmod a version that works", why.message);
}

static void attend(void)
{
    struct hx_module *module = NULL;
    (void)__atomic_exchange_n(&engine.attention, false, __ATOMIC_SEQ_CST);
    while ((module = hx_module_next(module)))
        if (module->faulted) {
            hx_lifecycle_tell(module, HX_EVENT_MODULE_FAULTED);
            tell_backtrace(module);
            answer_fault(module);
        }
    hx_probation_commit_due();
}

/* ---- jobs ----------------------------------------------------------------------------------------------------------- */

/* By the owner's word: when somebody stays inside, probation goes on. */
static hx_status_t roll_back(struct hx_job *job, struct hx_module *module, struct hx_swap_record **out_record)
{
    struct hx_report cause;
    hx_report_init(&cause);
    cause.step = "rollback";
    hx_status_t err = hx_report_fail(&cause, HX_E_CANCELED, "", "rolled back by %s", job->who);
    err = hx_probation_revert(module, &cause, out_record, &job->report);
    hx_probation_arm(module);
    return err;
}

static hx_status_t unknown(struct hx_job *job, const char *name)
{
    return hx_report_fail(&job->report, HX_E_NOENT, name, "no module called %s is loaded", name);
}

static bool is_in(const struct hx_swap_request *request, const struct hx_module *module)
{
    for (uint32_t i = 0; i < request->count; i++)
        if (request->part[i].module == module)
            return true;
    return false;
}

static hx_status_t reload(struct hx_job *job, struct hx_module *module, struct hx_swap_record **out_record)
{
    struct hx_swap_request request = { .who = job->who, .count = 1 };
    request.part[0] = (struct hx_swap_part){
        .module = module, .file = job->file, .params = job->params, .may_downgrade = job->may_downgrade
    };
    for (uint32_t i = 0; i < job->with_count; i++) {
        const struct hx_job_part *with = &job->with[i];
        struct hx_module *other = hx_module_find(with->module);
        if (!other)
            return unknown(job, with->module);
        if (is_in(&request, other))
            return hx_report_fail(&job->report, HX_E_INVAL, with->module, "%s is named twice; name it once",
                                  with->module);
        request.part[request.count++] =
            (struct hx_swap_part){ .module = other, .file = with->file, .may_downgrade = with->may_downgrade };
    }
    return hx_swap_run(&request, out_record);
}

/* By hand: its turn to be restarted by itself comes again. */
static hx_status_t restart(struct hx_job *job, struct hx_module *module, struct hx_swap_record **out_record)
{
    hx_status_t err = hx_restart_run(module, job->who, out_record);
    module->restart_turn_ns = 0;
    hx_lifecycle_users(module, job->report.message, sizeof(job->report.message));
    return err;
}

static hx_status_t run_on_module(struct hx_job *job, struct hx_module *module)
{
    struct hx_swap_record *record = NULL;
    hx_status_t err = HX_E_INTERNAL;
    switch (job->kind) {
    case HX_JOB_UNLOAD:
        err = hx_lifecycle_may_unload(module, &job->report);
        if (err != HX_OK)
            return err;
        err = hx_probation_commit(module);
        if (err == HX_E_FAULT)
            break;
        return hx_lifecycle_unload(module, &job->report); /* HX_E_NOENT: nothing was pending */
    case HX_JOB_RELOAD: err = reload(job, module, &record); break;
    case HX_JOB_COMMIT:
        record = hx_probation_record(module);
        err = hx_probation_commit(module);
        break;
    case HX_JOB_ROLLBACK: err = roll_back(job, module, &record); break;
    case HX_JOB_PAUSE: return hx_lifecycle_pause(module, &job->report);
    case HX_JOB_RESUME: return hx_lifecycle_resume(module, &job->report);
    case HX_JOB_RESTART: err = restart(job, module, &record); break;
    case HX_JOB_LOAD: break;
    }
    if (record)
        job->swap = *record;
    if (err == HX_E_NOENT && job->kind != HX_JOB_RELOAD && job->kind != HX_JOB_RESTART)
        err = hx_report_fail(&job->report, err, module->name, "%s has no swap on probation", module->name);
    if (err == HX_E_FAULT && (job->kind == HX_JOB_COMMIT || job->kind == HX_JOB_UNLOAD))
        err = hx_report_fail(&job->report, err, module->name,
                             "it or another that shares its probation has faulted; what comes of it is told at once");
    return err;
}

static hx_status_t run_job(struct hx_job *job)
{
    struct hx_module *module = NULL;
    if (job->kind == HX_JOB_LOAD) {
        hx_status_t err = hx_lifecycle_load(job->file, job->params, &module, &job->report);
        if (err == HX_OK)
            hx_fmt(job->loaded, sizeof(job->loaded), "%s", module->name);
        return err;
    }
    module = hx_module_find(job->module);
    return module ? run_on_module(job, module) : unknown(job, job->module);
}

static bool has_work(void *context)
{
    (void)context;
    return __atomic_load_n(&engine.attention, __ATOMIC_SEQ_CST) || !TAILQ_EMPTY(&engine.jobs);
}

static struct hx_job *take_job(void)
{
    hx_irq_flags_t flags = hx_lock_acquire(&engine.lock);
    struct hx_job *job = TAILQ_FIRST(&engine.jobs);
    if (job)
        TAILQ_REMOVE(&engine.jobs, job, link);
    hx_lock_release(&engine.lock, flags);
    return job;
}

static void finish(struct hx_job *job, hx_status_t result)
{
    job->result = result;
    __atomic_store_n(&job->done, true, __ATOMIC_RELEASE); /* from here on it is the requester's */
    hx_waitq_wake_all(&engine.clients);
}

static hx_status_t worker(void *argument)
{
    (void)argument;
    while (hx_waitq_wait(&engine.worker, has_work, NULL, UINT64_MAX) == HX_OK) {
        if (__atomic_load_n(&engine.attention, __ATOMIC_SEQ_CST))
            attend();
        struct hx_job *job = take_job();
        if (job)
            finish(job, run_job(job));
    }
    return HX_E_INTERNAL; /* it waits without a deadline, and core tasks are not killed */
}

hx_status_t hx_engine_start(void)
{
    TAILQ_INIT(&engine.jobs);
    hx_waitq_init(&engine.worker);
    hx_waitq_init(&engine.clients);
    hx_probation_bind(want_attention);
    return hx_task_create(HX_TASK_CORE, "worker", 255, worker, NULL, &engine.task);
}

static bool is_worker(void)
{
    return hx_task_current()->handle == engine.task;
}

hx_status_t hx_engine_gate_wait(struct hx_slot *slot)
{
    return is_worker() ? HX_E_BUSY : hx_module_gate_wait(slot);
}

static bool job_done(void *context)
{
    return __atomic_load_n(&((struct hx_job *)context)->done, __ATOMIC_ACQUIRE);
}

/* The queue is short: one job a waiting requester. */
static void enqueue(struct hx_job *job)
{
    struct hx_job *other = NULL, *replaced = NULL;
    hx_irq_flags_t flags = hx_lock_acquire(&engine.lock);
    TAILQ_FOREACH(other, &engine.jobs, link)
        if (job->kind == HX_JOB_RELOAD && other->kind == HX_JOB_RELOAD && !job->with_count && !other->with_count &&
            strcmp(other->module, job->module) == 0)
            replaced = other;
    if (replaced)
        TAILQ_REMOVE(&engine.jobs, replaced, link);
    TAILQ_FOREACH(other, &engine.jobs, link)
        if (other->priority < job->priority)
            break;
    if (other)
        TAILQ_INSERT_BEFORE(other, job, link);
    else
        TAILQ_INSERT_TAIL(&engine.jobs, job, link);
    hx_lock_release(&engine.lock, flags);
    if (replaced)
        finish(replaced, hx_report_fail(&replaced->report, HX_E_CANCELED, replaced->module,
                                        "a later request for %s took its place", replaced->module));
}

static hx_status_t wait_for(struct hx_job *job)
{
    static const uint64_t look_ns = 20000000;
    hx_status_t err = HX_E_TIMEOUT;
    while (err == HX_E_TIMEOUT) {
        uint64_t deadline_ns = job->meanwhile ? hx_hal_clock_ns() + look_ns : UINT64_MAX;
        err = hx_waitq_wait(&engine.clients, job_done, job, deadline_ns);
        if (err == HX_E_TIMEOUT)
            job->meanwhile();
    }
    return err == HX_OK ? job->result : err;
}

hx_status_t hx_engine_run(struct hx_job *job)
{
    hx_status_t allowed = hx_capability_check(job->by, HX_CAPABILITY_MODULES, 0, 0, 0);
    hx_report_init(&job->report);
    if (allowed != HX_OK)
        return hx_report_fail(&job->report, allowed, job->module, "%s holds no capability of type modules, see caps",
                              job->by ? job->by->name : "who asks");
    job->swap.number = job->swap.transaction = 0; /* of its last run */
    if (job->kind == HX_JOB_RELOAD && !engine.reloads)
        return hx_report_fail(&job->report, HX_E_DISABLED, job->module, "reloads are off; `reloads on' allows them");
    job->done = false;
    if (hx_task_current()->class != HX_TASK_CORE || is_worker() || hx_cpu_read(preempt_off) || hx_cpu_read(irq_depth))
        return hx_report_fail(&job->report, HX_E_STATE, job->module, "nobody may wait for a job here");
    enqueue(job);
    hx_waitq_wake_all(&engine.worker);
    return wait_for(job);
}
