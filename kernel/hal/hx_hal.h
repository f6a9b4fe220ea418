/* SPDX-License-Identifier: MIT */
/*
 * hx_hal.h - what the machine owes the core: everything the portable core calls outside itself.
 *
 * Two implementations: kernel/arch/x86_64 with kernel/mm, and tests/host/hal_host.c, which also checks the caller's side
 * of each contract. Besides these the core may use only memcpy, memmove, memset and memcmp.
 * May be used by: L2 and up. Companions: hx_hal_entry.h (the machine calls up), hx_hal_inline.h (one instruction each).
 */
#pragma once
#include <hal/hx_cpu.h>
#include <helix/types.h>
#include <hx_hal_inline.h>
#include <stdbool.h>

/* ---- heap ---------------------------------------------------------------------------------------------------------- */
/* @bytes > 0. Zeroed, aligned to 16; up to 16 MiB. NULL when there is none. Thread context or interrupts off. */
HX_NODISCARD void *hx_hal_alloc(size_t bytes);
/* @memory from hx_hal_alloc or NULL. */
void hx_hal_free(void *memory);

struct hx_hal_pool_stats {
    uint64_t pages, bytes; /* bytes in use, as they are kept */
};

struct hx_hal_memory_stats {
    uint64_t frames_total, frames_free; /* 4 KiB frames that the kernel manages */
    uint64_t heap_bytes, heap_objects;  /* live */
    uint64_t image_pages;               /* mapped for modules, pools included */
    uint64_t image_tables;              /* frames of page tables for them */
    uint64_t grant_pages;               /* of grants, in a slot or not */
    struct hx_hal_pool_stats pool[4];   /* by enum hx_prot: pages that pieces share */
    const char *seed_source;            /* of placement */
};
void hx_hal_memory_stats(struct hx_hal_memory_stats *out);

/* ---- image memory: address space for modules within the relocations' reach ------------------------------------------ */
#define HX_PAGE_BYTES 4096u

static inline size_t hx_page_round_up(size_t bytes)
{
    return (bytes + HX_PAGE_BYTES - 1) & ~(size_t)(HX_PAGE_BYTES - 1);
}

enum hx_prot { HX_PROT_NONE, HX_PROT_R, HX_PROT_RW, HX_PROT_RX };

/*
 * Maps @bytes (a multiple of HX_PAGE_BYTES) of zeroed memory, readable and writable, never executable, with an unmapped
 * guard page on either side. The frames are mapped nowhere else. HX_E_NOMEM.
 */
HX_NODISCARD hx_status_t hx_hal_image_alloc(size_t bytes, uintptr_t *out_va);
/* Changes whole pages inside one allocation; takes effect on every CPU before it returns. Writable and executable never
 * meet: there is no such enum hx_prot. Cannot fail for pages of a live allocation. */
void hx_hal_image_protect(uintptr_t va, size_t bytes, enum hx_prot prot);
/* Unmaps and gives back. @va as returned by hx_hal_image_alloc, @bytes the same. */
void hx_hal_image_free(uintptr_t va, size_t bytes);

/* Where image memory lies: every address that the functions above and below hand out is in [low, high). */
void hx_hal_image_window(uintptr_t *out_low, uintptr_t *out_high);

/*
 * Pieces: image memory of any size with one permission for life, HX_PROT_R, RW or RX. Small pieces of one permission share
 * pages, unmapped guards around these. Where it runs a page has its permission from the start: the caller fills the piece,
 * whose contents are undefined, through @out_memory, a second mapping, writable and never executable, that
 * hx_hal_piece_seal() takes away on every CPU. A piece with HX_PROT_RW is written where it is; sealing it does nothing.
 * @align: a power of two, at most HX_PAGE_BYTES. HX_E_NOMEM. One task at a time has pieces that are not sealed.
 */
HX_NODISCARD hx_status_t hx_hal_piece_alloc(size_t bytes, size_t align, enum hx_prot prot, uintptr_t *out_va,
                                            uint8_t **out_memory);
void hx_hal_piece_seal(uintptr_t va, size_t bytes, enum hx_prot prot);
/* Gives back, sealed or not: arguments as of the allocation. What is left of a page of code traps when it is run. */
void hx_hal_piece_free(uintptr_t va, size_t bytes, enum hx_prot prot);

/*
 * State regions: whole writable pages of one image standing in for those of another. All three are O(pages), allocate
 * nothing and cannot fail.
 *
 * share:  the pages at @new_va show the frames of @old_va, read-only; the first write to a page (by whomever) copies it
 *         into the frame that @new_va had before, and goes on there. @old_va's own mapping stays as it is.
 * commit: what @new_va has not written is handed over: old and new exchange frames, @new_va becomes writable throughout
 *         without copying. @old_va must not be used after it but for hx_hal_image_free().
 * unshare: @new_va gets its own frames back, contents undefined; @old_va is as if nothing had happened.
 */
void hx_hal_region_share(uintptr_t new_va, uintptr_t old_va, size_t bytes);
void hx_hal_region_commit(uintptr_t new_va, uintptr_t old_va, size_t bytes);
void hx_hal_region_unshare(uintptr_t new_va, size_t bytes);

