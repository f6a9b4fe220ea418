/* SPDX-License-Identifier: MIT */
/*
 * declared.h - all that a module declares, together: interrupt lines, callbacks, channels, topics, with what is pending for them.
 *
 * What is declared belongs to the module's identity by its key. In a swap what has the same key is moved, by binding it to
 * the new version; what is new is claimed before the gate closes, and due from the open on; what is missing is released when the
 * old version goes for good.
 * Context: CPU 0, one task at a time.
 */
#pragma once
#include <helix/ipc.h>
#include <module/module.h>

/* Claims what @version declares and @module does not hold, and nothing on refusal. Errors as hx_irq_claim_all(),
 * hx_callbacks_claim_all(); of channels and topics HX_E_NOMEM, HX_E_LIMIT, HX_E_EXIST; HX_E_INVAL: a channel's capacity changes. */
HX_NODISCARD hx_status_t hx_declared_claim_all(struct hx_module *module, struct hx_version *version,
                                               struct hx_report *report);
/* @version runs, in the place of @before (NULL: the first one): points claims to it, and arms them. Slots closed, interrupts
 * off. */
void hx_declared_bind(struct hx_module *module, const struct hx_version *before, const struct hx_version *version);
/* The module has opened: delivers what is pending. Interrupts off. */
void hx_declared_replay(struct hx_module *module);
/* After another version has been published: makes again what it relies on and what has ended under the one before. */
void hx_declared_restore(struct hx_module *module);
/* The module has failed, or goes: nothing comes any more. */
void hx_declared_disarm(struct hx_module *module);
/* The module's state knows nothing of what it has promised before: whoever waits for that is told. */
void hx_declared_forsake(struct hx_module *module);
/* Gives back what @keep does not declare. */
void hx_declared_release_others(struct hx_module *module, const struct hx_version *keep);

/* ---- channels: any CPU, thread ----------------------------------------------------------------------------------------- */
/* The end that @module keeps of the channel that it declares under @key. HX_E_NOENT. */
HX_NODISCARD hx_status_t hx_declared_channel(const struct hx_module *module, const char *key, hx_handle_t *out);
/* A handle for @holder of the other end of channel "module/key", by his authority. HX_E_INVAL: not such a name; HX_E_NOENT;
 * HX_E_LIMIT. */
HX_NODISCARD hx_status_t hx_declared_connect(const char *name, struct hx_holder *holder, hx_handle_t *out);
/* Takes back what was connected, whoever has it by now, by a module that has gone or that @may not do so any more; clones as well.
 * @may is called with the registry of modules locked. */
void hx_declared_check_connections(bool (*may)(const struct hx_module *module, const char *name));
/* Name number @index of all declared channels, as above, and the end that its module keeps (NULL: not wanted); false: there are no
 * more. For those who offer and show them. */
bool hx_declared_channel_name(uint32_t index, char out[2 * HX_NAME_MAX], hx_handle_t *out_mine);
