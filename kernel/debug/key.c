/* SPDX-License-Identifier: MIT */
/*
 * key.c - see key.h.
 */
#include "key.h"

enum state {
    GROUND,
    ESCAPE,      /* ESC */
    ESCAPE_MORE, /* ESC and intermediate bytes, a final byte ends it */
    CSI,         /* ESC [ */
    LINUX_KEY,   /* ESC [ [, one byte more: function keys of the Linux console */
    SS3,         /* ESC O */
    STRING,      /* ESC ] and the like, up to ESC \ or any control byte, BEL among them */
    STRING_ESCAPE,
    UTF8,
};

enum byte {
    BYTE_LF = 0x0a,
    BYTE_CR = 0x0d,
    BYTE_ESCAPE = 0x1b,
    BYTE_DELETE = 0x7f,
};

enum {
    STRING_MAX = 256,  /* a control string that is longer is none */
    NUMBER_MAX = 9999, /* numbers of control sequences saturate */
    MODIFIER_CONTROL = 5,
};

/* ---- what the bytes mean -------------------------------------------------------------------------------------------- */
static enum hx_key control_key(uint8_t byte)
{
    static const uint8_t keys[0x20] = {
        [0x01] = HX_KEY_HOME,           /* Ctrl-A */
        [0x02] = HX_KEY_LEFT,           /* Ctrl-B */
        [0x03] = HX_KEY_CANCEL,         /* Ctrl-C */
        [0x04] = HX_KEY_CTRL_D,         /* */
        [0x05] = HX_KEY_END,            /* Ctrl-E */
        [0x06] = HX_KEY_RIGHT,          /* Ctrl-F */
        [0x08] = HX_KEY_ERASE_BACK,     /* one of two backspaces */
        [0x09] = HX_KEY_TAB,            /* */
        [0x0a] = HX_KEY_ENTER,          /* LF */
        [0x0b] = HX_KEY_ERASE_TO_END,   /* Ctrl-K */
        [0x0c] = HX_KEY_CLEAR_SCREEN,   /* Ctrl-L */
        [0x0d] = HX_KEY_ENTER,          /* CR */
        [0x0e] = HX_KEY_NEWER,          /* Ctrl-N */
        [0x10] = HX_KEY_OLDER,          /* Ctrl-P */
        [0x15] = HX_KEY_ERASE_TO_START, /* Ctrl-U */
        [0x17] = HX_KEY_ERASE_WORD,     /* Ctrl-W */
    };
    if (byte == BYTE_DELETE) /* the other backspace */
        return HX_KEY_ERASE_BACK;
    return (enum hx_key)keys[byte];
}

/* ESC [ x and ESC O x. */
static enum hx_key letter_key(uint8_t byte, bool with_control)
{
    switch (byte) {
    case 'A': return HX_KEY_OLDER;
    case 'B': return HX_KEY_NEWER;
    case 'C': return with_control ? HX_KEY_WORD_RIGHT : HX_KEY_RIGHT;
    case 'D': return with_control ? HX_KEY_WORD_LEFT : HX_KEY_LEFT;
    case 'H': return HX_KEY_HOME;
    case 'F': return HX_KEY_END;
    default: return HX_KEY_NONE;
    }
}

/* ESC [ n ~: the forms of xterm, the Linux console and rxvt. */
static enum hx_key numbered_key(uint32_t number)
{
    switch (number) {
    case 1:
    case 7: return HX_KEY_HOME;
    case 3: return HX_KEY_ERASE_HERE;
    case 4:
    case 8: return HX_KEY_END;
    default: return HX_KEY_NONE;
    }
}

/* ---- control sequences ---------------------------------------------------------------------------------------------- */
static void begin(struct hx_key_reader *r, enum state state)
{
    r->state = (uint8_t)state;
    r->unknown = false;
    r->number[0] = r->number[1] = 0;
    r->number_index = 0;
    r->string_bytes = 0;
}

static bool take_digit(struct hx_key_reader *r, uint8_t byte)
{
    if (byte < '0' || byte > '9')
        return false;
    uint32_t *number = &r->number[r->number_index];
    *number = *number * 10 + (uint32_t)(byte - '0');
    if (*number > NUMBER_MAX)
        *number = NUMBER_MAX;
    return true;
}

static enum hx_key take_escape(struct hx_key_reader *r, uint8_t byte)
{
    r->state = GROUND;
    switch (byte) {
    case '[': begin(r, CSI); return HX_KEY_NONE;
    case 'O': begin(r, SS3); return HX_KEY_NONE;
    case ']':
    case 'P':
    case 'X':
    case '^':
    case '_': begin(r, STRING); return HX_KEY_NONE;
    case 'b': return HX_KEY_WORD_LEFT;
    case 'f': return HX_KEY_WORD_RIGHT;
    default:
        if (byte >= 0x20 && byte <= 0x2f)
            r->state = ESCAPE_MORE;
        return HX_KEY_NONE;
    }
}

