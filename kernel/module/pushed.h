/* SPDX-License-Identifier: MIT */
/*
 * pushed.h - module files that came while the machine runs: they stand before those of the initrd.
 *
 * A file is reserved, filled by its owner, and then published whole, in place of the earlier one of that name. Its bytes are
 * borrowed by versions that were made of it, as long as they live: a restart and the names of functions need them. They are
 * freed when neither the name nor a version has them, and nobody is looking at files.
 * May be used by: L6 and up. Context: thread on CPU 0. Locks: none; preemption is off while anything changes.
 */
#pragma once
#include <lib/slice.h>

enum { HX_PUSHED_BYTES_MAX = 16 * 1024 * 1024 }; /* of all that are not freed */

struct hx_pushed;

/* A file called @name (hx_pack_name_valid()) of @bytes, not to be found yet. HX_E_LIMIT: with it there would be more than
 * HX_PUSHED_BYTES_MAX; HX_E_NOMEM. */
HX_NODISCARD hx_status_t hx_pushed_reserve(const char *name, size_t bytes, struct hx_pushed **out);
uint8_t *hx_pushed_content(struct hx_pushed *file);
/* One of the two. */
void hx_pushed_publish(struct hx_pushed *file);
void hx_pushed_drop(struct hx_pushed *file); /* or NULL */

/* Between the two what was found stays where it is. They nest, and several tasks may be in between. */
void hx_pushed_enter(void);
void hx_pushed_leave(void);
/* Between them. HX_E_NOENT. */
HX_NODISCARD hx_status_t hx_pushed_find(const char *name, struct hx_slice *out);
/* The name of file @index, newest first, and its content; NULL: there are no more. Who walks sees each once as long as nothing is
 * pushed meanwhile. */
const char *hx_pushed_at(uint32_t index, struct hx_slice *out);

/* A version borrows @file, from wherever that is, and gives it back. */
void hx_pushed_borrow(struct hx_slice file);
void hx_pushed_give_back(struct hx_slice file);
