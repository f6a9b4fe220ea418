/* SPDX-License-Identifier: MIT */
/*
 * host_image.h - memory for images that are linked here for another machine's addresses, and never run.
 */
#pragma once
#include <modloader/loader.h>

/* The context of an environment; embed it. */
struct hx_mp_host {
    uintptr_t base;                   /* the first part lies here, the others behind it, each on a page of its own */
    uintptr_t part_va[HX_PART_COUNT]; /* where a part lies instead; 0: behind the one before */
    char refusal[128];                /* why the parts cannot lie there; "": they can */
};

/* An environment whose context is @host; resolve, and common if wanted, are the caller's. Nothing goes on settling. */
struct hx_ldr_env hx_mp_host_env(struct hx_mp_host *host);
