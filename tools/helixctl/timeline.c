/* SPDX-License-Identifier: MIT */
/*
 * timeline.c - see timeline.h.
 *
 * Why probation is not to scale: it is a thousand times as long as the rest. How long it was is written behind the bar.
 * Source: SVG 1.1 (second edition), W3C.
 */
#include "timeline.h"

#include "answer.h"

#include <stdbool.h>
#include <string.h>

enum {
    ROW_PX = 34,
    BAR_PX = 16,
    LABEL_PX = 300,
    PLOT_PX = 620,
    PROBATION_PX = 24,
    TAIL_PX = 280,
    TAIL_AT_PX = LABEL_PX + PLOT_PX + PROBATION_PX + 12,
    HEAD_PX = 70,
    MARGIN_PX = 12,
};
static const char other_colour[] = "#c8c8c8", probation_colour[] = "#9c755f";

/* What of the kernel's steps is shown as one. */
static const struct phase {
    const char *name, *colour;
    const char *steps[2];
} phases[] = {
    { "link", "#4e79a7", { "link", "admit" } },
    { "init", "#76b7b2", { "init", "reserve" } },
    { "drain", "#e15759", { "drain" } },
    { "save", "#f28e2b", { "save" } },
    { "load", "#edc948", { "load" } },
    { "publish", "#59a14f", { "publish" } },
    { "check", "#b07aa1", { "start", "check" } },
};
enum { PHASE_COUNT = sizeof(phases) / sizeof(phases[0]) };

/* ---- rows -------------------------------------------------------------------------------------------------------------- */
static double time_us(const json_t *row, const char *key)
{
    char name[32];

    snprintf(name, sizeof(name), "%s_ns", key);
    return hx_ctl_member_number(row, name, 0) / 1000;
}

static double phase_us(const json_t *row, const struct phase *phase)
{
    return time_us(row, phase->steps[0]) + (phase->steps[1] ? time_us(row, phase->steps[1]) : 0);
}

static double phases_us(const json_t *row)
{
    double sum = 0;

    for (size_t i = 0; i < PHASE_COUNT; i++)
        sum += phase_us(row, &phases[i]);
    return sum;
}

/* What is in no phase: between them, and the worker's own. */
static double other_us(const json_t *row)
{
    double rest = time_us(row, "total") + phase_us(row, &phases[PHASE_COUNT - 1]) - phases_us(row);

    return rest > 0 ? rest : 0;
}

/* 0: there was none; less: it goes on. */
static double probation_us(const json_t *row)
{
    double decided = time_us(row, "decided"), open = time_us(row, "open");

    if (strcmp(hx_ctl_member(row, "outcome", ""), "probation") == 0)
        return -1;
    return decided > open && open > 0 ? decided - open : 0;
}

static double longest_us(const json_t *swaps)
{
    double longest = 1;
    size_t i;
    const json_t *row;

    json_array_foreach(swaps, i, row)
    {
        double us = phases_us(row) + other_us(row);
        longest = us > longest ? us : longest;
    }
    return longest;
}

/* ---- drawing ----------------------------------------------------------------------------------------------------------- */
/* Text of the kernel's, as XML has it. */
static void put_escaped(const char *text, FILE *to)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '<' || c == '>' || c == '&' || c == '"')
            fprintf(to, "&#%u;", c);
        else
            fputc(c < ' ' || c >= 0x7f ? '?' : c, to);
    }
}

static void write_text(FILE *to, double x, double y, const char *style, const char *text)
{
    fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, style);
    put_escaped(text, to);
    fputs("</text>\n", to);
}

static void write_box(FILE *to, double x, double y, double width, const char *colour, const char *title)
{
    fprintf(to, "<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%d\" fill=\"%s\"><title>", x, y, width, BAR_PX,
            colour);
    put_escaped(title, to);
    fputs("</title></rect>\n", to);
}

static void write_key(FILE *to, size_t at, const char *colour, const char *name)
{
    double x = LABEL_PX + 74.0 * (double)at;

    write_box(to, x, 12, 14, colour, name);
    write_text(to, x + 18, 25, "", name);
}

