/* SPDX-License-Identifier: MIT */
/*
 * project.c - see project.h.
 *
 * Why ninja and not `meson compile': it does the same, and is there in a tenth of the time.
 */
#include "project.h"

#include "interrupt.h"
#include "terminal.h"

#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- what comes out ------------------------------------------------------------------------------------------------------ */
static bool is_module(const char *name)
{
    size_t length = strlen(name);

    return length > 4 && strcmp(name + length - 4, ".hxm") == 0;
}

/* The only module in @directory; *@out_count says how many there are. */
static char *only_module(const char *directory, unsigned int *out_count)
{
    DIR *open = opendir(directory);
    const struct dirent *entry = NULL;
    char *found = NULL;

    *out_count = 0;
    while (open && (entry = readdir(open))) {
        if (!is_module(entry->d_name))
            continue;
        ++*out_count;
        if (!found && asprintf(&found, "%s/%s", directory, entry->d_name) < 0)
            found = NULL;
    }
    if (open)
        (void)closedir(open);
    return found;
}

bool hx_ctl_project_find(struct hx_ctl_project *project, bool quiet)
{
    unsigned int count = 0;
    char *build = NULL;

    /* Each time anew: a build may make another. */
    free(project->built);
    project->built = project->file ? strdup(project->file) : NULL;
    if (project->file)
        return project->built != NULL;
    if (asprintf(&build, "%s/build", project->directory) < 0)
        return false;
    project->built = only_module(build, &count);
    if (count == 0)
        project->built = only_module(project->directory, &count);
    if (count != 1) {
        if (!quiet)
            hx_ctl_complain("%s: %u modules in it: name the one that is meant by --file",
                            count ? build : project->directory, count);
        free(project->built);
        project->built = NULL;
    }
    free(build);
    return project->built != NULL;
}

/* ---- building ------------------------------------------------------------------------------------------------------------ */
static bool is_there(const char *directory, const char *name)
{
    char *path = NULL;
    bool there = asprintf(&path, "%s/%s", directory, name) >= 0 && access(path, F_OK) == 0;

    free(path);
    return there;
}

/* Of a build directory only the module is made: tests and packs can wait. */
static const char *target_of(const struct hx_ctl_project *project, const char *build)
{
    size_t length = strlen(build);

    if (!project->built || strncmp(project->built, build, length) != 0 || project->built[length] != '/')
        return "";
    return project->built + length + 1;
}

static const char *command_of(struct hx_ctl_project *project)
{
    char *build = NULL;

    if (project->command)
        return project->command;
    free(project->standard);
    project->standard = NULL;
    if (asprintf(&build, "%s/build", project->directory) < 0)
        return NULL;
    int made = 0;
    if (is_there(build, "build.ninja"))
        made = asprintf(&project->standard, "ninja -C '%s' %s", build, target_of(project, build));
    else if (is_there(project->directory, "Makefile") || is_there(project->directory, "makefile"))
        made = asprintf(&project->standard, "make -s -C '%s'", project->directory);
    free(build);
    return made > 0 ? project->standard : NULL;
}

/* Runs @command with a shell, its output into @log. Returns wait()'s status, -1 when it cannot be started. */
static int run(const char *command, FILE *log)
{
    char *const argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, (char *)(uintptr_t)command, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t child = -1;
    int status = -1;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", 0, 0);
    posix_spawn_file_actions_adddup2(&actions, fileno(log), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fileno(log), STDERR_FILENO);
    posix_spawnattr_setsigmask(&attributes, hx_ctl_interrupt_mask());
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    if (posix_spawn(&child, "/bin/sh", &actions, &attributes, argv, environ) == 0)
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return status;
}

static void show(FILE *log)
{
    char data[4096];
    size_t got;

    rewind(log);
    (void)fflush(stdout);
    while ((got = fread(data, 1, sizeof(data), log)) > 0)
        hx_ctl_print_text(stderr, data, got, false);
}

bool hx_ctl_project_build(struct hx_ctl_project *project, bool quiet)
{
    const char *command = command_of(project);
    FILE *log = NULL;
    int status = -1;

    if (!command) {
        hx_ctl_complain("%s: nothing here says how it is built (no build/build.ninja, no Makefile); say it by --build",
                        project->directory);
        return false;
    }
    log = tmpfile();
    if (log)
        status = run(command, log);
    if (status == 0) {
        (void)fclose(log);
        return true;
    }
    if (log && !quiet)
        show(log);
    if (status == -1 || !log)
        hx_ctl_complain("`%s' cannot be started: %s", command, strerror(errno));
    else if (WIFSIGNALED(status))
        hx_ctl_complain("`%s' was ended by signal %d; what runs in the kernel runs on", command, WTERMSIG(status));
    else
        hx_ctl_complain("`%s' failed with status %d; what runs in the kernel runs on", command, WEXITSTATUS(status));
    if (log)
        (void)fclose(log);
    return false;
}

void hx_ctl_project_free(struct hx_ctl_project *project)
{
    free(project->built);
    free(project->standard);
    project->built = project->standard = NULL;
}
