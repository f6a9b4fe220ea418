/* SPDX-License-Identifier: MIT */
/* test_lock.c - the spinlock and the order that its ranks demand. */
#include <criterion/criterion.h>
#include <hal/hx_lock.h>
#include <signal.h>

#include "../host/hal_host.h"

Test(lock, turns_interrupts_off_and_back)
{
    struct hx_lock lock = HX_LOCK_INIT(HX_RANK_REGISTRY);
    hal_host_init();
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    cr_assert_not(hx_irq_enabled());
    hx_lock_release(&lock, flags);
    cr_assert(hx_irq_enabled());
    hal_host_fini();
}

Test(lock, nests_in_order_of_rank)
{
    struct hx_lock outer = HX_LOCK_INIT(HX_RANK_REGISTRY), inner = HX_LOCK_INIT(HX_RANK_LOG);
    hal_host_init();
    for (int i = 0; i < 2; i++) {
        hx_irq_flags_t flags = hx_lock_acquire(&outer), inner_flags = hx_lock_acquire(&inner);
        hx_lock_release(&inner, inner_flags);
        cr_assert_not(hx_irq_enabled());
        hx_lock_release(&outer, flags);
    }
    hal_host_fini();
}

Test(lock, out_of_order_traps, .signal = SIGILL)
{
    struct hx_lock outer = HX_LOCK_INIT(HX_RANK_LOG), inner = HX_LOCK_INIT(HX_RANK_REGISTRY);
    hal_host_init();
    signal(SIGILL, SIG_DFL);
    (void)hx_lock_acquire(&outer);
    (void)hx_lock_acquire(&inner);
}

Test(lock, taken_twice_traps, .signal = SIGILL)
{
    struct hx_lock lock = HX_LOCK_INIT(HX_RANK_LOG);
    hal_host_init();
    signal(SIGILL, SIG_DFL);
    (void)hx_lock_acquire(&lock);
    (void)hx_lock_acquire(&lock);
}