static void write_head(FILE *to, double longest)
{
    write_text(to, MARGIN_PX, 24, "font-weight=\"bold\" font-size=\"15\"", "Swaps of modules");
    for (size_t i = 0; i < PHASE_COUNT; i++)
        write_key(to, i, phases[i].colour, phases[i].name);
    write_key(to, PHASE_COUNT, other_colour, "other");
    write_key(to, PHASE_COUNT + 1, probation_colour, "probation");
    for (int i = 0; i <= 4; i++) {
        char label[32];
        double at = LABEL_PX + PLOT_PX * i / 4.0;

        snprintf(label, sizeof(label), "%.4g us", longest * i / 4);
        write_text(to, at, HEAD_PX - 14, "fill=\"#666\" text-anchor=\"middle\"", label);
        fprintf(to, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"100%%\" stroke=\"#e4e4e4\"/>\n", at, HEAD_PX - 8, at);
    }
}

static void write_bar(FILE *to, const json_t *row, double y, double scale)
{
    char title[96];
    double x = LABEL_PX, other = other_us(row), probation = probation_us(row);

    for (size_t i = 0; i < PHASE_COUNT; i++) {
        double us = phase_us(row, &phases[i]);

        snprintf(title, sizeof(title), "%s %.3f us", phases[i].name, us);
        if (us > 0)
            write_box(to, x, y, us * scale, phases[i].colour, title);
        x += us * scale;
    }
    snprintf(title, sizeof(title), "other %.3f us", other);
    if (other > 0)
        write_box(to, x, y, other * scale, other_colour, title);
    snprintf(title, sizeof(title), probation > 0 ? "probation %.3f us, not to scale" : "probation goes on", probation);
    if (probation != 0)
        write_box(to, x + other * scale, y, PROBATION_PX, probation_colour, title);
}

static void write_label(FILE *to, const json_t *row, double y)
{
    char label[160];
    const char *old_name = hx_ctl_member(row, "old", "?"), *new_name = hx_ctl_member(row, "new", old_name);
    bool same = strcmp(old_name, new_name) == 0;

    snprintf(label, sizeof(label), "%.0f  %s %s -> %s%s%s", hx_ctl_member_number(row, "num", 0), old_name,
             hx_ctl_member(row, "old_version", "?"), same ? "" : new_name, same ? "" : " ",
             hx_ctl_member(row, "new_version", "?"));
    write_text(to, MARGIN_PX, y + BAR_PX - 4, "", label);
}

static void write_tail(FILE *to, const json_t *row, double y)
{
    char tail[200];
    double probation = probation_us(row);
    size_t used = (size_t)snprintf(tail, sizeof(tail), "%.0f us, gate closed %.0f us", time_us(row, "total"),
                                   time_us(row, "blackout"));

    if (probation > 0 && used < sizeof(tail))
        used += (size_t)snprintf(tail + used, sizeof(tail) - used, ", probation %.2f s", probation / 1e6);
    if (used < sizeof(tail))
        snprintf(tail + used, sizeof(tail) - used, ", %s", hx_ctl_member(row, "outcome", "?"));
    write_text(to, TAIL_AT_PX, y + BAR_PX - 4, "fill=\"#444\"", tail);
}

void hx_ctl_timeline_write(const json_t *swaps, FILE *to)
{
    double longest = longest_us(swaps), scale = PLOT_PX / longest, y = HEAD_PX;
    size_t i;
    const json_t *row;

    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" font-family=\"monospace\" "
            "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            TAIL_AT_PX + TAIL_PX + MARGIN_PX, HEAD_PX + ROW_PX * json_array_size(swaps) + MARGIN_PX);
    write_head(to, longest);
    json_array_foreach(swaps, i, row)
    {
        write_label(to, row, y);
        write_bar(to, row, y, scale);
        write_tail(to, row, y);
        y += ROW_PX;
    }
    fputs("</svg>\n", to);
}
