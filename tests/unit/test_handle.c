/* SPDX-License-Identifier: MIT */
/* test_handle.c - names of objects: opened, looked up, given away, closed. */
#include <criterion/criterion.h>
#include <ipc/handle.h>

#include "../host/hal_host.h"

static struct hx_holder alice = { .name = "alice" }, bob = { .name = "bob" };
static int thing[4];
static uint64_t released[8];
static uint32_t released_count;

static void release(struct hx_handle_entry *entry)
{
    released[released_count++ % 8] = entry->name;
}

static void start(void)
{
    hal_host_init();
    hx_handle_bind(HX_HANDLE_SERVICE, release);
}

static hx_handle_t open_for(struct hx_holder *owner, void *object, uint32_t rights)
{
    hx_handle_t handle = HX_HANDLE_NONE;
    cr_assert_eq(hx_handle_open(HX_HANDLE_SERVICE, object, owner, rights, &handle), HX_OK);
    return handle;
}

static hx_status_t refusal(hx_handle_t handle, enum hx_handle_type type, const struct hx_holder *owner, uint32_t rights)
{
    hx_status_t err = HX_OK;
    return hx_handle_look(handle, type, owner, rights, &err) ? HX_OK : err;
}

Test(handle, finds_its_object_for_its_owner)
{
    start();
    hx_status_t err = HX_OK;
    hx_handle_t handle = open_for(&alice, &thing[1], 5);
    struct hx_handle_entry *entry = hx_handle_look(handle, HX_HANDLE_SERVICE, &alice, 5, &err);
    cr_assert_not_null(entry);
    cr_assert_eq(entry->object, &thing[1]);
    cr_assert_eq(entry->rights, 5);
    cr_assert_not_null(hx_handle_look(handle, HX_HANDLE_SERVICE, NULL, 0, &err), "whoever's it is");
    cr_assert_eq(hx_handle_type(handle), HX_HANDLE_SERVICE);
    cr_assert_neq(hx_handle_index(handle), 0, "index 0 is nobody's");
    hx_handle_close_all(&alice);
    hal_host_fini();
}

Test(handle, a_clone_has_the_authority_that_is_said_or_that_of_what_it_is_a_clone_of)
{
    hx_handle_t first = HX_HANDLE_NONE, second = HX_HANDLE_NONE, none = HX_HANDLE_NONE;
    start();
    hx_handle_t handle = open_for(&alice, &thing[1], 5), bobs = hx_handle_make(HX_HANDLE_MODULE, 1, 7);
    cr_assert_eq(hx_handle_clone(handle, &bob, 1, bobs, &first), HX_OK);
    cr_assert_eq(hx_handle_clone(first, &alice, 1, HX_HANDLE_NONE, &second), HX_OK);
    cr_assert_eq(refusal(second, HX_HANDLE_SERVICE, &alice, 1), HX_OK);
    cr_assert_eq(refusal(second, HX_HANDLE_SERVICE, &alice, 4), HX_E_PERM);
    cr_assert_eq(hx_handles[hx_handle_index(first)].authority, bobs);
    cr_assert_eq(hx_handles[hx_handle_index(second)].authority, bobs);
    cr_assert_eq(hx_handles[hx_handle_index(second)].object, &thing[1]);
    cr_assert_eq(hx_handle_close(first, &bob), HX_OK);
    cr_assert_eq(hx_handle_clone(first, &alice, 1, HX_HANDLE_NONE, &none), HX_E_STALE);
    cr_assert_eq(hx_handle_clone(HX_HANDLE_NONE, &alice, 1, HX_HANDLE_NONE, &none), HX_E_STALE);
    cr_assert(alice.count == 2 && bob.count == 0);
    hx_handle_close_all(&alice);
    hal_host_fini();
}

Test(handle, is_refused_with_the_reason)
{
    start();
    hx_handle_t handle = open_for(&alice, &thing[1], 1);
    cr_assert_eq(refusal(handle, HX_HANDLE_SERVICE, &bob, 0), HX_E_STALE, "another's");
    cr_assert_eq(refusal(handle, HX_HANDLE_TOPIC, &alice, 0), HX_E_INVAL, "of another type");
    cr_assert_eq(refusal(handle, HX_HANDLE_SERVICE, &alice, 3), HX_E_PERM, "a right is missing");
    cr_assert_eq(refusal(HX_HANDLE_NONE, HX_HANDLE_SERVICE, &alice, 0), HX_E_STALE);
    cr_assert_eq(refusal(HX_HANDLE_NONE, HX_HANDLE_SERVICE, NULL, 0), HX_E_STALE);
    cr_assert_eq(refusal(UINT64_MAX, HX_HANDLE_SERVICE, NULL, 0), HX_E_STALE);
    cr_assert_eq(refusal(handle + HX_HANDLES_MAX, HX_HANDLE_SERVICE, &alice, 0), HX_E_STALE, "an index out of range");
    cr_assert_eq(refusal(handle + (UINT64_C(1) << 32), HX_HANDLE_SERVICE, &alice, 0), HX_E_STALE, "a generation");
    hx_handle_close_all(&alice);
}

