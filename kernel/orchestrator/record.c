/* SPDX-License-Identifier: MIT */
/* record.c - see record.h; and the imports for it, of which helix/kernel.h tells. */
#include "record.h"

#include "resource_broker.h"

#include <hal/hx_import.h>
#include <hal/hx_lock.h>
#include <lib/crc.h>
#include <lib/fmt.h>
#include <string.h>

/* In front of each piece that was put; the next one begins at the next multiple of 8. */
struct put {
    uint32_t offset, bytes;
};

struct hx_record {
    LIST_ENTRY(hx_record) link; /* l: the lock */
    struct hx_resource_holder *charged;
    size_t bytes, charge;
    uint32_t versions; /* that have it */
    bool damaged;
    uint64_t commits;
    struct hx_gate_frame *holder; /* a: the call that changes it; the rest is its own */
    const struct hx_task *task;   /* whose call that is */
    uint64_t back;                /* where it returns to */
    uint32_t noted;               /* bytes of `put' */
    struct hx_waitq waiters;
    uint32_t *sums; /* of each block */
    _Alignas(16) uint8_t put[HX_RECORD_PUT_MAX];
    _Alignas(16) uint8_t data[]; /* [bytes], then sums */
};

static LIST_HEAD(, hx_record) records;
static struct hx_lock lock = HX_LOCK_INIT(HX_RANK_RECORDS);

