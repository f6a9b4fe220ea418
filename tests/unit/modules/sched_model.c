/* SPDX-License-Identifier: MIT */
/* sched_model.c - see sched_model.h. */
#include "sched_model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct hx_sched_ops *ops(const struct sched_model *model)
{
    return model->module->vtable;
}

static bool by_priority(const struct sched_model *model)
{
    return model->module == &sched_prio1;
}

static bool by_share(const struct sched_model *model)
{
    return model->module == &sched_fair1;
}

static bool by_deadline(const struct sched_model *model)
{
    return model->module == &sched_edf1;
}

static bool accounts(const struct sched_model *model)
{
    return model->module != &sched_rr1;
}

/* ---- the model ------------------------------------------------------------------------------------------------------- */
void sched_model_init(struct sched_model *model, const struct module_host *module)
{
    memset(model, 0, sizeof(*model));
    model->module = module;
    memset(module->state, 0, module->state_bytes);
    cr_assert(module->record->hooks.init() == HX_OK);
}

static void enqueue(struct sched_model *model, struct sched_model_task *t)
{
    t->queued = true;
    t->order = ++model->order;
}

static void forget(struct sched_model *model, struct sched_model_task *t)
{
    if (t->handle == model->running)
        model->running = HX_HANDLE_NONE;
    memset(t, 0, sizeof(*t));
}

static struct sched_model_task *adopt(struct sched_model *model, hx_handle_t task)
{
    struct sched_model_task *t = &model->task[hx_handle_index(task)];
    if (t->handle != task && t->handle != HX_HANDLE_NONE)
        forget(model, t);
    if (t->handle == HX_HANDLE_NONE)
        t->vruntime += model->clock; /* until then it said how far from the clock it was */
    t->handle = task;
    return t;
}

static bool goes_before(const struct sched_model *model, const struct sched_model_task *a,
                        const struct sched_model_task *b)
{
    if (by_priority(model) && a->priority != b->priority)
        return a->priority > b->priority;
    if (by_share(model) && a->vruntime != b->vruntime)
        return a->vruntime < b->vruntime;
    return a->order < b->order;
}

static struct sched_model_task *first(struct sched_model *model)
{
    struct sched_model_task *best = NULL;
    for (size_t i = 0; i < HX_TASKS_MAX; i++) {
        struct sched_model_task *t = &model->task[i];
        if (t->queued && (!best || goes_before(model, t, best)))
            best = t;
    }
    return best;
}

/* ---- shares ---------------------------------------------------------------------------------------------------------- */
enum { SLICE_NS = 10 * 1000000 };

uint32_t sched_model_weight(uint8_t priority)
{
    return (64u + priority % 64u) << (priority / 64u);
}

static int64_t virtual_ns(const struct sched_model_task *t, uint64_t ran_ns)
{
    uint32_t weight = sched_model_weight(t->priority);
    return (int64_t)(ran_ns * ((16777216u + weight / 2) / weight) / 65536);
}

static void catch_up(const struct sched_model *model, struct sched_model_task *t)
{
    if (t->vruntime < model->clock - SLICE_NS / 2)
        t->vruntime = model->clock - SLICE_NS / 2;
}

static void follow(struct sched_model *model, int64_t reached)
{
    const struct sched_model_task *t = first(model);
    if (t && t->vruntime < reached)
        reached = t->vruntime;
    if (reached > model->clock)
        model->clock = reached;
}

/* As far as is known; what becomes of the clock depends on who comes and goes next. */
static void settle(struct sched_model *model)
{
    if (by_share(model) && model->running != HX_HANDLE_NONE)
        follow(model, model->reached);
}

/* ---- operations ------------------------------------------------------------------------------------------------------ */

