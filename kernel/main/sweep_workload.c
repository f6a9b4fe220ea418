/* SPDX-License-Identifier: MIT */
/* sweep_workload.c - see sweep_workload.h. */
#include "sweep_workload.h"

#include <arch/x86_64/arch.h>
#include <helix/kv.h>
#include <string.h>

enum {
    TURNS = 12,    /* of one actor, at whatever it does */
    ROOM = 3,      /* in the buffer between producer and consumers */
    GOODS = 24,    /* that go through it */
    MEETERS = 3,   /* at the barrier */
    CHILDREN = 4,  /* that the parent makes */
    VICTIMS = 4,   /* that the killer makes */
    NAP_NS = 4000, /* sleepers sleep for multiples of it */
    LAP = 64,      /* what the spinner counts to before it gives way */
};

struct actor {
    const char *name;
    uint8_t priority;
    void (*act)(struct actor *me);
    uint64_t number; /* among those who do the same */
    uint64_t digest;
    hx_handle_t task;
    bool ended;
};

struct child {
    uint64_t number, result;
};

static struct {
    struct hx_waitq over, ping, pong, room, goods, meeting, never;
    uint64_t token, end;
    uint64_t stock[ROOM];
    uint32_t turn, made, taken, met, meeting_number, left;
    struct child child[CHILDREN];
} world;

static uint64_t mix(uint64_t digest, uint64_t value)
{
    digest = (digest ^ (value + 1)) * 0x9e3779b97f4a7c15u;
    return digest ^ digest >> 29;
}

static void note(struct actor *me, uint64_t value)
{
    me->digest = mix(me->digest, value);
}

/* ---- those who give way, sleep and time out -------------------------------------------------------------------------- */
static void act_yield(struct actor *me)
{
    for (uint64_t i = 0; i < TURNS; i++) {
        note(me, i);
        hx_task_yield();
    }
}

static void act_sleep(struct actor *me)
{
    for (uint64_t i = 0; i < TURNS; i++) {
        uint64_t until_ns = hx_hal_clock_ns() + NAP_NS * (1 + (i + me->number) % 3);
        note(me, (uint64_t)hx_task_sleep_until(until_ns));
        note(me, hx_hal_clock_ns() >= until_ns);
    }
}

static bool no(void *context)
{
    (void)context;
    return false;
}

static void act_time_out(struct actor *me)
{
    for (uint64_t i = 0; i < TURNS; i++) {
        uint64_t until_ns = hx_hal_clock_ns() + NAP_NS + i * 100;
        note(me, (uint64_t)hx_waitq_wait(&world.never, no, NULL, until_ns));
        note(me, hx_hal_clock_ns() >= until_ns);
    }
}

/* ---- those who pass something on ------------------------------------------------------------------------------------- */
static bool is_turn_of(void *me)
{
    return world.turn == ((const struct actor *)me)->number;
}

static void act_turns(struct actor *me)
{
    for (uint64_t i = 0; i < TURNS; i++) {
        note(me, (uint64_t)hx_waitq_wait(me->number ? &world.pong : &world.ping, is_turn_of, me, UINT64_MAX));
        note(me, world.token);
        world.token = mix(world.token, me->number + i);
        __atomic_store_n(&world.turn, !me->number, __ATOMIC_RELEASE);
        hx_waitq_wake_one(me->number ? &world.ping : &world.pong);
    }
}

static bool has_room(void *context)
{
    (void)context;
    return world.made - world.taken < ROOM;
}

static void act_produce(struct actor *me)
{
    for (uint32_t i = 0; i < GOODS; i++) {
        note(me, (uint64_t)hx_waitq_wait(&world.room, has_room, NULL, UINT64_MAX));
        world.stock[i % ROOM] = mix(GOODS, i);
        __atomic_store_n(&world.made, i + 1, __ATOMIC_RELEASE); /* whoever sees it may come at once */
        hx_waitq_wake_one(&world.goods);
    }
}

static bool has_goods(void *context)
{
    (void)context;
    return world.made != world.taken || world.taken == GOODS;
}

