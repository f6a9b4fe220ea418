/* SPDX-License-Identifier: MIT */
/* project.h - a directory in which somebody writes a module: what builds it, and what comes out. */
#pragma once
#include <stdbool.h>

struct hx_ctl_project {
    const char *directory;
    const char *command; /* --build, or NULL */
    const char *file;    /* --file, or NULL */
    char *built;         /* the module's path. Owned. NULL: not known yet. */
    char *standard;      /* what builds it when nobody has said. Owned. May be NULL. */
};

/* Runs the command; what it writes is shown when it fails. False: complained of. */
bool hx_ctl_project_build(struct hx_ctl_project *project, bool quiet);
/* Finds out what comes out, once it is built. False: complained of, unless @quiet. */
bool hx_ctl_project_find(struct hx_ctl_project *project, bool quiet);
void hx_ctl_project_free(struct hx_ctl_project *project);
