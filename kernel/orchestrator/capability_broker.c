/* SPDX-License-Identifier: MIT */
/*
 * capability_broker.c - see capability_broker.h.
 */
#include "capability_broker.h"

#include "declared.h"

#include <hal/hx_lock.h>
#include <ipc/grant.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <string.h>

/* What a version asks for. On its ledger, so that what was given by it ends when the version does. */
struct hx_capability_manifest {
    struct hx_ledger_node node;
    struct hx_principal *principal;
    struct hx_capability_manifest *next; /* of the principal's */
    uint32_t count;
    struct hx_capability_record request[];
};

struct hx_principal hx_kernel_principal, hx_console_principal, hx_control_principal, hx_messages_principal;
atomic_uint hx_capability_sequence;

static struct hx_capability_grant grants[HX_CAPABILITY_GRANTS_MAX];
static struct hx_capability_grant *unused; /* l */
static bool mappings_due, connections_due; /* l: something has ended that lets map, or connect to channels */
static uint64_t first_over_ns;             /* l: before that none of them is over */
static struct hx_capability_policy *policies;
static void (*told)(const struct hx_principal *principal, enum hx_capability_event what, uint32_t type, uint64_t first);
static struct hx_lock lock = HX_LOCK_INIT(HX_RANK_CAPABILITY); /* key l: grants, principals, manifests */

static hx_irq_flags_t begin(void)
{
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    atomic_fetch_add_explicit(&hx_capability_sequence, 1, memory_order_seq_cst);
    return flags;
}

static void end(hx_irq_flags_t flags)
{
    atomic_fetch_add_explicit(&hx_capability_sequence, 1, memory_order_seq_cst);
    hx_lock_release(&lock, flags);
}

void hx_capability_bind(void (*tell)(const struct hx_principal *principal, enum hx_capability_event what, uint32_t type,
                                     uint64_t first))
{
    told = tell;
}

void hx_capability_tell(const struct hx_principal *principal, enum hx_capability_event what, uint32_t type,
                        uint64_t first)
{
    if (told)
        told(principal, what, type, first);
}

/* ---- the tree: under the lock ---------------------------------------------------------------------------------------- */

static void name(struct hx_capability_grant *grant)
{
    grant->generation = (grant->generation + 1) & 0xffffffu;
    grant->id = hx_handle_make(HX_HANDLE_CAPABILITY, grant->generation, (uint32_t)(grant - grants));
}

static struct hx_capability_grant *named(hx_handle_t id)
{
    uint32_t index = hx_handle_index(id);
    return id != HX_HANDLE_NONE && index < HX_CAPABILITY_GRANTS_MAX && grants[index].id == id ? &grants[index] : NULL;
}

static void hold(struct hx_capability_grant *grant, struct hx_principal *holder)
{
    uint32_t type = grant->what.type;
    grant->holder = holder;
    grant->next = holder->first[type];
    grant->link = &holder->first[type];
    if (grant->next)
        grant->next->link = &grant->next;
    holder->first[type] = grant;
    holder->count++;
}

static void let_go(struct hx_capability_grant *grant)
{
    *grant->link = grant->next;
    if (grant->next)
        grant->next->link = grant->link;
    grant->holder->count--;
}

static void end_one(struct hx_capability_grant *grant)
{
    let_go(grant);
    if (grant->what.type == HX_CAPABILITY_MEMORY)
        mappings_due = true;
    if (grant->what.type == HX_CAPABILITY_IPC)
        connections_due = true;
    if (grant->parent) {
        *grant->sibling_link = grant->sibling;
        if (grant->sibling)
            grant->sibling->sibling_link = grant->sibling_link;
    }
    grant->id = HX_HANDLE_NONE;
    grant->next = unused;
    unused = grant;
}

/* Leaves first. */
static void end_tree(struct hx_capability_grant *top)
{
    for (struct hx_capability_grant *grant = top, *parent = NULL;; grant = parent) {
        while (grant->child)
            grant = grant->child;
        parent = grant->parent;
        end_one(grant);
        if (grant == top)
            return;
    }
}

