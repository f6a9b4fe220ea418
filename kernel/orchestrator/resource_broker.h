/* SPDX-License-Identifier: MIT */
/*
 * resource_broker.h - how much of the machine a module has, has used, and may have.
 *
 * A pool is what there is of a resource. Whoever holds some of it has a record, an allocation, that stands in two lists: the
 * pool's and the holder's. A quota is a holder's own limit, of each resource. Memory and counts are held until they are given
 * back. Rates, CPU time and I/O, are used up: a holder's quota flows into a bucket that holds that of one second; who has
 * emptied it is over its quota until as much has flowed in as it has overdrawn.
 *
 * What is charged without being asked for: the images and records of a module's versions, while they exist; the CPU time of
 * tasks that the module owns, when they stop and at ticks; the ticks that find others in its code. A module that has overdrawn
 * its CPU time has its own tasks put to sleep at their next preemption; who calls it is not held up.
 *
 * Context: any but that of an NMI; holders are made and ended by the worker. Locks: HX_RANK_RESOURCE.
 * Cost: constant, but for hx_resource_release_all(), the next two and what a person looks at.
 */
#pragma once
#include <helix/resource.h>

struct hx_gate_frame;
struct hx_holder;
struct hx_module;
struct hx_report;
struct hx_version;

enum { HX_ALLOCATIONS_MAX = 1024, HX_ALLOCATIONS_KEPT = 256 };
#define HX_RATE_MAX UINT64_C(10000000000000)

/* Of one resource. */
struct hx_resource_share {
    uint64_t quota;     /* HX_QUOTA_NONE: none */
    uint64_t allocated; /* by records and by charges */
    uint64_t charged;   /* of that: by charges, which have no record */
    uint64_t used;      /* of what is allocated; a rate: since the holder was made */
    int64_t balance;    /* a rate: what the bucket holds; below 0: overdrawn */
    uint64_t filled_ns; /* until when it has been filled */
    uint64_t throttled; /* how often more than the quota was wanted */
    bool is_over;       /* it still is */
    bool has_news;      /* it has become so, and nobody has been told */
};

/* Who has something. */
struct hx_resource_holder {
    struct hx_resource_share share[HX_RESOURCES_MAX];
    uint32_t first; /* of its records: 1 + index, 0: none */
    uint32_t count;
};

struct hx_resource_pool {
    char name[HX_NAME_MAX];
    bool exists, is_rate;
    uint64_t total, available;
    uint32_t first, count; /* of its records, likewise */
};

struct hx_allocation {
    hx_handle_t handle;
    enum hx_resource resource;
    uint64_t allocated, used;
    const struct hx_resource_holder *holder;
    bool pinned;
};

/* Forgets everything: there are no pools. Once, while the machine starts. */
void hx_resource_init(void);
/* There are @total of @resource. HX_E_EXIST: that has been said; HX_E_INVAL: one that wants a name. */
HX_NODISCARD hx_status_t hx_resource_pool_init(enum hx_resource resource, uint64_t total);
/* The same of one of its own that is called @name. HX_E_EXIST, HX_E_INVAL (no name), HX_E_LIMIT. */
HX_NODISCARD hx_status_t hx_resource_custom_init(const char *name, uint64_t total, enum hx_resource *out);
/* "licences=4", "files=1K": makes the pool, of a known resource or of one's own. HX_E_FORMAT, HX_E_RANGE; else as those two. */
HX_NODISCARD hx_status_t hx_resource_pool_add(const char *text, size_t bytes);
/* HX_E_NOENT: there is none, or no pool of it. */
HX_NODISCARD hx_status_t hx_resource_find(const char *name, size_t bytes, enum hx_resource *out);
/* A copy of it. HX_E_NOENT. */
HX_NODISCARD hx_status_t hx_resource_pool_get(enum hx_resource resource, struct hx_resource_pool *out);

void hx_resource_holder_init(struct hx_resource_holder *holder);

/* @amount of @resource for @holder. HX_E_NOENT (no pool), HX_E_INVAL (0), HX_E_QUOTA (his own), HX_E_EXHAUSTED (the pool),
 * HX_E_LIMIT (records). */
HX_NODISCARD hx_status_t hx_resource_allocate(struct hx_resource_holder *holder, enum hx_resource resource,
                                              uint64_t amount, hx_handle_t *out);
/* The same for a module that asks for it: HX_E_LIMIT, too, when it has HX_RES_ALLOCATIONS_MAX, or when no more than
 * HX_ALLOCATIONS_KEPT records are left, which are for what the kernel charges. */
