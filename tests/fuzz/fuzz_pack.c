/* SPDX-License-Identifier: MIT */
/* fuzz_pack.c - any bytes whatever are opened as a whole initrd; fuzz_manifest.c gets further with less. */
#include "pack_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hx_pack_report report;

    (void)open_every_way(hx_slice_of(data, size), &report);
    return 0;
}
