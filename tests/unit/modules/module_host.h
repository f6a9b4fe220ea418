/* SPDX-License-Identifier: MIT */
/*
 * module_host.h - modules on the host: each compiled into the test as it is, with imports that the test controls.
 *
 * One file a module includes this, then the module's source, and ends with MODULE_HOST(). Imports are renamed, so that
 * several modules and the kernel's own code share one program. A module is driven through its descriptor and vtable, as
 * the kernel would.
 */
#pragma once
#define hx_log host_log
#define hx_clock_ns host_clock_ns
#define hx_port_read8 host_port_read8
#define hx_port_write8 host_port_write8
#define hx_irq_count host_irq_count
#define hx_state_put host_state_put
#define hx_state_get host_state_get
#define hx_state_size host_state_size
#define hx_sleep_ns host_sleep_ns
#define hx_channel_mine host_channel_mine
#define hx_channel_receive host_channel_receive
#define hx_channel_send host_channel_send
#define hx_handle_drop host_handle_drop
#define hx_defer host_defer
#define hx_record_begin host_record_begin
#define hx_record_put host_record_put
#define hx_record_commit host_record_commit
#include <helix/module.h>

struct module_host {
    const char *label;
    const struct hx_module_record *record;
    const void *vtable;
    uint8_t *state;
    size_t state_bytes;
    const struct hx_field_record *fields;
    size_t field_count;
    const struct hx_param_record *param; /* the one it has, or NULL */
};

/* @state_name as in HX_STATE, @ops as in HX_PROVIDES, @param_record: of its parameter, or NULL. */
#define MODULE_HOST(symbol, state_name, ops, param_record)                                                             \
    extern const struct module_host symbol;                                                                            \
    const struct module_host symbol = {                                                                                \
        #symbol,   &hx_module_record,        &ops,        (uint8_t *)&state_name, sizeof(state_name),                  \
        hx_fields, HX_ARRAY_SIZE(hx_fields), param_record                                                              \
    }

/* How others reach a version of svc_kv but by calls: the service, a round of its task; and whether somebody is inside. */
struct svc_kv_served {
    hx_ret_t (*serve)(struct hx_message *message, uint64_t bytes);
    hx_ret_t (*round)(void);
    uint32_t *guard;
};
extern const struct svc_kv_served svc_kv1_served, svc_kv2_served;
/* The service of svc_log, and two of its subscriptions. */
extern hx_ret_t (*const svc_log1_serve)(struct hx_message *message, uint64_t bytes);
extern hx_ret_t (*const svc_log1_hear_tasks)(const struct hx_event *event, uint64_t bytes);
extern hx_ret_t (*const svc_log1_hear_modules)(const struct hx_event *event, uint64_t bytes);

/* What the kernel calls of drv_serial. */
struct drv_serial_parts {
    hx_ret_t (*interrupt)(uint64_t count);
    hx_ret_t (*transmit)(void);
    hx_ret_t (*deliver)(uint64_t count);
    hx_ret_t (*serve)(struct hx_message *message, uint64_t bytes);
};
extern const struct drv_serial_parts drv_serial1_parts;

extern const struct module_host sched_rr1, sched_rr2, sched_prio1, sched_fair1, sched_edf1, svc_kv1, svc_kv2, svc_log1,
    drv_rtc1, drv_serial1;
extern uint32_t *const sched_edf1_period_ms, *const sched_edf1_shares; /* its other parameters */
extern hx_ret_t (*const drv_rtc1_interrupt)(uint64_t count);           /* the handler of line 8 */
extern uint32_t *const drv_rtc1_pair;                                  /* who owns the ports: 0 nobody */

/* ---- what the imports do --------------------------------------------------------------------------------------------- */
extern uint64_t host_now_ns;
/* Called by the port imports when set; else they fail the test. */
extern uint8_t (*host_port_read_hook)(uint16_t port);
extern void (*host_port_write_hook)(uint16_t port, uint8_t value);
/* Called by hx_sleep_ns() when set, after the clock went on. */
extern void (*host_sleep_hook)(void);

/* The module's channel, whatever its handle: what is received next (NULL: HX_E_EMPTY), what was sent last, and how often. What
 * sending returns; the handle that was dropped last. */
extern const struct hx_message *host_channel_in;
extern struct hx_message host_channel_out;
extern uint32_t host_channel_sent;
extern hx_ret_t host_channel_send_result;
extern uint64_t host_dropped;
/* Called instead when set: before a message is received, for one that is sent. */
extern void (*host_channel_receive_hook)(void);
extern hx_ret_t (*host_channel_send_hook)(const struct hx_message *message);
/* The record of whatever module: zeros once it was cleared, as it is by host_load(). What is put is there at once. */
enum { HOST_RECORD_BYTES = 1 << 20 };
extern uint8_t host_record[HOST_RECORD_BYTES];
void host_record_clear(void);
/* How often hx_defer() has asked. */
extern uint32_t host_deferred;

/* The state blob between save and load. */
void host_blob_clear(size_t capacity);
void host_blob_put(const char *name, const void *data, size_t bytes); /* by hand; replaces the field */
void host_blob_drop(const char *name);
size_t host_blob_bytes(const char *name); /* SIZE_MAX: no such field */

/* A conversion as the kernel does it: @to starts from zeroed state and init. Returns what save, or else load, returned. */
hx_ret_t host_convert(const struct module_host *from, const struct module_host *to);
hx_ret_t host_save(const struct module_host *module);
hx_ret_t host_load(const struct module_host *module);

/* ---- seeded corruptions ---------------------------------------------------------------------------------------------- */
struct corruption {
    const char *field;
    uint32_t index;
    uint64_t value;
};

/* An element of the declared state. */
uint64_t host_field_get(const struct module_host *module, const char *field, uint32_t index);
void host_field_set(const struct module_host *module, const char *field, uint32_t index, uint64_t value);
/* Seeds each, expects check to find it, undoes it, expects check to be content. */
void host_expect_found(const struct module_host *module, const struct corruption *list, size_t count);
void host_expect_sound(const struct module_host *module);

/* The variable behind parameter @name. */
void *host_param(const struct module_host *module, const char *name);

/* Repeatable pseudo-random numbers below @bound. */
uint32_t host_random(uint32_t bound);
