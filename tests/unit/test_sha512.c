/* SPDX-License-Identifier: MIT */
/* test_sha512.c - known answers, and OpenSSL's. Source: FIPS 180-4, and NIST's examples of SHA-512. */
#include <criterion/criterion.h>
#include <lib/sha512.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

static void expect(const void *data, size_t bytes, const char *hex)
{
    uint8_t digest[HX_SHA512_BYTES];
    char text[2 * HX_SHA512_BYTES + 1];
    struct hx_sha512 sha;

    hx_sha512_init(&sha);
    hx_sha512_add(&sha, data, bytes);
    hx_sha512_end(&sha, digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    cr_assert_str_eq(text, hex);
}

Test(sha512, the_known_answers)
{
    static const char two_blocks[] = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                                     "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";

    expect("", 0,
           "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b9"
           "31bd47417a81a538327af927da3e");
    expect("abc", 3,
           "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d"
           "4423643ce80e2a9ac94fa54ca49f");
    expect(two_blocks, strlen(two_blocks),
           "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d3"
           "29eeb6dd26545e96e55b874be909");
}

Test(sha512, a_million_times_a)
{
    static char as[1000000];

    memset(as, 'a', sizeof(as));
    expect(as, sizeof(as),
           "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31beb00"
           "9c5c2c49aa2e4eadb217ad8cc09b");
}

Test(sha512, every_length_in_any_two_pieces_as_openssl_has_it)
{
    uint8_t data[3 * HX_SHA512_BLOCK_BYTES], digest[HX_SHA512_BYTES], theirs[EVP_MAX_MD_SIZE];
    struct hx_sha512 sha;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 167 + 13);
    for (size_t bytes = 0; bytes <= sizeof(data); bytes++) {
        size_t cut = bytes * 7 % (bytes + 1);

        hx_sha512_init(&sha);
        hx_sha512_add(&sha, data, cut);
        hx_sha512_add(&sha, data + cut, bytes - cut);
        hx_sha512_end(&sha, digest);
        cr_assert(EVP_Digest(data, bytes, theirs, NULL, EVP_sha512(), NULL) == 1);
        cr_assert_arr_eq(digest, theirs, sizeof(digest), "%zu bytes", bytes);
    }
}
