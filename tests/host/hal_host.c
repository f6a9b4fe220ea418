/* SPDX-License-Identifier: MIT */
/*
 * hal_host.c - CPU, heap, clock, interrupts and devices of the host's machine. See hal_host.h.
 */
#include "hal_host_parts.h"

#include <asm/prctl.h>
#include <hal/hx_hal_entry.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct hx_cpu hx_cpu HX_PERCPU = { 0 };
uintptr_t hx_stack_low HX_PERCPU = 0; /* a process may use what it has */

/* Rooms above, where they are linked. */
__attribute__((weak)) void hx_entry_irq(uint32_t line);
__attribute__((weak)) void hx_entry_timer(uint64_t now_ns);
__attribute__((weak)) void hx_entry_irq_exit(void);
__attribute__((weak)) void hx_entry_control(void);

enum { LINES = HAL_HOST_LINES, CONSOLE_BYTES = 1 << 16, CONTROL_BYTES = 1 << 23 };

static struct {
    uint8_t *area; /* HX_CPUS_MAX copies of the template */
    size_t copy_bytes;
    uint32_t cpus;
    uint32_t pokes, probes;            /* atomic: bit a CPU */
    uint64_t heap_bytes, heap_objects; /* atomic */
    uint64_t fail_in;                  /* allocations until the one that fails, 0: none */
    bool failed;
    uint64_t now_ns, step_ns, timer_ns, timer_arms;
    uint64_t lines_pending, lines_unmasked, lines_level;
    char console[CONSOLE_BYTES];
    size_t console_bytes;
    struct {
        uint8_t *in, *out; /* made when they are needed */
        size_t in_from, in_to, out_bytes, room;
        bool absent, is_open;
    } control;
} host;

static _Thread_local bool irq_on;

uint8_t (*hal_host_port_read)(uint16_t port);
void (*hal_host_port_write)(uint16_t port, uint8_t value);
void (*hal_host_on_end)(enum hal_host_end how, uint32_t code);

/* Read by the sanitizers' runtimes. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "use_sigaltstack=0:detect_stack_use_after_return=0:handle_segv=0:handle_sigbus=0:handle_sigill=0:"
           "handle_sigfpe=0:allow_user_segv_handler=1:abort_on_error=1";
}
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
    return "print_stacktrace=1:handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0";
}

void hal_host_breach(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("hal_host: contract broken: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\n", stderr);
    va_end(arguments);
    abort();
}

/* ---- CPUs ----------------------------------------------------------------------------------------------------------- */
static uintptr_t cpu_offset(uint32_t id)
{
    return (uintptr_t)host.area + id * host.copy_bytes - (uintptr_t)hx_percpu_start;
}

static void cpus_init(void)
{
    size_t bytes = (size_t)(hx_percpu_end - hx_percpu_start);
    host.copy_bytes = (bytes + 4095) & ~(size_t)4095;
    host.area = mmap(NULL, HX_CPUS_MAX * host.copy_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    HAL_HOST_CHECK(host.area != MAP_FAILED, "no memory for the per-CPU areas");
    for (uint32_t id = 0; id < HX_CPUS_MAX; id++) {
        /* Not memcpy: a sanitizer puts forbidden zones between the variables. */
        void *to = host.area + id * host.copy_bytes;
        const void *from = hx_percpu_start;
        size_t left = bytes;
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(left) : : "memory");
        struct hx_cpu *cpu = (struct hx_cpu *)((uintptr_t)&hx_cpu + cpu_offset(id));
        cpu->self = cpu;
        cpu->id = id;
    }
}