/* Ends of what @holder has each that @ends(context), with its tree. */
static void end_held(struct hx_principal *holder,
                     bool (*ends)(const struct hx_capability_grant *grant, const void *context), const void *context)
{
    for (uint32_t type = 0; type < HX_CAPABILITY_TYPE_COUNT; type++)
        for (struct hx_capability_grant *grant = holder->first[type], *next = NULL; grant; grant = next) {
            bool ending = ends(grant, context);
            if (ending)
                end_tree(grant);
            /* The tree may have had others of the holder's. */
            next = ending ? holder->first[type] : grant->next;
        }
}

static bool is_over(const struct hx_capability_grant *grant, uint64_t now_ns)
{
    return grant->expires_ns != HX_CAPABILITY_NEVER && now_ns >= grant->expires_ns;
}

/* Ends what is over. Looks at all grants, but only when the first of them may be. */
static void end_over(uint64_t now_ns)
{
    if (now_ns < first_over_ns)
        return;
    first_over_ns = HX_CAPABILITY_NEVER;
    for (uint32_t i = 0; i < HX_CAPABILITY_GRANTS_MAX; i++) {
        struct hx_capability_grant *grant = &grants[i];
        if (grant->id != HX_HANDLE_NONE && is_over(grant, now_ns))
            end_tree(grant);
        else if (grant->id != HX_HANDLE_NONE && grant->expires_ns < first_over_ns)
            first_over_ns = grant->expires_ns;
    }
}

static struct hx_capability_grant *make(struct hx_capability_grant *parent, struct hx_principal *to,
                                        const struct hx_capability *what, uint64_t expires_ns)
{
    struct hx_capability_grant *grant = unused;
    if (!grant)
        return NULL;
    unused = grant->next;
    name(grant);
    grant->what = *what;
    grant->granted_ns = hx_hal_clock_ns();
    grant->expires_ns = parent && parent->expires_ns < expires_ns ? parent->expires_ns : expires_ns;
    grant->permanent = false;
    grant->manifest = NULL;
    grant->child = NULL;
    grant->parent = parent;
    grant->sibling = parent ? parent->child : NULL;
    grant->sibling_link = parent ? &parent->child : NULL;
    if (grant->sibling)
        grant->sibling->sibling_link = &grant->sibling;
    if (parent)
        parent->child = grant;
    if (grant->expires_ns < first_over_ns)
        first_over_ns = grant->expires_ns;
    hold(grant, to);
    return grant;
}

/* ---- what was mapped and connected: unlocked, a thread ------------------------------------------------------------------ */

static bool may_map(uint64_t first, uint64_t last, uint32_t rights, void *principal)
{
    return hx_capability_warns || hx_capability_look(principal, HX_CAPABILITY_MEMORY, rights, first, last) == HX_OK;
}

static bool may_connect(const struct hx_module *module, const char *name)
{
    return hx_capability_warns || hx_capability_look_path(module->principal, HX_CAPABILITY_IPC, 0, name) == HX_OK;
}

static void check_mappings(void)
{
    hx_irq_flags_t flags = hx_module_registry_lock();
    for (struct hx_module *module = hx_module_next(NULL); module; module = hx_module_next(module))
        if (module->principal)
            hx_grant_check_devices(&module->holder, may_map, module->principal);
    hx_module_registry_unlock(flags);
}

/* Takes from modules what they may not have mapped or be connected to any more. */
static void settle(void)
{
    if (__atomic_exchange_n(&mappings_due, false, __ATOMIC_RELAXED))
        check_mappings();
    if (__atomic_exchange_n(&connections_due, false, __ATOMIC_RELAXED))
        hx_declared_check_connections(may_connect);
}

/* ---- policies -------------------------------------------------------------------------------------------------------- */

hx_status_t hx_capability_add_policy(struct hx_capability_policy *policy)
{
    hx_irq_flags_t flags = begin();
    struct hx_capability_policy **link = &policies;
    while (*link && *link != policy)
        link = &(*link)->next;
    hx_status_t err = *link ? HX_E_ALREADY : HX_OK;
    if (err == HX_OK)
        policy->next = NULL;
    *link = policy;
    end(flags);
    return err;
}

