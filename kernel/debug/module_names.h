/* SPDX-License-Identifier: MIT */
/*
 * module_names.h - what a person's words for modules and files mean, and what to say when they mean nothing.
 *
 * Files are those that were pushed, and those of the initrd. What is found of them stays between hx_pushed_enter() and
 * hx_pushed_leave(). Names of modules are copied before they are used: the worker may change the registry
 * whenever it runs.
 * May be used by: this room's commands. Context: the console's task.
 */
#pragma once
#include <helix/module.h>
#include <lib/slice.h>

struct hx_editor_matches;

/* The name of file @index, and its content; NULL: there are no more. Pushed ones come first; what they stand before is left out. */
const char *hx_names_file_at(uint32_t index, struct hx_slice *out);
/* The file called @name, ".hxm" may be left out. HX_E_NOENT, unsaid. */
HX_NODISCARD hx_status_t hx_names_find_file(const char *name, struct hx_slice *out);
/* The file that holds the highest version of module @module, of several the first. HX_E_NOENT, unsaid. */
HX_NODISCARD hx_status_t hx_names_find_newest(const char *module, struct hx_slice *out);
/* The descriptor in a file, looked at without loading it: name and summary are terminated, pointers mean nothing. */
HX_NODISCARD hx_status_t hx_names_peek(struct hx_slice file, struct hx_module_record *out);

/* Say that there is none called @name, and which one may be meant. Return HX_E_NOENT. */
hx_status_t hx_names_refuse_module(const char *command, const char *name);
hx_status_t hx_names_refuse_file(const char *command, const char *name);
hx_status_t hx_names_refuse_either(const char *command, const char *name);

/* For struct hx_command.complete: argument 1 is a module, or a file. */
void hx_names_complete_modules(uint32_t position, struct hx_editor_matches *matches);
void hx_names_complete_files(uint32_t position, struct hx_editor_matches *matches);
void hx_names_offer_files(struct hx_editor_matches *matches);