/* Somebody else may have been faster. */
static bool take(uint64_t *out)
{
    hx_irq_flags_t flags = hx_irq_save();
    bool is_there = world.made != world.taken;
    if (is_there)
        *out = world.stock[world.taken++ % ROOM];
    hx_irq_restore(flags);
    return is_there;
}

/* The sum of both is what does not depend on who got what: the digests of the actors are added up. */
static void act_consume(struct actor *me)
{
    uint64_t item = 0;
    while (hx_waitq_wait(&world.goods, has_goods, NULL, UINT64_MAX) == HX_OK && world.taken < GOODS) {
        if (!take(&item))
            continue;
        me->digest += item;
        hx_waitq_wake_one(&world.room);
    }
    hx_waitq_wake_all(&world.goods);
}

static bool have_met(void *number)
{
    return world.meeting_number != *(const uint32_t *)number;
}

static void act_meet(struct actor *me)
{
    for (uint32_t i = 0; i < TURNS; i++) {
        hx_irq_flags_t flags = hx_irq_save();
        bool last = ++world.met == MEETERS;
        if (last) {
            world.met = 0;
            world.meeting_number++;
        }
        hx_irq_restore(flags);
        if (last)
            hx_waitq_wake_all(&world.meeting);
        note(me, (uint64_t)hx_waitq_wait(&world.meeting, have_met, &i, UINT64_MAX));
        note(me, world.meeting_number - i); /* nobody is a meeting ahead: this one waits for all */
    }
}

/* ---- those who make, end and change tasks ---------------------------------------------------------------------------- */
static hx_status_t grow(void *argument)
{
    struct child *child = argument;
    for (uint64_t i = 0; i <= child->number; i++)
        hx_task_yield();
    child->result = mix(child->number, TURNS);
    return (hx_status_t)child->number;
}

/* A child that is gone has left its result. */
static void act_raise(struct actor *me)
{
    for (uint64_t i = 0; i < CHILDREN; i++) {
        struct child *child = &world.child[i];
        hx_handle_t task = HX_HANDLE_NONE;
        hx_status_t status = HX_E_FAILED;
        child->number = i;
        note(me, (uint64_t)hx_task_create(HX_TASK_POLICY, "child", (uint8_t)(20 + 70 * i), grow, child, &task));
        hx_status_t err = hx_task_join(task, UINT64_MAX, &status);
        note(me, err == HX_E_STALE || (err == HX_OK && status == (hx_status_t)i));
        note(me, child->result);
    }
}

static hx_status_t wait_for_death(void *argument)
{
    for (;;) {
        if (!argument)
            hx_task_yield();
        else if (hx_waitq_wait(&world.never, no, NULL, UINT64_MAX) != HX_OK)
            return HX_E_FAILED;
    }
}

static void act_kill(struct actor *me)
{
    for (uint64_t i = 0; i < VICTIMS; i++) {
        hx_handle_t task = HX_HANDLE_NONE;
        hx_status_t status = HX_E_FAILED;
        uint8_t priority = (uint8_t)(10 + 40 * i);
        note(me, (uint64_t)hx_task_create(HX_TASK_POLICY, "victim", priority, wait_for_death,
                                          (void *)(uintptr_t)(i % 2), &task));
        hx_task_yield();
        note(me, (uint64_t)hx_task_kill(task));
        hx_status_t err = hx_task_join(task, UINT64_MAX, &status);
        note(me, err == HX_E_STALE || (err == HX_OK && status == HX_E_KILLED));
    }
}

static struct actor *spinner(void);

/* The spinner outlives everybody, so its handle is good. */
static void act_tune(struct actor *me)
{
    for (uint64_t i = 0; i < TURNS; i++) {
        note(me, (uint64_t)hx_task_set_priority(spinner()->task, (uint8_t)(1 + i % 4)));
        note(me, (uint64_t)hx_task_set_priority(me->task, (uint8_t)(60 + 13 * i)));
        hx_task_yield();
    }
}

/* ---- one who calls a module ------------------------------------------------------------------------------------------ */
static void act_call(struct actor *me)
{
    static const char key[] = "sweep";
    for (uint64_t i = 0; i < TURNS; i++) {
        uint64_t value = mix(i, TURNS), back = 0;
        note(me, (uint64_t)hx_kv_put(key, sizeof(key), &value, sizeof(value)));
        hx_task_yield();
        note(me, (uint64_t)hx_kv_get(key, sizeof(key), &back, sizeof(back)));
        note(me, back);
    }
    note(me, (uint64_t)hx_kv_del(key, sizeof(key)));
}