static hx_status_t ask_policies(const struct hx_capability *what, const struct hx_principal *to,
                                struct hx_capability_refusal *out_refusal)
{
    for (const struct hx_capability_policy *policy = policies; policy; policy = policy->next) {
        const char *why = policy->refuse(what, to);
        if (why) {
            *out_refusal = (struct hx_capability_refusal){ policy->name, why };
            return hx_capability_warns ? HX_OK : HX_E_POLICY;
        }
    }
    return HX_OK;
}

/* ---- operations ------------------------------------------------------------------------------------------------------ */

uint64_t hx_capability_expiry(uint64_t now_ns, uint64_t duration_ns)
{
    return duration_ns < HX_CAPABILITY_NEVER - now_ns ? now_ns + duration_ns : HX_CAPABILITY_NEVER;
}

/* What became of a grant to @to: unlocked. */
static hx_status_t told_of(hx_status_t err, const struct hx_principal *to, const struct hx_capability *what,
                           const struct hx_capability_refusal *refusal)
{
    if (refusal->policy)
        hx_capability_tell(to, HX_CAPABILITY_DENIED, what->type, what->first);
    if (err == HX_OK)
        hx_capability_tell(to, HX_CAPABILITY_GRANTED, what->type, what->first);
    return err;
}

/* Under the lock; @parent is live. */
static hx_status_t give(struct hx_capability_grant *parent, struct hx_principal *to, const struct hx_capability *what,
                        uint64_t expires_ns, hx_handle_t *out, struct hx_capability_refusal *out_refusal)
{
    hx_status_t err = ask_policies(what, to, out_refusal);
    if (err != HX_OK)
        return err;
    if (expires_ns <= hx_hal_clock_ns())
        return HX_E_EXPIRED;
    const struct hx_capability_grant *grant = make(parent, to, what, expires_ns);
    if (!grant)
        return HX_E_LIMIT;
    *out = grant->id;
    return HX_OK;
}

static bool may_derive(const struct hx_capability_grant *parent, const struct hx_capability *what)
{
    return (parent->what.rights & HX_CAPABILITY_GRANT) && hx_capability_covers(&parent->what, what);
}

static hx_status_t check_sound(const struct hx_capability *what, struct hx_capability_refusal *out_refusal)
{
    *out_refusal = (struct hx_capability_refusal){ NULL, hx_capability_fault(what) };
    return out_refusal->why ? HX_E_INVAL : HX_OK;
}

hx_status_t hx_capability_grant(struct hx_principal *by, struct hx_principal *to, const struct hx_capability *what,
                                uint64_t expires_ns, hx_handle_t *out, struct hx_capability_refusal *out_refusal)
{
    uint64_t now_ns = hx_hal_clock_ns();
    hx_status_t err = check_sound(what, out_refusal);
    if (err != HX_OK)
        return err;
    hx_irq_flags_t flags = begin();
    end_over(now_ns);
    struct hx_capability_grant *parent = by->first[what->type];
    while (parent && !may_derive(parent, what))
        parent = parent->next;
    err = parent ? give(parent, to, what, expires_ns, out, out_refusal) : HX_E_PERM;
    end(flags);
    settle();
    return told_of(err, to, what, out_refusal);
}

/* @by's grant called @id, or NULL and in @out_err why not: one that is over is found by its name once, and ends here. Under the
 * lock. */
static struct hx_capability_grant *live_of(const struct hx_principal *by, hx_handle_t id, hx_status_t *out_err)
{
    uint64_t now_ns = hx_hal_clock_ns();
    struct hx_capability_grant *grant = named(id);
    *out_err = HX_E_STALE;
    if (!grant || grant->holder != by)
        return NULL;
    if (!is_over(grant, now_ns))
        return grant;
    *out_err = HX_E_EXPIRED;
    end_tree(grant);
    return NULL;
}

hx_status_t hx_capability_derive(struct hx_principal *by, hx_handle_t from, struct hx_principal *to,
                                 const struct hx_capability *what, uint64_t expires_ns, hx_handle_t *out,
                                 struct hx_capability_refusal *out_refusal)
{
    hx_status_t err = check_sound(what, out_refusal);
    if (err != HX_OK)
        return err;
    hx_irq_flags_t flags = begin();
    struct hx_capability_grant *parent = live_of(by, from, &err);
    if (parent)
        err = may_derive(parent, what) ? give(parent, to, what, expires_ns, out, out_refusal) : HX_E_PERM;
    end(flags);
    return told_of(err, to, what, out_refusal);
}

