/* SPDX-License-Identifier: MIT */
/* test_modpack_host_image.c - where parts lie that are linked for another machine's addresses. */
#include <criterion/criterion.h>
#include <string.h>

#include "../../tools/mkmodpack/host_image.h"

static struct hx_mp_host host;
static struct hx_image_piece part[HX_PART_COUNT];

static hx_status_t place(void)
{
    struct hx_ldr_env env = hx_mp_host_env(&host);
    hx_status_t err = env.alloc(env.context, part);
    env.release(env.context, part);
    for (unsigned int i = 0; i < HX_PART_COUNT; i++)
        part[i].memory = NULL;
    return err;
}

static void begin(void)
{
    host = (struct hx_mp_host){ .base = 0x10000 };
    memset(part, 0, sizeof(part));
    part[HX_PART_TEXT] = (struct hx_image_piece){ .bytes = 0x1001, .align = 16 };
    part[HX_PART_DATA] = (struct hx_image_piece){ .bytes = 8, .align = 8 };
    part[HX_PART_INIT_DATA] = (struct hx_image_piece){ .bytes = 0x1000, .align = 4096 };
}

Test(modpack_host_image, each_part_begins_on_the_next_page, .init = begin)
{
    cr_assert_eq(place(), HX_OK);
    cr_assert_eq(part[HX_PART_TEXT].va, 0x10000);
    cr_assert_eq(part[HX_PART_DATA].va, 0x12000);
    cr_assert_eq(part[HX_PART_INIT_DATA].va, 0x13000);
    cr_assert_eq(part[HX_PART_RODATA].va, 0);
}

Test(modpack_host_image, what_follows_a_part_with_a_place_of_its_own_lies_behind_it, .init = begin)
{
    host.part_va[HX_PART_DATA] = 0x50008;
    cr_assert_eq(place(), HX_OK);
    cr_assert_eq(part[HX_PART_DATA].va, 0x50008);
    cr_assert_eq(part[HX_PART_INIT_DATA].va, 0x51000);
}

Test(modpack_host_image, every_part_lies_where_the_environment_promises, .init = begin)
{
    host.part_va[HX_PART_DATA] = 0x5000;
    host.part_va[HX_PART_TEXT] = 0x7000000;
    struct hx_ldr_env env = hx_mp_host_env(&host);
    cr_assert_eq(place(), HX_OK);
    for (unsigned int i = 0; i < HX_PART_COUNT; i++)
        if (part[i].bytes)
            cr_assert(part[i].va >= env.low && part[i].va + part[i].bytes <= env.high);
}

Test(modpack_host_image, the_end_of_the_address_space_is_not_passed, .init = begin)
{
    host.base = UINTPTR_MAX - 0xfff;
    cr_assert_eq(place(), HX_E_RANGE);
    part[HX_PART_TEXT].bytes = 0x1000;
    cr_assert_eq(place(), HX_E_RANGE, "the second part would lie at 0");
    cr_assert(strstr(host.refusal, "part data"), "%s", host.refusal);
    part[HX_PART_DATA].bytes = part[HX_PART_INIT_DATA].bytes = 0;
    host.refusal[0] = '\0';
    cr_assert_eq(place(), HX_OK);
    cr_assert_str_empty(host.refusal);
}

Test(modpack_host_image, parts_do_not_overlap_nor_lie_askew, .init = begin)
{
    host.part_va[HX_PART_DATA] = 0x11000;
    cr_assert_eq(place(), HX_E_RANGE);
    cr_assert(strstr(host.refusal, "overlaps"), "%s", host.refusal);
    host.part_va[HX_PART_DATA] = 0x11008;
    cr_assert_eq(place(), HX_OK, "right behind");
    host.part_va[HX_PART_DATA] = 0x1100c;
    cr_assert_eq(place(), HX_E_RANGE);
    cr_assert(strstr(host.refusal, "alignment"), "%s", host.refusal);
}
