/* SPDX-License-Identifier: MIT */
/* diagram.c - see diagram.h. */
#include "diagram.h"

#include "answer.h"

#include <string.h>

/* ---- words ------------------------------------------------------------------------------------------------------------- */
/* A name of the kernel's between quotes of dot's. */
static void put_name(const char *prefix, const char *name, size_t bytes, FILE *to)
{
    fprintf(to, "\"%s", prefix);
    for (size_t i = 0; i < bytes && name[i]; i++) {
        unsigned char c = (unsigned char)name[i];

        if (c == '"' || c == '\\')
            fputc('\\', to);
        fputc(c < ' ' || c >= 0x7f ? '?' : c, to);
    }
    fputc('"', to);
}

/* The next of a list as the kernel writes it, A,B,C; NULL: no more. */
static const char *next_item(const char **list, size_t *out_bytes)
{
    const char *item = *list;

    if (!item || !*item)
        return NULL;
    *out_bytes = strcspn(item, ",");
    *list = item + *out_bytes + (item[*out_bytes] == ',');
    return item;
}

/* ---- nodes and arrows -------------------------------------------------------------------------------------------------- */
static void write_module(const json_t *row, FILE *to)
{
    const char *name = hx_ctl_member(row, "name", "?"), *state = hx_ctl_member(row, "state", "");
    bool runs = strcmp(state, "Running") == 0;

    fputs("    ", to);
    put_name("m:", name, strlen(name), to);
    fputs(" [shape=box, label=", to);
    put_name("", name, strlen(name), to);
    fputs(" + \"\\n\" + ", to);
    put_name("", hx_ctl_member(row, "version", "?"), 16, to);
    if (!runs) {
        fputs(" + \"\\n\" + ", to);
        put_name("", state, strlen(state), to);
        fputs(", style=dashed", to);
    }
    fputs("];\n", to);
}

/* What it provides, and who uses that. */
static void write_interfaces(const json_t *row, FILE *to)
{
    const char *name = hx_ctl_member(row, "name", "?"), *provides = hx_ctl_member(row, "provides", ""), *item;
    size_t bytes = 0;

    while ((item = next_item(&provides, &bytes))) {
        const char *users = hx_ctl_member(row, "users", ""), *user;
        size_t user_bytes = 0;

        fputs("    ", to);
        put_name("i:", item, bytes, to);
        fputs(" [shape=ellipse, label=", to);
        put_name("", item, bytes, to);
        fputs("];\n    ", to);
        put_name("m:", name, strlen(name), to);
        fputs(" -> ", to);
        put_name("i:", item, bytes, to);
        fputs(";\n", to);
        while ((user = next_item(&users, &user_bytes))) {
            fputs("    ", to);
            put_name("m:", user, user_bytes, to);
            fputs(" -> ", to);
            put_name("i:", item, bytes, to);
            fputs(" [style=dashed];\n", to);
        }
    }
}

static void write_node(const char *prefix, const char *name, const char *shape, FILE *to)
{
    fputs("    ", to);
    put_name(prefix, name, strlen(name), to);
    fprintf(to, " [shape=%s, label=", shape);
    put_name("", name, strlen(name), to);
    fputs("];\n", to);
}

/* Of those who have the node called @name, modules and others. */
static void write_arrows(const char *owners, const char *prefix, const char *name, FILE *to)
{
    const char *owner = NULL;
    size_t bytes = 0;

    while ((owner = next_item(&owners, &bytes))) {
        fputs("    ", to);
        put_name("m:", owner, bytes, to);
        fputs(" -> ", to);
        put_name(prefix, name, strlen(name), to);
        fputs(";\n", to);
        if (bytes == strlen("kernel") && memcmp(owner, "kernel", bytes) == 0)
            fputs("    \"m:kernel\" [shape=box, style=dotted, label=\"kernel\"];\n", to);
    }
}

static void write_services(const json_t *rows, FILE *to)
{
    size_t i;
    const json_t *row;

    json_array_foreach(rows, i, row)
    {
        const char *name = hx_ctl_member(row, "service", "?");

        write_node("s:", name, "hexagon", to);
        write_arrows(hx_ctl_member(row, "owner", ""), "s:", name, to);
    }
}

static void write_channels(const json_t *rows, FILE *to)
{
    size_t i;
    const json_t *row;

    json_array_foreach(rows, i, row)
    {
        char number[32];
        const char *name = NULL;

        snprintf(number, sizeof(number), "channel %.0f", hx_ctl_member_number(row, "number", 0));
        name = hx_ctl_member(row, "name", number);
        write_node("c:", name, "cds", to);
        write_arrows(hx_ctl_member(row, "owners", ""), "c:", name, to);
    }
}

void hx_ctl_diagram_write(const struct hx_ctl_diagram *diagram, FILE *to)
{
    size_t i;
    const json_t *row;

    fputs("digraph helix {\n    rankdir=LR;\n    node [fontname=\"monospace\", fontsize=10];\n", to);
    json_array_foreach(diagram->modules, i, row) write_module(row, to);
    json_array_foreach(diagram->modules, i, row) write_interfaces(row, to);
    write_services(diagram->services, to);
    write_channels(diagram->channels, to);
    fputs("}\n", to);
}
