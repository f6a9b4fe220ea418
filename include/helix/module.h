/* SPDX-License-Identifier: MIT */
/*
 * module.h - how a module describes itself. Everything it declares is read by the kernel before any of its code runs.
 *
 *     #include <helix/module.h>
 *     #include <helix/kv.h>
 *
 *     #define STORE_STATE(SCALAR, ARRAY) SCALAR(u32, used) ARRAY(u8, keys, 64 * HX_KV_KEY_MAX)
 *     HX_STATE(store, STORE_STATE);                      // defines `static struct store_state store`
 *
 *     static const struct hx_kv_ops ops = { HX_OPS_HEAD(hx_kv), .get = store_get, ... };
 *     HX_MODULE("svc_store", HX_VERSION(1, 0, 0), "a store", .init = store_init, .check = store_check);
 *     HX_PROVIDES(hx_kv, HX_KV_OPS, &ops);
 *
 * Each macro puts one fixed-size record into a section of its own (.hx.*); the loader gives the kernel the array. Names
 * are arrays in the record, not pointers; the few pointers there are must lie in the image.
 */
#pragma once
#include <helix/capability.h>
#include <helix/interface.h>
#include <helix/ipc.h>
#include <helix/kernel.h>
#include <helix/resource.h>

#define HX_MODULE_MAGIC 0x314d5848u /* "HXM1" */
#define HX_ABI HX_VERSION(2, 3, 0)  /* major: something removed or changed; minor: something added */

/*
 * Hooks, in the order in which a module sees them. All run in thread context through the gate, may sleep unless said
 * otherwise, and return HX_OK or the error that refuses the step.
 *
 * init:   builds what is private to this version; no effect outside the module. Not called again for a version.
 * start:  (resumed: 1 when the module's state came from a predecessor) called after publishing; may use the interfaces
 *         that it requires. After a crash the state is fresh, and what its record (HX_RECORD) holds is there.
 * stop:   before an unload: cease. Never called in a swap.
 * fini:   undoes init. The version is not called again.
 * pause:  the module is about to stand still (`pause'): it is closed, and nobody is inside, nor will be until it goes on. To
 *         quieten a device, say; an error keeps it running. stop and fini may follow without resume.
 * resume: the opposite, before it opens; an error keeps it paused. Its timers go on with what was left of their time; interrupts,
 *         events and requests of meanwhile come after it.
 * save:   puts the state into the blob by hx_state_put(). Does not change it; must not sleep.
 * load:   builds the state from the blob by hx_state_get(); refusing keeps the old version running. Must not sleep.
 * check:  says whether the state is consistent: HX_OK or HX_E_CORRUPT. Must not change it or sleep.
 */
struct hx_module_hooks {
    hx_ret_t (*init)(void);
    hx_ret_t (*start)(uint64_t resumed);
    hx_ret_t (*stop)(void);
    hx_ret_t (*fini)(void);
    hx_ret_t (*pause)(void);
    hx_ret_t (*resume)(void);
    hx_ret_t (*save)(void);
    hx_ret_t (*load)(void);
    hx_ret_t (*check)(void);
};

enum hx_hook {
    HX_HOOK_INIT,
    HX_HOOK_START,
    HX_HOOK_STOP,
    HX_HOOK_FINI,
    HX_HOOK_PAUSE,
    HX_HOOK_RESUME,
    HX_HOOK_SAVE,
    HX_HOOK_LOAD,
    HX_HOOK_CHECK,
    HX_HOOK_COUNT,
};
HX_STATIC_ASSERT(sizeof(struct hx_module_hooks) == HX_HOOK_COUNT * sizeof(void *), "one pointer a hook");

/* .hx.module: exactly one. */
struct hx_module_record {
    uint32_t magic;
    uint32_t abi;
    uint32_t bytes; /* sizeof this record */
    uint32_t version;
    char name[HX_NAME_MAX];
    char summary[HX_SUMMARY_MAX];
    struct hx_module_hooks hooks;
};

/*
 * .hx.irqs: an interrupt line with its handler; the handler runs in interrupt context through the module's atomic slot.
 *
 * It returns HX_OK or 1 when its device had asked and has been served, an error when not. A level-triggered line may be
 * declared by several modules: each interrupt is told to all of them. Where again and again nobody was asked for, the line is
 * masked until one of its modules is replaced. An edge-triggered line has one owner, who is asked for by every interrupt.
 */