void hal_host_cpu_enter(uint32_t id)
{
    HAL_HOST_CHECK(id < HX_CPUS_MAX, "there is no CPU %u", id);
    HAL_HOST_CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, cpu_offset(id)) == 0, "GS base cannot be set");
    uint32_t cpus = __atomic_load_n(&host.cpus, __ATOMIC_RELAXED);
    while (cpus <= id &&
           !__atomic_compare_exchange_n(&host.cpus, &cpus, id + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
    irq_on = true;
}

uint32_t hx_hal_cpu_count(void)
{
    return host.cpus;
}

void *hx_hal_on_cpu(void *variable, uint32_t cpu)
{
    HAL_HOST_CHECK(cpu < host.cpus, "a variable of CPU %u of %u", cpu, host.cpus);
    return (void *)((uintptr_t)variable + cpu_offset(cpu));
}

/* membarrier(2): every other thread of the process has executed a full barrier when it returns. Threads are no CPUs that
 * could be interrupted: a function is called here on behalf of each. */
hx_status_t hx_hal_cpu_call_others(void (*function)(void *argument), void *argument, uint64_t deadline_ns)
{
    (void)deadline_ns;
    HAL_HOST_CHECK(irq_on, "other CPUs are called with interrupts off");
    HAL_HOST_CHECK(!function || host.cpus == 1, "only one CPU of the host runs tasks");
    (void)argument;
    return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0 ? HX_OK : HX_E_TIMEOUT;
}

void hx_hal_cpu_poke(uint32_t cpu)
{
    HAL_HOST_CHECK(cpu < host.cpus, "CPU %u of %u is poked", cpu, host.cpus);
    __atomic_or_fetch(&host.pokes, 1u << cpu, __ATOMIC_SEQ_CST);
}

uint32_t hal_host_pokes_take(void)
{
    return __atomic_exchange_n(&host.pokes, 0, __ATOMIC_SEQ_CST);
}

void hx_hal_cpu_probe(uint32_t cpu)
{
    HAL_HOST_CHECK(cpu < host.cpus && cpu != hx_cpu_read(id), "CPU %u of %u is probed", cpu, host.cpus);
    __atomic_or_fetch(&host.probes, 1u << cpu, __ATOMIC_SEQ_CST);
}

uint32_t hal_host_probes_take(void)
{
    return __atomic_exchange_n(&host.probes, 0, __ATOMIC_SEQ_CST);
}

void hx_hal_cpu_stop_others(void)
{
}

void hx_hal_lock_wait(void)
{
    hx_cpu_relax();
}

/* ---- beginning and end ---------------------------------------------------------------------------------------------- */
void hal_host_init(void)
{
    host.step_ns = 10;
    host.timer_ns = UINT64_MAX;
    cpus_init();
    hal_host_cpu_enter(0);
    HAL_HOST_CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0, "no membarrier(2)");
    hal_host_context_init();
    hal_host_image_init();
    hal_host_grant_init();
    hal_host_trap_init();
}

const char *hal_host_leftovers(void)
{
    static char text[256];
    uint64_t pages = hal_host_image_pages(), stacks = hal_host_live_stacks(), grant_pages = hal_host_grant_pages();
    if (hal_host_image_open_pieces())
        return "pieces that are not sealed";
    if (!host.heap_objects && !pages && !stacks && !grant_pages && irq_on && !hx_cpu_read(preempt_off) &&
        !hx_cpu_read(irq_depth) && !hx_cpu_read(frame))
        return NULL;
    snprintf(
        text, sizeof(text),
        "%llu heap objects (%llu bytes), %llu image pages, %llu grant pages, %llu stacks; interrupts %s, preemption "
        "off %u, interrupt depth %u, gate frame %p",
        (unsigned long long)host.heap_objects, (unsigned long long)host.heap_bytes, (unsigned long long)pages,
        (unsigned long long)grant_pages, (unsigned long long)stacks, irq_on ? "on" : "off", hx_cpu_read(preempt_off),
        hx_cpu_read(irq_depth), (void *)hx_cpu_read(frame));
    return text;
}

void hal_host_fini(void)
{
    const char *left = hal_host_leftovers();
    HAL_HOST_CHECK(!left, "left at the end: %s", left);
}

/* ---- heap ----------------------------------------------------------------------------------------------------------- */
bool hal_host_may_allocate(void)
{
    if (host.fail_in == 0 || --host.fail_in != 0)
        return true;
    host.failed = true;
    return false;
}

void hal_host_fail_at(uint64_t nth)
{
    host.fail_in = nth;
    host.failed = false;
}