void sched_model_ready(struct sched_model *model, hx_handle_t task, uint8_t priority, enum hx_sched_reason reason)
{
    settle(model);
    struct sched_model_task *t = adopt(model, task);
    if (model->running == task)
        model->running = HX_HANDLE_NONE; /* it was, and the kernel has stopped it */
    bool is_new = reason == HX_SCHED_NEW, known = model->running != HX_HANDLE_NONE;
    if (is_new)
        t->vruntime = model->clock;
    if (!t->queued)
        catch_up(model, t);
    if (!t->queued || (by_priority(model) && t->priority != priority) || (by_share(model) && is_new))
        enqueue(model, t);
    t->priority = priority;
    if (is_new)
        t->runtime = t->picks = 0;
    hx_ret_t got = ops(model)->ready(task, priority, reason);
    bool replace = by_deadline(model) && got == HX_SCHED_REPLACE;
    if (by_priority(model))
        replace = !known || priority > model->task[hx_handle_index(model->running)].priority;
    if (by_share(model))
        replace = known && t->vruntime < model->reached - SLICE_NS / 4;
    cr_assert(got >= 0 && (got == HX_SCHED_REPLACE) == replace, "%s: %d", model->module->label, (int)got);
}

static void put_back(struct sched_model *model, hx_handle_t prev, enum hx_sched_reason reason, uint64_t ran_ns)
{
    bool met = prev != model->running || model->task[hx_handle_index(prev)].handle != prev;
    struct sched_model_task *t = adopt(model, prev);
    if (by_share(model) && (met || t->queued)) {
        t->queued = false;
        catch_up(model, t);
    }
    if (by_deadline(model))
        t->queued = false;
    t->runtime += ran_ns;
    t->vruntime += virtual_ns(t, ran_ns);
    follow(model, t->vruntime);
    if (reason == HX_SCHED_EXIT)
        forget(model, t);
    else if (reason == HX_SCHED_BLOCK)
        t->queued = false;
    else if (!t->queued)
        enqueue(model, t);
}

/* What @got names if that is ready. */
static struct sched_model_task *any(struct sched_model *model, hx_ret_t got)
{
    struct sched_model_task *t = &model->task[hx_handle_index((hx_handle_t)got) % HX_TASKS_MAX];
    return t->queued && t->handle == (hx_handle_t)got ? t : first(model);
}

hx_handle_t sched_model_pick(struct sched_model *model, hx_handle_t prev, enum hx_sched_reason reason, uint64_t ran_ns)
{
    settle(model);
    if (prev != HX_HANDLE_NONE)
        put_back(model, prev, reason, ran_ns);
    host_now_ns += ran_ns;
    hx_ret_t got = ops(model)->pick(prev, reason, ran_ns, host_now_ns);
    struct sched_model_task *t = by_deadline(model) ? any(model, got) : first(model);
    model->running = HX_HANDLE_NONE;
    if (t) {
        t->queued = false;
        t->picks++;
        model->running = t->handle;
        model->reached = t->vruntime;
        if (t->vruntime > model->clock)
            model->clock = t->vruntime;
    }
    cr_assert(got == (hx_ret_t)model->running, "%s: picked %#llx, not %#llx", model->module->label,
              (unsigned long long)got, (unsigned long long)model->running);
    return model->running;
}

void sched_model_tick(struct sched_model *model, hx_handle_t task, uint64_t ran_ns)
{
    const struct sched_model_task *t = first(model), *self = &model->task[hx_handle_index(task)];
    bool due = t && ran_ns >= SLICE_NS;
    if (t && by_priority(model))
        due = t->priority > self->priority || (due && t->priority == self->priority);
    if (by_share(model)) {
        model->reached = self->vruntime + virtual_ns(self, ran_ns);
        follow(model, model->reached);
        due = t && virtual_ns(self, ran_ns) >= SLICE_NS && t->vruntime < model->reached;
    }
    hx_ret_t got = ops(model)->tick(task, ran_ns);
    cr_assert(got == due || (by_deadline(model) && got >= 0), "%s: %d", model->module->label, (int)got);
}