enum hx_irq_flag {
    HX_IRQ_GSI = 1 << 0,  /* not an ISA interrupt but the input of that number of the I/O APICs: level, low, as PCI's */
    HX_IRQ_EDGE = 1 << 1, /* with HX_IRQ_GSI: edge, high */
};
enum { HX_IRQ_GSI_FIRST = 16, HX_IRQ_GSI_LAST = 63 };

struct hx_irq_record {
    char key[HX_NAME_MAX];               /* stable name: a swap matches declarations by it */
    uint32_t line;                       /* ISA interrupt number, 0..15; a GSI: 16..63 */
    uint32_t flags;                      /* of enum hx_irq_flag */
    hx_ret_t (*handler)(uint64_t count); /* count: interrupts of the line since the last call, at least 1 */
};

/*
 * .hx.callbacks: a function that the kernel calls in thread context, where it may sleep, through the module's sleepable slot. It
 * belongs to the module by its key: a swap goes on with the function of the same key and kind, and with what is pending for it.
 *
 * What is deferred, timers and events of a module are called one after the other, so that none runs beside another; each task
 * and each request for a service runs in a task of its own.
 */
enum hx_callback_kind {
    HX_CALLBACK_DEFERRED = 1, /* hx_defer() has asked for it: once for all requests that have come since */
    HX_CALLBACK_TIMER,        /* `number' ns have passed again: once for all such periods since the last call */
    HX_CALLBACK_EVENT,   /* topic `topic' has an event whose type has its bit in `number': for each. The key keeps its
                               * topic; right after a swap an event may come that the version before has asked for */
    HX_CALLBACK_TASK,    /* again and again, at priority `number' */
    HX_CALLBACK_SERVICE, /* somebody asks the service that is called like the key; codes with a bit in `number' may be
                               * served twice when it crashes */
    HX_CALLBACK_KINDS,
};
#define HX_TIMER_PERIOD_MIN_NS UINT64_C(100000)
#define HX_TIMER_PERIOD_MAX_NS (UINT64_C(1) << 60)

/*
 * count:   of requests or periods since the last call, at least 1.
 * event:   @bytes of it, sizeof(struct hx_event); more in a later kernel.
 * task:    one round; between two calls the task stands in no code of the module. What it waits for with HX_WAIT_RESTARTABLE
 *          no swap waits for. An error ends the task for good, and is logged, but for HX_E_CLOSED, HX_E_TIMEOUT,
 *          HX_E_PAUSED and HX_E_RESTART: then it is called again.
 * service: the message is the request and becomes the reply: HX_OK, HX_REPLY_LATER or an error (helix/ipc.h).
 */
union hx_callback_function {
    hx_ret_t (*count)(uint64_t count);
    hx_ret_t (*event)(const struct hx_event *event, uint64_t bytes);
    hx_ret_t (*task)(void);
    hx_ret_t (*service)(struct hx_message *message, uint64_t bytes);
};

struct hx_callback_record {
    char key[HX_NAME_MAX];
    char topic[HX_NAME_MAX]; /* of an event; else empty */
    uint32_t kind;           /* enum hx_callback_kind */
    uint32_t reserved;
    uint64_t number;
    union hx_callback_function function;
};

/* .hx.channels: the kernel makes a channel for the module. It keeps one end (hx_channel_mine()); who connects to "module/key" gets
 * a handle of the other (hx_channel_connect()). */
struct hx_channel_record {
    char key[HX_NAME_MAX];
    uint32_t capacity; /* messages each way; that of a swap's new version must be the same */
    uint32_t reserved;
};

/* .hx.sources: whose events a subscription takes, of several records whoever's of them; without one, everybody's. */
struct hx_source_record {
    char key[HX_NAME_MAX];    /* the subscription's */
    char source[HX_NAME_MAX]; /* a module's name; it may be loaded later, and again. "kernel": the kernel's own */
};

/* .hx.topics: a topic to publish to. Its name begins with the module's and a dot. */
struct hx_topic_record {
    char name[HX_NAME_MAX];
};

/* .hx.ports: a range of x86 I/O ports that the module may use. */
struct hx_ports_record {
    uint16_t first;
    uint16_t last; /* inclusive */
};