bool hal_host_has_failed(void)
{
    return host.failed;
}

enum { HEAD_BYTES = 16 }; /* before what is allocated: keeps its alignment */

void *hx_hal_alloc(size_t bytes)
{
    HAL_HOST_CHECK(bytes > 0 && bytes <= 16 << 20, "hx_hal_alloc(%zu)", bytes);
    HAL_HOST_CHECK(!irq_on || !hx_cpu_read(irq_depth), "hx_hal_alloc in an interrupt, interrupts on");
    if (!hal_host_may_allocate())
        return NULL;
    uint64_t *head = calloc(1, HEAD_BYTES + bytes);
    HAL_HOST_CHECK(head, "the host has no memory left");
    *head = bytes; /* what was asked for: the host's allocator gives more, now this much, now that */
    __atomic_add_fetch(&host.heap_bytes, bytes, __ATOMIC_RELAXED);
    __atomic_add_fetch(&host.heap_objects, 1, __ATOMIC_RELAXED);
    return (uint8_t *)head + HEAD_BYTES;
}

void hx_hal_free(void *memory)
{
    if (!memory)
        return;
    uint64_t *head = (uint64_t *)(void *)((uint8_t *)memory - HEAD_BYTES);
    HAL_HOST_CHECK(host.heap_objects > 0, "hx_hal_free(%p): nothing is allocated", memory);
    __atomic_sub_fetch(&host.heap_bytes, *head, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&host.heap_objects, 1, __ATOMIC_RELAXED);
    free(head);
}

void hx_hal_memory_stats(struct hx_hal_memory_stats *out)
{
    uint64_t stack_frames = hal_host_live_stacks() * (HX_STACK_BYTES / HX_PAGE_BYTES);
    *out = (struct hx_hal_memory_stats){
        .frames_total = hal_host_image_frames_total(),
        .frames_free = hal_host_image_frames_total() - hal_host_image_pages() - stack_frames,
        .heap_bytes = host.heap_bytes,
        .heap_objects = host.heap_objects,
        .image_pages = hal_host_image_pages(),
        .grant_pages = hal_host_grant_pages(),
        .seed_source = "nothing",
    };
}

/* ---- interrupts ----------------------------------------------------------------------------------------------------- */
bool hal_host_irq_set(bool on)
{
    bool was = irq_on;
    irq_on = on;
    return was;
}

static bool timer_due(void)
{
    return host.timer_ns <= host.now_ns;
}

static uint64_t lines_due(void)
{
    return host.lines_pending & host.lines_unmasked;
}

static void interrupt(void)
{
    irq_on = false;
    hx_cpu_add32(irq_depth, 1);
    if (timer_due()) {
        host.timer_ns = UINT64_MAX;
        if (hx_entry_timer)
            hx_entry_timer(hx_hal_clock_ns());
    } else {
        uint32_t line = (uint32_t)__builtin_ctzll(lines_due());
        host.lines_pending &= ~(1ull << line);
        if (hx_entry_irq)
            hx_entry_irq(line);
    }
    HAL_HOST_CHECK(!irq_on, "an interrupt handler returned with interrupts on");
    hx_cpu_add32(irq_depth, -1);
    if (hx_cpu_read(irq_depth) == 0 && hx_entry_irq_exit)
        hx_entry_irq_exit();
    HAL_HOST_CHECK(!irq_on, "hx_entry_irq_exit returned with interrupts on");
    irq_on = true;
}

/* Only CPU 0 has devices. */
static void deliver(void)
{
    while (irq_on && hx_cpu_read(id) == 0 && (timer_due() || lines_due()))
        interrupt();
}

hx_irq_flags_t hx_irq_save(void)
{
    return hal_host_irq_set(false);
}

void hx_irq_restore(hx_irq_flags_t flags)
{
    HAL_HOST_CHECK(!irq_on, "hx_irq_restore with interrupts on: sections are not balanced");
    HAL_HOST_CHECK(flags <= 1, "hx_irq_restore of flags that hx_irq_save did not return");
    if (flags)
        hx_irq_enable();
}

bool hx_irq_enabled(void)
{
    return irq_on;
}

