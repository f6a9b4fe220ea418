/* SPDX-License-Identifier: MIT */
/* graph.h - who provides and who requires what, as a picture in the language of Graphviz. */
#pragma once
#include "module_set.h"

#include <stdio.h>

/*
 * Modules are boxes, interfaces ellipses with the highest version that a module provides. An arrow goes from a module to what
 * it provides, and from a module to what it requires; held modules and their arrows are dashed. Modules that were refused
 * (record is NULL) are left out. False: not enough memory.
 */
bool hx_mp_graph_print(const struct hx_mp_set *set, FILE *to);
/* A string of the dot language, quotes included; what it cannot hold becomes '?'. */
void hx_mp_graph_string(const char *text, FILE *to);
