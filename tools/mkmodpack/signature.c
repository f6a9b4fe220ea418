/* SPDX-License-Identifier: MIT */
/* signature.c - see signature.h. Source: RFC 8032; RFC 8410 (keys in PEM). */
#include "signature.h"

#include "input_file.h"
#include "output_file.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- keys ------------------------------------------------------------------------------------------------------------- */
/* OpenSSL would look for either in the other, and ask for a passphrase each time. */
static bool is_public(struct hx_slice pem)
{
    static const char label[] = "-----BEGIN PUBLIC KEY-----";

    return memmem(pem.data, pem.bytes, label, strlen(label)) != NULL;
}

static EVP_PKEY *read_pem(struct hx_slice pem, bool public)
{
    BIO *stream = BIO_new_mem_buf(pem.data, (int)pem.bytes); /* an input file is far shorter than INT_MAX */
    EVP_PKEY *key = NULL;

    if (stream)
        key =
            public ? PEM_read_bio_PUBKEY(stream, NULL, NULL, NULL) : PEM_read_bio_PrivateKey(stream, NULL, NULL, NULL);
    BIO_free(stream);
    return key;
}

bool hx_mp_key_read(struct hx_mp_key *out, const char *path, struct hx_mp_findings *findings)
{
    size_t bytes = sizeof(out->public);
    struct hx_mp_file file = { 0 };
    EVP_PKEY *key = NULL;
    bool ok = false;

    *out = (struct hx_mp_key){ 0 };
    if (!hx_mp_file_read(&file, NULL, path, findings))
        goto out;
    key = read_pem(file.bytes, is_public(file.bytes));
    if (!key) {
        hx_mp_find_error(findings, HX_E_FORMAT, path,
                         "no key: it is not PEM of one, or of another passphrase; "
                         "`openssl genpkey -algorithm ed25519' makes one");
        goto out;
    }
    if (!EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_get_raw_public_key(key, out->public, &bytes) != 1) {
        hx_mp_find_error(findings, HX_E_UNSUPPORTED, path,
                         "wrong key: it is not one of Ed25519; `openssl genpkey -algorithm ed25519' makes one");
        goto out;
    }
    if (!is_public(file.bytes)) {
        out->secret = key;
        key = NULL;
    }
    ok = true;
out:
    EVP_PKEY_free(key);
    hx_mp_file_free(&file);
    return ok;
}

void hx_mp_key_free(struct hx_mp_key *key)
{
    EVP_PKEY_free(key->secret);
    *key = (struct hx_mp_key){ 0 };
}

/* ---- files ------------------------------------------------------------------------------------------------------------ */
/* "PATH.sig". Owned by the caller; NULL after a finding. */
static char *path_beside(const char *path, struct hx_mp_findings *findings)
{
    char *beside = NULL;

    if (asprintf(&beside, "%s.sig", path) >= 0)
        return beside;
    hx_mp_find_error(findings, HX_E_NOMEM, path, "cannot name its signature: no memory; free some");
    return NULL;
}

static bool make(const struct hx_mp_key *key, struct hx_slice file, uint8_t out[HX_ED25519_SIGNATURE_BYTES])
{
    size_t bytes = HX_ED25519_SIGNATURE_BYTES;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context && EVP_DigestSignInit(context, NULL, NULL, NULL, key->secret) == 1 &&
              EVP_DigestSign(context, out, &bytes, file.data, file.bytes) == 1 && bytes == HX_ED25519_SIGNATURE_BYTES;

    EVP_MD_CTX_free(context);
    return ok && hx_ed25519_verify(key->public, file, out);
}

bool hx_mp_sign(const struct hx_mp_key *key, const char *path, struct hx_mp_findings *findings)
{
    uint8_t signature[HX_ED25519_SIGNATURE_BYTES] = { 0 };
    char *beside = path_beside(path, findings);
    struct hx_mp_file file = { 0 };
    bool ok = false;

    if (!beside || !hx_mp_file_read(&file, NULL, path, findings))
        goto out;
    if (!make(key, file.bytes, signature)) {
        hx_mp_find_error(findings, HX_E_INTERNAL, path,
                         "cannot sign: OpenSSL fails, or the kernel would not take what it "
                         "makes of this key; make another key");
        goto out;
    }
    ok = hx_mp_file_write(beside, hx_slice_of(signature, sizeof(signature)), findings);
out:
    hx_mp_file_free(&file);
    free(beside);
    return ok;
}

bool hx_mp_signature_check(const struct hx_mp_key *key, const char *path, struct hx_mp_findings *findings)
{
    struct hx_mp_file file = { 0 }, signature = { 0 };
    char *beside = path_beside(path, findings);
    bool ok = false;

    if (!beside || !hx_mp_file_read(&file, NULL, path, findings) ||
        !hx_mp_file_read(&signature, NULL, beside, findings))
        goto out;
    if (signature.bytes.bytes != HX_ED25519_SIGNATURE_BYTES) {
        hx_mp_find_error(findings, HX_E_FORMAT, beside, "no signature: it has %zu bytes instead of %d; sign again",
                         signature.bytes.bytes, HX_ED25519_SIGNATURE_BYTES);
        goto out;
    }
    ok = hx_ed25519_verify(key->public, file.bytes, signature.bytes.data);
    if (!ok)
        hx_mp_find_error(findings, HX_E_PERM, path, "wrong signature: another key signed, or another file; sign again");
out:
    hx_mp_file_free(&signature);
    hx_mp_file_free(&file);
    free(beside);
    return ok;
}
