/* SPDX-License-Identifier: MIT */
/* diagram.h - modules and what goes between them, for dot(1): from the rows of lsmod, services and chan. */
#pragma once
#include <jansson.h>
#include <stdio.h>

/* Each an array of rows; NULL: none. */
struct hx_ctl_diagram {
    const json_t *modules, *services, *channels;
};
void hx_ctl_diagram_write(const struct hx_ctl_diagram *diagram, FILE *to);
