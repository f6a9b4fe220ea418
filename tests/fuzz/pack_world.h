/* SPDX-License-Identifier: MIT */
/*
 * pack_world.h - what the two targets for packs share: a heap that counts and fails, and what holds for every pack.
 *
 * Each archive is opened once for every allocation that it makes, with that one failing, and then with none failing.
 */
#pragma once
#include "invariant.h"

#include <hal/hx_hal.h>
#include <lib/cpio.h>
#include <module/pack.h>

static struct {
    unsigned int live;
    unsigned int made;    /* calls, those that failed included */
    unsigned int failing; /* which call fails, from 1; 0: none */
} heap;

void *hx_hal_alloc(size_t bytes)
{
    void *memory;

    must(bytes > 0);
    if (++heap.made == heap.failing)
        return NULL;
    memory = calloc(1, bytes);
    must(memory != NULL);
    heap.live++;
    return memory;
}

void hx_hal_free(void *memory)
{
    heap.live -= memory != NULL;
    free(memory);
}

/* Entry @index, by every way there is to it. */
static void check_pack_entry(const struct hx_pack *pack, uint32_t index, struct hx_slice archive)
{
    const struct hx_pack_entry *entry = hx_pack_entry_at(pack, index);
    struct hx_slice found = { NULL, 0 };

    must(entry != NULL);
    must(lies_in(hx_slice_of(entry->name, entry->name_bytes + 1), archive));
    must(strlen(entry->name) == entry->name_bytes);
    must(hx_pack_name_valid(hx_slice_of(entry->name, entry->name_bytes)));
    must(entry->content.data != NULL && lies_in(entry->content, archive));
    must(entry->line > (index ? hx_pack_entry_at(pack, index - 1)->line : 1));
    must(hx_pack_find(pack, entry->name, &found) == HX_OK);
    must(found.data == entry->content.data && found.bytes == entry->content.bytes);
}

/* The archive has the manifest, the files that it names, and no more. */
static void check_archive(const struct hx_pack *pack, struct hx_slice archive)
{
    struct hx_cpio_entry entry;
    struct hx_slice found;
    struct hx_cpio cpio;
    uint32_t count = 0;

    hx_cpio_init(&cpio, archive);
    for (; hx_cpio_next(&cpio, &entry) == HX_OK; count++) {
        if (count == 0)
            must(strcmp(entry.name, HX_PACK_MANIFEST) == 0 && entry.content.data == pack->manifest.data);
        else
            must(hx_pack_find(pack, entry.name, &found) == HX_OK && found.data == entry.content.data);
    }
    must(count == pack->count + 1);
}

static void check_pack(const struct hx_pack *pack, struct hx_slice archive)
{
    char too_long[2 * HX_PACK_NAME_MAX];
    struct hx_slice found;
    uint32_t load_count = 0;

    must(pack->count <= HX_PACK_FILES_MAX && lies_in(pack->manifest, archive));
    for (uint32_t i = 0; i < pack->count; i++) {
        check_pack_entry(pack, i, archive);
        load_count += pack->entries[i].load;
    }
    must(pack->load_count == load_count);
    check_archive(pack, archive);
    must(hx_pack_entry_at(pack, pack->count) == NULL);
    memset(too_long, 'a', sizeof(too_long));
    memcpy(too_long + sizeof(too_long) - sizeof(HX_PACK_SUFFIX), HX_PACK_SUFFIX, sizeof(HX_PACK_SUFFIX));
    must(hx_pack_find(pack, too_long, &found) == HX_E_NOENT);
    must(hx_pack_find(pack, "", &found) == HX_E_NOENT);
    must(hx_pack_find(pack, HX_PACK_MANIFEST, &found) == HX_E_NOENT);
}

static void check_pack_refusal(const struct hx_pack_report *report, struct hx_slice archive)
{
    must(is_line(report->message, sizeof(report->message)));
    must(report->offset <= archive.bytes + 3); /* the last entry's padding may be missing */
    switch (report->err) {
    case HX_E_FORMAT:
    case HX_E_UNSUPPORTED:
    case HX_E_TRUNCATED:
    case HX_E_EXIST:
    case HX_E_NOENT:
    case HX_E_LIMIT:
    case HX_E_NOMEM: break;
    default: broken("an error that the header names", __FILE__, __LINE__);
    }
}

/* Opens @archive with allocation @failing failing and closes it; @out_report: why it was refused. */
static hx_status_t open_once(struct hx_slice archive, unsigned int failing, struct hx_pack_report *out_report)
{
    struct hx_pack pack, before;
    hx_status_t err;

    heap.live = heap.made = 0;
    heap.failing = failing;
    memset(&pack, 0x5a, sizeof(pack));
    memset(out_report, 0x5a, sizeof(*out_report));
    before = pack;
    err = hx_pack_open(archive, &pack, out_report);
    must(out_report->err == err);
    if (err == HX_OK) {
        must(out_report->message[0] == '\0');
        check_pack(&pack, archive);
        hx_pack_close(&pack);
        hx_pack_close(&pack); /* one that is closed is accepted */
    } else {
        must(memcmp(&pack, &before, sizeof(pack)) == 0);
        check_pack_refusal(out_report, archive);
    }
    must(heap.live == 0);
    return err;
}

/* Opens @archive with each of its allocations failing in turn, at last with none. Returns what the last one said. */
static hx_status_t open_every_way(struct hx_slice archive, struct hx_pack_report *out_report)
{
    hx_status_t err = open_once(archive, 0, out_report);
    unsigned int allocations = heap.made;
    struct hx_pack_report ignored;

    for (unsigned int failing = 1; failing <= allocations; failing++)
        must(open_once(archive, failing, &ignored) == HX_E_NOMEM);
    must(err != HX_E_NOMEM);
    return err;
}
