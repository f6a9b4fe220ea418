/* SPDX-License-Identifier: MIT */
/*
 * capability_broker.h - who may do what: capabilities, granted one out of another, checked at every gateway.
 *
 * A principal is who acts: the kernel, the console, the control channel, a module's identity. All that anybody holds descends
 * from the kernel's own grants, which are for good; what descends from a grant covers no more, lasts no longer and ends with
 * it. A module is given what its version asks for (helix/capability.h), as far as the policies let it; it ends with the
 * version, or with the module.
 *
 * Checking takes no lock: grants lie in a table and are never given back, and who has read while they changed reads again.
 * Context: checks: any. Changes: thread. Locks: HX_RANK_CAPABILITY.
 */
#pragma once
#include <module/capability.h>
#include <module/module.h>
#include <stdatomic.h>

enum { HX_CAPABILITY_GRANTS_MAX = 512 };
#define HX_CAPABILITY_NEVER UINT64_MAX /* it does not expire */

enum hx_principal_kind {
    HX_PRINCIPAL_KERNEL,
    HX_PRINCIPAL_CONSOLE, /* the owner, also by the control channel */
    HX_PRINCIPAL_MODULE,
    HX_PRINCIPAL_MESSAGES, /* what is in messages that nobody has received yet */
};

struct hx_capability_manifest;

struct hx_capability_grant {
    hx_handle_t id; /* HX_HANDLE_NONE: free */
    struct hx_capability what;
    uint64_t granted_ns, expires_ns;
    struct hx_principal *holder;
    struct hx_capability_grant *next;  /* of its type in the holder's hands; free: of those */
    struct hx_capability_grant **link; /* what points to it there */
    struct hx_capability_grant *parent, *child, *sibling;
    struct hx_capability_grant **sibling_link;     /* what points to it among its siblings; NULL: it has no parent */
    const struct hx_capability_manifest *manifest; /* by which it was given; NULL: by somebody's word */
    uint32_t generation;                           /* outlives the grant */
    bool permanent;
};

struct hx_principal {
    const char *name; /* of a module: the identity's */
    enum hx_principal_kind kind;
    uint32_t count;
    struct hx_capability_grant *first[HX_CAPABILITY_TYPE_COUNT];
    struct hx_capability_manifest *manifests; /* of the versions of a module that there are */
    uint64_t denied;                          /* how often it was told no, and last about what: */
    uint32_t denied_type;
    uint64_t denied_first;
    struct hx_principal **place; /* the identity's */
    struct hx_ledger_node node;  /* on its ledger */
};
extern struct hx_principal hx_kernel_principal, hx_console_principal, hx_control_principal, hx_messages_principal;

/* Gives the kernel, the console and the control channel everything, and takes the owner's policy. Before any module. */
void hx_capability_init(void);

/* ---- checks (capability_check.c) ------------------------------------------------------------------------------------- */
/*
 * Whether @principal may do @rights to @first..@last: HX_OK; HX_E_PERM; HX_E_EXPIRED: not any more; HX_E_INVAL: @first > @last.
 * NULL is nobody. HX_CAPABILITY_NONE is everybody's.
 */
HX_NODISCARD hx_status_t hx_capability_check(struct hx_principal *principal, uint32_t type, uint32_t rights,
                                             uint64_t first, uint64_t last);
/* The same for types that have a path. What is called like a module, or begins so, is its own IPC. */
HX_NODISCARD hx_status_t hx_capability_check_path(struct hx_principal *principal, uint32_t type, uint32_t rights,
                                                  const char *path);
/* The same two, of which nobody is told, and with caps=warn, too, no is no. */
HX_NODISCARD hx_status_t hx_capability_look(const struct hx_principal *principal, uint32_t type, uint32_t rights,
                                            uint64_t first, uint64_t last);
HX_NODISCARD hx_status_t hx_capability_look_path(const struct hx_principal *principal, uint32_t type, uint32_t rights,
                                                 const char *path);
/* For the module in whose innermost frame this CPU stands. */
HX_NODISCARD static inline hx_status_t hx_capability_check_calling(uint32_t type, uint64_t first, uint64_t last)
{
    const struct hx_version *version = hx_module_calling();
    return hx_capability_check(version ? version->module->principal : NULL, type, 0, first, last);
}

HX_NODISCARD static inline hx_status_t hx_capability_check_path_calling(uint32_t type, uint32_t rights,
                                                                        const char *path)
{
    const struct hx_version *version = hx_module_calling();
    return hx_capability_check_path(version ? version->module->principal : NULL, type, rights, path);
}

/* ---- grants ---------------------------------------------------------------------------------------------------------- */
/* Why one was refused, for a sentence that begins with whom it was for and what; static. */
struct hx_capability_refusal {
    const char *policy; /* HX_E_POLICY: its name */
    const char *why;
};

/* @now + @duration_ns; what is too long never expires. */
uint64_t hx_capability_expiry(uint64_t now_ns, uint64_t duration_ns);