/* ---- one who fills the time, so that no instruction of the workload is waited through -------------------------------- */
static void act_spin(struct actor *me)
{
    (void)me;
    while (__atomic_load_n(&world.left, __ATOMIC_RELAXED) > 1) {
        for (uint32_t i = 0; i < LAP; i++)
            __asm__ volatile("");
        hx_task_yield();
    }
    world.end = hx_arch_tsc();
}

/* ---- all of them ----------------------------------------------------------------------------------------------------- */
static struct actor actors[] = {
    { .name = "spin", .priority = 1, .act = act_spin }, /* first: spinner() */
    { .name = "yield 0", .priority = 40, .act = act_yield },
    { .name = "yield 1", .priority = 128, .act = act_yield },
    { .name = "yield 2", .priority = 200, .act = act_yield },
    { .name = "sleep 0", .priority = 60, .act = act_sleep },
    { .name = "sleep 1", .priority = 220, .act = act_sleep, .number = 1 },
    { .name = "time out", .priority = 70, .act = act_time_out },
    { .name = "ping", .priority = 100, .act = act_turns },
    { .name = "pong", .priority = 150, .act = act_turns, .number = 1 },
    { .name = "produce", .priority = 90, .act = act_produce },
    { .name = "consume 0", .priority = 80, .act = act_consume },
    { .name = "consume 1", .priority = 180, .act = act_consume },
    { .name = "meet 0", .priority = 50, .act = act_meet },
    { .name = "meet 1", .priority = 128, .act = act_meet },
    { .name = "meet 2", .priority = 210, .act = act_meet },
    { .name = "raise", .priority = 110, .act = act_raise },
    { .name = "kill", .priority = 120, .act = act_kill },
    { .name = "tune", .priority = 130, .act = act_tune },
    { .name = "call", .priority = 140, .act = act_call },
};
enum { ACTORS = sizeof(actors) / sizeof(actors[0]) };

static struct actor *spinner(void)
{
    return &actors[0];
}

static hx_status_t perform(void *argument)
{
    struct actor *me = argument;
    me->act(me);
    me->ended = true;
    __atomic_fetch_sub(&world.left, 1, __ATOMIC_SEQ_CST);
    hx_waitq_wake_all(&world.over);
    return HX_OK;
}

hx_status_t hx_sweep_workload_start(void)
{
    memset(&world, 0, sizeof(world));
    struct hx_waitq *queues[] = { &world.over,  &world.ping,    &world.pong, &world.room,
                                  &world.goods, &world.meeting, &world.never };
    for (size_t i = 0; i < HX_ARRAY_SIZE(queues); i++)
        hx_waitq_init(queues[i]);
    world.left = ACTORS;
    for (uint32_t i = 0; i < ACTORS; i++) {
        struct actor *actor = &actors[i];
        actor->digest = 0;
        actor->ended = false;
        hx_status_t err = hx_task_create(HX_TASK_POLICY, actor->name, actor->priority, perform, actor, &actor->task);
        if (err != HX_OK)
            return err;
    }
    return HX_OK;
}

static bool is_over(void *context)
{
    (void)context;
    return world.left == 0;
}

hx_status_t hx_sweep_workload_wait(uint64_t deadline_ns)
{
    return hx_waitq_wait(&world.over, is_over, NULL, deadline_ns);
}

uint64_t hx_sweep_workload_digest(void)
{
    uint64_t digest = mix(0, world.token);
    for (uint32_t i = 0; i < ACTORS; i++) {
        uint64_t one = actors[i].digest;
        digest = actors[i].act == act_consume ? digest + one : mix(digest, one);
    }
    return digest;
}

uint64_t hx_sweep_workload_end(void)
{
    return world.end;
}

void hx_sweep_workload_unfinished(void (*each)(const char *name, const struct hx_task *task))
{
    for (uint32_t i = 0; i < ACTORS; i++)
        if (!actors[i].ended)
            each(actors[i].name, hx_task_of(actors[i].task));
}
