/* SPDX-License-Identifier: MIT */
/* signature.c - see signature.h. */
#include "signature.h"

#include "terminal.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <unistd.h>

static EVP_PKEY *read_key(const char *path)
{
    FILE *file = fopen(path, "re");
    EVP_PKEY *key = NULL;

    if (!file) {
        hx_ctl_complain("--key %s: %s; check the path", path, strerror(errno));
        return NULL;
    }
    key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    (void)fclose(file);
    if (key && EVP_PKEY_id(key) == EVP_PKEY_ED25519)
        return key;
    hx_ctl_complain("--key %s: no private Ed25519 key in PEM; `openssl genpkey -algorithm ed25519' makes one", path);
    EVP_PKEY_free(key);
    return NULL;
}

static bool sign(struct hx_slice file, const char *key_path, uint8_t out[HX_CONTROL_SIGNATURE_BYTES])
{
    size_t bytes = HX_CONTROL_SIGNATURE_BYTES;
    EVP_PKEY *key = read_key(key_path);
    EVP_MD_CTX *context = NULL;
    bool good = false;

    if (!key)
        return false;
    context = EVP_MD_CTX_new();
    good = context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
           EVP_DigestSign(context, out, &bytes, file.data, file.bytes) == 1 && bytes == HX_CONTROL_SIGNATURE_BYTES;
    if (!good)
        hx_ctl_complain("--key %s: cannot sign: %s; check the key", key_path,
                        ERR_reason_error_string(ERR_peek_last_error()));
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return good;
}

static bool read_beside(const char *path, uint8_t out[HX_CONTROL_SIGNATURE_BYTES])
{
    char beside[4096];
    uint8_t more;
    FILE *file = NULL;
    bool good = false;

    if (snprintf(beside, sizeof(beside), "%s.sig", path) >= (int)sizeof(beside))
        return true;
    file = fopen(beside, "re");
    if (!file && errno == ENOENT)
        return true;
    if (!file) {
        hx_ctl_complain("%s: %s; check who may read it", beside, strerror(errno));
        return false;
    }
    good = fread(out, HX_CONTROL_SIGNATURE_BYTES, 1, file) == 1 && fread(&more, 1, 1, file) == 0;
    (void)fclose(file);
    if (!good)
        hx_ctl_complain("%s: a signature has %d bytes; sign again, or remove it", beside, HX_CONTROL_SIGNATURE_BYTES);
    return good;
}

bool hx_ctl_signature_of(const char *path, struct hx_slice file, const char *key_path,
                         uint8_t out[HX_CONTROL_SIGNATURE_BYTES])
{
    memset(out, 0, HX_CONTROL_SIGNATURE_BYTES);
    return key_path ? sign(file, key_path, out) : read_beside(path, out);
}

bool hx_ctl_signature_is_beside(const char *path)
{
    char beside[4096];

    return snprintf(beside, sizeof(beside), "%s.sig", path) < (int)sizeof(beside) && access(beside, F_OK) == 0;
}
