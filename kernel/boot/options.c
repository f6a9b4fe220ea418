/* SPDX-License-Identifier: MIT */
/*
 * options.c - one option out of the boot command line.
 *
 * Why so small: options are asked for by name where they are needed; there is no table of them to keep in step.
 */
#include "boot_info.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next word at or after @text, its length to @out_length; NULL when there is none. */
static const char *word_next(const char *text, size_t *out_length)
{
    size_t length = 0;

    while (is_blank(*text))
        text++;
    while (text[length] && !is_blank(text[length]))
        length++;
    *out_length = length;
    return length ? text : NULL;
}

hx_status_t hx_boot_option(const struct hx_boot_info *info, const char *name, char *out, size_t bytes)
{
    size_t name_length = strlen(name);
    size_t length = 0;
    const char *value = NULL;
    size_t value_length = 0;

    for (const char *word = info->cmdline; (word = word_next(word, &length)) != NULL; word += length) {
        if (length < name_length || memcmp(word, name, name_length) != 0)
            continue;
        if (length == name_length) {
            value = "";
            value_length = 0;
        } else if (word[name_length] == '=') {
            value = word + name_length + 1;
            value_length = length - name_length - 1;
        }
    }
    if (!value)
        return HX_E_NOENT;
    if (value_length >= bytes)
        return HX_E_LIMIT;
    memcpy(out, value, value_length);
    out[value_length] = '\0';
    return HX_OK;
}
