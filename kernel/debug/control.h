/* SPDX-License-Identifier: MIT */
/*
 * control.h - the kernel's end of the control channel (helix/control.h): a program's console.
 *
 * One task, of the core class as the console's: it takes frames, runs commands from the same table, by the principal `control`,
 * and takes files, which then stand before those of the initrd.
 * May be used by: the composition root, this room.
 */
#pragma once
#include <helix/types.h>
#include <stdbool.h>

/*
 * Makes the task. With @is_signed it takes only files that the owner of the public Ed25519 key @key has signed; NULL: none.
 * HX_E_ABSENT: the machine has no second serial line. HX_E_NOMEM, HX_E_LIMIT.
 */
HX_NODISCARD hx_status_t hx_control_start(bool is_signed, const uint8_t *key);
