/* SPDX-License-Identifier: MIT */
/*
 * helix_host.h - a whole Helix in a process of the host, for the unit tests of a module.
 *
 * What runs is the kernel's own portable code on a machine of virtual time: the module is the very file that the kernel
 * would load, linked by the kernel's loader, entered through its gate, swapped by its engine, with the calls of
 * helix/kernel.h behind it. A module's fault is caught, as there. One process holds one Helix: helix_host_main() gives each
 * case a process of its own, where it runs as a task of the kernel's, so that it may call what waits.
 *
 *     cc test.c $(pkg-config --cflags --libs helix-host) -o test
 */
#pragma once
#include <helix/ipc.h>

HX_EXTERN_C_BEGIN
/* ---- cases -------------------------------------------------------------------------------------------------------------- */
struct helix_host_case {
    const char *name; /* a sentence */
    void (*run)(void);
};
/* Runs each case, or those whose names contain one of the arguments, on a Helix of its own; speaks TAP. Returns main()'s
 * result. A case that takes longer than a minute has failed. */
int helix_host_main(const struct helix_host_case *cases, size_t count, int argc, char **argv);
/* Ends the case as failed: @what did not hold, and what is said. */
__attribute__((noreturn, format(printf, 4, 5))) void helix_host_fail(const char *file, int line, const char *what,
                                                                     const char *format, ...);
#define HELIX_HOST_EXPECT(condition, ...)                                                                              \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            helix_host_fail(__FILE__, __LINE__, #condition, " " __VA_ARGS__);                                          \
    } while (0)

/* ---- modules: false: refused, and helix_host_why() says why -------------------------------------------------------------- */
/* @path: a .hxm file. @params: "NAME=VALUE ..." of the module, or "". */
bool helix_host_load(const char *path, const char *params);
bool helix_host_reload(const char *module, const char *path);
bool helix_host_rollback(const char *module);
bool helix_host_unload(const char *module);
/* Step, error and message of the last that was refused; "" when it was not. */
const char *helix_host_why(void);
/* What runs under that name, as "1.0.0"; "-": nothing. */
const char *helix_host_version(const char *module);
/* Memory of the kernel and of modules, to compare before and after. */
uint64_t helix_host_bytes(void);
/* What the log has, line after line. */
const char *helix_host_log(void);

/* ---- calls ---------------------------------------------------------------------------------------------------------------- */
/* A case, whose stack has 16 KiB, calls operations of an interface as they are: hx_kv_get() and so on. */

/* Asks a service, as the console's `request' does. @text: NULL for none. Returns HX_OK with a NUL behind the reply, or the
 * error. */
hx_ret_t helix_host_request(const char *service, uint32_t code, const char *text, char reply[HX_INLINE_MAX + 1]);

/* ---- tasks and time -------------------------------------------------------------------------------------------------------- */
/* A task of the policy's class; runs when time passes. */
void helix_host_spawn(const char *name, uint8_t priority, void (*body)(void *argument), void *argument);
/* Time goes on: a task of helix_host_spawn()'s works for so long, and may be preempted; a case sleeps, and others work. */
void helix_host_pass_ns(uint64_t ns);
/* Answers of the policy that the kernel had to replace. */
uint64_t helix_host_wrong_answers(void);

/* ---- devices --------------------------------------------------------------------------------------------------------------- */
/* The machine's I/O ports; until then reads give 0xff. */
void helix_host_ports(uint8_t (*read)(uint16_t port), void (*write)(uint16_t port, uint8_t value));
/* The device on that line interrupts. */
void helix_host_interrupt(uint32_t line);
HX_EXTERN_C_END
