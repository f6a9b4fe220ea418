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
    HX_EXPORT(hx_channel_create, HX_VAL(capacity), HX_OUT(ends))                                                       \
    HX_EXPORT(hx_channel_clone, HX_VAL(end), HX_VAL(rights))                                                           \
    HX_EXPORT(hx_channel_send, HX_VAL(end), HX_IN(message), HX_VAL(timeout_ns))                                        \
    HX_EXPORT(hx_channel_receive, HX_VAL(end), HX_OUT(message), HX_VAL(timeout_ns))                                    \
    HX_EXPORT(hx_channel_select, HX_IN(ends), HX_VAL(timeout_ns))                                                      \
    HX_EXPORT(hx_channel_count, HX_VAL(end))                                                                           \
    HX_EXPORT(hx_channel_is_open, HX_VAL(end))                                                                         \
    HX_EXPORT(hx_channel_close, HX_VAL(end))                                                                           \
    HX_EXPORT(hx_handle_drop, HX_VAL(handle))                                                                          \
    HX_EXPORT(hx_defer, HX_IN(key))                                                                                    \
    HX_EXPORT(hx_publish, HX_IN(topic), HX_IN(event))                                                                  \
    HX_EXPORT(hx_topic_history, HX_IN(topic), HX_OUT(events))                                                          \
    HX_EXPORT(hx_service_find, HX_IN(name))                                                                            \
    HX_EXPORT(hx_request, HX_VAL(service), HX_INOUT(message), HX_VAL(timeout_ns))                                      \
    HX_EXPORT(hx_reply, HX_VAL(correlation), HX_IN(message))                                                           \
    HX_EXPORT(hx_grant_create, HX_VAL(bytes), HX_OUT(memory))                                                          \
    HX_EXPORT(hx_grant_look, HX_VAL(grant), HX_OUT(memory))                                                            \
    HX_EXPORT(hx_channel_mine, HX_IN(key))                                                                             \
    HX_EXPORT(hx_channel_connect, HX_IN(name))                                                                         \
    HX_EXPORT(hx_memory_map, HX_VAL(first), HX_VAL(bytes), HX_VAL(permissions), HX_OUT(memory))                        \
    HX_EXPORT(hx_cap_find, HX_IN(what))                                                                                \
    HX_EXPORT(hx_cap_derive, HX_VAL(from), HX_IN(what), HX_VAL(duration_ns))                                           \
    HX_EXPORT(hx_cap_revoke, HX_VAL(capability))                                                                       \
    HX_EXPORT(hx_res_allocate, HX_IN(name), HX_VAL(amount))                                                            \
    HX_EXPORT(hx_res_use, HX_VAL(allocation), HX_VAL(used))                                                            \
    HX_EXPORT(hx_res_spend, HX_IN(name), HX_VAL(amount))                                                               \
    HX_EXPORT(hx_res_look, HX_IN(name), HX_OUT(account))                                                               \
    HX_EXPORT(hx_record_begin, HX_NOTHING)                                                                             \
    HX_EXPORT(hx_record_put, HX_VAL(offset), HX_IN(data))                                                              \
    HX_EXPORT(hx_record_commit, HX_NOTHING)

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
 * hx_sleep_ns:    puts the calling task to sleep; with HX_WAIT_RESTARTABLE (helix/ipc.h) a swap need not wait for it. Thread
 *                 context, sleepable slot or hook; HX_E_STATE otherwise.
 * hx_defer:       asks for a call of the module's function that it declared with HX_DEFERRED under `key`. HX_E_NOENT. Any
 *                 context.
 */