void sched_model_remove(struct sched_model *model, hx_handle_t task)
{
    settle(model);
    struct sched_model_task *t = &model->task[hx_handle_index(task)];
    bool known = t->handle == task;
    if (known) {
        if (model->running == task)
            model->running = HX_HANDLE_NONE; /* it may come back, but then by the kernel's choice */
        t->vruntime -= model->clock;
        t->handle = HX_HANDLE_NONE;
        t->priority = 0;
        t->queued = false;
    }
    cr_assert(ops(model)->remove(task) == (known ? HX_OK : HX_E_NOENT));
}

void sched_model_adjust(struct sched_model *model, hx_handle_t task, uint8_t priority)
{
    settle(model);
    struct sched_model_task *t = adopt(model, task);
    if (t->queued && by_priority(model) && t->priority != priority)
        enqueue(model, t);
    t->priority = priority;
    cr_assert(ops(model)->adjust(task, priority) == HX_OK);
}

void sched_model_info(struct sched_model *model, hx_handle_t task)
{
    const struct sched_model_task *t = &model->task[hx_handle_index(task)];
    char expected[128], got[128] = { 0 };
    int length =
        snprintf(expected, sizeof(expected), "priority %u, %s", t->priority, t->queued ? "queued" : "not queued");
    if (accounts(model))
        length += snprintf(expected + length, sizeof(expected) - (size_t)length, ", ran %llu.%03llu ms, picked %u",
                           (unsigned long long)(t->runtime / 1000000), (unsigned long long)(t->runtime / 1000 % 1000),
                           t->picks);
    hx_ret_t err = ops(model)->info(task, got, sizeof(got));
    if (t->handle != task) {
        cr_assert(err == HX_E_NOENT);
        return;
    }
    bool says_more = by_share(model) || by_deadline(model);
    cr_assert((err == length || says_more) && strncmp(got, expected, (size_t)length) == 0, "%s: \"%s\", not \"%s\"",
              model->module->label, got, expected);
}

/* How sched_edf orders the tasks, as its state says: by queue, then by deadline and ticket, or by the place in the ring. */
static uint64_t edf_rank[HX_TASKS_MAX][3];

static void read_edf_ranks(void)
{
    enum { REST = 2 };
    static const char *const fields[] = { "queue", "deadline", "order" };
    for (uint32_t i = 0; i < HX_TASKS_MAX; i++)
        for (uint32_t f = 0; f < 3; f++)
            edf_rank[i][f] = host_field_get(&sched_edf1, fields[f], i);
    for (uint32_t cpu = 0; cpu < HX_CPUS_MAX; cpu++) {
        uint64_t position = 0, name = host_field_get(&sched_edf1, "next", HX_TASKS_MAX + 1 + 8 * cpu);
        for (; name <= HX_TASKS_MAX; name = host_field_get(&sched_edf1, "next", (uint32_t)name)) {
            cr_assert(edf_rank[name - 1][0] == REST);
            edf_rank[name - 1][1] = 0;
            edf_rank[name - 1][2] = ++position;
        }
    }
}

static struct sched_model_task *first_by_deadline(struct sched_model *model)
{
    struct sched_model_task *best = NULL;
    for (uint32_t i = 0; i < HX_TASKS_MAX; i++) {
        if (!model->task[i].queued)
            continue;
        uint64_t mine = 0, bests = best ? 0 : 1;
        for (size_t rank = 0; rank < 3 && best && mine == bests; rank++) {
            mine = edf_rank[i][rank];
            bests = edf_rank[best - model->task][rank];
        }
        if (mine < bests)
            best = &model->task[i];
    }
    return best;
}

/* Every policy orders what it takes over by the order in which the old one would have run it. */
static void renumber(struct sched_model *model, struct sched_model *as_before)
{
    struct sched_model_task *(*next)(struct sched_model *) = by_deadline(as_before) ? first_by_deadline : first;
    uint64_t order = 0;
    if (by_deadline(as_before))
        read_edf_ranks();
    struct sched_model_task *t = next(as_before);
    for (; t; t = next(as_before)) {
        t->queued = false;
        model->task[t - as_before->task].order = ++order;
    }
    model->order = order;
}