void hx_irq_enable(void)
{
    irq_on = true;
    deliver();
}

void hx_irq_disable(void)
{
    irq_on = false;
}

void hx_cpu_relax(void)
{
    deliver();
    __asm__ volatile("pause");
}

void hal_host_irq(uint32_t line)
{
    HAL_HOST_CHECK(line < LINES, "interrupt line %u", line);
    host.lines_pending |= 1ull << line;
    deliver();
}

bool hal_host_irq_unmasked(uint32_t line)
{
    return host.lines_unmasked >> line & 1;
}

void hx_hal_irq_unmask(uint32_t line)
{
    HAL_HOST_CHECK(line < LINES, "interrupt line %u", line);
    host.lines_unmasked |= 1ull << line;
    deliver();
}

void hx_hal_irq_mask(uint32_t line)
{
    HAL_HOST_CHECK(line < LINES, "interrupt line %u", line);
    host.lines_unmasked &= ~(1ull << line);
}

hx_status_t hx_hal_irq_configure(uint32_t line, bool level)
{
    HAL_HOST_CHECK(line < HX_HAL_LINES, "interrupt line %u", line);
    if (line >= LINES)
        return HX_E_NOENT;
    if (line == HAL_HOST_ISA_INPUT)
        return HX_E_IN_USE;
    if (line >= HX_HAL_ISA_LINES)
        host.lines_level = (host.lines_level & ~(1ull << line)) | (uint64_t)level << line;
    return HX_OK;
}

bool hx_hal_irq_is_level(uint32_t line)
{
    HAL_HOST_CHECK(line < LINES, "interrupt line %u", line);
    return host.lines_level >> line & 1;
}

void hal_host_irq_set_level(uint32_t line)
{
    host.lines_level |= 1ull << line;
}

/* ---- time ----------------------------------------------------------------------------------------------------------- */
uint64_t hx_hal_clock_ns(void)
{
    host.now_ns += host.step_ns;
    uint64_t now_ns = host.now_ns;
    deliver();
    return now_ns;
}

void hx_hal_timer_arm(uint64_t deadline_ns)
{
    HAL_HOST_CHECK(!irq_on, "hx_hal_timer_arm with interrupts on");
    host.timer_ns = deadline_ns;
    host.timer_arms++;
}

void hal_host_clock_step(uint64_t ns)
{
    host.step_ns = ns;
}

uint64_t hal_host_timer_ns(void)
{
    return host.timer_ns;
}

uint64_t hal_host_timer_arms(void)
{
    return host.timer_arms;
}

void hal_host_advance(uint64_t ns)
{
    deliver();
    while (ns > 0) {
        uint64_t step = ns;
        if (irq_on && host.timer_ns > host.now_ns && host.timer_ns - host.now_ns < step)
            step = host.timer_ns - host.now_ns;
        host.now_ns += step;
        ns -= step;
        deliver();
    }
}

void hx_hal_idle(void)
{
    HAL_HOST_CHECK(!irq_on, "hx_hal_idle with interrupts on: a wake before it is lost");
    if (!timer_due() && !lines_due()) {
        HAL_HOST_CHECK(host.timer_ns != UINT64_MAX, "idle for ever: no interrupt is armed or pending");
        host.now_ns = host.timer_ns;
    }
    hx_irq_enable();
}

void hal_host_run(void)
{
    HAL_HOST_CHECK(irq_on, "hal_host_run with interrupts off");
    deliver();
    while (host.timer_ns != UINT64_MAX || lines_due()) {
        hx_irq_disable();
        hx_hal_idle();
    }
}

/* ---- devices -------------------------------------------------------------------------------------------------------- */
uint8_t hx_hal_port_read8(uint16_t port)
{
    return hal_host_port_read ? hal_host_port_read(port) : 0xff;
}

void hx_hal_port_write8(uint16_t port, uint8_t value)
{
    if (hal_host_port_write)
        hal_host_port_write(port, value);
}

