/* SPDX-License-Identifier: MIT */
/*
 * graph.c - see graph.h.
 *
 * Why nodes are numbered: any name is fit for a label once it is escaped, but two names may look alike there.
 * Source: Graphviz, "The DOT Language" and the attribute type escString.
 */
#include "graph.h"

#include <stdlib.h>

struct node {
    const char *prefix; /* in an image */
    uint32_t version;   /* the highest provided, 0: nobody provides it */
};

struct nodes {
    struct node *node; /* [count] */
    size_t count;
};

static void print_text(const char *text, FILE *to)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', to);
        fputc(*text < ' ' || *text > '~' ? '?' : *text, to);
    }
}

void hx_mp_graph_string(const char *text, FILE *to)
{
    fputc('"', to);
    print_text(text, to);
    fputc('"', to);
}

static size_t node_of(const struct nodes *nodes, const char *prefix)
{
    size_t i = 0;

    while (i < nodes->count && strcmp(nodes->node[i].prefix, prefix) != 0)
        i++;
    return i;
}

/* @provided: 0 for one that is required only. */
static void enter(struct nodes *nodes, const char *prefix, uint32_t provided)
{
    size_t i = node_of(nodes, prefix);

    if (i == nodes->count)
        nodes->node[nodes->count++] = (struct node){ prefix, 0 };
    if (nodes->node[i].version < provided)
        nodes->node[i].version = provided;
}

static bool find_nodes(const struct hx_mp_set *set, struct nodes *out)
{
    size_t most = 0, count;

    for (size_t i = 0; i < set->count; i++)
        if (set->module[i].record) {
            (void)hx_mp_provides(&set->module[i], &count);
            most += count;
            (void)hx_mp_requires(&set->module[i], &count);
            most += count;
        }
    *out = (struct nodes){ .node = calloc(most + 1, sizeof(*out->node)) };
    if (!out->node)
        return false;
    for (size_t i = 0; i < set->count; i++) {
        const struct hx_interface_record *record;

        if (!set->module[i].record)
            continue;
        record = hx_mp_provides(&set->module[i], &count);
        for (size_t j = 0; j < count; j++)
            enter(out, record[j].prefix, record[j].version);
        record = hx_mp_requires(&set->module[i], &count);
        for (size_t j = 0; j < count; j++)
            enter(out, record[j].prefix, 0);
    }
    return true;
}

static void print_edges(const struct nodes *nodes, const struct hx_mp_module *module, size_t index, bool provides,
                        FILE *to)
{
    size_t count;
    const struct hx_interface_record *record =
        provides ? hx_mp_provides(module, &count) : hx_mp_requires(module, &count);

    for (size_t i = 0; i < count; i++)
        fprintf(to, "    m%zu -> i%zu [label=\"%s %s\"%s%s];\n", index, node_of(nodes, record[i].prefix),
                provides ? "provides" : "requires", hx_mp_interface_version_text(record[i].version).text,
                provides ? ", arrowhead=odot" : "", module->load ? "" : ", style=dashed");
}

static void print_module(const struct nodes *nodes, const struct hx_mp_module *module, size_t index, FILE *to)
{
    fprintf(to, "    m%zu [shape=box, label=\"", index);
    print_text(module->record->name, to);
    fprintf(to, " %s\\n", hx_mp_version_text(module->record->version).text);
    print_text(module->name, to);
    fprintf(to, "\"%s];\n", module->load ? "" : ", style=dashed");
    print_edges(nodes, module, index, true, to);
    print_edges(nodes, module, index, false, to);
}

bool hx_mp_graph_print(const struct hx_mp_set *set, FILE *to)
{
    struct nodes nodes;

    if (!find_nodes(set, &nodes))
        return false;
    fputs("digraph modules {\n    rankdir=LR;\n", to);
    for (size_t i = 0; i < nodes.count; i++) {
        fprintf(to, "    i%zu [shape=ellipse, label=\"", i);
        print_text(hx_mp_interface_name(nodes.node[i].prefix).text, to);
        if (nodes.node[i].version)
            fprintf(to, " %s", hx_mp_interface_version_text(nodes.node[i].version).text);
        fprintf(to, "\"%s];\n", nodes.node[i].version ? "" : ", color=red");
    }
    for (size_t i = 0; i < set->count; i++)
        if (set->module[i].record)
            print_module(&nodes, &set->module[i], i, to);
    fputs("}\n", to);
    free(nodes.node);
    return true;
}
