/* SPDX-License-Identifier: MIT */
/*
 * output_file.c - see output_file.h.
 *
 * Why a temporary file beside the target: a rename within one directory is the one step that cannot stop half way.
 */
#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_MODE = 0644,
    NAME_TRIES = 100,
};

static bool write_bytes(int fd, struct hx_slice bytes)
{
    size_t done = 0;

    while (done < bytes.bytes) {
        ssize_t n = write(fd, bytes.data + done, bytes.bytes - done);

        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno != EINTR)
            return false;
    }
    return true;
}

/* From here to the rename nothing that a person can send ends the program with the temporary file left behind. */
static void hold_signals(sigset_t *out_before)
{
    sigset_t ending;

    sigemptyset(&ending);
    sigaddset(&ending, SIGHUP);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigprocmask(SIG_BLOCK, &ending, out_before);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error of write() */
}

/* A new file with a name of its own beside @name. -1: errno says why. */
static int open_temporary(int directory, const char *name, char **out_temporary)
{
    for (int i = 0; i < NAME_TRIES; i++) {
        unsigned int number = 0;
        int fd;

        if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number) ||
            asprintf(out_temporary, "%s.%08x", name, number) < 0) {
            *out_temporary = NULL;
            return -1;
        }
        fd = openat(directory, *out_temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
        if (fd >= 0 || errno != EEXIST)
            return fd;
        free(*out_temporary);
        *out_temporary = NULL;
    }
    return -1;
}

static bool replace(int directory, const char *name, struct hx_slice bytes)
{
    char *temporary = NULL;
    int fd = open_temporary(directory, name, &temporary);
    bool ok = fd >= 0 && write_bytes(fd, bytes) && fchmod(fd, FILE_MODE) == 0 && fsync(fd) == 0;
    int error = errno;

    if (fd >= 0 && close(fd) != 0 && ok)
        ok = false, error = errno;
    if (ok && renameat(directory, temporary, directory, name) != 0)
        ok = false, error = errno;
    if (!ok && fd >= 0)
        unlinkat(directory, temporary, 0);
    free(temporary);
    errno = error;
    return ok;
}

static bool write_to(int directory, const char *name, const char *path, struct hx_slice bytes,
                     struct hx_mp_findings *findings)
{
    sigset_t before;
    bool ok;

    hold_signals(&before);
    ok = replace(directory, name, bytes);
    if (!ok)
        hx_mp_find_error(findings, hx_mp_status_of(errno), path,
                         "cannot write: %s; check the directory and its free space", strerror(errno));
    sigprocmask(SIG_SETMASK, &before, NULL);
    return ok;
}

static bool refuse_kind(const char *path, struct hx_mp_findings *findings)
{
    hx_mp_find_error(findings, HX_E_EXIST, path, "cannot write: it is there and no regular file; name another output");
    return false;
}

bool hx_mp_file_spares(const char *path, const char *input, struct hx_mp_findings *findings)
{
    struct stat output, other;
    bool there = stat(path, &output) == 0 && stat(input, &other) == 0;

    if (there ? output.st_dev != other.st_dev || output.st_ino != other.st_ino : strcmp(path, input) != 0)
        return true;
    hx_mp_find_error(findings, HX_E_EXIST, path,
                     "cannot write: %s would be lost, it is the same file; name another output", input);
    return false;
}

/* A device or a pipe, /dev/stdout among them: there is nothing to replace, so it is written as it is. Nobody waits for a
 * reader that is not there. */
static bool write_through(const char *path, struct hx_slice bytes, struct hx_mp_findings *findings)
{
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    bool ok;

    if (fd < 0)
        return refuse_kind(path, findings);
    ok = fcntl(fd, F_SETFL, 0) == 0 && write_bytes(fd, bytes);
    if (close(fd) != 0 || !ok) {
        hx_mp_find_error(findings, hx_mp_status_of(errno), path, "cannot write: %s; name another output",
                         strerror(errno));
        return false;
    }
    return true;
}

bool hx_mp_file_write(const char *path, struct hx_slice bytes, struct hx_mp_findings *findings)
{
    struct stat status;

    if (stat(path, &status) != 0 || S_ISREG(status.st_mode))
        return write_to(AT_FDCWD, path, path, bytes, findings);
    if (S_ISCHR(status.st_mode) || S_ISFIFO(status.st_mode))
        return write_through(path, bytes, findings);
    return refuse_kind(path, findings);
}

bool hx_mp_file_write_at(int directory, const char *name, const char *path, struct hx_slice bytes,
                         struct hx_mp_findings *findings)
{
    struct stat status;

    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(status.st_mode) &&
        !S_ISLNK(status.st_mode))
        return refuse_kind(path, findings);
    return write_to(directory, name, path, bytes, findings);
}