/*
 * Channels: helix/ipc.h has the types. Handles are the module's, whatever version runs: a swap changes nothing about what is
 * queued or who waits. All of them end with the module. `timeout_ns`: from now; HX_WAIT_NOT, HX_WAIT_FOREVER, perhaps
 * HX_WAIT_RESTARTABLE. Any handle of these: HX_E_STALE: none of the module's; HX_E_INVAL: of something else; HX_E_PERM: it does
 * not have the right. What waits: HX_E_TIMEOUT, HX_E_KILLED, HX_E_STATE (a context that may not); thread. Otherwise any context.
 *
 * hx_channel_create:  `ends`: struct hx_channel_ends, with all rights; `capacity`: messages each way, 1 to
 *                     HX_CHANNEL_CAPACITY_MAX. The module pays for the memory of each end as long as it has that handle.
 *                     HX_E_INVAL, HX_E_NOMEM, HX_E_LIMIT, HX_E_QUOTA, HX_E_EXHAUSTED. Thread.
 * hx_channel_clone:   returns a further handle of the end, with `rights` (bits of enum hx_right) out of its own; it has to have
 *                     HX_RIGHT_CLONE. HX_E_PERM, HX_E_LIMIT. Thread.
 * hx_channel_send:    `message`: struct hx_message. Waits while the other end's queue is full. HX_E_FULL: it may not wait;
 *                     HX_E_CLOSED; HX_E_INVAL: no such type, payload or size; HX_E_PERM: a type that is the kernel's, or a
 *                     capability that may not be passed on; HX_E_EXPIRED: one that is over. On any error what the message
 *                     carries is the module's still; sent, it counts among its handles until it is received.
 * hx_channel_receive: the most urgent message, the oldest of several. HX_E_EMPTY: none, and it may not wait; HX_E_CLOSED: none,
 *                     and nobody sends any more; HX_E_LIMIT: there is no room for what it carries, and it stays where it is;
 *                     HX_E_QUOTA, HX_E_EXHAUSTED: the same, of the memory that the module may have.
 * hx_channel_select:  waits until a message is at one of `ends` (hx_handle_t, up to HX_SELECT_MAX), or it is closed. Returns its
 *                     index. HX_E_TIMEOUT also where it may not wait.
 * hx_channel_count:   returns the messages that can be received at the end.
 * hx_channel_is_open: returns 1, or 0 once either end was closed or given up.
 * hx_channel_close:   for both ends and everybody, by HX_RIGHT_CLOSE; what is queued can be received. Thread.
 * hx_handle_drop:     gives a handle of whatever kind up. The last of an end closes the channel. Thread.
 */
/*
 * Topics and services (helix/ipc.h has what is sent).
 *
 * hx_publish:       puts `event`, a struct hx_event of which type, bytes and data count, into the history of `topic` and has
 *                   its subscribers see it; waits for nobody. HX_E_NOENT; HX_E_PERM: the topic is another's, and the
 *                   module has not asked for HX_CAP_PUBLISH, or the kernel's; HX_E_INVAL: no such type, or too many bytes. Any
 *                   context.
 * hx_topic_history: copies the last events of `topic`, whosever it is, oldest first, as many as there are and whole ones fit.
 *                   Returns how many. HX_E_NOENT, HX_E_NOMEM. Thread context.
 * hx_service_find:  returns the handle of the service that is called `name`. HX_E_NOENT. Any context.
 * hx_request:       sends `message`, a struct hx_message, to `service` and waits for the reply, which is in `message` then: of
 *                   type HX_MESSAGE_REPLY, or HX_MESSAGE_ERROR with the service's error in `code`. While the service is
 *                   swapped the request waits for the new version. Its payload is none or inline (HX_E_INVAL).
 *                   HX_E_TIMEOUT: it does not serve, or has not replied, in `timeout_ns`; HX_E_PAUSED: the same, because its
 *                   module is paused; HX_E_FAULT: it crashed, what it
 *                   did is not known; HX_E_STALE, HX_E_ABSENT: it has gone; HX_E_FAILED: it is in Error; HX_E_LIMIT: 256
 *                   requests are under way. Thread context; HX_E_STATE otherwise.
 * hx_reply:         replies to the request with number `correlation`, for which the module's service has returned
 *                   HX_REPLY_LATER or is about to. HX_E_STALE: it has been answered, or nobody waits any more, or it was
 *                   sent to another. Any context.
 *
 * Memory that a message carries without copying it (helix/ipc.h). `memory` is a struct hx_message_memory, exactly.
 * hx_grant_create: makes a grant of `bytes`, rounded up to pages of 4096 and zeroed, that the module reads and writes, and
 *                 says in `memory` where it is. It is never executable. Sent in a message it is gone from here: what still
 *                 reads or writes it faults. hx_handle_drop gives it back, and so does the module's end; a swap does not.
 *                 It counts as memory of whoever has it, and of who has sent it until it is received.
 *                 HX_E_INVAL: no bytes, more than HX_GRANT_BYTES_MAX, or another span; HX_E_NOMEM; HX_E_LIMIT: the module has
 *                 too many handles, or there are too many grants; HX_E_QUOTA, HX_E_EXHAUSTED; HX_E_STATE: in an interrupt.
 * hx_memory_map:  maps the registers of a device, `bytes` from physical address `first` on, whole pages, uncached, for which the
 *                 module holds HX_CAP_MEMORY with the rights of `permissions` (bits of enum hx_grant_permission, reading among
 *                 them), and says in `memory` where. A handle like a grant's, but it cannot be sent; it ends with the
 *                 capability, too. HX_E_PERM: no such capability, or there is memory; HX_E_EXPIRED; else as hx_grant_create.
 * hx_grant_look:  says in `memory` where `grant` is and what may be done with it. HX_E_STALE: it is not the module's, or not
 *                 any more. HX_E_INVAL: no grant, or another span. Any context.
 */
