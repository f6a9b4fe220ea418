/* SPDX-License-Identifier: MIT */
/* control_push.c - see control_push.h. */
#include "control_push.h"

#include <helix/control.h>
#include <lib/crc.h>
#include <lib/ed25519.h>
#include <lib/fmt.h>
#include <module/pack.h>
#include <module/pushed.h>

_Static_assert((int)HX_CONTROL_NAME_MAX == (int)HX_PACK_NAME_MAX, "a pushed file is called as one of the initrd");
_Static_assert((int)HX_CONTROL_SIGNATURE_BYTES == (int)HX_ED25519_SIGNATURE_BYTES, "a signature fits");

static struct {
    struct hx_pushed *file; /* NULL: none is being pushed */
    uint32_t got;
    struct hx_control_push said;
    bool is_signed;
    const uint8_t *key;
} push;

void hx_control_push_bind(bool is_signed, const uint8_t *key)
{
    push.is_signed = is_signed;
    push.key = key;
}

__attribute__((format(printf, 3, 4))) static hx_status_t refuse(struct hx_control_refusal *out, hx_status_t err,
                                                                const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    hx_fmt_v(out->why, sizeof(out->why), format, arguments);
    va_end(arguments);
    hx_control_push_drop();
    return err;
}

void hx_control_push_drop(void)
{
    hx_pushed_drop(push.file);
    push.file = NULL;
}

hx_status_t hx_control_push_begin(struct hx_slice payload, struct hx_control_refusal *out)
{
    struct hx_control_push said;
    hx_control_push_drop();
    if (payload.bytes != sizeof(said) || hx_slice_read(payload, 0, &said, sizeof(said)) != HX_OK)
        return refuse(out, HX_E_FORMAT, "PUSH has %zu bytes, not %zu", payload.bytes, sizeof(said));
    if (!hx_pack_name_valid(hx_slice_of(said.name, strnlen(said.name, sizeof(said.name)))))
        return refuse(out, HX_E_FORMAT, "the name is none: letters, digits and ._+- ending in " HX_PACK_SUFFIX);
    if (said.bytes == 0 || said.bytes > HX_CONTROL_FILE_MAX)
        return refuse(out, HX_E_LIMIT, "%u bytes; a file has 1 to %u", said.bytes, (uint32_t)HX_CONTROL_FILE_MAX);
    if (push.is_signed && !push.key)
        return refuse(out, HX_E_DISABLED, "control=signed, and no key is built into this kernel: no file is taken");
    hx_status_t err = hx_pushed_reserve(said.name, said.bytes, &push.file);
    if (err != HX_OK)
        return refuse(out, err, "no room for %u bytes beside the files pushed before, %u in all", said.bytes,
                      (uint32_t)HX_PUSHED_BYTES_MAX);
    push.said = said;
    push.got = 0;
    return HX_OK;
}

static hx_status_t take(struct hx_control_refusal *out)
{
    struct hx_slice content = hx_slice_of(hx_pushed_content(push.file), push.said.bytes);
    uint32_t crc = hx_crc32c(0, content.data, content.bytes);
    if (crc != push.said.crc)
        return refuse(out, HX_E_CHECKSUM, "%s has CRC-32C %08x, not %08x as was said; push it again", push.said.name,
                      crc, push.said.crc);
    if (push.is_signed && !hx_ed25519_verify(push.key, content, push.said.signature))
        return refuse(out, HX_E_PERM, "control=signed: the key in this kernel has not signed this; mkmodpack sign");
    hx_pushed_publish(push.file);
    push.file = NULL;
    return HX_OK;
}

hx_status_t hx_control_push_data(struct hx_slice payload, uint32_t *out_expected, bool *out_done,
                                 struct hx_control_refusal *out)
{
    uint32_t offset = 0;
    *out_done = false;
    *out_expected = push.got;
    if (!push.file || hx_slice_read(payload, 0, &offset, sizeof(offset)) != HX_OK || offset != push.got)
        return HX_OK;
    size_t bytes = payload.bytes - sizeof(offset);
    if (bytes > push.said.bytes - push.got)
        return refuse(out, HX_E_RANGE, "more than the %u bytes that were said", push.said.bytes);
    memcpy(hx_pushed_content(push.file) + push.got, payload.data + sizeof(offset), bytes);
    push.got += (uint32_t)bytes;
    *out_expected = push.got;
    *out_done = push.got == push.said.bytes;
    return *out_done ? take(out) : HX_OK;
}
