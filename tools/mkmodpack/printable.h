/* SPDX-License-Identifier: MIT */
/* printable.h - names out of files, which may hold anything, on their way to a terminal or into lines of text. */
#pragma once
#include <stdio.h>

/* Writes @name with '?' for what is neither printable ASCII nor part of a name: blanks too. Returns how many characters. */
size_t hx_mp_print_name(const char *name, FILE *to);
/* The same, padded with blanks to @width, one at the least. */
void hx_mp_print_column(const char *name, size_t width, FILE *to);