void sched_model_convert(struct sched_model *model, const struct module_host *to)
{
    static struct sched_model before;
    before = *model;
    cr_assert(host_save(model->module) == HX_OK, "%s", model->module->label);
    renumber(model, &before); /* while the old state is there: the two may be the same policy */
    cr_assert(host_load(to) == HX_OK, "%s -> %s", model->module->label, to->label);
    model->module = to;
    model->running = HX_HANDLE_NONE;
    for (size_t i = 0; i < HX_TASKS_MAX && !(accounts(&before) && accounts(model)); i++)
        model->task[i].runtime = model->task[i].picks = 0;
    for (size_t i = 0; i < HX_TASKS_MAX; i++)
        if (!(by_share(&before) && by_share(model)))
            model->task[i].vruntime = 0;
        else if (model->task[i].handle != HX_HANDLE_NONE)
            model->task[i].vruntime -= model->clock;
    model->clock = 0;
    host_expect_sound(to);
}

void sched_model_drain(struct sched_model *model)
{
    while (sched_model_pick(model, HX_HANDLE_NONE, HX_SCHED_BLOCK, 0) != HX_HANDLE_NONE)
        ;
    host_expect_sound(model->module);
}

/* ---- the machine ----------------------------------------------------------------------------------------------------- */
void sched_machine_init(struct sched_machine *machine, const struct module_host *module, uint32_t tasks)
{
    memset(machine, 0, sizeof(*machine));
    machine->tasks = tasks;
    sched_model_init(&machine->model, module);
}

/* Priorities from few values, so that levels hold several tasks. */
static uint8_t some_priority(void)
{
    static const uint8_t values[] = { 0, 1, 63, 64, 127, 128, 200, 255 };
    return values[host_random(HX_ARRAY_SIZE(values))];
}

static void begin_or_wake(struct sched_machine *machine, uint32_t i)
{
    bool new = machine->state[i] == TASK_NONE;
    if (new)
        machine->handle[i] = hx_handle_make(HX_HANDLE_TASK, ++machine->generation, i);
    else if (machine->state[i] != TASK_BLOCKED)
        return;
    machine->state[i] = TASK_READY;
    sched_model_ready(&machine->model, machine->handle[i], new ? some_priority() : machine->model.task[i].priority,
                      new ? HX_SCHED_NEW : HX_SCHED_WOKEN);
}

static void decide(struct sched_machine *machine)
{
    hx_handle_t prev = machine->running;
    enum hx_sched_reason reason = HX_SCHED_PREEMPT + host_random(4);
    if (prev != HX_HANDLE_NONE)
        machine->state[hx_handle_index(prev)] = reason == HX_SCHED_EXIT    ? TASK_NONE
                                                : reason == HX_SCHED_BLOCK ? TASK_BLOCKED
                                                                           : TASK_READY;
    machine->running = sched_model_pick(&machine->model, prev, reason, host_random(20000000));
    if (machine->running != HX_HANDLE_NONE)
        machine->state[hx_handle_index(machine->running)] = TASK_RUNNING;
}

/* The kernel chooses for itself. As after a swap, the policy may not have heard of it: then it has the task still queued. */
static void decide_without_asking(struct sched_machine *machine, uint32_t i, bool heard)
{
    if (machine->running != HX_HANDLE_NONE || machine->state[i] != TASK_READY)
        return;
    machine->running = machine->handle[i];
    machine->state[i] = TASK_RUNNING;
    if (heard) {
        uint8_t priority = machine->model.task[i].priority;
        sched_model_remove(&machine->model, machine->running);
        sched_model_adjust(&machine->model, machine->running, priority);
        sched_model_info(&machine->model, machine->running);
    }
}

static void end(struct sched_machine *machine, uint32_t i)
{
    if (machine->state[i] == TASK_READY)
        sched_model_remove(&machine->model, machine->handle[i]);
    if (machine->state[i] == TASK_READY || machine->state[i] == TASK_BLOCKED)
        machine->state[i] = TASK_NONE; /* nobody tells a policy of one that was killed while it waited */
}