/* Who has derived it himself could have done so for another at once. */
static bool may_transfer(const struct hx_capability_grant *grant)
{
    return (grant->what.rights & HX_CAPABILITY_GRANT) || grant->holder->kind == HX_PRINCIPAL_MESSAGES ||
           (grant->parent && grant->parent->holder == grant->holder);
}

hx_status_t hx_capability_transfer(struct hx_principal *by, hx_handle_t id, struct hx_principal *to, hx_handle_t *out,
                                   struct hx_capability_refusal *out_refusal)
{
    hx_status_t err = HX_OK;
    struct hx_capability what = { 0 };
    *out_refusal = (struct hx_capability_refusal){ 0 };
    hx_irq_flags_t flags = begin();
    struct hx_capability_grant *grant = live_of(by, id, &err);
    if (grant) {
        if (grant->permanent)
            err = HX_E_NOT_REVOCABLE;
        else if (!may_transfer(grant))
            err = HX_E_PERM;
        else
            err = ask_policies(&grant->what, to, out_refusal);
    }
    if (grant)
        what = grant->what;
    if (grant && err == HX_OK) {
        let_go(grant);
        name(grant);
        grant->manifest = NULL;
        hold(grant, to);
        *out = grant->id;
    }
    end(flags);
    return told_of(err, to, &what, out_refusal);
}

hx_status_t hx_capability_find(const struct hx_principal *by, const struct hx_capability *what, hx_handle_t *out)
{
    struct hx_capability_refusal refusal;
    hx_status_t err = check_sound(what, &refusal);
    if (err != HX_OK)
        return err;
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    const struct hx_capability_grant *grant = by->first[what->type];
    while (grant && !hx_capability_covers(&grant->what, what))
        grant = grant->next;
    if (grant)
        *out = grant->id;
    hx_lock_release(&lock, flags);
    return grant ? HX_OK : HX_E_NOENT;
}

hx_status_t hx_capability_end(const struct hx_principal *by, hx_handle_t id)
{
    hx_irq_flags_t flags = begin();
    struct hx_capability_grant *grant = named(id);
    hx_status_t err = HX_E_STALE;
    char name[HX_NAME_MAX];
    uint32_t type = 0;
    if (grant) {
        const struct hx_capability_grant *above = grant;
        while (above && above->holder != by)
            above = above->parent;
        if (!above)
            err = HX_E_PERM;
        else
            err = grant->permanent ? HX_E_NOT_REVOCABLE : HX_OK;
    }
    if (err == HX_OK) {
        hx_fmt(name, sizeof(name), "%s", grant->holder->name);
        type = grant->what.type;
        end_tree(grant);
    }
    end(flags);
    if (err == HX_OK) /* its holder may be gone */
        hx_capability_tell(&(struct hx_principal){ .name = name }, HX_CAPABILITY_REVOKED, type, 0);
    return err;
}

hx_status_t hx_capability_revoke(const struct hx_principal *by, hx_handle_t id)
{
    hx_status_t err = hx_capability_end(by, id);
    settle();
    return err;
}

void hx_capability_purge(void)
{
    uint64_t now_ns = hx_hal_clock_ns();
    hx_irq_flags_t flags = begin();
    end_over(now_ns);
    end(flags);
    settle();
}

bool hx_capability_next(uint32_t *at, const struct hx_principal *holder, struct hx_capability_grant *out)
{
    bool found = false;
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    while (!found && *at < HX_CAPABILITY_GRANTS_MAX) {
        const struct hx_capability_grant *grant = &grants[(*at)++];
        found = grant->id != HX_HANDLE_NONE && (!holder || grant->holder == holder);
        if (found)
            *out = *grant;
    }
    hx_lock_release(&lock, flags);
    return found;
}

/* ---- modules --------------------------------------------------------------------------------------------------------- */

bool hx_capability_is_asked_for(const struct hx_principal *principal, const struct hx_capability *what)
{
    for (const struct hx_capability_manifest *manifest = principal->manifests; manifest; manifest = manifest->next)
        for (uint32_t i = 0; i < manifest->count; i++)
            if (hx_capability_covers(&manifest->request[i].what, what))
                return true;
    return false;
}

