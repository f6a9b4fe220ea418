/* SPDX-License-Identifier: MIT */
/*
 * selftest.c - a kernel that tests its own memory and its own unwinding, where the CPU is the judge.
 *
 * Why a kernel of its own: what paging forbids and what a fault does can be seen on the machine alone, and the shipped
 * kernel should not carry the means. It is linked from the shipped kernel's objects; only kmain() is another.
 * Output: the Test Anything Protocol on COM1. Ends by powering off with the number of failures; a panic ends it at once.
 */
#include "selftest.h"

#include <arch/x86_64/arch.h>
#include <boot/boot_info.h>
#include <gate/gate.h>
#include <hal/hx_lock.h>
#include <lib/fmt.h>
#include <main/compose.h>
#include <main/kmain.h>
#include <main/processors.h>
#include <mm/mm.h>
#include <orchestrator/panic.h>
#include <string.h>

enum { FAILURES_MAX = 100 }; /* exit codes above are a panic's */

static struct hx_boot_info boot;
static char diagnosis[256];

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[384];
    va_list arguments;

    va_start(arguments, format);
    size_t bytes = hx_fmt_v(line, sizeof(line), format, arguments);
    va_end(arguments);
    hx_hal_console_emergency(line, bytes < sizeof(line) ? bytes : sizeof(line) - 1);
}

bool selftest_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (diagnosis[0] == '\0')
        hx_fmt_v(diagnosis, sizeof(diagnosis), format, arguments);
    va_end(arguments);
    return false;
}

/* ---- running -------------------------------------------------------------------------------------------------------- */
static const struct selftest_group *const groups[] = { &selftest_memory, &selftest_image,  &selftest_region,
                                                       &selftest_misuse, &selftest_unwind, &selftest_library,
                                                       &selftest_cpu };

static bool nothing_lost(const struct hx_hal_memory_stats *before)
{
    struct hx_hal_memory_stats now;

    hx_hal_memory_stats(&now);
    if (memcmp(&now, before, sizeof(now)) == 0)
        return true;
    return selftest_fail("free frames %llu before, %llu after; heap objects %llu, %llu; image pages %llu, %llu",
                         (unsigned long long)before->frames_free, (unsigned long long)now.frames_free,
                         (unsigned long long)before->heap_objects, (unsigned long long)now.heap_objects,
                         (unsigned long long)before->image_pages, (unsigned long long)now.image_pages);
}

static bool run(uint32_t number, const struct selftest_case *one)
{
    struct hx_hal_memory_stats before;

    diagnosis[0] = '\0';
    hx_hal_memory_stats(&before);
    bool ok = one->holds();
    ok = ok && nothing_lost(&before);
    say("%sok %u - %s\r\n", ok ? "" : "not ", number, one->sentence);
    if (!ok)
        say("# %s\r\n", diagnosis);
    return ok;
}

/* Each pool keeps a page once it has had one. */
static hx_status_t warm_pools(void)
{
    hx_status_t err = HX_OK;

    for (enum hx_prot prot = HX_PROT_R; prot <= HX_PROT_RX && !err; prot++) {
        uint8_t *memory;
        uintptr_t va;
        err = hx_hal_piece_alloc(1, 1, prot, &va, &memory);
        if (!err)
            hx_hal_piece_free(va, 1, prot);
    }
    return err;
}

static uint32_t run_all(void)
{
    uint32_t planned = 0, number = 0, failed = 0;

    for (uint32_t g = 0; g < HX_ARRAY_SIZE(groups); g++)
        planned += groups[g]->count;
    say("\r\n1..%u\r\n", planned);
    for (uint32_t g = 0; g < HX_ARRAY_SIZE(groups); g++) {
        for (uint32_t i = 0; i < groups[g]->count; i++)
            failed += !run(++number, &groups[g]->cases[i]);
    }
    return failed;
}

/* ---- start ---------------------------------------------------------------------------------------------------------- */
static hx_status_t provisional_at(uint64_t pa, uint64_t bytes, struct hx_slice *out)
{
    if (pa == 0 || pa >= HX_MM_PROVISIONAL_BYTES || bytes > HX_MM_PROVISIONAL_BYTES - pa)
        return HX_E_RANGE;
    *out = hx_slice_of(hx_mm_phys_to_virt(pa), (size_t)bytes);
    return HX_OK;
}

static hx_status_t memory_init(uint32_t protocol, uint64_t info_pa, char *message)
{
    enum { START_INFO_BYTES = 56 };
    struct hx_slice info;

    hx_fmt(message, HX_BOOT_MESSAGE_BYTES, "started by another protocol than PVH");
    if (protocol != HX_BOOT_PVH || provisional_at(info_pa, START_INFO_BYTES, &info))
        return HX_E_UNSUPPORTED;
    hx_status_t err = hx_boot_parse_pvh(info, info_pa, provisional_at, &boot, message);
    if (err)
        return err;
    hx_processors_read(&boot, provisional_at);
    return hx_mm_init(&boot, message);
}

static bool has_option(const char *name)
{
    char value[1];
    return hx_boot_option(&boot, name, value, sizeof(value)) != HX_E_NOENT;
}

/* Only a kernel with its checks minds. */
static void call_with_lock(void)
{
    static struct hx_lock lock = HX_LOCK_INIT(HX_RANK_REGISTRY);
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    (void)!module_call(OP_ANSWER, 0, 0);
    hx_lock_release(&lock, flags);
}

/* What the benchmark, which is linked too, asks of the shipped kmain.c. */
uint64_t hx_boot_insns(void)
{
    return 0;
}

void kmain(uint32_t protocol, uint64_t info_pa)
{
    char message[HX_BOOT_MESSAGE_BYTES];

    hx_panic_set_end(HX_PANIC_EXIT);
    hx_arch_serial_init_early();
    hx_arch_cpu_features_on();
    if (memory_init(protocol, info_pa, message)) {
        say("\r\nBail out! %s\r\n", message);
        hx_hal_poweroff(FAILURES_MAX);
    }
    hx_arch_percpu_init();
    hx_arch_traps_init();
    hx_arch_interrupts_init(hx_processors_info());
    hx_gate_init();
    hx_irq_enable();
    if (selftest_module_init() || warm_pools()) {
        say("\r\nBail out! no image memory for the code that faults\r\n");
        hx_hal_poweroff(FAILURES_MAX);
    }
    if (has_option("absent") && selftest_cpu_absent()) {
        say("\r\nBail out! a processor that does not come is not left out\r\n");
        hx_hal_poweroff(FAILURES_MAX);
    }
    if (selftest_cpus_start()) {
        say("\r\nBail out! a processor does not start\r\n");
        hx_hal_poweroff(FAILURES_MAX);
    }
    if (has_option("panic_everywhere"))
        selftest_panic_everywhere();
    if (has_option("lock_across_gate"))
        call_with_lock();
    uint32_t failed = run_all();
    hx_hal_poweroff(failed < FAILURES_MAX ? failed : FAILURES_MAX);
}
