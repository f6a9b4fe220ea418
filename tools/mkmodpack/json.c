/* SPDX-License-Identifier: MIT */
/* json.c - see json.h. */
#include "json.h"

#include <stdio.h>

static unsigned int depth;
static bool empty = true; /* nothing yet in the innermost bracket */

static void print_string(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < ' ' || c >= 0x7f)
            printf("\\u%04x", c); /* a byte that is no ASCII is shown, not interpreted */
        else
            putchar(c);
    }
    putchar('"');
}

static void break_line(void)
{
    putchar('\n');
    for (unsigned int i = 0; i < depth; i++)
        fputs("  ", stdout);
}

static void begin_value(const char *key)
{
    if (depth > 0) {
        if (!empty)
            putchar(',');
        break_line();
    }
    empty = false;
    if (key) {
        print_string(key);
        fputs(": ", stdout);
    }
}

void hx_mp_json_open(const char *key, char bracket)
{
    begin_value(key);
    putchar(bracket);
    depth++;
    empty = true;
}

void hx_mp_json_close(char bracket)
{
    depth--;
    if (!empty)
        break_line();
    empty = false;
    putchar(bracket);
    if (depth == 0) {
        putchar('\n');
        empty = true;
    }
}

void hx_mp_json_text(const char *key, const char *text)
{
    begin_value(key);
    print_string(text);
}

void hx_mp_json_number(const char *key, uint64_t number)
{
    begin_value(key);
    printf("%llu", (unsigned long long)number);
}

void hx_mp_json_bool(const char *key, bool value)
{
    begin_value(key);
    fputs(value ? "true" : "false", stdout);
}
