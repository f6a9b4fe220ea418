/* SPDX-License-Identifier: MIT */
/*
 * kmain.c - the boot story, read top to bottom.
 */
#include "kmain.h"

#include <arch/x86_64/arch.h>
#include <boot/boot_info.h>
#include <hal/hx_hal.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <mm/mm.h>
#include <orchestrator/panic.h>
#include <task/task.h>

#include "compose.h"
#include "processors.h"

static struct hx_boot_info boot;
static uint64_t entry_tsc;

static void say(const char *text)
{
    hx_hal_console_emergency(text, strlen(text));
}

/* Nothing can be done without it: one line, and the end. */
_Noreturn static void refuse(const char *message)
{
    say("\r\nhelix: boot: ");
    say(message);
    say("; halted\r\n");
    hx_hal_halt();
}

/* Memory as boot.S maps it provisionally. */
static hx_status_t provisional_at(uint64_t pa, uint64_t bytes, struct hx_slice *out)
{
    if (pa == 0 || pa >= HX_MM_PROVISIONAL_BYTES || bytes > HX_MM_PROVISIONAL_BYTES - pa)
        return HX_E_RANGE;
    *out = hx_slice_of(hx_mm_phys_to_virt(pa), (size_t)bytes);
    return HX_OK;
}

static hx_status_t read_multiboot2(uint64_t info_pa, char *message)
{
    struct hx_slice head = { 0 };
    struct hx_slice info;
    uint32_t bytes = 0;

    if (provisional_at(info_pa, sizeof(bytes), &head) || hx_slice_read(head, 0, &bytes, sizeof(bytes)) ||
        provisional_at(info_pa, bytes, &info)) {
        (void)hx_fmt(message, HX_BOOT_MESSAGE_BYTES, "multiboot2: no information structure at %#llx",
                     (unsigned long long)info_pa);
        return HX_E_RANGE;
    }
    return hx_boot_parse_multiboot2(info, info_pa, &boot, message);
}

static hx_status_t read_pvh(uint64_t info_pa, char *message)
{
    enum { START_INFO_BYTES = 56 }; /* version 1; a version 0 structure is shorter, but never at the end of memory */
    struct hx_slice info;

    if (provisional_at(info_pa, START_INFO_BYTES, &info)) {
        (void)hx_fmt(message, HX_BOOT_MESSAGE_BYTES, "pvh: no start information at %#llx", (unsigned long long)info_pa);
        return HX_E_RANGE;
    }
    return hx_boot_parse_pvh(info, info_pa, provisional_at, &boot, message);
}

/* An initrd that cannot be reached is as good as none; the prompt still comes. */
static void check_initrd(void)
{
    if (boot.initrd_bytes == 0 || hx_mm_is_memory(&boot, boot.initrd_pa, boot.initrd_bytes))
        return;
    say("helix: boot: the initrd lies outside usable memory; going on without it\r\n");
    boot.initrd_pa = 0;
    boot.initrd_bytes = 0;
}

/* This context becomes the idle task; the boot task goes on from here. */
static hx_status_t start_tasks(const char **out_what)
{
    *out_what = "tasks";
    hx_status_t err = hx_task_init();
    return err == HX_OK ? hx_boot_task_start(&boot) : err;
}

uint64_t hx_boot_insns(void)
{
    return hx_arch_tsc() - entry_tsc - hx_arch_calibration_spins * HX_ARCH_SPIN_INSNS;
}

void kmain(uint32_t protocol, uint64_t info_pa)
{
    char message[HX_BOOT_MESSAGE_BYTES];
    const char *what = "";
    hx_status_t err = HX_E_INTERNAL;

    entry_tsc = hx_arch_tsc();
    hx_arch_serial_init_early();
    hx_arch_cpu_features_on();
    err = protocol == HX_BOOT_PVH ? read_pvh(info_pa, message) : read_multiboot2(info_pa, message);
    if (err)
        refuse(message);
    check_initrd();
    hx_processors_read(&boot, provisional_at);
    err = hx_mm_init(&boot, message);
    if (err)
        refuse(message);
    hx_arch_percpu_init();
    hx_arch_traps_init();
    hx_arch_interrupts_init(hx_processors_info());
    err = hx_compose(&boot, &what);
    if (!err)
        err = start_tasks(&what);
    if (err)
        hx_panic(NULL, "%s: %s", what, hx_err_text(err));
    hx_irq_enable();
    hx_task_idle();
}
