/* SPDX-License-Identifier: MIT */
/* terminal.c - see terminal.h. */
#include "terminal.h"

#include "interrupt.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BAR_WIDTH = 32 };
static const uint64_t bar_after_ns = 300000000, bar_every_ns = 50000000;

const char *hx_ctl_style(FILE *to, enum hx_ctl_style style)
{
    static const char *const sequences[] = { "\033[0m", "\033[1m", "\033[32m", "\033[31m" };
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");

    if ((no_color && no_color[0]) || !terminal || strcmp(terminal, "dumb") == 0 || !isatty(fileno(to)))
        return "";
    return sequences[style];
}

void hx_ctl_complain(const char *format, ...)
{
    char text[2048];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    (void)fflush(stdout);
    fprintf(stderr, "%shelixctl: ", hx_ctl_style(stderr, HX_CTL_BAD));
    hx_ctl_print_text(stderr, text, strlen(text), false);
    fprintf(stderr, "%s\n", hx_ctl_style(stderr, HX_CTL_PLAIN));
}

static void put_character(FILE *to, char c)
{
    bool is_control = ((unsigned char)c < ' ' && c != '\n' && c != '\t') || c == 0x7f;

    fputc(is_control ? '?' : c, to);
}

void hx_ctl_print_text(FILE *to, const char *text, size_t bytes, bool heading)
{
    const char *end_of_first = heading ? memchr(text, '\n', bytes) : NULL;
    bool strong = end_of_first && end_of_first + 1 < text + bytes;

    if (strong)
        fputs(hx_ctl_style(to, HX_CTL_STRONG), to);
    for (size_t i = 0; i < bytes; i++) {
        if (strong && text + i == end_of_first)
            fputs(hx_ctl_style(to, HX_CTL_PLAIN), to);
        put_character(to, text[i]);
    }
}

void hx_ctl_bar_begin(struct hx_ctl_bar *bar, const char *label, bool quiet)
{
    *bar = (struct hx_ctl_bar){ .label = label, .begun_ns = hx_ctl_clock_ns() };
    bar->wanted = !quiet && isatty(STDERR_FILENO);
}

void hx_ctl_bar_show(struct hx_ctl_bar *bar, uint64_t done, uint64_t all)
{
    uint64_t now_ns = hx_ctl_clock_ns(), spent_ns = now_ns - bar->begun_ns;
    unsigned int full = all ? (unsigned int)(done * BAR_WIDTH / all) : BAR_WIDTH;

    if (!bar->wanted || spent_ns < bar_after_ns || (now_ns - bar->shown_ns < bar_every_ns && done < all))
        return;
    bar->shown_ns = now_ns;
    bar->visible = true;
    fprintf(stderr, "\r%s [", bar->label);
    for (unsigned int i = 0; i < BAR_WIDTH; i++)
        fputc(i < full ? '#' : '.', stderr);
    fprintf(stderr, "] %3u%%  %llu KiB/s \033[K", all ? (unsigned int)(done * 100 / all) : 100u,
            (unsigned long long)(done * 1000000 / 1024 * 1000 / (spent_ns ? spent_ns : 1)));
}

void hx_ctl_bar_end(struct hx_ctl_bar *bar)
{
    if (bar->visible)
        fputs("\r\033[K", stderr);
    bar->visible = false;
}