void sched_machine_step(struct sched_machine *machine)
{
    uint32_t i = host_random(machine->tasks), event = host_random(100);
    hx_handle_t task = machine->handle[i];
    if (event < 40)
        begin_or_wake(machine, i);
    else if (event < 80)
        decide(machine);
    else if (event < 84)
        decide_without_asking(machine, i, event % 2);
    else if (event < 88)
        end(machine, i);
    else if (event < 92 && machine->state[i] != TASK_NONE)
        sched_model_adjust(&machine->model, task, some_priority());
    else if (event < 96 && task != HX_HANDLE_NONE)
        sched_model_info(&machine->model, task);
    else if (machine->running != HX_HANDLE_NONE)
        sched_model_tick(&machine->model, machine->running, host_random(20000000));
}

/* ---- for every policy ------------------------------------------------------------------------------------------------ */
void sched_test_random(const struct module_host *module, uint32_t tasks, uint32_t steps)
{
    static struct sched_machine machine;
    sched_machine_init(&machine, module, tasks);
    for (uint32_t i = 0; i < steps; i++) {
        sched_machine_step(&machine);
        if (i % 64 == 0)
            host_expect_sound(module);
    }
    sched_model_drain(&machine.model);
}

void sched_test_bad_arguments(const struct module_host *module)
{
    static struct sched_model model;
    sched_model_init(&model, module);
    const struct hx_sched_ops *op = module->vtable;
    hx_handle_t beyond = hx_handle_make(HX_HANDLE_TASK, 1, HX_TASKS_MAX), far = hx_handle_make(HX_HANDLE_TASK, 1, ~0u);
    hx_handle_t good = hx_handle_make(HX_HANDLE_TASK, 1, 5);
    char text[8];

    cr_expect(op->ready(beyond, 1, HX_SCHED_NEW) == HX_E_INVAL);
    cr_expect(op->ready(far, 1, HX_SCHED_NEW) == HX_E_INVAL);
    cr_expect(op->ready(HX_HANDLE_NONE, 1, HX_SCHED_NEW) == HX_E_INVAL);
    cr_expect(op->ready(good, 256, HX_SCHED_NEW) == HX_E_INVAL);
    cr_expect(op->pick(beyond, HX_SCHED_YIELD, 0, 0) == HX_E_INVAL);
    cr_expect(op->pick(far, HX_SCHED_BLOCK, 0, 0) == HX_E_INVAL);
    cr_expect(op->remove(beyond) == HX_E_NOENT);
    cr_expect(op->remove(good) == HX_E_NOENT);
    cr_expect(op->adjust(far, 1) == HX_E_INVAL);
    cr_expect(op->adjust(good, 256) == HX_E_INVAL);
    cr_expect(op->info(good, text, sizeof(text)) == HX_E_NOENT);
    cr_expect(op->info(beyond, text, sizeof(text)) == HX_E_NOENT);
    cr_expect(op->pick(HX_HANDLE_NONE, HX_SCHED_BLOCK, 0, 0) == (hx_ret_t)HX_HANDLE_NONE);
    host_expect_sound(module);

    sched_model_ready(&model, good, 7, HX_SCHED_NEW);
    memset(text, '#', sizeof(text));
    cr_expect(op->info(good, text, 4) == 4 && memcmp(text, "prio####", 8) == 0);
    cr_expect(op->remove(good ^ (1ull << 32)) == HX_E_NOENT, "another generation of the same index");
    sched_model_drain(&model);
}

static void expect_refused(const struct module_host *module, const char *why)
{
    cr_expect(host_load(module) == HX_E_SCHEMA, "%s accepts %s", module->label, why);
}

