/* SPDX-License-Identifier: MIT */
/* deploy.h - a module's file into the running kernel, and in the place of what runs there: what push and watch share. */
#pragma once
#include "push.h"
#include "view.h"

#include <helix/module.h>

struct hx_ctl_deploy {
    const char *path;
    const char *name;     /* what the kernel is to call the file; NULL: as here */
    const char *key_path; /* NULL: FILE.sig, if there */
    const char *module;   /* to replace; NULL: the one that the file says it is */
    bool check, reload, load;
    bool keep_debug;
    /* what came of it */
    char pushed[HX_CONTROL_NAME_MAX];
    char target[HX_NAME_MAX]; /* the module */
    char version[16];         /* "1.2.3", or "" */
    size_t bytes;
    uint32_t resumed;
    double check_s, push_s, reload_s;
    struct hx_ctl_text said; /* by the kernel, of the reload. Owned. */
    json_t *end;             /* the last END. Owned. May be NULL. */
};

/* Complains of what was refused. @deploy is to be freed either way. */
enum hx_ctl_exit hx_ctl_deploy_run(struct hx_ctl_peer *peer, struct hx_ctl_deploy *deploy);
void hx_ctl_deploy_free(struct hx_ctl_deploy *deploy);
/* The outcome, with the exit status @status, as one object. Owned. */
json_t *hx_ctl_deploy_json(const struct hx_ctl_deploy *deploy, enum hx_ctl_exit status);

/* Runs a command that changes something; its text is added to @out, and a refusal complained of. @end may be NULL. */
enum hx_ctl_exit hx_ctl_change(struct hx_ctl_peer *peer, const char *command, struct hx_ctl_text *out, json_t **end);
