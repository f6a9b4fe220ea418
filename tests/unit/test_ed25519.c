/* SPDX-License-Identifier: MIT */
/*
 * test_ed25519.c - signatures that are good, everything near them that is not, and OpenSSL's opinion.
 *
 * The signatures without another source belong to the secret 00 01 02 .. 1f of section 5.1.5, or are made of points of small
 * order, with which anybody can make them; their numbers were computed from the RFC's formulas.
 * Source: RFC 8032, section 7.1.
 */
#include <criterion/criterion.h>
#include <lib/ed25519.h>
#include <openssl/evp.h>
#include <stdio.h>

enum { MESSAGE_MAX = 2048, KEYS = 200 };

static size_t read_hex(uint8_t *out, const char *hex)
{
    unsigned int byte;
    size_t bytes = 0;

    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        out[bytes++] = (uint8_t)byte;
    return bytes;
}

struct signed_message {
    uint8_t key[HX_ED25519_KEY_BYTES];
    uint8_t signature[HX_ED25519_SIGNATURE_BYTES];
    uint8_t message[MESSAGE_MAX];
    size_t bytes;
};

static struct signed_message message_of(const char *key, const char *message, const char *signature)
{
    struct signed_message made = { 0 };

    cr_assert_eq(read_hex(made.key, key), sizeof(made.key));
    made.bytes = read_hex(made.message, message);
    cr_assert_eq(read_hex(made.signature, signature), sizeof(made.signature));
    return made;
}

static bool is_good(const struct signed_message *m)
{
    return hx_ed25519_verify(m->key, hx_slice_of(m->message, m->bytes), m->signature);
}

static bool is_good_to_openssl(const struct signed_message *m)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, m->key, sizeof(m->key));
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = key && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(context, m->signature, sizeof(m->signature), m->message, m->bytes) == 1;

    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return good;
}

/* ---- the RFC's -------------------------------------------------------------------------------------------------------- */
Test(ed25519, the_signatures_of_the_rfc_are_good)
{
    static const struct {
        const char *key, *message, *signature;
    } known[] = {
        { "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
          "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25b"
          "f5f0595bbe24655141438e7a100b" },
        { "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
          "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b"
          "2eaeb4302aeeb00d291612bb0c00" },
        { "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
          "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c"
          "15e9716ed28dc027beceea1ec40a" },
        { "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
          "08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f77b1e355"
          "f6c50544e23fb1433ddf73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d658675fc"
          "6ea534e0810a4432826bf58c941efb65d57a338bbd2e26640f89ffbc1a858efcb8550ee3a5e1998bd177e93a7363c344fe6b"
          "199ee5d02e82d522c4feba15452f80288a821a579116ec6dad2b3b310da903401aa62100ab5d1a36553e06203b33890cc9b8"
          "32f79ef80560ccb9a39ce767967ed628c6ad573cb116dbefefd75499da96bd68a8a97b928a8bbc103b6621fcde2beca1231d"
          "206be6cd9ec7aff6f6c94fcd7204ed3455c68c83f4a41da4af2b74ef5c53f1d8ac70bdcb7ed185ce81bd84359d44254d9562"
          "9e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2d17ba70eb6248e594e1a2297acbbb39d502f1a8c6eb6f1ce22b3de1a1f40"
          "cc24554119a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf2b13fd65f27088d78b7e883c8759d2c4f5c65adb7553"
          "878ad575f9fad878e80a0c9ba63bcbcc2732e69485bbc9c90bfbd62481d9089beccf80cfe2df16a2cf65bd92dd597b0707e0"
          "917af48bbb75fed413d238f5555a7a569d80c3414a8d0859dc65a46128bab27af87a71314f318c782b23ebfe808b82b0ce26"
          "401d2e22f04d83d1255dc51addd3b75a2b1ae0784504df543af8969be3ea7082ff7fc9888c144da2af58429ec96031dbcad3"
          "dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9b47acdb751fb73e666c6c655ade8297297d07ad1ba5e43f1bca32301"
          "651339e22904cc8c42f58c30c04aafdb038dda0847dd988dcda6f3bfd15c4b4c4525004aa06eeff8ca61783aacec57fb3d1f"
          "92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34dff7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401ade"
          "bf5a7e08d78ff4ef5d63653a65040cf9bfd4aca7984a74d37145986780fc0b16ac451649de6188a7dbdf191f64b5fc5e2ab4"
          "7b57f7f7276cd419c17a3ca8e1b939ae49e488acba6b965610b5480109c8b17b80e1b7b750dfc7598d5d5011fd2dcc5600a3"
          "2ef5b52a1ecc820e308aa342721aac0943bf6686b64b2579376504ccc493d97e6aed3fb0f9cd71a43dd497f01f17c0e2cb37"
          "97aa2a2f256656168e6c496afc5fb93246f6b1116398a346f1a641f3b041e989f7914f90cc2c7fff357876e506b50d334ba7"
          "7c225bc307ba537152f3f1610e4eafe595f6d9d90d11faa933a15ef1369546868a7f3a45a96768d40fd9d03412c091c6315c"
          "f4fde7cb68606937380db2eaaa707b4c4185c32eddcdd306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef"
          "68d3a101e8a3b8cac60c905c15fc910840b94c00a0b9d0",
          "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350aa5371b1508f9f4528ecea23c436d94b5e8f"
          "cd4f681e30a6ac00a9704a188a03" },
        { "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
          "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d"
          "4423643ce80e2a9ac94fa54ca49f",
          "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca"
          "179c138ac17ad9bef1177331a704" },
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct signed_message m = message_of(known[i].key, known[i].message, known[i].signature);

        cr_assert(is_good(&m), "%zu", i);
        m.message[m.bytes++] = 0;
        cr_assert(!is_good(&m), "%zu, with one byte more", i);
    }
}