/* ---- grants: memory that changes hands ------------------------------------------------------------------------------- */
/*
 * Pages that are seen in one slot of a window at a time, or in none. Attaching and detaching cost the same whatever the size.
 * Between the slots nothing is ever mapped, at least HX_HAL_GRANT_PAGES pages of it.
 */
struct hx_hal_grant;
enum { HX_HAL_GRANT_SLOTS = 256, HX_HAL_GRANT_PAGES = 512 };
/* @pages zeroed pages, 1 to HX_HAL_GRANT_PAGES, in no slot. NULL when there are none. Thread context. */
HX_NODISCARD struct hx_hal_grant *hx_hal_grant_alloc(uint32_t pages);
/* The same of device registers from physical @first on, page-aligned, uncached. Thread context. */
HX_NODISCARD struct hx_hal_grant *hx_hal_grant_device(uint64_t first, uint32_t pages);
/* Whether there is memory at physical @first to @last: not only devices. */
bool hx_hal_is_memory(uint64_t first, uint64_t last);
/* @grant from one of these, in no slot; or NULL. Thread context. */
void hx_hal_grant_free(struct hx_hal_grant *grant);
/* Where what is in @slot begins. */
uintptr_t hx_hal_grant_va(uint32_t slot);
/* Puts @grant, which is in no slot, into an empty one. @prot: HX_PROT_R or HX_PROT_RW. */
void hx_hal_grant_attach(struct hx_hal_grant *grant, uint32_t slot, enum hx_prot prot);
/* Takes it out again: on return an access there faults on every CPU. Waits for the others as hx_hal_image_protect() does:
 * any context but an interrupt's, spinlocks may be held. */
void hx_hal_grant_detach(struct hx_hal_grant *grant, uint32_t slot);

/* ---- guarded access: memory that a module or an enemy named ---------------------------------------------------------- */
/* Copy @bytes, or return HX_E_FAULT when an access faults; what was copied before stays. Never touches user memory. */
HX_NODISCARD hx_status_t hx_hal_copy(void *to, const void *from, size_t bytes);

/* ---- tasks ---------------------------------------------------------------------------------------------------------- */
struct hx_hal_context {
    void *sp;
};

/* A kernel stack of HX_STACK_BYTES with a guard page below; returns its lowest address or NULL. */
enum { HX_STACK_BYTES = 16384 };
HX_NODISCARD void *hx_hal_stack_alloc(void);
void hx_hal_stack_free(void *stack);
/* Makes @context start at @entry(@argument) on @stack, interrupts on. @entry does not return. */
void hx_hal_context_init(struct hx_hal_context *context, void *stack, void (*entry)(void *argument), void *argument);
/* Saves the running context to @from and goes on with @to. Interrupts off. Returns when somebody switches back. */
void hx_hal_switch(struct hx_hal_context *from, struct hx_hal_context *to);

/* ---- time ----------------------------------------------------------------------------------------------------------- */
uint64_t hx_hal_clock_ns(void);
/* Calls hx_entry_timer() once at or soon after @deadline_ns; UINT64_MAX: not at all. Replaces what was armed. */
void hx_hal_timer_arm(uint64_t deadline_ns);

/* ---- CPUs ----------------------------------------------------------------------------------------------------------- */
/* That run the kernel: their ids are 0 to count - 1. Grows while the machine starts, and never shrinks. */
uint32_t hx_hal_cpu_count(void);
/* CPU @cpu's instance of an HX_PERCPU variable. */
void *hx_hal_on_cpu(void *variable, uint32_t cpu);
static inline struct hx_slot *hx_hal_slot_on_cpu(struct hx_slot *slot, uint32_t cpu)
{
    return hx_hal_on_cpu(slot, cpu);
}
/*
 * Calls @function(@argument) on every other CPU, in an interrupt, and waits until all have returned from it: a full barrier on
 * all of them. NULL: the barrier alone. Thread context, interrupts on; one at a time, who comes second waits. HX_E_TIMEOUT.
 */
HX_NODISCARD hx_status_t hx_hal_cpu_call_others(void (*function)(void *argument), void *argument, uint64_t deadline_ns);
static inline HX_NODISCARD hx_status_t hx_hal_cpu_sync(uint64_t deadline_ns)
{
    return hx_hal_cpu_call_others(NULL, NULL, deadline_ns);
}
/* Has CPU @cpu, which may be this one, call hx_entry_poke() soon. Any context, interrupts included; does not wait. */
void hx_hal_cpu_poke(uint32_t cpu);
/* The same by a non-maskable interrupt: it comes by hx_entry_trap(), as HX_TRAP_KIND_PROBE. @cpu is not this one. */
void hx_hal_cpu_probe(uint32_t cpu);
/* Stops all other CPUs for good, whatever they do; at the end of the machine. Any context. */
void hx_hal_cpu_stop_others(void);
/*
 * Between two tries for a lock with interrupts off: does what other CPUs wait for and an interrupt would do (forgetting
 * translations), so that two who wait for each other get on.
 */