static size_t padded(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

/* ---- checksums ------------------------------------------------------------------------------------------------------ */

static uint32_t sum_of(const struct hx_record *record, size_t block)
{
    size_t at = block * HX_RECORD_BLOCK_BYTES, left = record->bytes - at;
    return hx_crc32c(0, record->data + at, left < HX_RECORD_BLOCK_BYTES ? left : HX_RECORD_BLOCK_BYTES);
}

/* Of the blocks in which [@offset, @offset + @bytes) lies, @bytes > 0. */
static bool is_whole(const struct hx_record *record, size_t offset, size_t bytes)
{
    bool whole = true;
    for (size_t i = offset / HX_RECORD_BLOCK_BYTES; i <= (offset + bytes - 1) / HX_RECORD_BLOCK_BYTES; i++)
        whole = whole && record->sums[i] == sum_of(record, i);
    return whole;
}

static void seal(struct hx_record *record, size_t offset, size_t bytes)
{
    for (size_t i = offset / HX_RECORD_BLOCK_BYTES; i <= (offset + bytes - 1) / HX_RECORD_BLOCK_BYTES; i++)
        record->sums[i] = sum_of(record, i);
}

/* All of it is zeros: each block has the checksum of the first, but the last, which may be shorter. */
static void seal_zeros(struct hx_record *record)
{
    size_t last = (record->bytes - 1) / HX_RECORD_BLOCK_BYTES;
    seal(record, 0, 1);
    for (size_t i = 1; i < last; i++)
        record->sums[i] = record->sums[0];
    seal(record, record->bytes - 1, 1);
}

/* ---- versions -------------------------------------------------------------------------------------------------------- */

static void release(struct hx_ledger_node *node)
{
    struct hx_version *version = (struct hx_version *)((char *)node - offsetof(struct hx_version, kept_node));
    struct hx_record *record = version->kept;
    if (--record->versions)
        return;
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    LIST_REMOVE(record, link);
    hx_lock_release(&lock, flags);
    hx_resource_uncharge_memory(record->charged, record->charge);
    hx_hal_free(record);
}

static hx_status_t create(struct hx_version *version, struct hx_report *report)
{
    size_t bytes = version->record_region->bytes;
    size_t blocks = (bytes + HX_RECORD_BLOCK_BYTES - 1) / HX_RECORD_BLOCK_BYTES;
    size_t charge = sizeof(struct hx_record) + padded(bytes) + blocks * sizeof(uint32_t);
    hx_status_t err = hx_resource_charge(version, charge, report);
    if (err != HX_OK)
        return err;
    struct hx_record *record = hx_hal_alloc(charge);
    if (!record) {
        hx_resource_uncharge_memory(version->module->resources, charge);
        return hx_report_fail(report, HX_E_NOMEM, "record", "not enough memory for its record of %zu bytes", bytes);
    }
    record->charged = version->module->resources;
    record->charge = charge;
    record->bytes = bytes;
    record->sums = (uint32_t *)(void *)(record->data + padded(bytes));
    hx_waitq_init(&record->waiters);
    seal_zeros(record);
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    LIST_INSERT_HEAD(&records, record, link);
    hx_lock_release(&lock, flags);
    version->kept = record;
    return HX_OK;
}

static hx_status_t check_fields_fit(const struct hx_version *from, const struct hx_version *to,
                                    struct hx_report *report)
{
    for (uint32_t i = 0; i < from->record_fields.count; i++) {
        const struct hx_field_record *field = &from->record_fields.field[i];
        if (!hx_fields_place(field, &to->record_fields))
            return hx_report_fail(
                report, HX_E_SCHEMA, field->name,
                "record %s: what it keeps in %s has no place in the new version, where it is missing, "
                "smaller or of another type; give it one",
                hx_version_name(from), field->name);
    }
    return HX_OK;
}

/* In what their fields say, and in what the compiler said of the structure. */
static bool are_alike(const struct hx_version *from, const struct hx_version *to)
{
    return from->record_schema == to->record_schema &&
           hx_types_agree(&from->types, &to->types, "record", hx_version_name(from));
}

hx_status_t hx_record_admit(struct hx_module *module, struct hx_version *version, struct hx_report *report)
{
    const struct hx_version *old = module->running == version ? NULL : module->running;
    hx_status_t err = old && old->kept ? check_fields_fit(old, version, report) : HX_OK;
    if (err != HX_OK || !version->record_region)
        return err;
    if (old && old->kept && are_alike(old, version))
        version->kept = old->kept;
    else
        err = create(version, report);
    if (err != HX_OK)
        return err;
    version->kept->versions++;
    *(const void **)version->record_region->pointer = version->kept->data;
    hx_ledger_enter(&version->ledger, &version->kept_node, "record", release);
    return HX_OK;
}

hx_status_t hx_record_carry(const struct hx_version *from, const struct hx_version *to, struct hx_report *report)
{
    struct hx_record *old = from->kept, *new = to->kept;
    if (!old || old == new)
        return HX_OK;
    if (old->damaged || !is_whole(old, 0, old->bytes))
        return hx_report_fail(report, HX_E_CORRUPT, "record", "its record is damaged; restart it, which begins clean");
    for (uint32_t i = 0; i < from->record_fields.count; i++) {
        const struct hx_field_record *field = &from->record_fields.field[i];
        memcpy(new->data + hx_fields_place(field, &to->record_fields)->offset, old->data + field->offset,
               (size_t)field->count * field->elem_bytes);
    }
    seal(new, 0, new->bytes);
    new->commits = old->commits;
    return HX_OK;
}

enum hx_record_state hx_record_recover(const struct hx_version *version)
{
    struct hx_record *record = version->kept;
    if (!record)
        return HX_RECORD_NONE;
    if (!record->damaged && is_whole(record, 0, record->bytes))
        return record->commits ? HX_RECORD_SOUND : HX_RECORD_NONE;
    memset(record->data, 0, record->bytes);
    seal_zeros(record);
    record->damaged = false;
    record->commits = 0;
    return HX_RECORD_DAMAGED;
}

const char *hx_record_state_text(enum hx_record_state state)
{
    return state == HX_RECORD_SOUND     ? "from its record"
           : state == HX_RECORD_DAMAGED ? "clean, its record was damaged"
                                        : "clean";
}

void hx_record_look(const struct hx_version *version, struct hx_record_info *out)
{
    const struct hx_record *record = version->kept;
    *out = (struct hx_record_info){ .bytes = record->bytes, .commits = record->commits, .damaged = record->damaged };
}

/* ---- a change -------------------------------------------------------------------------------------------------------- */

/* What the call of @frame changes; NULL: nothing. By where the frame is, as what is in it may be spoiled. */
static struct hx_record *held_by(const struct hx_gate_frame *frame)
{
    struct hx_record *record = NULL;
    hx_irq_flags_t flags = hx_lock_acquire(&lock);
    LIST_FOREACH(record, &records, link)
        if (record->holder == frame)
            break;
    hx_lock_release(&lock, flags);
    return record;
}

/* Whoever does is inside still, so the record stays. */
static void let_go(struct hx_record *record)
{
    record->task = NULL; /* before somebody else may be it: who compares it with himself is not it any more */
    __atomic_store_n(&record->holder, NULL, __ATOMIC_SEQ_CST);
    hx_waitq_wake_all(&record->waiters);
}

static void keep(struct hx_record *record)
{
    for (uint32_t at = 0; at < record->noted;) {
        const struct put *put = (const struct put *)(const void *)(record->put + at);
        if (put->bytes) {
            record->damaged = record->damaged || !is_whole(record, put->offset, put->bytes);
            memcpy(record->data + put->offset, put + 1, put->bytes);
            seal(record, put->offset, put->bytes);
        }
        at += (uint32_t)(sizeof(*put) + padded(put->bytes));
    }
    record->commits += record->noted != 0;
}

void hx_record_drop(const struct hx_gate_frame *frame)
{
    struct hx_record *record = held_by(frame);
    if (record)
        let_go(record);
}

uint64_t hx_record_leave(struct hx_gate_frame *frame)
{
    struct hx_record *record = held_by(frame);
    uint64_t back = record->back;
    keep(record);
    let_go(record);
    return back;
}

static bool is_free(void *record)
{
    return !__atomic_load_n(&((struct hx_record *)record)->holder, __ATOMIC_SEQ_CST);
}

static bool take(struct hx_record *record, struct hx_gate_frame *frame)
{
    struct hx_gate_frame *nobody = NULL;
    if (!__atomic_compare_exchange_n(&record->holder, &nobody, frame, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        return false;
    record->task = hx_task_current();
    record->noted = 0;
    record->back = hx_gate_intercept(frame);
    return true;
}

/* The record of the call that imports, whose innermost frame is @frame. */
static hx_status_t find(const struct hx_gate_frame *frame, struct hx_record **out)
{
    const struct hx_version *version = hx_module_calling();
    if (!version->kept)
        return HX_E_NOENT;
    /* Interrupts come by atomic slots. */
    if (version->module->running != version || !hx_slot_info(frame->slot)->sleepable || hx_cpu_read(preempt_off))
        return HX_E_STATE;
    *out = version->kept;
    return HX_OK;
}

static hx_status_t begin(struct hx_gate_frame *frame, struct hx_record **out)
{
    uint64_t deadline_ns = hx_hal_clock_ns() + HX_RECORD_WAIT_NS;
    hx_status_t err = find(frame, out);
    struct hx_record *record = *out;
    if (err != HX_OK || record->holder == frame)
        return err;
    while (!take(record, frame)) {
        if (record->task == hx_task_current() && !is_free(record))
            return HX_E_BUSY;
        err = hx_waitq_wait(&record->waiters, is_free, record, deadline_ns);
        if (err != HX_OK)
            return err;
    }
    return HX_OK;
}

hx_ret_t hx_export_hx_record_begin(void)
{
    struct hx_record *record = NULL;
    return begin(hx_gate_frame(), &record);
}

hx_ret_t hx_export_hx_record_put(uint64_t offset, const void *data, uint64_t bytes)
{
    struct hx_record *record = NULL;
    hx_status_t err = begin(hx_gate_frame(), &record);
    if (err != HX_OK)
        return err;
    if (offset > record->bytes || bytes > record->bytes - offset)
        return HX_E_RANGE;
    struct put *put = (struct put *)(void *)(record->put + record->noted);
    size_t room = sizeof(record->put) - record->noted;
    if (sizeof(*put) + padded(bytes) > room)
        return HX_E_LIMIT;
    err = hx_hal_copy(put + 1, data, bytes);
    if (err != HX_OK)
        return err;
    *put = (struct put){ .offset = (uint32_t)offset, .bytes = (uint32_t)bytes };
    record->noted += (uint32_t)(sizeof(*put) + padded(bytes));
    return HX_OK;
}

hx_ret_t hx_export_hx_record_commit(void)
{
    struct hx_gate_frame *frame = hx_gate_frame();
    struct hx_record *record = NULL;
    hx_status_t err = find(frame, &record);
    if (err == HX_OK && record->holder != frame)
        err = HX_E_STATE;
    if (err != HX_OK)
        return err;
    keep(record);
    hx_gate_let_go(frame, record->back);
    let_go(record);
    return HX_OK;
}