/* Given by a version that goes, or asked for by it alone. */
static bool ends_with(const struct hx_capability_grant *grant, const void *gone)
{
    const struct hx_capability_manifest *manifest = gone;
    return grant->manifest == manifest || !hx_capability_is_asked_for(grant->holder, &grant->what);
}

static void release_manifest(struct hx_ledger_node *node)
{
    struct hx_capability_manifest *manifest =
        (struct hx_capability_manifest *)((char *)node - offsetof(struct hx_capability_manifest, node));
    hx_irq_flags_t flags = begin();
    struct hx_capability_manifest **link = &manifest->principal->manifests;
    while (*link != manifest)
        link = &(*link)->next;
    *link = manifest->next;
    end_held(manifest->principal, ends_with, manifest);
    end(flags);
    settle();
    hx_hal_free(manifest);
}

static bool any(const struct hx_capability_grant *grant, const void *unasked)
{
    (void)grant;
    (void)unasked;
    return true;
}

static void release_principal(struct hx_ledger_node *node)
{
    struct hx_principal *principal = (struct hx_principal *)((char *)node - offsetof(struct hx_principal, node));
    hx_irq_flags_t flags = hx_module_registry_lock();
    *principal->place = NULL;
    hx_module_registry_unlock(flags);
    flags = begin();
    end_held(principal, any, NULL);
    end(flags);
    hx_hal_free(principal);
}

static bool make_principal(struct hx_module *module)
{
    struct hx_principal *principal = module->principal ? NULL : hx_hal_alloc(sizeof(*principal));
    if (principal) {
        principal->name = module->name;
        principal->kind = HX_PRINCIPAL_MODULE;
        principal->place = &module->principal;
        hx_ledger_enter(&module->ledger, &principal->node, "capabilities", release_principal);
        module->principal = principal;
    }
    return module->principal != NULL;
}

static void fill_manifest(struct hx_capability_manifest *manifest, const struct hx_version *version,
                          const struct hx_capability_record *record, uint32_t count)
{
    struct hx_capability_record *at = manifest->request;
    for (uint32_t i = 0; i < version->ports_count; i++)
        *at++ = (struct hx_capability_record){ .what = { HX_CAPABILITY_IO_PORT, .first = version->ports[i].first,
                                                         .last = version->ports[i].last } };
    for (uint32_t i = 0; i < version->irqs_count; i++)
        *at++ = (struct hx_capability_record){ .what = { HX_CAPABILITY_INTERRUPT, .first = version->irqs[i].line,
                                                         .last = version->irqs[i].line } };
    for (uint32_t i = 0; i < version->callbacks_count; i++) {
        if (version->callbacks[i].kind != HX_CALLBACK_EVENT)
            continue;
        *at = (struct hx_capability_record){ .what = { .type = HX_CAPABILITY_IPC } };
        memcpy((at++)->what.path, version->callbacks[i].topic, HX_NAME_MAX);
    }
    if (count)
        memcpy(at, record, count * sizeof(*record));
    manifest->count = (uint32_t)(at - manifest->request) + count;
}

static hx_status_t give_requested(struct hx_capability_manifest *manifest, const struct hx_capability *what,
                                  struct hx_report *report)
{
    struct hx_capability_refusal refusal;
    hx_handle_t id = HX_HANDLE_NONE;
    char text[HX_CAPABILITY_TEXT_MAX];
    hx_status_t err =
        hx_capability_grant(&hx_kernel_principal, manifest->principal, what, HX_CAPABILITY_NEVER, &id, &refusal);
    if (err == HX_OK) {
        hx_irq_flags_t flags = begin();
        if (named(id))
            named(id)->manifest = manifest;
        end(flags);
        return HX_OK;
    }
    hx_capability_text(what, text);
    if (err == HX_E_POLICY)
        return hx_report_fail(report, err, text,
                              "asks for %s, which no module may have: %s; take it out of what it declares", text,
                              refusal.why);
    return hx_report_fail(report, err, text, "asks for %s: %s", text, refusal.why ? refusal.why : hx_err_text(err));
}