/*
 * Capabilities (helix/capability.h), which go from module to module in messages. `what` is a struct hx_capability, exactly.
 *
 * hx_cap_find:   returns the handle of a capability of the module's that covers `what`. HX_E_NOENT; HX_E_INVAL: `what` makes no
 *                sense. Thread.
 * hx_cap_derive: returns a new one of the module's own, for `what` and for `duration_ns` at most (HX_WAIT_FOREVER: as long as
 *                `from`), that ends with `from`. HX_E_PERM: `from` covers less, or lacks HX_CAPABILITY_GRANT; HX_E_EXPIRED,
 *                HX_E_STALE, HX_E_INVAL; HX_E_POLICY; HX_E_LIMIT. Thread.
 * hx_cap_revoke: ends one, whoever has it by now, with all that was derived from it: the module's own, or one that comes from
 *                one of those. So does hx_handle_drop. HX_E_STALE, HX_E_PERM; HX_E_NOT_REVOCABLE. Thread.
 */
/*
 * Resources (helix/resource.h). `name` is a pool's. An allocation is the module's, whatever version runs, and ends with it.
 *
 * hx_res_allocate: takes `amount` of the pool, and returns the handle of that; hx_handle_drop gives it back. The module must have
 *                  asked for HX_CAP_RESOURCE; that is looked at here alone, so what it has it keeps. HX_E_PERM, HX_E_EXPIRED;
 *                  HX_E_NOENT: no such pool; HX_E_INVAL: 0; HX_E_QUOTA: more than the module may have; HX_E_EXHAUSTED: more than
 *                  there is left; HX_E_LIMIT: it has HX_RES_ALLOCATIONS_MAX. Any context.
 * hx_res_use:      says how much of the allocation is in use, for those who look (`res'). HX_E_RANGE: more than it is; HX_E_STALE:
 *                  it is none of the module's, or not any more. Any context.
 * hx_res_spend:    says that the module has used `amount` of a rate ("io": bytes). Returns for how many nanoseconds it should use
 *                  no more, because it is over its quota; 0: it is not. HX_E_NOENT; HX_E_INVAL: it is no rate, or "cpu", which the
 *                  kernel charges. Any context.
 * hx_res_look:     says in `account', a struct hx_resource_account, exactly, how the module stands with the pool. HX_E_NOENT,
 *                  HX_E_INVAL. Any context.
 */
/*
 * The record that the module declares with HX_RECORD (helix/module.h): what it may not lose. A call that changes it has it alone
 * from its begin, and all that it puts takes effect together: when the call returns, whatever it returns, before its caller goes
 * on; or earlier, by hx_record_commit. When the call is unwound instead (a fault, a hang, a kill) none of it does. A commit that
 * has begun is not broken off. So what its caller was told of has been kept. HX_E_NOENT: the module has no record. HX_E_STATE: in
 * an interrupt, an atomic slot, with a version that does not run (`init' in a swap), or where nobody may sleep.
 *
 * hx_record_begin:  waits until no other call changes the record. Who works out what it puts from what is there reads it after
 *                   this: nobody else writes it until the commit. Once begun, HX_OK at once. HX_E_BUSY: a call further out in
 *                   the same task has begun; HX_E_TIMEOUT: another has it for a second; HX_E_KILLED.
 * hx_record_put:    notes `data' for the bytes from `offset' of the record on; begins if need be. The record shows it after the
 *                   commit; of several for the same bytes the last counts. HX_E_RANGE: not inside the record; HX_E_LIMIT: more
 *                   than HX_RECORD_PUT_MAX bytes in one change, each put counting 8 more and as a multiple of 8; HX_E_FAULT.
 *                   A put that is refused changes nothing, and those before it stay noted.
 * hx_record_commit: now, for who tells of the change before he returns. HX_E_STATE also: nothing was begun.
 */
enum { HX_RECORD_PUT_MAX = 512 };

/*
 * Declared channels (helix/module.h).
 *
 * hx_channel_mine:    returns the handle of the end that the module keeps of the channel that it declares under `key`; the same at
 *                     each call, and in each version. HX_E_NOENT. Thread.
 * hx_channel_connect: returns a new handle of the other end of a module's channel, "module/key". HX_E_NOENT, HX_E_INVAL,
 *                     HX_E_LIMIT, HX_E_PERM, HX_E_EXPIRED. Thread.
 */
#define HX_EXPORT_PROTOTYPE_(name, ...) hx_ret_t name(__VA_ARGS__);
HX_EXTERN_C_BEGIN
HX_EXPORTS(HX_EXPORT_PROTOTYPE_)
HX_EXTERN_C_END

/* A string literal as a span. */
#define HX_TEXT(literal) (literal), (uint64_t)(sizeof(literal) - 1)
#endif
