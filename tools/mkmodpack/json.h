/* SPDX-License-Identifier: MIT */
/*
 * json.h - JSON on standard output, written as it comes: commas and indentation follow from the nesting.
 *
 * A key is NULL for an element of an array.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

void hx_mp_json_open(const char *key, char bracket); /* '{' or '[' */
void hx_mp_json_close(char bracket);                 /* '}' or ']'; after the outermost comes a line feed */
void hx_mp_json_text(const char *key, const char *text);
void hx_mp_json_number(const char *key, uint64_t number);
void hx_mp_json_bool(const char *key, bool value);
