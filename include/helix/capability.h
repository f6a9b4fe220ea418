/* SPDX-License-Identifier: MIT */
/*
 * capability.h - what a module may be allowed to do, and how it asks for it.
 *
 *     HX_CAP_IPC("svc_echo");                     // may use the services, channels and topics of that name and below
 *     HX_CAP_FILES("/etc", HX_CAPABILITY_READ);
 *     HX_CAP_OPTIONAL(HX_CAPABILITY_DEBUG, 0, 0, 0, "");
 *
 * A module holds what it asks for and the owner's policy lets it have, and nothing else; a request that the policy refuses
 * keeps the module from being loaded. HX_PORTS, HX_IRQ and HX_SUBSCRIBE are requests already. What is optional is not given at
 * the load, but may be given later: by a person, or in a message.
 */
#pragma once
#include <helix/types.h>

enum hx_capability_type {
    HX_CAPABILITY_NONE,
    HX_CAPABILITY_MEMORY,      /* physical addresses first..last */
    HX_CAPABILITY_IO_PORT,     /* x86 I/O ports first..last */
    HX_CAPABILITY_INTERRUPT,   /* lines first..last, as in struct hx_irq_record */
    HX_CAPABILITY_FILE_SYSTEM, /* path, and what is below it */
    HX_CAPABILITY_NETWORK,     /* ports first..last */
    HX_CAPABILITY_MODULES,     /* load, unload, swap */
    HX_CAPABILITY_SYSTEM,      /* configuration of the whole machine, its end included */
    HX_CAPABILITY_DEBUG,       /* look at everything */
    HX_CAPABILITY_IPC, /* path: of services, channels and topics, and what is below it; "": all. To publish: WRITE */
    HX_CAPABILITY_RESOURCE, /* path: of pools that may be taken from, and what is below it; "": all */
    HX_CAPABILITY_TYPE_COUNT,
};

enum hx_capability_right {
    HX_CAPABILITY_READ = 1 << 0, /* memory, files: one of these three at least */
    HX_CAPABILITY_WRITE = 1 << 1,
    HX_CAPABILITY_EXECUTE = 1 << 2,
    HX_CAPABILITY_GRANT = 1 << 3, /* pass it on: any type */
};

/* What an HX_EVENT_CAPABILITY tells; of a grant that ends with others, or with a module, nothing is told. */
enum hx_capability_event { HX_CAPABILITY_GRANTED, HX_CAPABILITY_REVOKED, HX_CAPABILITY_EXPIRED, HX_CAPABILITY_DENIED };
#define HX_CAPABILITY_HAPPENED(what, type) ((uint64_t)(what) << 32 | (uint32_t)(type))

enum { HX_CAPABILITY_PATH_MAX = 64 }; /* NUL included */

struct hx_capability {
    uint32_t type;   /* enum hx_capability_type */
    uint32_t rights; /* bits of enum hx_capability_right */
    uint64_t first;
    uint64_t last; /* inclusive; 0 with first where the type has no range */
    char path[HX_CAPABILITY_PATH_MAX];
};

/* .hx.capabilities */
struct hx_capability_record {
    struct hx_capability what;
    uint32_t optional; /* 0 or 1 */
    uint32_t reserved;
};

#define HX_CAPABILITY_(is_optional, cap_type, cap_rights, cap_first, cap_last, cap_path)                               \
    HX_STATIC_ASSERT(sizeof(cap_path) <= HX_CAPABILITY_PATH_MAX, "the path is too long");                              \
    static const struct hx_capability_record HX_UNIQUE_(hx_capability_) HX_RECORD_(".hx.capabilities") = {             \
        .what = { .type = (cap_type),                                                                                  \
                  .rights = (cap_rights),                                                                              \
                  .first = (cap_first),                                                                                \
                  .last = (cap_last),                                                                                  \
                  .path = cap_path },                                                                                  \
        .optional = (is_optional),                                                                                     \
    }
#define HX_CAP_MEMORY(first, last, rights) HX_CAPABILITY_(0, HX_CAPABILITY_MEMORY, rights, first, last, "")
#define HX_CAP_PORTS(first, last) HX_CAPABILITY_(0, HX_CAPABILITY_IO_PORT, 0, first, last, "")
#define HX_CAP_LINES(first, last) HX_CAPABILITY_(0, HX_CAPABILITY_INTERRUPT, 0, first, last, "")
#define HX_CAP_FILES(path, rights) HX_CAPABILITY_(0, HX_CAPABILITY_FILE_SYSTEM, rights, 0, 0, path)
#define HX_CAP_NETWORK(first, last) HX_CAPABILITY_(0, HX_CAPABILITY_NETWORK, 0, first, last, "")
#define HX_CAP_MODULES HX_CAPABILITY_(0, HX_CAPABILITY_MODULES, 0, 0, 0, "")
#define HX_CAP_SYSTEM HX_CAPABILITY_(0, HX_CAPABILITY_SYSTEM, 0, 0, 0, "")
#define HX_CAP_DEBUG HX_CAPABILITY_(0, HX_CAPABILITY_DEBUG, 0, 0, 0, "")
#define HX_CAP_IPC(path) HX_CAPABILITY_(0, HX_CAPABILITY_IPC, 0, 0, 0, path)
/* The same, and to publish to topics of that name and below; not to the kernel's. */
#define HX_CAP_PUBLISH(path) HX_CAPABILITY_(0, HX_CAPABILITY_IPC, HX_CAPABILITY_WRITE, 0, 0, path)
/* To take of the pool of that name (helix/resource.h). */
#define HX_CAP_RESOURCE(path) HX_CAPABILITY_(0, HX_CAPABILITY_RESOURCE, 0, 0, 0, path)
#define HX_CAP_OPTIONAL(type, rights, first, last, path) HX_CAPABILITY_(1, type, rights, first, last, path)
