/* SPDX-License-Identifier: MIT */
/*
 * tree.h - what is saved below a directory (inotify). Sources count: what a build writes, what editors keep beside a file and
 * directories that something is built in do not.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hx_ctl_tree {
    int fd;
    char **path; /* [count], by the descriptor of its watch; NULL: none of that. Owned. */
    size_t count;
    char changed[256]; /* the last that was saved */
    bool saved;        /* something was, while hx_ctl_tree_read() reads */
};

/* False: complained of. Either way to be closed. */
bool hx_ctl_tree_open(struct hx_ctl_tree *out, const char *directory);
void hx_ctl_tree_close(struct hx_ctl_tree *tree);
/* Takes what has happened; true: something was saved. */
bool hx_ctl_tree_read(struct hx_ctl_tree *tree);
