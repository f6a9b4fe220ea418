/* SPDX-License-Identifier: MIT */
/* tree.c - see tree.h. */
#include "tree.h"

#include "terminal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SAVED = IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE, WATCHED = SAVED | IN_CREATE | IN_ONLYDIR };

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), end_length = strlen(end);

    return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

/* What `sed -i' writes before it takes the file's name. */
static bool is_of_sed(const char *name)
{
    return strncmp(name, "sed", 3) == 0 && strlen(name) == 9 && !strchr(name, '.');
}

static bool is_source(const char *name)
{
    static const char *const others[] = {
        "~", ".o", ".d", ".a", ".hxm", ".cpio", ".sig", ".swp", ".swx", ".tmp", ".log"
    };

    if (name[0] == '.' || name[0] == '#' || is_of_sed(name) || strcmp(name, "4913") == 0) /* vim's, to try to write */
        return false;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (ends_with(name, others[i]))
            return false;
    return true;
}

static bool has(const char *directory, const char *name)
{
    char path[4096];

    return snprintf(path, sizeof(path), "%s/%s", directory, name) < (int)sizeof(path) && access(path, F_OK) == 0;
}

static bool is_built_in(const char *directory)
{
    return has(directory, "build.ninja") || has(directory, "meson-info") || has(directory, "CMakeCache.txt");
}

/* ---- directories -------------------------------------------------------------------------------------------------------- */
/* Takes @path over. Returns the descriptor of its watch, or -1. */
static int add_watch(struct hx_ctl_tree *tree, char *path)
{
    int watch = path ? inotify_add_watch(tree->fd, path, WATCHED) : -1;

    if (watch < 0) {
        free(path);
        return -1;
    }
    if ((size_t)watch >= tree->count) {
        size_t count = (size_t)watch + 16;
        char **larger = realloc(tree->path, count * sizeof(*larger));
        if (!larger)
            abort();
        memset(larger + tree->count, 0, (count - tree->count) * sizeof(*larger));
        tree->path = larger;
        tree->count = count;
    }
    free(tree->path[watch]);
    tree->path[watch] = path;
    return watch;
}

static void note(struct hx_ctl_tree *tree, const char *name)
{
    snprintf(tree->changed, sizeof(tree->changed), "%s", name);
    tree->saved = true;
}

/* What lies in @path; files as saved, which counts if nobody watched when they were. */
static void add_below(struct hx_ctl_tree *tree, const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry = NULL;

    while (directory && (entry = readdir(directory))) {
        char *below = NULL;
        struct stat found;

        if (entry->d_name[0] == '.' || asprintf(&below, "%s/%s", path, entry->d_name) < 0)
            continue;
        bool is_there = lstat(below, &found) == 0;
        if (is_there && S_ISREG(found.st_mode) && is_source(entry->d_name))
            note(tree, entry->d_name);
        if (is_there && S_ISDIR(found.st_mode) && !is_built_in(below))
            (void)add_watch(tree, below);
        else
            free(below);
    }
    if (directory)
        (void)closedir(directory);
}

/* @directory with all below it: each that is added has a higher descriptor, and its turn. */
static bool add_all(struct hx_ctl_tree *tree, const char *directory)
{
    int first = add_watch(tree, strdup(directory));

    for (size_t i = (size_t)(first < 0 ? 0 : first); first >= 0 && i < tree->count; i++)
        if (tree->path[i])
            add_below(tree, tree->path[i]);
    return first >= 0;
}

bool hx_ctl_tree_open(struct hx_ctl_tree *out, const char *directory)
{
    *out = (struct hx_ctl_tree){ .fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC) };
    bool good = out->fd >= 0 && add_all(out, directory);
    out->changed[0] = '\0'; /* as it is */
    if (good)
        return true;
    hx_ctl_complain("%s: cannot be watched: %s; name a directory that can be read", directory, strerror(errno));
    return false;
}

void hx_ctl_tree_close(struct hx_ctl_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        free(tree->path[i]);
    free(tree->path);
    if (tree->fd >= 0)
        (void)close(tree->fd);
    *tree = (struct hx_ctl_tree){ .fd = -1 };
}

/* ---- events -------------------------------------------------------------------------------------------------------------- */
/* A directory that came, perhaps with files in it. */
static void take_directory(struct hx_ctl_tree *tree, const struct inotify_event *event)
{
    char *below = NULL;

    if (!(event->mask & (IN_CREATE | IN_MOVED_TO)) || event->name[0] == '.' ||
        asprintf(&below, "%s/%s", tree->path[event->wd], event->name) < 0)
        return;
    if (!is_built_in(below))
        (void)add_all(tree, below);
    free(below);
}

static void take(struct hx_ctl_tree *tree, const struct inotify_event *event)
{
    bool known = event->wd >= 0 && (size_t)event->wd < tree->count && tree->path[event->wd];

    tree->saved |= (event->mask & IN_Q_OVERFLOW) != 0;
    if (!known || event->len == 0)
        return;
    if (event->mask & IN_ISDIR)
        take_directory(tree, event);
    else if ((event->mask & SAVED) && is_source(event->name))
        note(tree, event->name);
}

bool hx_ctl_tree_read(struct hx_ctl_tree *tree)
{
    _Alignas(struct inotify_event) char data[8192];
    ssize_t got;

    tree->saved = false;
    while ((got = read(tree->fd, data, sizeof(data))) > 0) {
        for (const char *at = data; at < data + got;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)at;

            take(tree, event);
            at += sizeof(*event) + event->len;
        }
    }
    return tree->saved;
}
