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
    bool runs = strcmp(state, "Active") == 0 || strcmp(state, "active") == 0;

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

/* What belongs to a module by its name or its owner: services and channels. */
static void write_owned(const json_t *rows, const char *prefix, const char *shape, const char *key, FILE *to)
{
    size_t i;
    const json_t *row;

    json_array_foreach(rows, i, row)
    {
        const char *name = hx_ctl_member(row, key, "?"), *owner = hx_ctl_member(row, "owner", "");

        fputs("    ", to);
        put_name(prefix, name, strlen(name), to);
        fprintf(to, " [shape=%s, label=", shape);
        put_name("", name, strlen(name), to);
        fputs("];\n", to);
        if (!owner[0])
            continue;
        fputs("    ", to);
        put_name("m:", owner, strlen(owner), to);
        fputs(" -> ", to);
        put_name(prefix, name, strlen(name), to);
        fputs(";\n", to);
    }
}

void hx_ctl_diagram_write(const struct hx_ctl_diagram *diagram, FILE *to)
{
    size_t i;
    const json_t *row;

    fputs("digraph helix {\n    rankdir=LR;\n    node [fontname=\"monospace\", fontsize=10];\n", to);
    json_array_foreach(diagram->modules, i, row) write_module(row, to);
    json_array_foreach(diagram->modules, i, row) write_interfaces(row, to);
    write_owned(diagram->services, "s:", "hexagon", "name", to);
    write_owned(diagram->channels, "c:", "cds", "name", to);
    fputs("}\n", to);
}