/* ---- what is near a good one ------------------------------------------------------------------------------------------ */
static const char good_key[] = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
static const char helix[] = "48656c6978";

static void refuse_each_bit(const char *what, struct signed_message *m, uint8_t *bytes, size_t count)
{
    for (size_t bit = 0; bit < count * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert(!is_good(m), "%s, bit %zu", what, bit);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static struct signed_message good_message(void)
{
    return message_of(good_key, helix,
                      "1d84c09c915b1e355f4130b3950f6754270b37696f36f1b6ca5d4a9b4cf48860"
                      "b0afe37de93c926efb4a93a35f3960b1180b752e6d309acccc26347ca0d79f08");
}

Test(ed25519, every_single_bit_counts)
{
    struct signed_message m = good_message();

    cr_assert(is_good(&m));
    refuse_each_bit("key", &m, m.key, sizeof(m.key));
    refuse_each_bit("signature", &m, m.signature, sizeof(m.signature));
    refuse_each_bit("message", &m, m.message, m.bytes);
    m.bytes--;
    cr_assert(!is_good(&m), "a byte less");
}

Test(ed25519, an_s_that_is_not_below_the_order_is_refused)
{
    struct signed_message m = message_of(good_key, helix,
                                         "1d84c09c915b1e355f4130b3950f6754270b37696f36f1b6ca5d4a9b4cf48860"
                                         "9d83d9da03a0a4c6d1e78a463e333fc6180b752e6d309acccc26347ca0d79f18");
    cr_assert(!is_good(&m), "S + L, which the equation holds for");
    memset(m.signature + 32, 0xff, 32);
    cr_assert(!is_good(&m), "all ones");
}

Test(ed25519, only_the_proper_encoding_of_a_point_is_taken)
{
    /* The owner of a key can make R the neutral point; each S fits its encoding of it. */
    struct signed_message m = message_of(good_key, helix,
                                         "0100000000000000000000000000000000000000000000000000000000000000"
                                         "62cb9583b0e5e503674d47cc657370ded90ee94fdbf2599d89ddf0458a72730d");
    cr_assert(is_good(&m), "y = 1");
    m = message_of(good_key, helix,
                   "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
                   "93bba8b689686cf01bb3ed6da8b1c66aafe411ae5c28c185f0c2beaf600b6805");
    cr_assert(!is_good(&m), "y = p + 1");
    m = message_of(good_key, helix,
                   "0100000000000000000000000000000000000000000000000000000000000080"
                   "e6dfa66a911e41df3d54fe05124979e7a69a76d3b4cc7e71b28f815f44ab5204");
    cr_assert(!is_good(&m), "y = 1, x = -0");
}

/* ---- keys that are none ----------------------------------------------------------------------------------------------- */
/* R = B, S = 1: for the neutral point, and every eighth message or more for the others, the equation holds. */
static void refuse_key(const char *key)
{
    struct signed_message m = message_of(key, "",
                                         "5866666666666666666666666666666666666666666666666666666666666666"
                                         "0100000000000000000000000000000000000000000000000000000000000000");
    for (m.bytes = 0; m.bytes < 32; m.bytes++)
        cr_assert(!is_good(&m), "%s, %zu bytes", key, m.bytes);
}

Test(ed25519, a_key_of_small_order_is_refused)
{
    refuse_key("0100000000000000000000000000000000000000000000000000000000000000");
    refuse_key("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    refuse_key("0000000000000000000000000000000000000000000000000000000000000000");
    refuse_key("0000000000000000000000000000000000000000000000000000000000000080");
    refuse_key("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a");
    refuse_key("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa");
    refuse_key("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05");
    refuse_key("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85");
}

Test(ed25519, a_key_that_is_encoded_otherwise_than_it_should_be_is_refused)
{
    refuse_key("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"); /* p, for 0 */
    refuse_key("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"); /* p + 1, for 1 */
    refuse_key("0100000000000000000000000000000000000000000000000000000000000080"); /* y = 1, x = -0 */
    refuse_key("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"); /* y = -1, x = -0 */
    refuse_key("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
}

Test(ed25519, a_key_that_is_no_point_is_refused)
{
    refuse_key("0200000000000000000000000000000000000000000000000000000000000000");
    refuse_key("0700000000000000000000000000000000000000000000000000000000000080");
}

Test(ed25519, the_equation_is_that_without_the_cofactor)
{
    /* The key 00 01 .. 1f plus a point of order 8; the digest is a multiple of 8 only modulo L, then only before. */
    static const char key[] = "b502ff3d92e31d8190b4aa4ea0414005167fad089c4de9dac8a2fc850fed4f58";
    struct signed_message m = message_of(key, "0003",
                                         "ef4f62f8479733ad879cfaced3c89a9c39dd4fc795ef2efa1c3eafe4d729a081"
                                         "dd9c421f5fb8514081c922f9bb7f5a2c9391eda7561385f4d39357c6f6fda203");
    cr_assert(is_good(&m));
    cr_assert(is_good_to_openssl(&m));
    m = message_of(key, "0002",
                   "ef4f62f8479733ad879cfaced3c89a9c39dd4fc795ef2efa1c3eafe4d729a081"
                   "8fa9e764052d007946a4023b12ca94fa3cff0cb538f684b5c9bab7394ffcfd0c");
    cr_assert(!is_good(&m));
    cr_assert(!is_good_to_openssl(&m));
}

/* ---- OpenSSL ---------------------------------------------------------------------------------------------------------- */
static uint64_t random_state = 25519;

static uint8_t random_byte(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint8_t)(random_state >> 56);
}

static void fill_random(uint8_t *bytes, size_t count)
{
    while (count--)
        *bytes++ = random_byte();
}

/* A message of random length under a random key, signed by OpenSSL. */
static void sign_random(struct signed_message *m)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t key_bytes = sizeof(m->key), signature_bytes = sizeof(m->signature);
    uint8_t secret[32];
    EVP_PKEY *key;

    fill_random(secret, sizeof(secret));
    m->bytes = random_byte() * 4u;
    fill_random(m->message, m->bytes);
    key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof(secret));
    cr_assert(EVP_PKEY_get_raw_public_key(key, m->key, &key_bytes) == 1);
    cr_assert(EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1);
    cr_assert(EVP_DigestSign(context, m->signature, &signature_bytes, m->message, m->bytes) == 1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
}

Test(ed25519, openssl_signs_and_thinks_the_same_of_what_is_damaged)
{
    struct signed_message m = { 0 };

    for (unsigned int i = 0; i < KEYS; i++) {
        sign_random(&m);
        cr_assert(is_good(&m), "key %u", i);
        /* Random S below L now and then, random keys that are points: not only single bits. */
        fill_random(m.signature + random_byte() % sizeof(m.signature), 1);
        m.signature[63] &= random_byte() & 1 ? 0x0f : 0xff;
        cr_assert_eq(is_good(&m), is_good_to_openssl(&m), "key %u, another signature", i);
        sign_random(&m);
        m.key[random_byte() % sizeof(m.key)] ^= (uint8_t)(1 << random_byte() % 8);
        cr_assert_eq(is_good(&m), is_good_to_openssl(&m), "key %u, another key", i);
        sign_random(&m);
        m.message[m.bytes / 2] ^= 1;
        cr_assert_eq(is_good(&m), is_good_to_openssl(&m), "key %u, another message", i);
    }
}
