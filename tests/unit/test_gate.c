/* SPDX-License-Identifier: MIT */
/*
 * test_gate.c - the gate's assembly, the same as in the kernel, in a process whose GS base points at per-CPU data.
 *
 * A fault of an operation is a real one: SIGILL stands for the trap, and its handler does what hx_hal_trap_unwind() does.
 */
#include <arch/x86_64/include/hx_gate_asm.h>
#include <asm/prctl.h>
#include <criterion/criterion.h>
#include <gate/gate.h>
#include <helix/kernel.h>
#include <helix/kv.h>
#include <helix/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { AREA_BYTES = 65536, STACK_BYTES = 65536, CF = 1 << 0, DF = 1 << 10, KV_COUNT = 4 };

struct probe {
    uint64_t rbx, rbp, r12, r13, r14, r15, rflags, rsp_lost;
    hx_ret_t result;
};
void gate_probe_registers(hx_ret_t (*entry)(void), struct probe *out);
hx_ret_t gate_probe_trash(void);
hx_ret_t gate_probe_alignment(void);
void gate_probe_clobber(void);
void gate_probe_step_entry(void);
void gate_probe_step_plain(const struct hx_slot *slot);
void gate_probe_step_stub(const void *stub);

/* ---- a CPU ---------------------------------------------------------------------------------------------------------- */

static uint8_t area[AREA_BYTES] __attribute__((aligned(64)));
static uintptr_t area_offset;

static struct hx_gate_frame *frame_here(void)
{
    return ((struct hx_cpu *)((uintptr_t)&hx_cpu + area_offset))->frame;
}

static const struct hx_slot *counters(const struct hx_slot *slot)
{
    return (const struct hx_slot *)((uintptr_t)slot + area_offset);
}

static uint64_t inside(const struct hx_slot *slot)
{
    return counters(slot)->entered - counters(slot)->left;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    regs[REG_RIP] = (greg_t)(uintptr_t)hx_gate_resume;
    regs[REG_RSP] = (greg_t)(uintptr_t)frame_here();
    regs[REG_RAX] = HX_E_FAULT;
    regs[REG_EFL] &= ~(CF | DF);
}

static volatile int steps;

static struct hx_slot *kv, *sched;
static volatile int frameless_steps; /* between two instructions kv counted a call inside without a frame of it */

static void on_step(int number)
{
    (void)number;
    steps++;
    if (kv && inside(kv) > 0 && (!frame_here() || frame_here()->slot != kv))
        frameless_steps++;
}

static struct hx_gate_vtable table;
static uint8_t *stub_page;

