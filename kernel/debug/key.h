/* SPDX-License-Identifier: MIT */
/*
 * key.h - which key a terminal means: bytes in, keys and whole characters out.
 *
 * Terminals name one key in several ways; here each key has one name. A character of several bytes is given out when its
 * last byte has come and is well formed. Sequences that mean no key that is known here are swallowed.
 * Source: ECMA-48 (1991), sections 5.3 and 5.4 for control sequences; XTerm Control Sequences for the keys' forms;
 *         RFC 3629, section 4, for well-formed UTF-8.
 * May be used by: this room, tests. Context: any, the caller serialises.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hx_key {
    HX_KEY_NONE,      /* more bytes are needed, or these mean nothing */
    HX_KEY_TEXT,      /* a character: hx_key_reader.text */
    HX_KEY_MALFORMED, /* bytes that are no character were dropped */
    HX_KEY_ENTER,
    HX_KEY_LEFT,
    HX_KEY_RIGHT,
    HX_KEY_WORD_LEFT,
    HX_KEY_WORD_RIGHT,
    HX_KEY_HOME,
    HX_KEY_END,
    HX_KEY_OLDER,
    HX_KEY_NEWER,
    HX_KEY_TAB,
    HX_KEY_ERASE_BACK,
    HX_KEY_ERASE_HERE,
    HX_KEY_ERASE_WORD,
    HX_KEY_ERASE_TO_START,
    HX_KEY_ERASE_TO_END,
    HX_KEY_CLEAR_SCREEN,
    HX_KEY_CANCEL,
    HX_KEY_CTRL_D,
};

struct hx_key_reader {
    char text[4]; /* of the character that is complete, or on its way */
    uint8_t text_bytes, text_need;
    uint8_t state;
    bool after_cr;  /* a following LF belongs to the CR */
    bool unknown;   /* the control sequence has a part that no key has */
    bool cut_short; /* the last byte ended a character that was not complete */
    uint32_t number[2];
    uint32_t number_index;
    uint32_t string_bytes; /* swallowed of a control string */
};

/* A zeroed reader is ready; this forgets what is unfinished, save that a CR came last. */
void hx_key_reset(struct hx_key_reader *reader);
/* Takes one byte. */
enum hx_key hx_key_read(struct hx_key_reader *reader, uint8_t byte);