/* .hx.params: a variable that the owner may set when the module is loaded (NAME.param=VALUE). */
struct hx_param_record {
    char name[HX_NAME_MAX];
    char summary[HX_SUMMARY_MAX];
    uint32_t bytes; /* of the variable: 1, 2, 4 or 8, unsigned */
    uint32_t reserved;
    void *variable;
};

/* .hx.fields, .hx.record_fields: one field of the declared state, or of the record, in memory order. */
enum hx_field_type { HX_FIELD_u8 = 1, HX_FIELD_u16, HX_FIELD_u32, HX_FIELD_u64, HX_FIELD_i32, HX_FIELD_i64 };
struct hx_field_record {
    char name[HX_NAME_MAX];
    uint32_t type;       /* enum hx_field_type */
    uint32_t elem_bytes; /* of one element */
    uint32_t count;      /* elements; 1 for a scalar */
    uint32_t offset;     /* in the structure */
};

/* .hx.record: what the module may not lose; at most one. The kernel has the memory, and the module's variable point to it. */
enum { HX_RECORD_BYTES_MAX = 1 << 20 };
struct hx_record_record {
    uint32_t bytes; /* of the structure */
    uint32_t reserved;
    void *pointer; /* the variable */
};

/*
 * .hx.rules: how a field fares beyond its name and type. What a version is given by another it takes over by these alone, unless
 * both have the hooks save and load; the ranges are looked at then as well. An array's rule is that of each of its elements.
 */
enum hx_rule_kind {
    HX_RULE_WAS = 1, /* a version before calls it `was'; one of that name takes it back */
    HX_RULE_DEFAULT, /* `first' stands in it before init, and after a swap from a version that does not have it */
    HX_RULE_RANGE,   /* a swap that brings less than `first' or more than `second' is refused */
    HX_RULE_DROPS,   /* there is no such field any more, and what a version before has in it is given up */
    HX_RULE_KINDS,
};
struct hx_rule_record {
    char field[HX_NAME_MAX];
    char was[HX_NAME_MAX];
    uint32_t kind; /* enum hx_rule_kind */
    uint32_t reserved;
    uint64_t first, second; /* negative ones of signed fields as int64_t */
};

/*
 * Lifetimes. HX_INIT code and HX_INIT_DATA are given back when init has succeeded: nothing else may refer to them.
 * HX_RO_AFTER_INIT variables may be written by init and not after it; they take a page of their own.
 */
#define HX_INIT __attribute__((section(".init.text"), noinline))
#define HX_INIT_DATA __attribute__((section(".init.data")))
#define HX_RO_AFTER_INIT_SECTION ".data.ro_after_init"
#define HX_RO_AFTER_INIT __attribute__((section(HX_RO_AFTER_INIT_SECTION)))

#define HX_RECORD_(section_name) __attribute__((section(section_name), used, aligned(8)))
#define HX_JOIN2_(a, b) a##b
#define HX_JOIN_(a, b) HX_JOIN2_(a, b)
#define HX_UNIQUE_(prefix) HX_JOIN_(prefix, __COUNTER__)

/* Text for people and tools that do not run the module: readelf -p .hx.info shows it. */
#define HX_INFO(tag, text)                                                                                             \
    static const char HX_UNIQUE_(hx_info_)[] __attribute__((section(".hx.info"), used, aligned(1))) = tag "=" text

#define HX_VERSION_TEXT_HX_VERSION(major, minor, patch) #major "." #minor "." #patch