static void handler_set(int number, void (*action)(int, siginfo_t *, void *))
{
    struct sigaction how = { .sa_sigaction = action, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
    cr_assert_eq(sigaction(number, &how, NULL), 0);
}

static void publish(struct hx_slot *slot, uint32_t index, const void *operation, void *owner)
{
    for (uint32_t i = 0; i < HX_OPS_MAX; i++)
        table.op[i] = (const void *)hx_gate_op_unsupported;
    table.op[index] = operation;
    hx_slot_publish(slot, &table, owner);
}

static void setup(void)
{
    static uint8_t stack[STACK_BYTES];
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
    cr_assert_eq(sigaltstack(&alternate, NULL), 0);
    handler_set(SIGILL, on_fault);
    handler_set(SIGSEGV, on_fault);
    signal(SIGTRAP, on_step);

    uintptr_t cpu = (uintptr_t)&hx_cpu, slots = (uintptr_t)hx_slots;
    uintptr_t low = cpu < slots ? cpu : slots;
    cr_assert_leq((cpu < slots ? slots : cpu) - low + sizeof(hx_slots), sizeof(area));
    area_offset = (uintptr_t)area - low;
    cr_assert_eq(syscall(SYS_arch_prctl, ARCH_SET_GS, area_offset), 0);

    hx_gate_init();
    kv = &hx_slots[HX_SLOT_hx_kv];
    sched = &hx_slots[HX_SLOT_hx_sched];
    stub_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(stub_page, MAP_FAILED);
}

TestSuite(gate, .init = setup);

/* A module's: unwound without leaving its stack's red zones behind, so the sanitizer must not put any. */
#define OPERATION __attribute__((noinline, no_sanitize("address", "undefined")))

/* ---- calls ---------------------------------------------------------------------------------------------------------- */

static uint64_t seen[6];

OPERATION static hx_ret_t take_four(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    memcpy(seen, (uint64_t[]){ a, b, c, d }, 4 * sizeof(uint64_t));
    cr_assert_eq(inside(sched) + inside(kv), 1);
    return 1234567890123;
}

OPERATION static hx_ret_t take_six(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    memcpy(seen, (uint64_t[]){ a, b, c, d, e, f }, sizeof(seen));
    return 66;
}

static void assert_seen(size_t count)
{
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(seen[i], 11 * (i + 1), "argument %zu is %llu", i, (unsigned long long)seen[i]);
}

OPERATION static hx_ret_t answer(void)
{
    return 42;
}

OPERATION static hx_ret_t fault(void)
{
    __builtin_trap();
}

Test(gate, arguments_and_result_pass_through_an_entry)
{
    publish(sched, 1, (const void *)take_four, NULL);
    cr_assert_eq(hx_sched_pick(11, 22, 33, 44), 1234567890123);
    assert_seen(4);
    cr_assert_eq(counters(sched)->entered, 1);
    cr_assert_eq(counters(sched)->left, 1);
    cr_assert_null(frame_here());
}

Test(gate, arguments_and_result_pass_through_the_generic_entry)
{
    publish(kv, 15, (const void *)take_four, NULL);
    cr_assert_eq(hx_gate_call(kv, 15, 11, 22, 33, 44), 1234567890123);
    assert_seen(4);
    cr_assert_eq(counters(kv)->entered, 1);
    cr_assert_eq(counters(kv)->left, 1);
}

Test(gate, callee_has_an_aligned_stack)
{
    publish(kv, KV_COUNT, (const void *)gate_probe_alignment, NULL);
    cr_assert_eq(hx_kv_count(), 8); /* psABI 3.2.2: 16n + 8 at a function's entry */
    cr_assert_eq(hx_gate_call(kv, KV_COUNT, 0, 0, 0, 0), 8);
}

Test(gate, answers_without_a_provider_are_errors)
{
    cr_assert_eq(hx_kv_count(), HX_E_ABSENT);
    publish(kv, 0, (const void *)answer, NULL);
    cr_assert_eq(hx_kv_count(), HX_E_UNSUPPORTED);
    hx_slot_fail(kv);
    cr_assert_eq(hx_kv_count(), HX_E_FAILED);
    publish(sched, 3, (const void *)answer, NULL);
    hx_slot_close(sched);
    cr_assert_eq(hx_sched_remove(1), HX_E_CLOSED);
    cr_assert_eq(inside(kv) + inside(sched), 0);
}

/* ---- faults --------------------------------------------------------------------------------------------------------- */

Test(gate, registers_and_flags_survive_an_operation_that_trashes_them_all_and_faults)
{
    struct probe probe;
    publish(kv, KV_COUNT, (const void *)gate_probe_trash, NULL);
    gate_probe_registers(hx_kv_count, &probe);
    cr_assert_eq(probe.result, HX_E_FAULT);
    cr_assert_eq(probe.rbx, 0x1111111111111111);
    cr_assert_eq(probe.rbp, 0x2222222222222222);
    cr_assert_eq(probe.r12, 0x3333333333333333);
    cr_assert_eq(probe.r13, 0x4444444444444444);
    cr_assert_eq(probe.r14, 0x5555555555555555);
    cr_assert_eq(probe.r15, 0x6666666666666666);
    cr_assert_eq(probe.rsp_lost, 0);
    cr_assert_eq(probe.rflags & (CF | DF), CF | DF);
    cr_assert_eq(counters(kv)->entered, 1);
    cr_assert_eq(counters(kv)->left, 1);
    cr_assert_null(frame_here());
}

/* Several functions that call one after another would hide a frame that is popped by too much; a loop does not. */
Test(gate, counters_stay_equal_over_many_calls_and_faults)
{
    for (int i = 0; i < 1000; i++) {
        publish(kv, KV_COUNT, i % 3 == 0 ? (const void *)fault : (const void *)answer, NULL);
        cr_assert_eq(hx_kv_count(), i % 3 == 0 ? HX_E_FAULT : 42);
    }
    cr_assert_eq(counters(kv)->entered, 1000);
    cr_assert_eq(counters(kv)->left, 1000);
}

/* ---- modules that call modules ---------------------------------------------------------------------------------------- */

typedef hx_ret_t (*stub_fn)(void);
typedef hx_ret_t (*stub_six_fn)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

static stub_fn stub_to(struct hx_slot *slot, uint32_t index)
{
    hx_hal_stub_write(stub_page, slot, index);
    return (stub_fn)(uintptr_t)stub_page;
}

static struct hx_gate_vtable outer_table;
static stub_fn inner;
static hx_ret_t inner_result;
static bool outer_faults, outer_is_killed;

OPERATION static hx_ret_t outer(uint64_t task)
{
    (void)task;
    struct hx_gate_frame *mine = frame_here();
    cr_assert_eq(mine->slot, sched);
    if (outer_is_killed)
        mine->kill_pending = 1;
    inner_result = inner();
    cr_assert_eq(frame_here(), mine);
    if (outer_faults)
        __builtin_trap();
    return 7;
}

static void publish_outer(void *owner)
{
    outer_table.op[3] = (const void *)outer;
    hx_slot_publish(sched, &outer_table, owner);
}

Test(gate, six_arguments_pass_through_a_modules_stub)
{
    publish(kv, 9, (const void *)take_six, NULL);
    stub_fn stub = stub_to(kv, 9);
    static struct hx_gate_frame own; /* the calling module's */
    ((struct hx_cpu *)((uintptr_t)&hx_cpu + area_offset))->frame = &own;
    cr_assert_eq(((stub_six_fn)(uintptr_t)stub)(11, 22, 33, 44, 55, 66), 66);
    assert_seen(6);
    cr_assert_eq(frame_here(), &own);
    cr_assert_eq(counters(kv)->entered, 1);
    cr_assert_eq(counters(kv)->left, 1);
}

Test(gate, fault_of_an_inner_call_comes_back_to_the_module_that_called)
{
    publish(kv, KV_COUNT, (const void *)gate_probe_trash, NULL);
    publish_outer(NULL);
    inner = stub_to(kv, KV_COUNT);
    cr_assert_eq(hx_sched_remove(1), 7);
    cr_assert_eq(inner_result, HX_E_FAULT);
    cr_assert_eq(inside(kv) + inside(sched), 0);
    cr_assert_null(frame_here());
}

Test(gate, fault_after_an_inner_fault_comes_back_to_the_outermost_caller)
{
    publish(kv, KV_COUNT, (const void *)gate_probe_trash, NULL);
    publish_outer(NULL);
    inner = stub_to(kv, KV_COUNT);
    outer_faults = true;
    cr_assert_eq(hx_sched_remove(1), HX_E_FAULT);
    cr_assert_eq(inside(kv) + inside(sched), 0);
    cr_assert_eq(counters(kv)->left, 1);
    cr_assert_eq(counters(sched)->left, 1);
    cr_assert_null(frame_here());
}

Test(gate, kill_that_came_during_an_inner_call_takes_effect_when_it_is_over)
{
    publish(kv, KV_COUNT, (const void *)answer, NULL);
    publish_outer(NULL);
    inner = stub_to(kv, KV_COUNT);
    outer_is_killed = true;
    inner_result = -1;
    cr_assert_eq(hx_sched_remove(1), HX_E_KILLED);
    cr_assert_eq(inner_result, -1);
    cr_assert_eq(inside(kv) + inside(sched), 0);
    cr_assert_null(frame_here());
}

/* ---- closed slots --------------------------------------------------------------------------------------------------- */

static int waits;
static hx_status_t wait_result;
static struct hx_gate_vtable next_table;

/* Opens at the second wait; meanwhile the caller must count as outside. */
static hx_status_t wait_twice(struct hx_slot *slot)
{
    cr_assert_eq(slot, kv);
    cr_assert_eq(inside(kv), 0);
    cr_assert(frame_here()->waiting);
    cr_assert_not(hx_gate_may_unwind(frame_here()));
    memset(seen, 0xff, sizeof(seen));
    if (++waits == 2)
        hx_slot_publish(kv, &next_table, NULL);
    gate_probe_clobber();
    return wait_result;
}

static const struct hx_gate_policy policy = { .wait = wait_twice };

Test(gate, caller_at_a_closed_slot_waits_and_starts_again_with_its_arguments)
{
    hx_gate_bind(&policy);
    publish(kv, 1, (const void *)fault, NULL);
    next_table.op[1] = (const void *)take_four;
    hx_slot_close(kv);
    cr_assert_eq(hx_kv_put((const void *)11, 22, (const void *)33, 44), 1234567890123);
    assert_seen(4);
    cr_assert_eq(waits, 2);
    cr_assert_eq(counters(kv)->entered, 3);
    cr_assert_eq(counters(kv)->left, 3);
}

Test(gate, module_at_a_closed_slot_waits_with_all_six_arguments)
{
    static int module;
    hx_gate_bind(&policy);
    publish(kv, 15, (const void *)fault, &module);
    next_table.op[15] = (const void *)take_six;
    hx_slot_close(kv);
    static struct hx_gate_frame own;
    own.slot = sched;
    ((struct hx_cpu *)((uintptr_t)&hx_cpu + area_offset))->frame = &own;
    cr_assert_eq(((stub_six_fn)(uintptr_t)stub_to(kv, 15))(11, 22, 33, 44, 55, 66), 66);
    assert_seen(6);
    cr_assert_eq(waits, 2);
}

Test(gate, error_of_a_wait_reaches_the_caller)
{
    hx_gate_bind(&policy);
    publish(kv, 1, (const void *)fault, NULL);
    hx_slot_close(kv);
    wait_result = HX_E_TIMEOUT;
    cr_assert_eq(hx_kv_put((const void *)11, 22, (const void *)33, 44), HX_E_TIMEOUT);
    cr_assert_eq(waits, 1);
    cr_assert_eq(inside(kv), 0);
    cr_assert_null(frame_here());
}

OPERATION static hx_ret_t close_and_call(void)
{
    hx_slot_close(kv);
    return hx_gate_call(kv, 0, 0, 0, 0, 0);
}

Test(gate, nested_call_into_a_closing_module_goes_through_to_the_old_version)
{
    static int module;
    hx_gate_bind(&policy);
    publish(kv, KV_COUNT, (const void *)close_and_call, &module);
    table.op[0] = (const void *)answer;
    cr_assert_eq(hx_kv_count(), 42);
    cr_assert_eq(waits, 0);
    cr_assert_eq(inside(kv), 0);
}

/* ---- imports -------------------------------------------------------------------------------------------------------- */

hx_ret_t gate_test_import_hx_state_get(const void *name, uint64_t name_bytes, uint64_t offset, void *data,
                                       uint64_t bytes);

static bool import_is_killed;

#define EXPORT(name, ...) hx_ret_t gate_test_export_##name(__VA_ARGS__);
HX_EXPORTS(EXPORT)

#define NUMBER(name, ...) IMPORT_##name,
enum { IMPORT_NONE, HX_EXPORTS(NUMBER) }; /* what the frame says while one runs */

hx_ret_t gate_test_export_hx_state_get(const void *name, uint64_t name_bytes, uint64_t offset, void *data,
                                       uint64_t bytes)
{
    cr_assert_eq(frame_here()->in_import, IMPORT_hx_state_get);
    cr_assert_not(hx_gate_may_unwind(frame_here()));
    frame_here()->kill_pending = import_is_killed;
    return name == (const void *)1 && name_bytes == 2 && offset == 3 && data == (void *)4 && bytes == 5 ? 55
                                                                                                        : HX_E_INVAL;
}

OPERATION static hx_ret_t call_import(void)
{
    inner_result = gate_test_import_hx_state_get((const void *)1, 2, 3, (void *)4, 5);
    cr_assert_eq(frame_here()->in_import, 0);
    return 8;
}

Test(gate, import_is_marked_in_the_frame_while_it_runs)
{
    publish(kv, KV_COUNT, (const void *)call_import, NULL);
    cr_assert_eq(hx_kv_count(), 8);
    cr_assert_eq(inner_result, 55);
}

Test(gate, kill_that_came_during_an_import_takes_effect_when_it_returns)
{
    publish(kv, KV_COUNT, (const void *)call_import, NULL);
    import_is_killed = true;
    inner_result = -1;
    cr_assert_eq(hx_kv_count(), HX_E_KILLED);
    cr_assert_eq(inner_result, -1);
    cr_assert_eq(inside(kv), 0);
    cr_assert_null(frame_here());
}

/* ---- price ---------------------------------------------------------------------------------------------------------- */

Test(gate, entry_costs_16_instructions_more_than_a_plain_indirect_call)
{
    publish(kv, KV_COUNT, (const void *)gate_probe_alignment, NULL);
    gate_probe_step_plain(kv);
    int plain = steps;
    steps = 0;
    gate_probe_step_entry();
    cr_assert_gt(plain, 0, "single-stepping does not work here");
    cr_assert_eq(steps - plain, 16, "%d instead of %d", steps, plain);
}

Test(gate, modules_stub_costs_at_most_34_instructions_more_than_a_plain_indirect_call)
{
    publish(kv, KV_COUNT, (const void *)gate_probe_alignment, NULL);
    static struct hx_gate_frame own;
    ((struct hx_cpu *)((uintptr_t)&hx_cpu + area_offset))->frame = &own;
    gate_probe_step_plain(kv);
    int plain = steps;
    steps = 0;
    gate_probe_step_stub((const void *)stub_to(kv, KV_COUNT));
    cr_assert_gt(plain, 0);
    cr_assert_leq(steps - plain, 34, "%d instead of %d", steps, plain);
}

/* A task is stopped anywhere; one that has no frame may be ended on the spot, so it must not be counted inside. */
Test(gate, whoever_is_counted_inside_has_a_frame_at_every_instruction)
{
    static struct hx_gate_frame own;
    publish(kv, KV_COUNT, (const void *)gate_probe_alignment, NULL);
    gate_probe_step_entry();
    cr_assert_gt(steps, 16, "single-stepping does not work here");
    ((struct hx_cpu *)((uintptr_t)&hx_cpu + area_offset))->frame = &own;
    gate_probe_step_stub((const void *)stub_to(kv, KV_COUNT));
    cr_assert_eq(frameless_steps, 0, "at %d instructions", frameless_steps);
    cr_assert_eq(inside(kv), 0u);
}

/* ---- states -------------------------------------------------------------------------------------------------------------- */

static void drive_close(struct hx_slot *slot)
{
    hx_slot_close(slot);
}

static void drive_open(struct hx_slot *slot)
{
    hx_slot_publish(slot, &table, &table);
}

static void drive_absent(struct hx_slot *slot)
{
    hx_slot_retract(slot);
}

static void drive_fail(struct hx_slot *slot)
{
    hx_slot_fail(slot);
}

static void drive_faulted(struct hx_slot *slot)
{
    hx_slot_publish(slot, &table, &table);
    hx_slot_fault(slot);
}

static const struct {
    enum hx_slot_state state;
    void (*enter)(struct hx_slot *slot);
    enum hx_slot_state published, closed, faulted, reopened, failed, retracted;
} state_table[] = {
    { HX_SLOT_OPEN, drive_open, HX_SLOT_OPEN, HX_SLOT_CLOSED, HX_SLOT_FAULTED, HX_SLOT_OPEN, HX_SLOT_FAILED,
      HX_SLOT_ABSENT },
    { HX_SLOT_CLOSED, drive_close, HX_SLOT_OPEN, HX_SLOT_CLOSED, HX_SLOT_FAULTED, HX_SLOT_OPEN, HX_SLOT_FAILED,
      HX_SLOT_ABSENT },
    { HX_SLOT_FAULTED, drive_faulted, HX_SLOT_OPEN, HX_SLOT_FAULTED, HX_SLOT_FAULTED, HX_SLOT_FAULTED, HX_SLOT_FAILED,
      HX_SLOT_ABSENT },
    { HX_SLOT_FAILED, drive_fail, HX_SLOT_OPEN, HX_SLOT_CLOSED, HX_SLOT_FAILED, HX_SLOT_OPEN, HX_SLOT_FAILED,
      HX_SLOT_ABSENT },
    { HX_SLOT_ABSENT, drive_absent, HX_SLOT_OPEN, HX_SLOT_CLOSED, HX_SLOT_ABSENT, HX_SLOT_ABSENT, HX_SLOT_FAILED,
      HX_SLOT_ABSENT },
};

static const void *vtable_of(enum hx_slot_state state, bool sleepable)
{
    switch (state) {
    case HX_SLOT_OPEN: return table.op;
    case HX_SLOT_FAILED: return hx_gate_vtable_failed.op;
    case HX_SLOT_ABSENT: return hx_gate_vtable_absent.op;
    default: return sleepable ? hx_gate_vtable_wait.op : hx_gate_vtable_closed.op;
    }
}

static void check_state(struct hx_slot *slot, void (*enter)(struct hx_slot *slot), void (*change)(struct hx_slot *slot),
                        enum hx_slot_state expected)
{
    hx_slot_publish(slot, &table, &table);
    enter(slot);
    change(slot);
    cr_assert_eq(hx_slot_state(slot), expected, "%d, not %d", hx_slot_state(slot), expected);
    cr_assert_eq((const void *)slot->vtable, vtable_of(expected, hx_slot_info(slot)->sleepable), "the vtable of %d",
                 expected);
}

Test(gate, every_state_goes_where_the_table_says)
{
    struct hx_slot *slots[] = { kv, sched };
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < sizeof(state_table) / sizeof(*state_table); i++) {
            void (*enter)(struct hx_slot * slot) = state_table[i].enter;
            check_state(slots[k], enter, drive_open, state_table[i].published);
            check_state(slots[k], enter, drive_close, state_table[i].closed);
            check_state(slots[k], enter, hx_slot_fault, state_table[i].faulted);
            if (state_table[i].state != HX_SLOT_ABSENT)
                check_state(slots[k], enter, hx_slot_reopen, state_table[i].reopened);
            check_state(slots[k], enter, drive_fail, state_table[i].failed);
            check_state(slots[k], enter, drive_absent, state_table[i].retracted);
        }
}

static struct {
    atomic_uint round, done;
} race;
enum { RACES = 20000 };

static void *fault_often(void *slot)
{
    for (uint32_t i = 1; i <= RACES; i++) {
        while (atomic_load(&race.round) < i)
            sched_yield();
        hx_slot_fault(slot);
        atomic_store(&race.done, i);
    }
    return NULL;
}

/* The two never meet so that the slot is merely closed in the end. */
Test(gate, a_fault_and_a_closing_at_once_leave_the_slot_faulted)
{
    pthread_t other;
    cr_assert_eq(pthread_create(&other, NULL, fault_often, kv), 0);
    for (uint32_t i = 1; i <= RACES; i++) {
        hx_slot_publish(kv, &table, &table);
        atomic_store(&race.round, i);
        for (uint32_t k = 0; k < i % 64; k++)
            __asm__ volatile("");
        hx_slot_close(kv);
        while (atomic_load(&race.done) < i)
            sched_yield();
        cr_assert_eq(hx_slot_state(kv), HX_SLOT_FAULTED, "round %u", i);
        cr_assert_eq((const void *)kv->vtable, hx_gate_vtable_wait.op);
    }
    pthread_join(other, NULL);
}