void hx_hal_lock_wait(void);
/* Waits for an interrupt with interrupts on. Called with interrupts off; none is lost in between. */
void hx_hal_idle(void);

/* ---- devices -------------------------------------------------------------------------------------------------------- */
/*
 * Interrupt lines: 0..15 are the ISA's, the others the inputs of the I/O APICs by their number (GSI). Masked at boot; delivered
 * to CPU 0, as hx_entry_irq(line).
 */
enum { HX_HAL_ISA_LINES = 16, HX_HAL_LINES = 64 };
/* Before a line is unmasked for the first time. @level: how a GSI's device signals, level and low as PCI's do, or edge and
 * high; of an ISA line the firmware says. HX_E_NOENT: no such line; HX_E_IN_USE: it is the input of an ISA line. */
HX_NODISCARD hx_status_t hx_hal_irq_configure(uint32_t line, bool level);
void hx_hal_irq_unmask(uint32_t line);
void hx_hal_irq_mask(uint32_t line);
/* Whether the line asks again for as long as its device does: unserved, it must be masked. */
bool hx_hal_irq_is_level(uint32_t line);
uint8_t hx_hal_port_read8(uint16_t port);
void hx_hal_port_write8(uint16_t port, uint8_t value);

/* The person's console. write is interrupt-driven and may sleep when the buffer is full (thread context); emergency is
 * polled, takes no lock, gives up after a bound. Received bytes arrive by hx_entry_console_byte(). */
void hx_hal_console_write(const char *text, size_t bytes);
void hx_hal_console_emergency(const char *text, size_t bytes);

/*
 * The control channel: a line of bytes as they are, used by one task. hx_entry_control() tells of changes. open may be called
 * again, false: the machine has none; before it the machine leaves the line alone. read and write return how many bytes they
 * moved, 0: none have come, or no room; neither waits. Nothing that was received is dropped: who sends is held back.
 */
HX_NODISCARD bool hx_hal_control_open(void);
size_t hx_hal_control_read(void *out, size_t bytes);
HX_NODISCARD size_t hx_hal_control_write(const void *data, size_t bytes);

/* ---- gate ----------------------------------------------------------------------------------------------------------- */
/*
 * Code in a module's image cannot name a slot, so each operation of an interface that a module requires gets a stub: a few
 * instructions that enter the gate of @slot, operation @index. Stubs lie in a piece from hx_hal_piece_alloc(); what
 * is written does not depend on where.
 */
enum { HX_STUB_BYTES = 32 };
void hx_hal_stub_write(uint8_t stub[HX_STUB_BYTES], struct hx_slot *slot, uint32_t index);

/* ---- faults --------------------------------------------------------------------------------------------------------- */
struct hx_trap; /* the machine's frame of an exception */
enum hx_trap_kind {
    HX_TRAP_KIND_FAULT,         /* of the instruction that ran */
    HX_TRAP_KIND_STEP,          /* of the one before it, which may have been a module's return or call to the kernel */
    HX_TRAP_KIND_NMI,           /* of the machine: whoever ran has nothing to do with it, and may hold any lock */
    HX_TRAP_KIND_PROBE,         /* hx_hal_cpu_probe() of another CPU, likewise */
    HX_TRAP_KIND_MACHINE_CHECK, /* of the machine, and what ran cannot go on */
};
enum hx_trap_kind hx_hal_trap_kind(const struct hx_trap *trap);
uintptr_t hx_hal_trap_ip(const struct hx_trap *trap);
/* Whether @ip lies in the core's own text, where nothing may be unwound; hx_gate_stack_short counts as the module's. */
bool hx_hal_ip_in_core(uintptr_t ip);
/* Short text like "page fault: read of unmapped 0x0" into @text; returns its length. */
size_t hx_hal_trap_describe(const struct hx_trap *trap, char *text, size_t bytes);
/* All registers as lines of text for the panic dump; returns the length. */
size_t hx_hal_trap_registers(const struct hx_trap *trap, char *text, size_t bytes);
/* On return from the trap the gate frame's caller goes on with @result: the frame's registers and flags come back. */
void hx_hal_trap_unwind(struct hx_trap *trap, struct hx_gate_frame *frame, hx_ret_t result);
/* From the trap outwards (from the caller when NULL): where it happened, then return addresses; each frame pointer is
 * checked. */
size_t hx_hal_backtrace(const struct hx_trap *trap, uintptr_t *out_ips, size_t max);
/* Bounds of the current stack. */
void hx_hal_stack_bounds(uintptr_t *out_low, uintptr_t *out_high);

/* ---- the end -------------------------------------------------------------------------------------------------------- */
/* CPU name and features as lines for a person; returns the length. */
size_t hx_hal_cpu_describe(char *text, size_t bytes);
_Noreturn void hx_hal_halt(void);
_Noreturn void hx_hal_reboot(void);
/* Ends the machine; an emulator's exit device gets @code 0..123. */
_Noreturn void hx_hal_poweroff(uint32_t code);
