/* SPDX-License-Identifier: MIT */
/*
 * broken.c - the end of a kernel that has misused its own memory.
 *
 * Why a file of its own: the self-test's kernel has another one in its place, and calls from the same file would not see it.
 */
#include "vm.h"

#include <lib/fmt.h>

/* Interrupts stay off: what is said is of the state in which it was found. */
void hx_mm_broken(const char *what, const void *address)
{
    char line[128];
    size_t length = hx_fmt(line, sizeof(line), "\r\nhelix: memory: %s: %p\r\n", what, address);

    hx_hal_console_emergency(line, length < sizeof(line) ? length : sizeof(line) - 1);
    hx_lock_release(&hx_mm_lock, hx_irq_save()); /* a panic that looks at memory must not wait for us */
    __builtin_trap();
}
