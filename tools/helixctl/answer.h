/* SPDX-License-Identifier: MIT */
/* answer.h - how a request ended: the object of its END frame. */
#pragma once
#include "command.h"

#include <jansson.h>

struct hx_ctl_answer {
    json_t *end;       /* the object. Owned. */
    json_int_t status; /* 0 or less */
    const char *error; /* "ok", or the short name. In @end. */
    const char *text;  /* what the kernel says of it, or "". In @end. */
};

/* False: @data is no such object. @out is to be freed either way. */
bool hx_ctl_answer_read(struct hx_ctl_answer *out, const void *data, size_t bytes);
/* Accepts a zeroed one. */
void hx_ctl_answer_free(struct hx_ctl_answer *answer);

/* A member of an object as text; @otherwise when there is none. */
const char *hx_ctl_member(const json_t *object, const char *key, const char *otherwise);
/* A member as a number; @otherwise when there is none. */
double hx_ctl_member_number(const json_t *object, const char *key, double otherwise);
/* One line on standard output. Takes the reference. */
void hx_ctl_print_json(json_t *object);
