/* SPDX-License-Identifier: MIT */
/* resource_fixture.h - what tests of the resource broker share. */
#pragma once
#include "world.h"

#include <criterion/criterion.h>
#include <orchestrator/resource_broker.h>
#include <string.h>

static const uint64_t ms = 1000000, second = 1000000000;

static inline void begin(void)
{
    hal_host_init();
    hal_host_clock_step(0);
    hx_resource_init();
}

static inline uint64_t available(enum hx_resource resource)
{
    struct hx_resource_pool pool;
    cr_assert_eq(hx_resource_pool_get(resource, &pool), HX_OK);
    return pool.available;
}

static inline struct hx_resource_share share_of(const struct hx_resource_holder *holder, enum hx_resource resource)
{
    struct hx_resource_share share;
    hx_resource_usage(holder, resource, &share);
    return share;
}
