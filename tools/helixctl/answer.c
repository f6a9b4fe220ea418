/* SPDX-License-Identifier: MIT */
/* answer.c - see answer.h. */
#include "answer.h"

#include <stdio.h>

bool hx_ctl_answer_read(struct hx_ctl_answer *out, const void *data, size_t bytes)
{
    *out = (struct hx_ctl_answer){ .end = json_loadb(data, bytes, 0, NULL) };
    const json_t *status = json_object_get(out->end, "status");

    out->status = json_integer_value(status);
    out->error = hx_ctl_member(out->end, "error", "");
    out->text = hx_ctl_member(out->end, "text", "");
    return json_is_integer(status) && out->status <= 0;
}

void hx_ctl_answer_free(struct hx_ctl_answer *answer)
{
    json_decref(answer->end);
    *answer = (struct hx_ctl_answer){ 0 };
}

const char *hx_ctl_member(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : otherwise;
}

double hx_ctl_member_number(const json_t *object, const char *key, double otherwise)
{
    const json_t *value = json_object_get(object, key);

    return json_is_number(value) ? json_number_value(value) : otherwise;
}

void hx_ctl_print_json(json_t *object)
{
    (void)json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(object);
}
