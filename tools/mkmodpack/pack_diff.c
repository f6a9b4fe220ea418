/* SPDX-License-Identifier: MIT */
/* pack_diff.c - see pack_diff.h. */
#include "pack_diff.h"

#include <stdlib.h>

static const struct hx_mp_module *find(const struct hx_mp_pack *pack, const char *name)
{
    for (size_t i = 0; i < pack->set.count; i++)
        if (strcmp(pack->set.module[i].name, name) == 0)
            return &pack->set.module[i];
    return NULL;
}

static bool same_bytes(struct hx_slice a, struct hx_slice b)
{
    return a.bytes == b.bytes && memcmp(a.data, b.data, a.bytes) == 0;
}

static void add(struct hx_mp_pack_diff *diff, const struct hx_mp_module *old, const struct hx_mp_module *new)
{
    struct hx_mp_pack_change change = { .old = old, .new = new };
    bool differs = old && new && !same_bytes(old->bytes, new->bytes);

    change.kind = !old ? HX_MP_FILE_ADDED : !new ? HX_MP_FILE_REMOVED : HX_MP_FILE_CHANGED;
    change.moved = old && new && old->load != new->load;
    if (old && new && !differs && !change.moved)
        return;
    change.judged = differs && old->record && new->record;
    if (change.judged)
        hx_mp_judge(&change.verdict, old, new);
    diff->refusals += change.judged && change.verdict.refusals > 0;
    diff->change[diff->count++] = change;
}

static int compare(const void *a, const void *b)
{
    const struct hx_mp_pack_change *left = a, *right = b;

    return strcmp((left->old ? left->old : left->new)->name, (right->old ? right->old : right->new)->name);
}

bool hx_mp_pack_compare(struct hx_mp_pack_diff *out, const struct hx_mp_pack *old, const struct hx_mp_pack *new)
{
    *out = (struct hx_mp_pack_diff){ .change = calloc(old->set.count + new->set.count + 1, sizeof(*out->change)) };
    if (!out->change)
        return false;
    for (size_t i = 0; i < old->set.count; i++)
        add(out, &old->set.module[i], find(new, old->set.module[i].name));
    for (size_t i = 0; i < new->set.count; i++)
        if (!find(old, new->set.module[i].name))
            add(out, NULL, &new->set.module[i]);
    if (out->count > 0)
        qsort(out->change, out->count, sizeof(out->change[0]), compare);
    for (size_t i = 0; i < out->count; i++)
        if (out->change[i].verdict.no_memory)
            return false;
    return true;
}

void hx_mp_pack_diff_free(struct hx_mp_pack_diff *diff)
{
    for (size_t i = 0; i < diff->count; i++)
        hx_mp_verdict_free(&diff->change[i].verdict);
    free(diff->change);
    *diff = (struct hx_mp_pack_diff){ 0 };
}
