/* SPDX-License-Identifier: MIT */
/*
 * kernel.h - what the kernel offers to a module: the complete list of its exports.
 *
 * A module calls these as plain C functions; the loader binds them to import stubs. A span that does not lie in memory the
 * module may use makes the call return HX_E_FAULT, it does not stop the kernel. None may be called from another program.
 */
#pragma once
#ifndef __ASSEMBLER__
#include <helix/types.h>
#endif

/* HX_EXPORT(name, arguments): one line an export; the order is part of nothing. Source of the export table and stubs. */
#define HX_EXPORTS(HX_EXPORT)                                                                                          \
    HX_EXPORT(hx_log, HX_VAL(level), HX_IN(text))                                                                      \
    HX_EXPORT(hx_clock_ns, HX_NOTHING)                                                                                 \
    HX_EXPORT(hx_port_read8, HX_VAL(port))                                                                             \
    HX_EXPORT(hx_port_write8, HX_VAL(port), HX_VAL(value))                                                             \
    HX_EXPORT(hx_irq_count, HX_IN(key))                                                                                \
    HX_EXPORT(hx_state_put, HX_IN(name), HX_IN(data))                                                                  \
    HX_EXPORT(hx_state_get, HX_IN(name), HX_VAL(offset), HX_OUT(data))                                                 \
    HX_EXPORT(hx_state_size, HX_IN(name))                                                                              \
    HX_EXPORT(hx_sleep_ns, HX_VAL(duration_ns))                                                                        \
    HX_EXPORT(hx_defer, HX_IN(key))

#ifndef __ASSEMBLER__
#include <helix/interface.h>

enum hx_log_level {
    HX_LOG_ERROR = 0,
    HX_LOG_WARN = 1,
    HX_LOG_INFO = 2,
    HX_LOG_DEBUG = 3,
};

/*
 * hx_log:         appends one line, stamped with time and the module's name. Any context. `text` without newline.
 * hx_clock_ns:    returns nanoseconds since boot, monotonic. Any context.
 * hx_port_read8,
 * hx_port_write8: x86 I/O ports that the module declared with HX_PORTS; another is HX_E_PERM. Any context.
 * hx_irq_count:   returns the interrupts delivered to the module's declared line `key`, by all versions together.
 *                 HX_E_NOENT. Any context.
 * hx_state_put:   (in `save` only) appends `data` to field `name` of the state blob; several calls make one field.
 *                 HX_E_LIMIT past the size that was reserved from the declared state. HX_E_STATE outside `save`.
 * hx_state_get:   (in `load` only) copies field `name` from byte `offset` to `data`. Returns the bytes copied, less than
 *                 asked for at the end. HX_E_NOENT when the old version saved no such field. HX_E_STATE outside `load`.
 * hx_state_size:  (in `load` only) returns the length of field `name` in bytes. HX_E_NOENT, HX_E_STATE.
 * hx_sleep_ns:    puts the calling task to sleep. Thread context, sleepable slot or hook; HX_E_STATE otherwise.
 * hx_defer:       asks for a call of the module's function that it declared with HX_DEFERRED under `key`. HX_E_NOENT. Any
 *                 context.
 */
#define HX_EXPORT_PROTOTYPE_(name, ...) hx_ret_t name(__VA_ARGS__);
HX_EXTERN_C_BEGIN
HX_EXPORTS(HX_EXPORT_PROTOTYPE_)
HX_EXTERN_C_END

/* A string literal as a span. */
#define HX_TEXT(literal) (literal), (uint64_t)(sizeof(literal) - 1)
#endif
