/* SPDX-License-Identifier: MIT */
/* hal_host_parts.h - what the files of the host's machine owe each other. */
#pragma once
#include "hal_host.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAL_HOST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAL_HOST_ASAN 1
#endif
#endif
#ifndef HAL_HOST_ASAN
#define HAL_HOST_ASAN 0
#endif

/* The core broke a contract: one line, then abort(). */
_Noreturn __attribute__((format(printf, 1, 2))) void hal_host_breach(const char *format, ...);
#define HAL_HOST_CHECK(condition, ...)                                                                                 \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            hal_host_breach(__VA_ARGS__);                                                                              \
    } while (0)

/* Counts an allocation; false: this one is to fail. */
bool hal_host_may_allocate(void);
/* Sets the flag and nothing else. Returns what it was. */
bool hal_host_irq_set(bool on);

void hal_host_image_init(void);
uint64_t hal_host_image_pages(void);
uint64_t hal_host_image_frames_total(void);
uint32_t hal_host_image_open_pieces(void); /* not sealed */
/* A write to @address faulted: true when it was the first to a shared page, which is now the writer's own. */
bool hal_host_image_copy_on_write(uintptr_t address);

void hal_host_grant_init(void);
uint64_t hal_host_grant_pages(void);

void hal_host_trap_init(void);
/* Stack pointer of what the running trap interrupted, 0 outside. */
uintptr_t hal_host_trapped_sp(void);
void hal_host_context_init(void);
