/* SPDX-License-Identifier: MIT */
/* module_host.c - see module_host.h. */
#include "module_host.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

uint64_t host_now_ns = 1000000000;
uint8_t (*host_port_read_hook)(uint16_t port);
void (*host_port_write_hook)(uint16_t port, uint8_t value);
void (*host_sleep_hook)(void);
const struct hx_message *host_channel_in;
struct hx_message host_channel_out;
uint32_t host_channel_sent;
hx_ret_t host_channel_send_result;
uint64_t host_dropped;
void (*host_channel_receive_hook)(void);
hx_ret_t (*host_channel_send_hook)(const struct hx_message *message);
uint32_t host_deferred;

/* ---- state blob ------------------------------------------------------------------------------------------------------ */
enum { FIELDS_MAX = 16 };
enum phase { PHASE_NONE, PHASE_SAVE, PHASE_LOAD };

static struct {
    enum phase phase;
    size_t capacity, used;
    size_t count;
    struct {
        char name[HX_NAME_MAX];
        uint8_t *data;
        size_t bytes;
    } field[FIELDS_MAX];
} blob;

static size_t blob_find(const void *name, size_t name_bytes)
{
    size_t i = 0;
    while (i < blob.count &&
           !(strlen(blob.field[i].name) == name_bytes && memcmp(blob.field[i].name, name, name_bytes) == 0))
        i++;
    return i;
}

static size_t blob_add(const void *name, size_t name_bytes)
{
    cr_assert(blob.count < FIELDS_MAX && name_bytes > 0 && name_bytes < HX_NAME_MAX);
    memcpy(blob.field[blob.count].name, name, name_bytes);
    blob.field[blob.count].name[name_bytes] = 0;
    blob.field[blob.count].data = NULL;
    blob.field[blob.count].bytes = 0;
    return blob.count++;
}

void host_blob_clear(size_t capacity)
{
    for (size_t i = 0; i < blob.count; i++)
        free(blob.field[i].data);
    blob.count = blob.used = 0;
    blob.capacity = capacity;
}

void host_blob_drop(const char *name)
{
    size_t i = blob_find(name, strlen(name));
    cr_assert(i < blob.count);
    free(blob.field[i].data);
    memmove(&blob.field[i], &blob.field[i + 1], (blob.count - i - 1) * sizeof(blob.field[0]));
    blob.count--;
}

void host_blob_put(const char *name, const void *data, size_t bytes)
{
    size_t i = blob_find(name, strlen(name));
    if (i == blob.count)
        i = blob_add(name, strlen(name));
    free(blob.field[i].data);
    blob.field[i].data = malloc(bytes + 1);
    blob.field[i].bytes = bytes;
    if (bytes)
        memcpy(blob.field[i].data, data, bytes);
}

size_t host_blob_bytes(const char *name)
{
    size_t i = blob_find(name, strlen(name));
    return i < blob.count ? blob.field[i].bytes : SIZE_MAX;
}

/* As the kernel: spans are bounded, a field is put in one go, the whole has been reserved before. */
hx_ret_t host_state_put(const void *name, uint64_t name_bytes, const void *data, uint64_t data_bytes)
{
    if (blob.phase != PHASE_SAVE)
        return HX_E_STATE;
    cr_assert(data_bytes <= HX_SPAN_MAX, "a span of %zu bytes", (size_t)data_bytes);
    size_t i = blob_find(name, name_bytes);
    if (i == blob.count)
        i = blob_add(name, name_bytes);
    else if (i + 1 != blob.count)
        return HX_E_EXIST;
    if (data_bytes > blob.capacity - blob.used)
        return HX_E_LIMIT;
    blob.field[i].data = realloc(blob.field[i].data, blob.field[i].bytes + data_bytes + 1);
    if (data_bytes)
        memcpy(blob.field[i].data + blob.field[i].bytes, data, data_bytes);
    blob.field[i].bytes += data_bytes;
    blob.used += data_bytes;
    return HX_OK;
}