/* What those who cannot spare a call do by hand. */
Test(handle, is_found_with_its_entry_and_told_from_others)
{
    start();
    hx_status_t err = HX_OK;
    struct hx_handle_entry *entry = NULL;
    hx_handle_t handle = open_for(&alice, &thing[3], 1);
    cr_assert_eq(hx_handle_find(handle, HX_HANDLE_SERVICE, &alice, 1, &entry, &err), &thing[3]);
    cr_assert(hx_handle_is(entry, handle));
    cr_assert_not(hx_handle_is(entry, handle + 1));
    cr_assert_null(hx_handle_find(handle, HX_HANDLE_SERVICE, &alice, 2, &entry, &err));
    cr_assert_eq(err, HX_E_PERM);
    cr_assert_eq(hx_handle_refusal(handle, HX_HANDLE_CHANNEL, &alice), HX_E_INVAL);
    cr_assert_eq(hx_handle_refusal(handle, HX_HANDLE_SERVICE, &bob), HX_E_STALE);
    hx_handle_close_all(&alice);
    cr_assert_not(hx_handle_is(entry, handle));
    cr_assert_eq(hx_handle_refusal(handle, HX_HANDLE_SERVICE, NULL), HX_E_STALE);
}

Test(handle, is_stale_once_closed_though_its_entry_is_used_again)
{
    start();
    hx_handle_t first = open_for(&alice, &thing[0], 0);
    cr_assert_eq(hx_handle_close(first, &bob), HX_E_STALE);
    cr_assert_eq(hx_handle_close(first, &alice), HX_OK);
    cr_assert_eq(released_count, 1);
    cr_assert_eq(released[0], first);
    hx_handle_t second = open_for(&alice, &thing[0], 0);
    cr_assert_eq(hx_handle_index(second), hx_handle_index(first), "the entry is used again");
    cr_assert_neq(second, first);
    cr_assert_eq(refusal(first, HX_HANDLE_SERVICE, &alice, 0), HX_E_STALE);
    cr_assert_eq(hx_handle_close(first, &alice), HX_E_STALE);
    cr_assert_eq(hx_handle_close(HX_HANDLE_NONE, &alice), HX_E_STALE);
    hx_handle_close_all(&alice);
}

Test(handle, given_away_has_a_new_name)
{
    start();
    hx_status_t err = HX_OK;
    hx_handle_t theirs = HX_HANDLE_NONE, mine = open_for(&alice, &thing[2], 9);
    cr_assert_eq(hx_handle_give(mine, &bob, &alice, &theirs), HX_E_STALE);
    cr_assert_eq(hx_handle_give(mine, &alice, &bob, &theirs), HX_OK);
    cr_assert_eq(refusal(mine, HX_HANDLE_SERVICE, NULL, 0), HX_E_STALE);
    struct hx_handle_entry *entry = hx_handle_look(theirs, HX_HANDLE_SERVICE, &bob, 9, &err);
    cr_assert_not_null(entry);
    cr_assert_eq(entry->object, &thing[2]);
    cr_assert_eq(alice.count, 0);
    cr_assert_eq(bob.count, 1);
    bob.limit = 1;
    mine = open_for(&alice, &thing[3], 0);
    cr_assert_eq(hx_handle_give(mine, &alice, &bob, &theirs), HX_E_LIMIT);
    cr_assert_eq(refusal(mine, HX_HANDLE_SERVICE, &alice, 0), HX_OK, "and it is still alice's");
    cr_assert_eq(released_count, 0);
    hx_handle_close_all(&alice);
    hx_handle_close_all(&bob);
}

Test(handle, all_of_a_holder_are_closed_newest_first)
{
    start();
    hx_handle_t a = open_for(&alice, &thing[0], 0), b = open_for(&alice, &thing[1], 0),
                kept = open_for(&bob, &thing[0], 0), c = open_for(&alice, &thing[2], 0);
    cr_assert_eq(hx_handle_close(b, &alice), HX_OK);
    hx_handle_close_all(&alice);
    cr_assert_eq(released_count, 3);
    cr_assert_eq(released[0], b);
    cr_assert_eq(released[1], c);
    cr_assert_eq(released[2], a);
    cr_assert_eq(refusal(kept, HX_HANDLE_SERVICE, &bob, 0), HX_OK);
    const struct hx_handle_entry *left = hx_handle_next(0);
    cr_assert_eq(left->name, kept);
    cr_assert_null(hx_handle_next(hx_handle_index(left->name)));
    hx_handle_close_all(&bob);
    cr_assert_null(hx_handle_next(0));
}

Test(handle, limits_are_the_owner_s_and_the_table_s)
{
    start();
    hx_handle_t handle = HX_HANDLE_NONE;
    alice.limit = 2;
    (void)open_for(&alice, &thing[0], 0);
    (void)open_for(&alice, &thing[0], 0);
    cr_assert_eq(hx_handle_open(HX_HANDLE_SERVICE, &thing[0], &alice, 0, &handle), HX_E_LIMIT);
    for (uint32_t i = 0; i < HX_HANDLES_MAX - 3; i++)
        (void)open_for(&bob, &thing[0], 0);
    cr_assert_eq(hx_handle_open(HX_HANDLE_SERVICE, &thing[0], &bob, 0, &handle), HX_E_LIMIT);
    cr_assert_eq(handle, HX_HANDLE_NONE);
    hx_handle_close_all(&alice);
    (void)open_for(&bob, &thing[0], 0);
    hx_handle_close_all(&bob);
    cr_assert_eq(bob.count, 0);
}

/* 2^24 lives of one entry. */
Test(handle, a_generation_that_goes_round_is_never_the_name_of_nothing)
{
    start();
    hx_handle_t handle = HX_HANDLE_NONE;
    for (uint32_t i = 0; i <= 0x1000000; i++) {
        cr_assert_eq(hx_handle_open(HX_HANDLE_TOPIC, &thing[0], &alice, 0, &handle), HX_OK);
        cr_assert_neq(hx_handle_generation(handle), 0);
        cr_assert_eq(hx_handle_close(handle, &alice), HX_OK);
    }
}
