/* SPDX-License-Identifier: MIT */
/*
 * ed25519.c - signatures on the twisted Edwards curve -x^2 + y^2 = 1 + d x^2 y^2 modulo p = 2^255 - 19.
 *
 * Why so plain: one addition formula serves for every pair of points, so there is no doubling and no table; constants are
 * computed where that is shorter than to keep them. A signature is checked once a pushed file.
 * Numbers:  four words of 64 bits, the lowest first. An element of the field is any of the numbers that stand for it: all
 *           256 bits are used, and what overflows comes in again times 38, as 2^256 = 2 p + 38.
 * Aliasing: the result may be one of the operands.
 * Source:   RFC 8032, sections 5.1 (constants), 5.1.2 and 5.1.3 (encodings), 5.1.4 (addition), 5.1.7 (verification).
 */
#include "ed25519.h"

#include "sha512.h"

enum { WORDS = 4, ORDER_BITS = 253, ELEMENT_BYTES = 32, OVERFLOW = 38 };

typedef uint64_t number_t[WORDS];
typedef unsigned __int128 wide_t;
typedef __int128 wide_signed_t;

static const number_t field_prime = { UINT64_C(0xffffffffffffffed), UINT64_MAX, UINT64_MAX, UINT64_MAX >> 1 };
/* Of the group: 2^252 + 27742317777372353535851937790883648493. */
static const number_t group_order = { UINT64_C(0x5812631a5cf5d3ed), UINT64_C(0x14def9dea2f79cd6), 0,
                                      UINT64_C(0x1000000000000000) };
/* d = -121665/121666 */
static const number_t curve_d = { UINT64_C(0x75eb4dca135978a3), UINT64_C(0x00700a4d4141d8ab),
                                  UINT64_C(0x8cc740797779e898), UINT64_C(0x52036cee2b6ffe73) };
static const number_t one = { 1 };

/* ---- numbers ---------------------------------------------------------------------------------------------------------- */
static void number_read(number_t out, const uint8_t bytes[ELEMENT_BYTES])
{
    memset(out, 0, sizeof(number_t));
    for (unsigned int i = ELEMENT_BYTES; i-- > 0;)
        out[i / 8] = out[i / 8] << 8 | bytes[i];
}

static bool number_bit(const number_t a, unsigned int bit)
{
    return a[bit / 64] >> bit % 64 & 1;
}

/* Returns what does not fit: 0, or -1 when @b is more than @a. */
static wide_signed_t number_subtract(number_t out, const number_t a, const number_t b)
{
    wide_signed_t borrow = 0;

    for (unsigned int i = 0; i < WORDS; i++) {
        borrow += (wide_signed_t)a[i] - b[i];
        out[i] = (uint64_t)borrow;
        borrow >>= 64;
    }
    return borrow;
}

/* Takes @modulus off once, if it goes; returns whether it did. */
static bool number_reduce(number_t a, const number_t modulus)
{
    number_t less;

    if (number_subtract(less, a, modulus) != 0)
        return false;
    memcpy(a, less, sizeof(less));
    return true;
}

/* A digest, the lowest byte first, modulo the order of the group. */
static void number_of_digest(number_t out, const uint8_t digest[HX_SHA512_BYTES])
{
    memset(out, 0, sizeof(number_t));
    for (unsigned int i = HX_SHA512_BYTES * 8; i-- > 0;) {
        for (unsigned int word = WORDS; word-- > 1;)
            out[word] = out[word] << 1 | out[word - 1] >> 63;
        out[0] = out[0] << 1 | (digest[i / 8] >> i % 8 & 1);
        (void)number_reduce(out, group_order);
    }
}

/* ---- the field -------------------------------------------------------------------------------------------------------- */
/* @a and what did not fit into it. */
static void field_carry(number_t a, wide_signed_t carry)
{
    while (carry != 0) {
        carry *= OVERFLOW;
        for (unsigned int i = 0; i < WORDS; i++) {
            carry += a[i];
            a[i] = (uint64_t)carry;
            carry >>= 64;
        }
    }
}

