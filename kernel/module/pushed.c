/* SPDX-License-Identifier: MIT */
/*
 * pushed.c - see pushed.h.
 *
 * Why by address: a version borrows a slice, whoever owns it; what lies in none of these files is the initrd's and stays.
 */
#include "pushed.h"

#include <hal/hx_hal.h>
#include <sys/queue.h>
#include <task/task.h>

#include "pack.h"

struct hx_pushed {
    LIST_ENTRY(hx_pushed) link;
    size_t bytes;
    uint32_t borrowed; /* by versions */
    bool is_named;     /* the newest of its name */
    char name[HX_PACK_NAME_MAX];
    uint8_t content[];
};

static LIST_HEAD(, hx_pushed) files = LIST_HEAD_INITIALIZER(files);
static size_t total_bytes; /* reserved ones included */
static uint32_t looking;   /* tasks between enter and leave */

static void release(struct hx_pushed *file)
{
    total_bytes -= file->bytes;
    hx_hal_free(file);
}

/* Frees what nobody has any more. */
static void sweep(void)
{
    struct hx_pushed *file = LIST_FIRST(&files);
    while (file && looking == 0) {
        struct hx_pushed *next = LIST_NEXT(file, link);
        if (!file->is_named && file->borrowed == 0) {
            LIST_REMOVE(file, link);
            release(file);
        }
        file = next;
    }
}

hx_status_t hx_pushed_reserve(const char *name, size_t bytes, struct hx_pushed **out)
{
    if (bytes > HX_PUSHED_BYTES_MAX - total_bytes)
        return HX_E_LIMIT;
    struct hx_pushed *file = hx_hal_alloc(sizeof(*file) + bytes);
    if (!file)
        return HX_E_NOMEM;
    file->bytes = bytes;
    memcpy(file->name, name, strnlen(name, sizeof(file->name) - 1));
    total_bytes += bytes;
    *out = file;
    return HX_OK;
}

uint8_t *hx_pushed_content(struct hx_pushed *file)
{
    return file->content;
}

static struct hx_pushed *named(const char *name)
{
    struct hx_pushed *file;
    LIST_FOREACH(file, &files, link)
        if (file->is_named && strcmp(file->name, name) == 0)
            break;
    return file;
}

void hx_pushed_publish(struct hx_pushed *file)
{
    hx_preempt_disable();
    struct hx_pushed *before = named(file->name);
    if (before)
        before->is_named = false;
    file->is_named = true;
    LIST_INSERT_HEAD(&files, file, link);
    sweep();
    hx_preempt_enable();
}

void hx_pushed_drop(struct hx_pushed *file)
{
    if (file)
        release(file);
}

/* ---- looking -------------------------------------------------------------------------------------------------------- */
void hx_pushed_enter(void)
{
    hx_preempt_disable();
    looking++;
    hx_preempt_enable();
}

void hx_pushed_leave(void)
{
    hx_preempt_disable();
    looking--;
    sweep();
    hx_preempt_enable();
}

hx_status_t hx_pushed_find(const char *name, struct hx_slice *out)
{
    hx_preempt_disable();
    const struct hx_pushed *file = named(name);
    hx_preempt_enable();
    if (!file)
        return HX_E_NOENT;
    *out = hx_slice_of(file->content, file->bytes);
    return HX_OK;
}

const char *hx_pushed_at(uint32_t index, struct hx_slice *out)
{
    const struct hx_pushed *file;
    hx_preempt_disable();
    LIST_FOREACH(file, &files, link)
        if (file->is_named && index-- == 0)
            break;
    hx_preempt_enable();
    if (!file)
        return NULL;
    *out = hx_slice_of(file->content, file->bytes);
    return file->name;
}

/* ---- versions ------------------------------------------------------------------------------------------------------- */
static void count(struct hx_slice content, bool more)
{
    struct hx_pushed *file;
    hx_preempt_disable();
    LIST_FOREACH(file, &files, link)
        if (file->content == content.data)
            file->borrowed += more ? 1 : UINT32_MAX;
    if (!more)
        sweep();
    hx_preempt_enable();
}

void hx_pushed_borrow(struct hx_slice file)
{
    count(file, true);
}

void hx_pushed_give_back(struct hx_slice file)
{
    count(file, false);
}