#define HX_MODULE(name_text, version_number, summary_text, ...)                                                        \
    HX_STATIC_ASSERT(sizeof(name_text) <= HX_NAME_MAX, "the name is too long");                                        \
    HX_STATIC_ASSERT(sizeof(summary_text) <= HX_SUMMARY_MAX, "the summary is too long");                               \
    HX_INFO("name", name_text);                                                                                        \
    HX_INFO("summary", summary_text);                                                                                  \
    HX_INFO("version", HX_VERSION_TEXT_##version_number);                                                              \
    static const struct hx_module_record hx_module_record HX_RECORD_(".hx.module") = {                                 \
        .magic = HX_MODULE_MAGIC,                                                                                      \
        .abi = HX_ABI,                                                                                                 \
        .bytes = sizeof(struct hx_module_record),                                                                      \
        .version = (version_number),                                                                                   \
        .name = name_text,                                                                                             \
        .summary = summary_text,                                                                                       \
        .hooks = { __VA_ARGS__ },                                                                                      \
    }

#define HX_INTERFACE_RECORD_(section_name, iface, OPS, version_number, vtable_pointer)                                 \
    static const char iface##_ops_text_##section_name[] = OPS(HX_OP_TEXT_);                                            \
    static const struct hx_interface_record iface##_##section_name HX_RECORD_(".hx." #section_name) = {                \
        .prefix = #iface,                                                                                              \
        .version = (version_number),                                                                                   \
        .ops_bytes = sizeof(iface##_ops_text_##section_name),                                                          \
        .ops = iface##_ops_text_##section_name,                                                                        \
        .vtable = (vtable_pointer),                                                                                    \
    }

/* Provides an interface whole, or an older version of it: the version and list that the vtable was built for. */
#define HX_PROVIDES(iface, OPS, vtable_pointer)                                                                        \
    HX_INFO("provides", #iface);                                                                                       \
    HX_INTERFACE_RECORD_(provides, iface, OPS, (uint32_t)iface##_version, vtable_pointer)
#define HX_PROVIDES_VERSION(iface, version_number, OPS, vtable_pointer)                                                \
    HX_INFO("provides", #iface);                                                                                       \
    HX_INTERFACE_RECORD_(provides, iface, OPS, version_number, vtable_pointer)

/* Requires an interface: any provider with the same major and at least this minor. */
#define HX_REQUIRES(iface, OPS)                                                                                        \
    HX_INFO("depends", #iface);                                                                                        \
    HX_INTERFACE_RECORD_(requires, iface, OPS, (uint32_t)iface##_version, NULL)
/* The same for a user that gets along with an older version: the list and version that it needs. */
#define HX_REQUIRES_VERSION(iface, version_number, OPS)                                                                \
    HX_INFO("depends", #iface);                                                                                        \
    HX_INTERFACE_RECORD_(requires, iface, OPS, version_number, NULL)

#define HX_IRQ(key_text, line_number, handler_function)                                                                \
    static const struct hx_irq_record HX_UNIQUE_(hx_irq_)                                                              \
        HX_RECORD_(".hx.irqs") = { .key = key_text, .line = (line_number), .handler = (handler_function) }
#define HX_IRQ_FLAGS(key_text, line_number, irq_flags, handler_function)                                               \
    static const struct hx_irq_record HX_UNIQUE_(hx_irq_) HX_RECORD_(                                                  \
        ".hx.irqs") = { .key = key_text, .line = (line_number), .flags = (irq_flags), .handler = (handler_function) }

/* A function of another type is an error, where the compiler would only warn. */
#ifdef __cplusplus
#define HX_CHECK_TYPE_(function, member)
#else
#define HX_CHECK_TYPE_(function, member)                                                                               \
    HX_STATIC_ASSERT(                                                                                                  \
        __builtin_types_compatible_p(__typeof__(&(function)), __typeof__(((union hx_callback_function *)0)->member)),  \
        "a callback of this kind takes other arguments");
#endif
#define HX_CALLBACK_(callback_kind, key_text, topic_text, callback_number, member, callback_function)                  \
    HX_CHECK_TYPE_(callback_function, member)                                                                          \
    static const struct hx_callback_record HX_UNIQUE_(hx_callback_) HX_RECORD_(".hx.callbacks") = {                    \
        .key = key_text,                                                                                               \
        .topic = topic_text,                                                                                           \
        .kind = (callback_kind),                                                                                       \
        .number = (callback_number),                                                                                   \
        .function = { .member = (callback_function) },                                                                 \
    }

#define HX_DEFERRED(key_text, count_function) HX_CALLBACK_(HX_CALLBACK_DEFERRED, key_text, "", 0, count, count_function)
#define HX_TIMER(key_text, period_ns, count_function)                                                                  \
    HX_CALLBACK_(HX_CALLBACK_TIMER, key_text, "", period_ns, count, count_function)
/* types: HX_EVENT_BIT(...) | ..., or HX_EVENTS_ALL. */
#define HX_SUBSCRIBE(key_text, topic_name, types, event_function)                                                      \
    HX_CALLBACK_(HX_CALLBACK_EVENT, key_text, topic_name, types, event, event_function)
/* The subscription called key_text takes what that module publishes; at most four of them. */
#define HX_SUBSCRIBE_FROM(key_text, module_name)                                                                       \
    static const struct hx_source_record HX_UNIQUE_(hx_source_) HX_RECORD_(".hx.sources") = { key_text, module_name }
#define HX_TASK(key_text, priority, task_function)                                                                     \
    HX_CALLBACK_(HX_CALLBACK_TASK, key_text, "", priority, task, task_function)
/* repeatable_codes: a bit for each code of a request, 0 to 63, that may be served twice. */
#define HX_SERVICE(service_name, repeatable_codes, service_function)                                                   \
    HX_INFO("service", service_name);                                                                                  \
    HX_CALLBACK_(HX_CALLBACK_SERVICE, service_name, "", repeatable_codes, service, service_function)

#define HX_CHANNEL(key_text, message_capacity)                                                                         \
    static const struct hx_channel_record HX_UNIQUE_(hx_channel_)                                                      \
        HX_RECORD_(".hx.channels") = { .key = key_text, .capacity = (message_capacity) }
#define HX_TOPIC(topic_name)                                                                                           \
    HX_INFO("topic", topic_name);                                                                                      \
    static const struct hx_topic_record HX_UNIQUE_(hx_topic_) HX_RECORD_(".hx.topics") = { topic_name }

#define HX_PORTS(first_port, last_port)                                                                                \
    static const struct hx_ports_record HX_UNIQUE_(hx_ports_)                                                          \
        __attribute__((section(".hx.ports"), used, aligned(4))) = { (first_port), (last_port) }

/* HX_PARAM(uint32_t, quantum_ms, 10, "time slice"): defines the variable with its default. */
#define HX_PARAM(type, param_name, default_value, summary_text)                                                        \
    HX_STATIC_ASSERT((type)-1 > 0, "parameters are unsigned");                                                         \
    static type param_name = (default_value);                                                                          \
    static const struct hx_param_record hx_param_##param_name HX_RECORD_(".hx.params") = {                             \
        .name = #param_name, .summary = summary_text, .bytes = sizeof(type), .variable = &param_name                   \
    }

/* The state: one structure, declared field by field, in memory of its own that outlives the version in a swap. */
#define HX_STATE_SECTION ".bss.hx_state" /* the prefix makes both compilers emit it without contents */
#define HX_STATE_SCALAR_(type, name) hx_##type name;
#define HX_STATE_ARRAY_(type, name, count) hx_##type name[count];
#define HX_FIELD_RECORD_(structure, type_name, field, n)                                                               \
    { .name = #field,                                                                                                  \
      .type = HX_FIELD_##type_name,                                                                                    \
      .elem_bytes = sizeof(hx_##type_name),                                                                            \
      .count = (n),                                                                                                    \
      .offset = offsetof(structure, field) },
#define HX_STATE_SCALAR_RECORD_(type_name, field) HX_FIELD_RECORD_(HX_STATE_TYPE_, type_name, field, 1)
#define HX_STATE_ARRAY_RECORD_(type_name, field, n) HX_FIELD_RECORD_(HX_STATE_TYPE_, type_name, field, n)
#define HX_STATE(state_name, FIELDS)                                                                                   \
    struct state_name##_state {                                                                                        \
        FIELDS(HX_STATE_SCALAR_, HX_STATE_ARRAY_)                                                                      \
    };                                                                                                                 \
    typedef struct state_name##_state HX_STATE_TYPE_;                                                                  \
    static struct state_name##_state state_name __attribute__((section(HX_STATE_SECTION), used));                      \
    static const struct hx_field_record hx_fields[] HX_RECORD_(                                                        \
        ".hx.fields") = { FIELDS(HX_STATE_SCALAR_RECORD_, HX_STATE_ARRAY_RECORD_) }

/*
 * The record: a structure like the state, for what a crash of the module and a revert of a swap may not take along. It lies in
 * the kernel's memory, checksummed, and belongs to the module, whatever version runs:
 *
 *     #define BOOK_RECORD(SCALAR, ARRAY) SCALAR(u64, served)
 *     HX_RECORD(book, BOOK_RECORD);                       // defines `static const struct book_record *book`
 *
 * It is read through the pointer, which is set before any code of the module runs, and changed by hx_record_put(), with
 * HX_RECORD_AT(book, served) for the place (helix/kernel.h). At first it is zeros. A swap whose new version declares the same
 * fields goes on with it as it is, and so does the old version after a revert. Where the fields differ, each goes over by its
 * name: one that has no place in the new version, or becomes smaller, refuses the swap; after a revert the old version has it as
 * it was at the swap. A version without any cannot follow one with a record. While a swap that changes the fields is under way,
 * `init' and `load' of the new version see zeros.
 */
#define HX_RECORD_SECTION ".bss.hx_record" /* of the pointer: by it tools find the structure */
#define HX_RECORD_SCALAR_RECORD_(type_name, field) HX_FIELD_RECORD_(HX_RECORD_TYPE_, type_name, field, 1)
#define HX_RECORD_ARRAY_RECORD_(type_name, field, n) HX_FIELD_RECORD_(HX_RECORD_TYPE_, type_name, field, n)
#define HX_RECORD(record_name, FIELDS)                                                                                 \
    struct record_name##_record {                                                                                      \
        FIELDS(HX_STATE_SCALAR_, HX_STATE_ARRAY_)                                                                      \
    };                                                                                                                 \
    typedef struct record_name##_record HX_RECORD_TYPE_;                                                               \
    HX_STATIC_ASSERT(sizeof(HX_RECORD_TYPE_) <= HX_RECORD_BYTES_MAX, "the record is too long");                        \
    static const struct record_name##_record *record_name __attribute__((section(HX_RECORD_SECTION), used));           \
    static const struct hx_field_record hx_record_fields[] HX_RECORD_(                                                 \
        ".hx.record_fields") = { FIELDS(HX_RECORD_SCALAR_RECORD_, HX_RECORD_ARRAY_RECORD_) };                          \
    static const struct hx_record_record hx_record_record HX_RECORD_(                                                  \
        ".hx.record") = { .bytes = sizeof(HX_RECORD_TYPE_), .pointer = &record_name }
/* Where a member is, of an array perhaps an element: HX_RECORD_AT(book, lines[i]). */
#define HX_RECORD_AT(record_name, member) ((uint64_t)((uintptr_t)&record_name->member - (uintptr_t)record_name))

/*
 * After HX_STATE, for fields of it:
 *     HX_STATE_WAS(used, count);        `used' was called `count'
 *     HX_STATE_DEFAULT(quantum, 10);    what a version before did not have begins with 10
 *     HX_STATE_RANGE(level, 0, 7);      nothing else is taken over
 *     HX_STATE_DROPS(hits);             a version before had `hits'; without this, losing it is refused
 * Types need no rule: a number is taken over into another type when each of its values fits, and an array into a longer one.
 */
#define HX_STATE_RULE_(rule_kind, field_text, was_text, first_value, second_value)                                     \
    static const struct hx_rule_record HX_UNIQUE_(hx_rule_)                                                            \
        HX_RECORD_(".hx.rules") = { .field = field_text,                                                               \
                                    .was = was_text,                                                                   \
                                    .kind = (rule_kind),                                                               \
                                    .reserved = 0,                                                                     \
                                    .first = (uint64_t)(first_value),                                                  \
                                    .second = (uint64_t)(second_value) }
#define HX_STATE_HAS_(field_name)                                                                                      \
    HX_STATIC_ASSERT(sizeof(((HX_STATE_TYPE_ *)0)->field_name) > 0, "the state has such a field")
#define HX_STATE_WAS(field_name, old_name)                                                                             \
    HX_STATE_HAS_(field_name);                                                                                         \
    HX_STATE_RULE_(HX_RULE_WAS, #field_name, #old_name, 0, 0)
#define HX_STATE_DEFAULT(field_name, value)                                                                            \
    HX_STATE_HAS_(field_name);                                                                                         \
    HX_STATE_RULE_(HX_RULE_DEFAULT, #field_name, "", value, 0)
#define HX_STATE_RANGE(field_name, low, high)                                                                          \
    HX_STATE_HAS_(field_name);                                                                                         \
    HX_STATE_RULE_(HX_RULE_RANGE, #field_name, "", low, high)
#define HX_STATE_DROPS(old_name) HX_STATE_RULE_(HX_RULE_DROPS, #old_name, "", 0, 0)
