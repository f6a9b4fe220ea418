/* SPDX-License-Identifier: MIT */
/*
 * handle.h - names of kernel objects, each with an owner who may use it and rights that say for what.
 *
 * One table for all: a handle's index finds the entry, and the entry has the whole handle, so that a stale or invented one
 * is refused by one comparison. Entries and the objects of this room are type-stable: their memory is used again for others of
 * the kind and never given back. Who has found an object by a handle locks it and looks at the entry once more.
 *
 * Context: any, interrupts included, but making and giving up: thread. Locks: HX_RANK_HANDLE, over free entries and the lists
 * of holders.
 */
#pragma once
#include <hal/hx_lock.h>
#include <helix/ipc.h>

enum { HX_HANDLES_MAX = 8192 };

/* Who may own handles: a module's identity, or the kernel. Embedded in what it stands for. What is in a message that nobody has
 * received is the messages', and counts for who sent it as long as he is there. */
struct hx_holder {
    hx_handle_t self;      /* stamped as the source of what it sends; HX_HANDLE_NONE: the current task's handle is */
    const char *name;      /* for people */
    uint32_t first;        /* of its handles, an index; 0: none */
    uint32_t count, limit; /* of its handles; 0: HX_HANDLES_MAX */
    bool in_transit;       /* messages; c */
};
extern struct hx_holder hx_kernel_holder;

struct hx_handle_entry {
    hx_handle_t name; /* HX_HANDLE_NONE: free */
    void *object;
    struct hx_holder *owner;
    struct hx_holder *payer; /* in whose list it stands: the owner, or who sent it */
    uint32_t rights;         /* bits of enum hx_right, or what the object's type says; 16 bits */
    uint32_t denied;         /* the reverse of HX_HANDLE_MAY() when it was opened: for types whose rights stay */
    uint32_t generation;     /* outlives the handle */
    uint32_t next, before;   /* in the payer's list; free: next of those */
    uint16_t queued_at; /* a channel's end in a message: towards which end, see channel_circle.c; 0: it is in none */
    uint16_t weight;    /* of memory that it stands for, for which the payer pays: in units of HX_HANDLE_WEIGHT bytes */
    /* Whose capability let it be opened: struct hx_holder.self; HX_HANDLE_NONE: it needs none. A clone has that of what it is a
     * clone of, and who is given it keeps it. */
    hx_handle_t authority;
} __attribute__((aligned(64)));
enum { HX_HANDLE_WEIGHT = 64 };
/* A type and rights in one word. */
#define HX_HANDLE_MAY(type, rights) ((uint32_t)(rights) | UINT32_C(0x10000) << (type))
_Static_assert(HX_HANDLE_TYPE_COUNT <= 16, "a type is a bit of sixteen");
extern struct hx_handle_entry hx_handles[HX_HANDLES_MAX];

/* How an object of a type is given back when its handle is given up; bound once by each type's room. */
void hx_handle_bind(enum hx_handle_type type, void (*release)(struct hx_handle_entry *entry));

/* How a holder is charged for memory, or (@back) given back what he was charged: called with the table locked, any context. Bound
 * once; before that nobody is. */
void hx_handle_bind_memory(hx_status_t (*pay)(const struct hx_holder *holder, uint64_t bytes, bool back));
/* Nobody is in the middle of charging any more who had begun before. */
void hx_handle_settle(void);

/* A new handle for @object, which is not NULL, and stands for @bytes of memory, up to 4 MiB. HX_E_LIMIT: the table or the owner's
 * share of it is full; or why he cannot be charged. */
HX_NODISCARD hx_status_t hx_handle_open_for(enum hx_handle_type type, void *object, struct hx_holder *owner,
                                            uint32_t rights, uint64_t bytes, hx_handle_t *out);
static inline HX_NODISCARD hx_status_t hx_handle_open(enum hx_handle_type type, void *object, struct hx_holder *owner,
                                                      uint32_t rights, hx_handle_t *out)
{
    return hx_handle_open_for(type, object, owner, rights, 0, out);
}
/* A further handle of what @handle stands for, for @to; by @authority, or (HX_HANDLE_NONE) by that of @handle. It has that from the
 * beginning, so nobody sees it without. HX_E_STALE; else as hx_handle_open(). */
HX_NODISCARD hx_status_t hx_handle_clone(hx_handle_t handle, struct hx_holder *to, uint32_t rights,
                                         hx_handle_t authority, hx_handle_t *out);
/* Why hx_handle_look() and hx_handle_find() refuse @handle: HX_E_STALE (none, or not @owner's), HX_E_INVAL (of another type),
 * HX_E_PERM (a right is missing). */
HX_NODISCARD hx_status_t hx_handle_refusal(hx_handle_t handle, enum hx_handle_type type, const struct hx_holder *owner);

/* What others change meanwhile. A plain load may be part of the comparison, which an atomic one is not for compilers. */
#ifdef __SANITIZE_THREAD__
#define HX_HANDLE_READ(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#else
#define HX_HANDLE_READ(field) (field)
#endif

static inline bool hx_handle_is(const struct hx_handle_entry *entry, hx_handle_t handle)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return HX_HANDLE_READ(entry->name) == handle;
}

/*
 * The object of @handle, and its entry, or NULL and in @out_err why. @owner NULL: whoever's it is. The object is read before the
 * name: who knows the handle knows it since it was opened, so while the name is right, the object was.
 */
static inline void *hx_handle_find(hx_handle_t handle, enum hx_handle_type type, const struct hx_holder *owner,
                                   uint32_t rights, struct hx_handle_entry **out_entry, hx_status_t *out_err)
{
    struct hx_handle_entry *entry = &hx_handles[hx_handle_index(handle) % HX_HANDLES_MAX];
    void *object = HX_HANDLE_READ(entry->object);
    *out_entry = entry;
    if (object && hx_handle_is(entry, handle) && (!owner || HX_HANDLE_READ(entry->owner) == owner) &&
        hx_handle_type(handle) == (uint32_t)type && (HX_HANDLE_READ(entry->rights) & rights) == rights)
        return object;
    *out_err = hx_handle_refusal(handle, type, owner);
    return NULL;
}
/* The entry alone. */
static inline struct hx_handle_entry *hx_handle_look(hx_handle_t handle, enum hx_handle_type type,
                                                     const struct hx_holder *owner, uint32_t rights,
                                                     hx_status_t *out_err)
{
    struct hx_handle_entry *entry = NULL;
    return hx_handle_find(handle, type, owner, rights, &entry, out_err) ? entry : NULL;
}
/* Gives @handle up and releases what it stands for. HX_E_STALE. */
HX_NODISCARD hx_status_t hx_handle_close(hx_handle_t handle, const struct hx_holder *owner);
/* The handle is @to's from now on, under a new name: the old one is stale. HX_E_STALE; HX_E_LIMIT: he has as many as he may;
 * or why he cannot be charged for its memory. To one in transit it can always be given, and who gave it pays on. */
HX_NODISCARD hx_status_t hx_handle_give(hx_handle_t handle, const struct hx_holder *from, struct hx_holder *to,
                                        hx_handle_t *out);
/* All that @holder has, newest first: part of its end. What he has sent stays, and counts for the messages. */
void hx_handle_close_all(struct hx_holder *holder);
/* The next live entry after index @after (0 begins), or NULL: for those who show them. */
const struct hx_handle_entry *hx_handle_next(uint32_t after);
