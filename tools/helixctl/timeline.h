/* SPDX-License-Identifier: MIT */
/* timeline.h - swaps as a picture: a bar for each, cut into its phases, in the order in which they were. */
#pragma once
#include <jansson.h>
#include <stdio.h>

/* @swaps: the rows of `swaps'. Writes SVG 1.1 that needs nothing else: no script, no font, no other file. */
void hx_ctl_timeline_write(const json_t *swaps, FILE *to);