hx_ret_t host_state_get(const void *name, uint64_t name_bytes, uint64_t offset, void *data, uint64_t data_bytes)
{
    if (blob.phase != PHASE_LOAD)
        return HX_E_STATE;
    cr_assert(data_bytes <= HX_SPAN_MAX, "a span of %zu bytes", (size_t)data_bytes);
    size_t i = blob_find(name, name_bytes);
    if (i == blob.count)
        return HX_E_NOENT;
    size_t left = offset < blob.field[i].bytes ? blob.field[i].bytes - offset : 0;
    size_t part = data_bytes < left ? data_bytes : left;
    if (part)
        memcpy(data, blob.field[i].data + offset, part);
    return (hx_ret_t)part;
}

hx_ret_t host_state_size(const void *name, uint64_t name_bytes)
{
    if (blob.phase != PHASE_LOAD)
        return HX_E_STATE;
    size_t i = blob_find(name, name_bytes);
    return i < blob.count ? (hx_ret_t)blob.field[i].bytes : HX_E_NOENT;
}

/* ---- other imports --------------------------------------------------------------------------------------------------- */
hx_ret_t host_log(uint64_t level, const void *text, uint64_t text_bytes)
{
    (void)level;
    (void)text;
    (void)text_bytes;
    return HX_OK;
}

hx_ret_t host_clock_ns(void)
{
    return (hx_ret_t)host_now_ns;
}

hx_ret_t host_port_read8(uint64_t port)
{
    cr_assert(host_port_read_hook, "read of port %#x", (unsigned)port);
    return host_port_read_hook((uint16_t)port);
}

hx_ret_t host_port_write8(uint64_t port, uint64_t value)
{
    cr_assert(host_port_write_hook, "write of port %#x", (unsigned)port);
    cr_assert(value <= UINT8_MAX);
    host_port_write_hook((uint16_t)port, (uint8_t)value);
    return HX_OK;
}

hx_ret_t host_irq_count(const void *key, uint64_t key_bytes)
{
    (void)key;
    (void)key_bytes;
    return HX_E_NOENT;
}

hx_ret_t host_sleep_ns(uint64_t duration_ns)
{
    host_now_ns += duration_ns;
    if (host_sleep_hook)
        host_sleep_hook();
    return HX_OK;
}

/* ---- a channel, deferring -------------------------------------------------------------------------------------------- */
enum { CHANNEL_END = 77 };

hx_ret_t host_channel_mine(const void *key, uint64_t key_bytes)
{
    cr_assert(key && key_bytes > 0);
    return CHANNEL_END;
}

hx_ret_t host_channel_receive(uint64_t end, void *message, uint64_t message_bytes, uint64_t timeout_ns)
{
    (void)timeout_ns;
    cr_assert(end == CHANNEL_END && message_bytes == sizeof(*host_channel_in));
    if (host_channel_receive_hook)
        host_channel_receive_hook();
    if (!host_channel_in)
        return HX_E_EMPTY;
    memcpy(message, host_channel_in, message_bytes);
    host_channel_in = NULL;
    return HX_OK;
}

hx_ret_t host_channel_send(uint64_t end, const void *message, uint64_t message_bytes, uint64_t timeout_ns)
{
    cr_assert(end == CHANNEL_END && message_bytes == sizeof(host_channel_out));
    cr_assert(timeout_ns < HX_WAIT_FOREVER || timeout_ns & HX_WAIT_RESTARTABLE,
              "as long as it waits it cannot be swapped");
    if (host_channel_send_hook)
        return host_channel_send_hook(message);
    memcpy(&host_channel_out, message, message_bytes);
    host_channel_sent++;
    return host_channel_send_result;
}

hx_ret_t host_defer(const void *key, uint64_t key_bytes)
{
    cr_assert(key && key_bytes > 0);
    host_deferred++;
    return HX_OK;
}

hx_ret_t host_handle_drop(uint64_t handle)
{
    host_dropped = handle;
    return HX_OK;
}

/* ---- the record ------------------------------------------------------------------------------------------------------ */
_Alignas(16) uint8_t host_record[HOST_RECORD_BYTES];
static bool record_begun;

void host_record_clear(void)
{
    memset(host_record, 0, sizeof(host_record));
}