hx_status_t hx_capability_admit(struct hx_module *module, struct hx_version *version, struct hx_report *report)
{
    uint32_t more = 0;
    const struct hx_capability_record *record = hx_records_capabilities(version->image, &more);
    uint32_t count = more + version->ports_count + version->irqs_count + version->callbacks_count; /* at most */
    struct hx_capability_manifest *manifest = NULL;
    bool enough = make_principal(module);
    if (enough && count) {
        manifest = hx_hal_alloc(sizeof(*manifest) + count * sizeof(manifest->request[0]));
        enough = manifest != NULL;
    }
    if (!enough)
        return hx_report_fail(report, HX_E_NOMEM, "capabilities", "not enough memory for the module's capabilities");
    if (!manifest)
        return HX_OK;
    manifest->principal = module->principal;
    fill_manifest(manifest, version, record, more);
    hx_irq_flags_t flags = begin();
    manifest->next = module->principal->manifests;
    module->principal->manifests = manifest;
    end(flags);
    hx_ledger_enter(&version->ledger, &manifest->node, "capabilities", release_manifest);
    hx_status_t err = HX_OK;
    for (uint32_t i = 0; i < manifest->count && err == HX_OK; i++)
        if (!manifest->request[i].optional)
            err = give_requested(manifest, &manifest->request[i].what, report);
    return err;
}

const char *hx_capability_line_refusal(const struct hx_module *module, uint32_t line)
{
    hx_status_t err = hx_capability_check(module->principal, HX_CAPABILITY_INTERRUPT, 0, line, line);
    return err == HX_OK ? NULL : "it holds no capability for it";
}

/* ---- the beginning --------------------------------------------------------------------------------------------------- */

/* Everything of @type. */
static struct hx_capability all_of(uint32_t type)
{
    static const uint64_t last[HX_CAPABILITY_TYPE_COUNT] = { [HX_CAPABILITY_MEMORY] = UINT64_MAX,
                                                             [HX_CAPABILITY_IO_PORT] = UINT16_MAX,
                                                             [HX_CAPABILITY_INTERRUPT] = HX_IRQ_GSI_LAST,
                                                             [HX_CAPABILITY_NETWORK] = UINT16_MAX };
    static const uint8_t rights[HX_CAPABILITY_TYPE_COUNT] = {
        [HX_CAPABILITY_MEMORY] = HX_CAPABILITY_READ | HX_CAPABILITY_WRITE | HX_CAPABILITY_EXECUTE,
        [HX_CAPABILITY_FILE_SYSTEM] = HX_CAPABILITY_READ | HX_CAPABILITY_WRITE,
        [HX_CAPABILITY_IPC] = HX_CAPABILITY_WRITE
    };
    struct hx_capability all = { .type = type,
                                 .rights = rights[type] | (uint32_t)HX_CAPABILITY_GRANT,
                                 .last = last[type] };
    if (type == HX_CAPABILITY_FILE_SYSTEM)
        all.path[0] = '/';
    return all;
}

void hx_capability_init(void)
{
    hx_kernel_principal = (struct hx_principal){ .name = "kernel", .kind = HX_PRINCIPAL_KERNEL };
    hx_messages_principal = (struct hx_principal){ .name = "messages", .kind = HX_PRINCIPAL_MESSAGES };
    hx_console_principal = (struct hx_principal){ .name = "console", .kind = HX_PRINCIPAL_CONSOLE };
    hx_control_principal = (struct hx_principal){ .name = "control", .kind = HX_PRINCIPAL_CONSOLE };
    policies = NULL;
    unused = NULL;
    first_over_ns = HX_CAPABILITY_NEVER;
    for (uint32_t i = HX_CAPABILITY_GRANTS_MAX; i-- > 0; unused = &grants[i])
        grants[i] = (struct hx_capability_grant){ .next = unused, .generation = grants[i].generation };
    for (uint32_t type = 1; type < HX_CAPABILITY_TYPE_COUNT; type++) {
        struct hx_capability all = all_of(type);
        struct hx_capability_grant *root = make(NULL, &hx_kernel_principal, &all, HX_CAPABILITY_NEVER);
        root->permanent = true;
        make(root, &hx_console_principal, &all, HX_CAPABILITY_NEVER)->permanent = true;
        make(root, &hx_control_principal, &all, HX_CAPABILITY_NEVER)->permanent = true;
    }
    hx_capability_add_default_policies();
}