void hx_hal_console_emergency(const char *text, size_t bytes)
{
    size_t room = CONSOLE_BYTES - 1 - host.console_bytes;
    if (bytes > room)
        bytes = room;
    memcpy(host.console + host.console_bytes, text, bytes);
    host.console_bytes += bytes;
}

void hx_hal_console_write(const char *text, size_t bytes)
{
    HAL_HOST_CHECK(irq_on && !hx_cpu_read(preempt_off) && !hx_cpu_read(irq_depth),
                   "hx_hal_console_write where one may not sleep");
    hx_hal_console_emergency(text, bytes);
}

const char *hal_host_console(void)
{
    host.console[host.console_bytes] = 0;
    return host.console;
}

void hal_host_console_clear(void)
{
    host.console_bytes = 0;
}

/* ---- the control channel ---------------------------------------------------------------------------------------------- */
static void enter_control(void)
{
    hx_irq_flags_t flags = hx_irq_save();
    hx_entry_control();
    hx_irq_restore(flags);
}

void hal_host_control_room(size_t bytes)
{
    host.control.room = bytes;
    if (host.control.is_open && bytes > 0 && hx_entry_control)
        enter_control();
}

void hal_host_control_absent(void)
{
    host.control.absent = true;
}

bool hx_hal_control_open(void)
{
    if (host.control.absent)
        return false;
    if (!host.control.is_open)
        host.control.room = SIZE_MAX;
    return host.control.is_open = true;
}

void hal_host_control_send(const void *data, size_t bytes)
{
    HAL_HOST_CHECK(host.control.in_to + bytes <= CONTROL_BYTES, "hal_host_control_send: too much for a test");
    if (!host.control.in)
        host.control.in = malloc(CONTROL_BYTES);
    memcpy(host.control.in + host.control.in_to, data, bytes);
    host.control.in_to += bytes;
    if (host.control.is_open && hx_entry_control)
        enter_control();
}

size_t hx_hal_control_read(void *out, size_t bytes)
{
    size_t left = host.control.in_to - host.control.in_from;
    HAL_HOST_CHECK(host.control.is_open, "hx_hal_control_read before hx_hal_control_open");
    if (bytes > left)
        bytes = left;
    if (bytes > 0)
        memcpy(out, host.control.in + host.control.in_from, bytes);
    host.control.in_from += bytes;
    if (host.control.in_from == host.control.in_to)
        host.control.in_from = host.control.in_to = 0;
    return bytes;
}

size_t hx_hal_control_write(const void *data, size_t bytes)
{
    HAL_HOST_CHECK(host.control.is_open, "hx_hal_control_write before hx_hal_control_open");
    if (bytes > host.control.room)
        bytes = host.control.room;
    host.control.room -= host.control.room == SIZE_MAX ? 0 : bytes;
    HAL_HOST_CHECK(host.control.out_bytes + bytes <= CONTROL_BYTES, "the control channel says too much for a test");
    if (!host.control.out)
        host.control.out = malloc(CONTROL_BYTES);
    memcpy(host.control.out + host.control.out_bytes, data, bytes);
    host.control.out_bytes += bytes;
    return bytes;
}

const uint8_t *hal_host_control_take(size_t *out_bytes)
{
    *out_bytes = host.control.out_bytes;
    host.control.out_bytes = 0;
    return host.control.out;
}

/* ---- the end -------------------------------------------------------------------------------------------------------- */
size_t hx_hal_cpu_describe(char *text, size_t bytes)
{
    int length = snprintf(text, bytes, "a thread of the host");
    return (size_t)length < bytes ? (size_t)length : bytes - 1;
}

static _Noreturn void end(enum hal_host_end how, uint32_t code, int status)
{
    if (hal_host_on_end)
        hal_host_on_end(how, code);
    fwrite(host.console, 1, host.console_bytes, stderr);
    _exit(status);
}

_Noreturn void hx_hal_halt(void)
{
    end(HAL_HOST_HALT, 0, 125);
}

_Noreturn void hx_hal_reboot(void)
{
    end(HAL_HOST_REBOOT, 0, 124);
}

_Noreturn void hx_hal_poweroff(uint32_t code)
{
    end(HAL_HOST_POWEROFF, code, (int)code);
}
