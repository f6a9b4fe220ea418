/* SPDX-License-Identifier: MIT */
/*
 * fmt.h - text from values: the printf subset that the kernel and its modules use.
 *
 * %d %i %u %x %X %c %s %p %% with flags - 0 + space #, width and precision (both also *), lengths hh h l ll z j t.
 * No floating point. No allocation, no lock, reentrant. Not an import: a module that uses it is linked with a copy.
 */
#pragma once
#include <stdarg.h>

#include <helix/types.h>

HX_EXTERN_C_BEGIN
/* As snprintf(3): writes at most @bytes - 1 characters and a NUL (nothing when @bytes is 0), returns the length that the
 * whole text has. A NULL string prints as (null). */
__attribute__((format(printf, 3, 4))) size_t hx_fmt(char *out, size_t bytes, const char *format, ...);
size_t hx_fmt_v(char *out, size_t bytes, const char *format, va_list arguments);

/* Appends at @used and returns the new length, at most @bytes - 1: for lines put together from pieces. */
__attribute__((format(printf, 4, 5))) size_t hx_fmt_append(char *out, size_t bytes, size_t used, const char *format,
                                                           ...);
HX_EXTERN_C_END