static void field_add(number_t out, const number_t a, const number_t b)
{
    wide_signed_t carry = 0;

    for (unsigned int i = 0; i < WORDS; i++) {
        carry += (wide_signed_t)a[i] + b[i];
        out[i] = (uint64_t)carry;
        carry >>= 64;
    }
    field_carry(out, carry);
}

static void field_subtract(number_t out, const number_t a, const number_t b)
{
    field_carry(out, number_subtract(out, a, b));
}

/* out += a b; returns what does not fit. */
static uint64_t add_product(uint64_t *out, const uint64_t *a, uint64_t b)
{
    wide_t carry = 0;

    for (unsigned int i = 0; i < WORDS; i++) {
        carry += (wide_t)a[i] * b + out[i];
        out[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return (uint64_t)carry;
}

static void field_multiply(number_t out, const number_t a, const number_t b)
{
    uint64_t product[2 * WORDS] = { 0 };

    for (unsigned int i = 0; i < WORDS; i++)
        product[i + WORDS] = add_product(product + i, a, b[i]);
    field_carry(product, add_product(product, product + WORDS, OVERFLOW));
    memcpy(out, product, sizeof(number_t));
}

/* @a to the power of 2^bits - 1 - missing, which is less than 256. */
static void field_power(number_t out, const number_t a, unsigned int bits, unsigned int missing)
{
    number_t power;

    memcpy(power, one, sizeof(power));
    while (bits-- > 0) {
        field_multiply(power, power, power);
        if (bits >= 8 || !(missing >> bits & 1))
            field_multiply(power, power, a);
    }
    memcpy(out, power, sizeof(power));
}

/* 1/a, by Fermat: a^(p - 2). */
static void field_invert(number_t out, const number_t a)
{
    field_power(out, a, 255, 20);
}

/* The one number below p that stands for it. */
static void field_settle(number_t a)
{
    while (number_reduce(a, field_prime))
        continue;
}

/* Settles both. */
static bool field_equal(number_t a, number_t b)
{
    field_settle(a);
    field_settle(b);
    return memcmp(a, b, sizeof(number_t)) == 0;
}

/* ---- points: x = X/Z, y = Y/Z, x y = T/Z ------------------------------------------------------------------------------ */
struct point {
    number_t x, y, z, t;
};

static const struct point neutral = { .y = { 1 }, .z = { 1 } };

/* Holds for any two points of the curve, as -1 is a square modulo p and d is none. */
static void point_add(struct point *out, const struct point *p, const struct point *q)
{
    number_t a, b, c, d, e, f;

    field_subtract(a, p->y, p->x);
    field_subtract(e, q->y, q->x);
    field_multiply(a, a, e);
    field_add(b, p->y, p->x);
    field_add(e, q->y, q->x);
    field_multiply(b, b, e);
    field_multiply(c, p->t, q->t);
    field_multiply(c, c, curve_d);
    field_add(c, c, c);
    field_multiply(d, p->z, q->z);
    field_add(d, d, d);
    field_subtract(e, b, a);
    field_add(b, b, a);
    field_subtract(f, d, c);
    field_add(d, d, c);
    field_multiply(out->x, e, f);
    field_multiply(out->y, d, b);
    field_multiply(out->t, e, b);
    field_multiply(out->z, f, d);
}

/* A root of (y^2 - 1) / (d y^2 + 1), either of them; false if there is none. */
static bool point_find_x(number_t x, const number_t y)
{
    number_t square, a;

    field_multiply(a, y, y);
    field_multiply(square, a, curve_d);
    field_add(square, square, one);
    field_invert(square, square); /* never of 0: -1/d is no square */
    field_subtract(a, a, one);
    field_multiply(square, square, a);
    field_power(x, square, 252, 1); /* (p + 3) / 8 */
    field_multiply(a, x, x);
    if (field_equal(a, square))
        return true;
    field_add(a, one, one);
    field_power(a, a, 253, 4); /* 2^((p - 1) / 4), a root of -1 */
    field_multiply(x, x, a);
    field_multiply(a, x, x);
    return field_equal(a, square);
}

/* False for what encodes no point, or encodes it otherwise than section 5.1.2 says. */
static bool point_read(struct point *out, const uint8_t bytes[ELEMENT_BYTES])
{
    bool odd = bytes[ELEMENT_BYTES - 1] >> 7;

    *out = neutral;
    number_read(out->y, bytes);
    out->y[WORDS - 1] &= INT64_MAX;
    if (number_reduce(out->y, field_prime))
        return false;
    if (!point_find_x(out->x, out->y))
        return false;
    field_settle(out->x);
    if (number_bit(out->x, 0) != odd)
        field_subtract(out->x, neutral.x, out->x);
    field_settle(out->x);
    if (number_bit(out->x, 0) != odd) /* 0 has no odd root beside it */
        return false;
    field_multiply(out->t, out->x, out->y);
    return true;
}

/* Its encoding as a number; @p is left in no state to go on with. */
static void point_encode(number_t out, struct point *p)
{
    field_invert(p->z, p->z);
    field_multiply(p->x, p->x, p->z);
    field_settle(p->x);
    field_multiply(out, p->y, p->z);
    field_settle(out);
    out[WORDS - 1] |= p->x[0] << 63;
}

/* Whether its order divides 8, that of the cofactor: then four times it is one of the two points with x = 0. */
static bool point_is_of_small_order(const struct point *p)
{
    struct point four = *p;

    point_add(&four, &four, &four);
    point_add(&four, &four, &four);
    field_settle(four.x);
    return memcmp(four.x, neutral.x, sizeof(number_t)) == 0;
}

/* ---- signatures ------------------------------------------------------------------------------------------------------- */
/* [s] B - [k] A, the bits of both at once. */
static void combine(struct point *out, const number_t s, const struct point *base, const number_t k,
                    const struct point *minus_key)
{
    *out = neutral;
    for (unsigned int bit = ORDER_BITS; bit-- > 0;) {
        point_add(out, out, out);
        if (number_bit(s, bit))
            point_add(out, out, base);
        if (number_bit(k, bit))
            point_add(out, out, minus_key);
    }
}

/* SHA-512 of R, the key and the message, modulo the order of the group. */
static void challenge(number_t out, const uint8_t *r, const uint8_t *key, struct hx_slice message)
{
    uint8_t digest[HX_SHA512_BYTES];
    struct hx_sha512 sha;

    hx_sha512_init(&sha);
    hx_sha512_add(&sha, r, ELEMENT_BYTES);
    hx_sha512_add(&sha, key, HX_ED25519_KEY_BYTES);
    hx_sha512_add(&sha, message.data, message.bytes);
    hx_sha512_end(&sha, digest);
    number_of_digest(out, digest);
}

bool hx_ed25519_verify(const uint8_t key[HX_ED25519_KEY_BYTES], struct hx_slice message,
                       const uint8_t signature[HX_ED25519_SIGNATURE_BYTES])
{
    uint8_t base_bytes[ELEMENT_BYTES];
    struct point base, minus_key, sum;
    number_t r, s, k;

    number_read(s, signature + ELEMENT_BYTES);
    if (number_reduce(s, group_order))
        return false;
    if (!point_read(&minus_key, key) || point_is_of_small_order(&minus_key))
        return false;
    field_subtract(minus_key.x, neutral.x, minus_key.x);
    field_subtract(minus_key.t, neutral.x, minus_key.t);
    memset(base_bytes, 0x66, sizeof(base_bytes)); /* y = 4/5, x even */
    base_bytes[0] = 0x58;
    (void)point_read(&base, base_bytes); /* it is a point */
    challenge(k, signature, key, message);
    combine(&sum, s, &base, k, &minus_key);
    /* What is computed is encoded as it should be, so an R that is not differs from it. */
    point_encode(s, &sum);
    number_read(r, signature);
    return memcmp(r, s, sizeof(r)) == 0;
}
