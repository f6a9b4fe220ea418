/* SPDX-License-Identifier: MIT */
/*
 * messages.h - numbered messages from producers to consumers, through a service that is swapped, and crashes, meanwhile.
 *
 * Of the benchmark's kernel alone: boot with `bench=messages[,COUNT[,SWAP_EVERY[,CRASH_EVERY]]]', with svc_relay of
 * tests/fixtures/modules loaded, and both of its versions in the initrd. One JSON line says what happened; one line each,
 * beginning with `messages: ', what should not have.
 */
#pragma once
#include <module/pack.h>

/* @arguments: what stands behind `messages'; without CRASH_EVERY nothing crashes. HX_OK: nothing was found. On a boot task. */
HX_NODISCARD hx_status_t hx_messages_run(const char *arguments, const struct hx_pack *initrd);