/* A blob that is sound until one field is spoiled. */
static void good_blob(void)
{
    hx_handle_t ready[2] = { hx_handle_make(HX_HANDLE_TASK, 1, 3), hx_handle_make(HX_HANDLE_TASK, 1, 4) };
    hx_handle_t waiting[1] = { hx_handle_make(HX_HANDLE_TASK, 1, 5) };
    host_blob_clear(1 << 20);
    host_blob_put(HX_SCHED_STATE_READY, ready, sizeof(ready));
    host_blob_put(HX_SCHED_STATE_WAITING, waiting, sizeof(waiting));
    host_blob_put(HX_SCHED_STATE_PRIORITY, "\1\2\3\4\5\6", 6);
}

void sched_test_bad_blobs(const struct module_host *module)
{
    static uint8_t big[HX_TASKS_MAX * sizeof(hx_handle_t) + 8];
    hx_handle_t twice[2] = { hx_handle_make(HX_HANDLE_TASK, 1, 3), hx_handle_make(HX_HANDLE_TASK, 2, 3) };
    hx_handle_t beyond = hx_handle_make(HX_HANDLE_TASK, 1, HX_TASKS_MAX),
                other = hx_handle_make(HX_HANDLE_TASK + 1, 1, 9);

    good_blob();
    cr_expect(host_load(module) == HX_OK);
    host_expect_sound(module);
    host_blob_drop(HX_SCHED_STATE_READY);
    expect_refused(module, "a blob without ready tasks");
    good_blob();
    host_blob_drop(HX_SCHED_STATE_WAITING);
    expect_refused(module, "a blob without waiting tasks");
    good_blob();
    host_blob_put(HX_SCHED_STATE_READY, twice, sizeof(twice));
    expect_refused(module, "one index twice");
    good_blob();
    host_blob_put(HX_SCHED_STATE_WAITING, twice, sizeof(hx_handle_t));
    expect_refused(module, "one task ready and waiting");
    good_blob();
    host_blob_put(HX_SCHED_STATE_READY, &beyond, sizeof(beyond));
    expect_refused(module, "an index beyond the last");
    good_blob();
    host_blob_put(HX_SCHED_STATE_WAITING, &other, sizeof(other));
    expect_refused(module, "a handle of something else");
    good_blob();
    host_blob_put(HX_SCHED_STATE_READY, twice, 7);
    expect_refused(module, "seven eighths of a handle");
    good_blob();
    host_blob_put(HX_SCHED_STATE_READY, big, sizeof(big));
    expect_refused(module, "more tasks than there can be");
    good_blob();
    host_blob_put(HX_SCHED_STATE_PRIORITY, big, HX_TASKS_MAX + 1);
    expect_refused(module, "more priorities than there can be tasks");
    if (module == &sched_rr1)
        return;
    good_blob();
    big[9 * sizeof(uint64_t)] = 77; /* of a task that nobody names: kept, and inside the limit */
    host_blob_put(HX_SCHED_STATE_RUNTIME, big, 10 * sizeof(uint64_t));
    cr_expect(host_load(module) == HX_OK);
    cr_expect(host_field_get(module, "runtime", 9) == 77 && host_field_get(module, "limit", 0) == 10);
    host_expect_sound(module);
    good_blob();
    host_blob_put(HX_SCHED_STATE_RUNTIME, big, 12);
    expect_refused(module, "one and a half runtimes");
    good_blob();
    host_blob_put(HX_SCHED_STATE_PICKS, big, sizeof(big));
    expect_refused(module, "more picks than there can be tasks");
}

/* All indexes in use, all ready: every array to its end, and what is saved fits what the state reserves. */
void sched_test_full(const struct module_host *module)
{
    static struct sched_model model;
    sched_model_init(&model, module);
    for (uint32_t i = 0; i < HX_TASKS_MAX; i++)
        sched_model_ready(&model, hx_handle_make(HX_HANDLE_TASK, 1, HX_TASKS_MAX - 1 - i), (uint8_t)i, HX_SCHED_NEW);
    host_expect_sound(module);
    sched_model_convert(&model, module);
    sched_model_drain(&model);
}
