/* SPDX-License-Identifier: MIT */
/*
 * capability_world.h - what the tests of capabilities share: capabilities in short, three principals, and a module that calls what
 * it is told to.
 */
#pragma once
#include "world.h"

#include <helix/kernel.h>
#include <orchestrator/capability_broker.h>

enum { R = HX_CAPABILITY_READ, W = HX_CAPABILITY_WRITE, X = HX_CAPABILITY_EXECUTE, G = HX_CAPABILITY_GRANT };

struct hx_capability cap(uint32_t type, uint32_t rights, uint64_t first, uint64_t last, const char *path);
#define PORTS(first, last) cap(HX_CAPABILITY_IO_PORT, 0, first, last, "")
#define PORTS_G(first, last) cap(HX_CAPABILITY_IO_PORT, G, first, last, "")

/* ---- the broker ------------------------------------------------------------------------------------------------------ */
/* Three who are no modules, so that only a policy of the test's refuses. */
extern struct hx_principal alice, bob, carol;
extern struct hx_capability_refusal refusal; /* of the last of these: */
extern hx_handle_t id;
extern struct hx_job job;

void capability_begin(void);
hx_status_t grant(struct hx_principal *to, struct hx_capability what, uint64_t expires_ns);
hx_status_t derive(struct hx_principal *by, hx_handle_t from, struct hx_principal *to, struct hx_capability what,
                   uint64_t expires_ns);
hx_status_t transfer(struct hx_principal *by, hx_handle_t from, struct hx_principal *to);
hx_status_t port(struct hx_principal *principal, uint64_t first, uint64_t last);
uint32_t held(const struct hx_principal *holder);

/* ---- modules --------------------------------------------------------------------------------------------------------- */
struct hx_principal *principal_of(const char *module);
/* The grant of type @type of @principal's. */
struct hx_capability_grant grant_of(const struct hx_principal *principal, uint32_t type, const char *path);
void write_port(uint16_t number, uint8_t value);
uint8_t read_port(uint16_t number);
extern uint32_t written; /* how often a port was */

/* svc_echo, and caps_calls, which hears topic test.caps and calls what CALL() says, in its own name. */
extern struct hx_topic *test_topic;
void load_caller(void);

#define EXPORT_NUMBER(name, ...) NUMBER_##name,
enum { NO_EXPORT, HX_EXPORTS(EXPORT_NUMBER) };
hx_ret_t call(uint32_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e);
#define CALL(name, a, b, c, d, e)                                                                                      \
    call(NUMBER_##name, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e))