/*
 * Gives @to a new grant of @what until @expires_ns, or until that ends out of which it comes: the first that @by holds with
 * HX_CAPABILITY_GRANT and that covers @what. HX_E_INVAL: @what is not sound; HX_E_PERM: @by has no such; HX_E_POLICY; HX_E_EXPIRED:
 * that time is over; HX_E_LIMIT.
 */
HX_NODISCARD hx_status_t hx_capability_grant(struct hx_principal *by, struct hx_principal *to,
                                             const struct hx_capability *what, uint64_t expires_ns, hx_handle_t *out,
                                             struct hx_capability_refusal *out_refusal);
/* The same out of grant @from, which is @by's. HX_E_STALE: it is not, or not any more. */
HX_NODISCARD hx_status_t hx_capability_derive(struct hx_principal *by, hx_handle_t from, struct hx_principal *to,
                                              const struct hx_capability *what, uint64_t expires_ns, hx_handle_t *out,
                                              struct hx_capability_refusal *out_refusal);
/* @by's grant is @to's from now on, under a new name, with what descends from it. HX_E_STALE, HX_E_EXPIRED, HX_E_POLICY;
 * HX_E_PERM: it may not be passed on, and @by has not derived it himself; HX_E_NOT_REVOCABLE: it is held for good. */
HX_NODISCARD hx_status_t hx_capability_transfer(struct hx_principal *by, hx_handle_t id, struct hx_principal *to,
                                                hx_handle_t *out, struct hx_capability_refusal *out_refusal);
/* The first grant of @by's that covers @what, over or not. HX_E_NOENT, HX_E_INVAL. */
HX_NODISCARD hx_status_t hx_capability_find(const struct hx_principal *by, const struct hx_capability *what,
                                            hx_handle_t *out);
/* Ends it and all that descends from it, and unmaps and withdraws what nobody may have any more. For its holder, the holders
 * of what it comes from, and the kernel; others: HX_E_PERM. HX_E_STALE, HX_E_NOT_REVOCABLE. */
HX_NODISCARD hx_status_t hx_capability_revoke(const struct hx_principal *by, hx_handle_t id);
/* The same in any context, so nothing is unmapped or withdrawn: that goes at the next grant, revocation or purge. */
HX_NODISCARD hx_status_t hx_capability_end(const struct hx_principal *by, hx_handle_t id);
/* Ends those whose time is over; so does every hx_capability_grant(). */
void hx_capability_purge(void);

/* A copy of the first grant after index @*at (start with 0), which moves on; false: there is none. Of @holder, NULL: of all. */
bool hx_capability_next(uint32_t *at, const struct hx_principal *holder, struct hx_capability_grant *out);

/* ---- policies -------------------------------------------------------------------------------------------------------- */
/* Asked in order for each grant to be; the first refusal counts. Called under the broker's lock: calls nothing of it. */
struct hx_capability_policy {
    const char *name;
    /* Why @principal may not have @what, for a sentence ("it is the kernel's console"); NULL: no objection. */
    const char *(*refuse)(const struct hx_capability *what, const struct hx_principal *principal);
    struct hx_capability_policy *next;
};
/* Behind the others. HX_E_ALREADY: it is among them. */
HX_NODISCARD hx_status_t hx_capability_add_policy(struct hx_capability_policy *policy);
/* Whether a version of the module asks for that much: what is optional included. */
bool hx_capability_is_asked_for(const struct hx_principal *principal, const struct hx_capability *what);
/* capability_policy.c: the kernel's own devices are nobody's else; a module gets nothing that it has not asked for. */
void hx_capability_add_default_policies(void);

/* Boot option caps=warn: what is denied is told and done all the same, whether by a check or by a policy. */
extern bool hx_capability_warns;

/* @tell is told what was granted or revoked by somebody's word, and what was denied, for it had expired or never was: any context,
 * unlocked. */
void hx_capability_bind(void (*tell)(const struct hx_principal *principal, enum hx_capability_event what, uint32_t type,
                                     uint64_t first));

/* ---- modules --------------------------------------------------------------------------------------------------------- */
/* Gives @module what @version asks for. On refusal @report says why, and what was given ends with the version. HX_E_POLICY,
 * HX_E_NOMEM, HX_E_LIMIT. */
HX_NODISCARD hx_status_t hx_capability_admit(struct hx_module *module, struct hx_version *version,
                                             struct hx_report *report);
/* For hx_channel_bind_capabilities(). */
HX_NODISCARD hx_status_t hx_capability_carry(hx_handle_t id, const struct hx_holder *from, struct hx_holder *to,
                                             hx_handle_t *out);
/* For struct hx_irq_policy: why @module may not have the line; NULL: it may. */
const char *hx_capability_line_refusal(const struct hx_module *module, uint32_t line);

/* ---- between the broker's files -------------------------------------------------------------------------------------- */
extern atomic_uint hx_capability_sequence; /* odd: grants are changing */
void hx_capability_tell(const struct hx_principal *principal, enum hx_capability_event what, uint32_t type,
                        uint64_t first);