hx_ret_t host_record_begin(void)
{
    record_begun = true;
    return HX_OK;
}

hx_ret_t host_record_put(uint64_t offset, const void *data, uint64_t data_bytes)
{
    cr_assert(record_begun && offset <= sizeof(host_record) && data_bytes <= sizeof(host_record) - offset);
    memcpy(host_record + offset, data, data_bytes);
    return HX_OK;
}

hx_ret_t host_record_commit(void)
{
    hx_ret_t err = record_begun ? HX_OK : HX_E_STATE;
    record_begun = false;
    return err;
}

/* ---- conversions ----------------------------------------------------------------------------------------------------- */
hx_ret_t host_save(const struct module_host *module)
{
    uint8_t *before = malloc(module->state_bytes);
    memcpy(before, module->state, module->state_bytes);
    host_blob_clear(module->state_bytes);
    blob.phase = PHASE_SAVE;
    hx_ret_t err = module->record->hooks.save();
    blob.phase = PHASE_NONE;
    cr_expect(memcmp(before, module->state, module->state_bytes) == 0, "%s: save changed the state", module->label);
    free(before);
    return err;
}

hx_ret_t host_load(const struct module_host *module)
{
    memset(module->state, 0, module->state_bytes);
    host_record_clear();
    if (module->record->hooks.init)
        cr_assert(module->record->hooks.init() == HX_OK);
    blob.phase = PHASE_LOAD;
    hx_ret_t err = module->record->hooks.load();
    blob.phase = PHASE_NONE;
    return err;
}

hx_ret_t host_convert(const struct module_host *from, const struct module_host *to)
{
    hx_ret_t err = host_save(from);
    return err == HX_OK ? host_load(to) : err;
}

/* ---- corruptions ----------------------------------------------------------------------------------------------------- */
static uint8_t *element(const struct module_host *module, const char *field, uint32_t index, uint32_t *out_bytes)
{
    for (size_t i = 0; i < module->field_count; i++) {
        const struct hx_field_record *f = &module->fields[i];
        if (strcmp(f->name, field) != 0)
            continue;
        cr_assert(index < f->count, "%s has no %s[%u]", module->label, field, index);
        *out_bytes = f->elem_bytes;
        return module->state + f->offset + (size_t)index * f->elem_bytes;
    }
    cr_assert_fail("%s has no field %s", module->label, field);
    abort();
}

uint64_t host_field_get(const struct module_host *module, const char *field, uint32_t index)
{
    uint32_t bytes = 0;
    uint64_t value = 0;
    uint8_t *at = element(module, field, index, &bytes);
    memcpy(&value, at, bytes);
    return value;
}

void host_field_set(const struct module_host *module, const char *field, uint32_t index, uint64_t value)
{
    uint32_t bytes = 0;
    uint8_t *at = element(module, field, index, &bytes);
    memcpy(at, &value, bytes);
}

void host_expect_sound(const struct module_host *module)
{
    hx_ret_t err = module->record->hooks.check();
    cr_expect(err == HX_OK, "%s: check returns %d for a sound state", module->label, (int)err);
}

void host_expect_found(const struct module_host *module, const struct corruption *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct corruption *c = &list[i];
        uint64_t was = host_field_get(module, c->field, c->index);
        cr_expect(was != c->value, "%s: %s[%u] is already %llu", module->label, c->field, c->index,
                  (unsigned long long)was);
        host_field_set(module, c->field, c->index, c->value);
        hx_ret_t err = module->record->hooks.check();
        cr_expect(err == HX_E_CORRUPT, "%s: %s[%u] %llu -> %llu: check returns %d", module->label, c->field, c->index,
                  (unsigned long long)was, (unsigned long long)c->value, (int)err);
        host_field_set(module, c->field, c->index, was);
        host_expect_sound(module);
    }
}

void *host_param(const struct module_host *module, const char *name)
{
    cr_assert(module->param && strcmp(module->param->name, name) == 0, "%s has no parameter %s", module->label, name);
    return module->param->variable;
}

uint32_t host_random(uint32_t bound)
{
    static uint64_t seed = 0x9e3779b97f4a7c15ull;
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((seed >> 33) % bound);
}
