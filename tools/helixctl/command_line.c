/* SPDX-License-Identifier: MIT */
/* command_line.c - see command_line.h. */
#include "command_line.h"

#include "terminal.h"

#include <string.h>

/* @word, in quotes when the kernel would take it apart otherwise. Returns the length; more than @bytes: it did not fit. */
static size_t append_word(char *out, size_t bytes, size_t used, const char *word)
{
    bool plain = word[0] && !strpbrk(word, " \t\"'\\#");

    if (!plain && used < bytes)
        out[used] = '"';
    used += !plain;
    for (; *word; word++) {
        bool escaped = !plain && (*word == '"' || *word == '\\');
        if (escaped && used < bytes)
            out[used] = '\\';
        used += escaped;
        if (used < bytes)
            out[used] = *word;
        used++;
    }
    if (!plain && used < bytes)
        out[used] = '"';
    return used + !plain;
}

bool hx_ctl_command_line(char *out, size_t bytes, int count, const char *const *words)
{
    size_t used = 0;

    for (int i = 0; i < count; i++) {
        if (strpbrk(words[i], "\r\n")) {
            hx_ctl_complain("%s: a command is one line; leave the line feed out", words[i]);
            return false;
        }
        if (i > 0 && used < bytes)
            out[used] = ' ';
        used = append_word(out, bytes, used + (i > 0), words[i]);
    }
    if (used < bytes) {
        out[used] = '\0';
        return true;
    }
    hx_ctl_complain("the command is longer than %zu bytes; make it shorter", bytes - 1);
    return false;
}