HX_NODISCARD hx_status_t hx_resource_allocate_asked(struct hx_resource_holder *holder, enum hx_resource resource,
                                                    uint64_t amount, hx_handle_t *out);
/* It is the kernel's own doing, and not its holder's to give back or to say anything of. */
void hx_resource_pin(hx_handle_t allocation);
/* HX_E_NOENT: it is no allocation, or not any more. */
HX_NODISCARD hx_status_t hx_resource_deallocate(hx_handle_t allocation);
/* HX_E_NOENT; HX_E_RANGE: more than is allocated. */
HX_NODISCARD hx_status_t hx_resource_update_usage(hx_handle_t allocation, uint64_t used);
HX_NODISCARD hx_status_t hx_resource_get(hx_handle_t allocation, struct hx_allocation *out);
/* Gives back all that @holder has, charges included. His quotas stay. */
void hx_resource_release_all(struct hx_resource_holder *holder);
/* The record of @holder's that follows @after (HX_HANDLE_NONE: the first), newest first. HX_E_NOENT: there is none. */
HX_NODISCARD hx_status_t hx_resource_next(const struct hx_resource_holder *holder, hx_handle_t after,
                                          struct hx_allocation *out);
/* A copy of his share. */
void hx_resource_usage(const struct hx_resource_holder *holder, enum hx_resource resource,
                       struct hx_resource_share *out);

/* Memory without a record, for objects that know their size. @holder NULL: the kernel's own, which nobody counts. HX_E_NOENT,
 * HX_E_QUOTA, HX_E_EXHAUSTED. */
HX_NODISCARD hx_status_t hx_resource_charge_memory(struct hx_resource_holder *holder, uint64_t bytes);
void hx_resource_uncharge_memory(struct hx_resource_holder *holder, uint64_t bytes);

/* @amount of a rate has been used at @now_ns. Returns until when the holder has to wait, 0: not at all. */
uint64_t hx_resource_spend(struct hx_resource_holder *holder, enum hx_resource resource, uint64_t amount,
                           uint64_t now_ns);

/* What is held stays, though it be more. Of a rate: from now on, with a full bucket. HX_E_NOENT; HX_E_RANGE: a rate of 0 or
 * more than HX_RATE_MAX. */
HX_NODISCARD hx_status_t hx_resource_set_quota(struct hx_resource_holder *holder, enum hx_resource resource,
                                               uint64_t quota);
/* "memory=1M", "cpu=20%", "NAME=none". HX_E_FORMAT, HX_E_NOENT (no such resource), HX_E_RANGE. */
HX_NODISCARD hx_status_t hx_resource_parse_quota(const char *text, size_t bytes, enum hx_resource *out_resource,
                                                 uint64_t *out_quota);
/* "20%", "none", "1048576". */
void hx_resource_quota_text(enum hx_resource resource, uint64_t quota, char out[24]);

/* @over is called when a holder has come to want more than a quota of his: any context, with locks held, so it only notes that. */
void hx_resource_bind(void (*over)(void));
/* Whether he has done so with @resource since the last time that this was asked. */
bool hx_resource_take_news(struct hx_resource_holder *holder, enum hx_resource resource);

/* ---- modules (module_resources.c) ------------------------------------------------------------------------------------ */
/* Gives @module its books, which go with it. HX_E_NOMEM. */
HX_NODISCARD hx_status_t hx_resource_open(struct hx_module *module, struct hx_report *report);
/* Charges @version's memory until it is destroyed. @first: the words "quota.memory=1M" among its parameters count before that;
 * of a swap's version they are of no account. HX_E_QUOTA, HX_E_EXHAUSTED, HX_E_LIMIT; HX_E_FORMAT, HX_E_NOENT, HX_E_RANGE. */
HX_NODISCARD hx_status_t hx_resource_admit(struct hx_version *version, bool first, struct hx_report *report);
/* Charges @version's module for @bytes that it asks for beside that, without a record: hx_resource_uncharge_memory(). The errors
 * of that, reported as those above. */
HX_NODISCARD hx_status_t hx_resource_charge(const struct hx_version *version, uint64_t bytes, struct hx_report *report);
/* For hx_handle_bind_memory(): what grants and channels of a module's take. */
hx_status_t hx_resource_pay(const struct hx_holder *holder, uint64_t bytes, bool back);
/* Its init is over: some of its memory is not needed any more. */
void hx_resource_settle(const struct hx_version *version);
/* A tick has found the running task innermost in @frame, which is sound. */
void hx_resource_tick(const struct hx_gate_frame *frame);
/* For hx_task_bind_owners(). */
uint64_t hx_resource_task_ran(void *owner, uint64_t ran_ns, uint64_t now_ns);
