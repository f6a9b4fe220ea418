/* SPDX-License-Identifier: MIT */
/*
 * contract.c - what the kernel and its modules share, for its debug information alone; no code, and not part of the kernel.
 *
 * Why not the kernel's own debug information: the compiler leaves out what the kernel does not happen to use, a release has
 * none, and the table that is made of it is linked into the kernel. That the exports are defined as they are declared the compiler
 * sees to (hal/hx_import.h).
 */
#include <gate/interfaces.h>
#include <helix/kv.h>
#include <helix/module.h>
#include <helix/rtc.h>
#include <helix/sched.h>

#define EXPORT(name, ...) hx_ret_t (*name)(__VA_ARGS__);
struct contract_exports {
    HX_EXPORTS(EXPORT)
};

#define INTERFACE(prefix, PREFIX, sleepable) const struct prefix##_ops *prefix;
struct contract {
    const struct contract_exports *exports;
    HX_KERNEL_INTERFACES(INTERFACE)
};
extern const struct contract contract;
const struct contract contract = { 0 };