static enum hx_key end_csi(struct hx_key_reader *r, uint8_t byte)
{
    r->state = GROUND;
    if (r->unknown)
        return HX_KEY_NONE;
    if (byte == '~')
        return numbered_key(r->number[0]);
    return letter_key(byte, r->number[0] == MODIFIER_CONTROL || r->number[1] == MODIFIER_CONTROL);
}

static enum hx_key take_csi(struct hx_key_reader *r, uint8_t byte)
{
    if (take_digit(r, byte))
        return HX_KEY_NONE;
    if (byte >= 0x40 && byte != '[')
        return end_csi(r, byte);
    if (byte == '[') {
        r->state = LINUX_KEY;
    } else if (byte == ';') {
        r->unknown |= r->number_index == 1;
        r->number_index = 1;
    } else {
        r->unknown = true;
    }
    return HX_KEY_NONE;
}

static enum hx_key take_ss3(struct hx_key_reader *r, uint8_t byte)
{
    if (take_digit(r, byte))
        return HX_KEY_NONE;
    r->state = GROUND;
    if (byte == 'M') /* Enter of a keypad in application mode */
        return HX_KEY_ENTER;
    return letter_key(byte, r->number[0] == MODIFIER_CONTROL);
}

static enum hx_key take_string(struct hx_key_reader *r, uint8_t byte)
{
    if (byte == BYTE_ESCAPE)
        r->state = STRING_ESCAPE;
    else if (++r->string_bytes >= STRING_MAX)
        r->state = GROUND;
    return HX_KEY_NONE;
}

/* ---- characters ----------------------------------------------------------------------------------------------------- */
/* How many bytes a character has that starts with @lead; 0: none starts so. */
static uint8_t utf8_length(uint8_t lead)
{
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/* Second bytes are restricted: no overlong forms, surrogates, numbers past U+10FFFF, nor C1 controls, which terminals
 * obey. */
static bool utf8_fits(const struct hx_key_reader *r, uint8_t byte)
{
    if ((byte & 0xc0) != 0x80)
        return false;
    if (r->text_bytes != 1)
        return true;
    switch ((uint8_t)r->text[0]) {
    case 0xc2: return byte >= 0xa0;
    case 0xe0: return byte >= 0xa0;
    case 0xed: return byte <= 0x9f;
    case 0xf0: return byte >= 0x90;
    case 0xf4: return byte <= 0x8f;
    default: return true;
    }
}

static enum hx_key take_utf8(struct hx_key_reader *r, uint8_t byte)
{
    r->text[r->text_bytes++] = (char)byte;
    if (r->text_bytes < r->text_need)
        return HX_KEY_NONE;
    r->state = GROUND;
    return HX_KEY_TEXT;
}

static enum hx_key take_ground(struct hx_key_reader *r, uint8_t byte)
{
    if (byte == BYTE_ESCAPE)
        r->state = ESCAPE;
    if (byte < 0x20 || byte == BYTE_DELETE)
        return control_key(byte);
    r->text[0] = (char)byte;
    r->text_bytes = 1;
    if (byte < 0x80)
        return HX_KEY_TEXT;
    r->text_need = utf8_length(byte);
    if (r->text_need == 0)
        return HX_KEY_MALFORMED;
    r->state = UTF8;
    return HX_KEY_NONE;
}

/* ---- putting it together -------------------------------------------------------------------------------------------- */
/* Whether @byte cannot belong to what is being read, so that this ends unfinished and the byte counts anew. */
static bool breaks(const struct hx_key_reader *r, uint8_t byte)
{
    switch (r->state) {
    case GROUND: return false;
    case UTF8: return !utf8_fits(r, byte);
    case STRING: return byte < 0x20 && byte != BYTE_ESCAPE;
    case STRING_ESCAPE: return byte != '\\';
    default: return byte < 0x20 || byte >= BYTE_DELETE;
    }
}

static void break_off(struct hx_key_reader *r)
{
    r->cut_short |= r->state == UTF8;
    r->state = r->state == STRING_ESCAPE ? ESCAPE : GROUND;
}

static enum hx_key take(struct hx_key_reader *r, uint8_t byte)
{
    switch (r->state) {
    case ESCAPE: return take_escape(r, byte);
    case ESCAPE_MORE: r->state = byte >= 0x30 ? GROUND : ESCAPE_MORE; return HX_KEY_NONE;
    case CSI: return take_csi(r, byte);
    case LINUX_KEY:
    case STRING_ESCAPE: r->state = GROUND; return HX_KEY_NONE;
    case SS3: return take_ss3(r, byte);
    case STRING: return take_string(r, byte);
    case UTF8: return take_utf8(r, byte);
    default: return take_ground(r, byte);
    }
}

enum hx_key hx_key_read(struct hx_key_reader *r, uint8_t byte)
{
    bool joined = byte == BYTE_LF && r->after_cr;
    r->after_cr = byte == BYTE_CR;
    r->cut_short = false;
    if (joined)
        return HX_KEY_NONE;
    /* A broken control string first becomes a new ESC, which the byte may break in turn. */
    for (int i = 0; i < 2 && breaks(r, byte); i++)
        break_off(r);
    return take(r, byte);
}

void hx_key_reset(struct hx_key_reader *r)
{
    r->state = GROUND;
}
