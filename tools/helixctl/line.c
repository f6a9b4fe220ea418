/* SPDX-License-Identifier: MIT */
/*
 * line.c - see line.h.
 *
 * Source: POSIX termios; a serial port is set to 115200 8N1, without any processing, and taken for this process alone.
 */
#include "line.h"

#include "interrupt.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

/* ---- where ---------------------------------------------------------------------------------------------------------- */
static bool is_there(const char *path)
{
    struct stat found;

    return stat(path, &found) == 0 && (S_ISSOCK(found.st_mode) || S_ISCHR(found.st_mode));
}

static const char *setting(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] ? value : NULL;
}

static bool find_in(const char *directory, const char *rest, char *out, size_t bytes)
{
    int length = snprintf(out, bytes, "%s%s", directory, rest);

    return length > 0 && (size_t)length < bytes && is_there(out);
}

/* The current directory, then those above it. */
static bool find_above(char *out, size_t bytes)
{
    char here[512];

    if (!getcwd(here, sizeof(here)))
        return false;
    for (char *end = here + strlen(here); end; end = strrchr(here, '/')) {
        *end = '\0';
        if (find_in(here, "/build/qemu/control.sock", out, bytes) || find_in(here, "/qemu/control.sock", out, bytes))
            return true;
    }
    return false;
}

static bool find_of_user(char *out, size_t bytes)
{
    char directory[64];
    const char *runtime = setting("XDG_RUNTIME_DIR");

    if (runtime && find_in(runtime, "/helix/control.sock", out, bytes))
        return true;
    snprintf(directory, sizeof(directory), "/tmp/helix-%u", (unsigned int)getuid());
    return find_in(directory, "/control.sock", out, bytes);
}

static bool find(const struct hx_ctl_options *options, char *out, size_t bytes)
{
    const char *named = options->connect ? options->connect : setting("HELIX_CONTROL");
    const char *build = setting("HELIX_BUILD");

    if (named)
        return snprintf(out, bytes, "%s", named) < (int)bytes;
    if (build && find_in(build, "/qemu/control.sock", out, bytes))
        return true;
    return find_above(out, bytes) || find_of_user(out, bytes);
}

/* ---- opening -------------------------------------------------------------------------------------------------------- */
static int open_socket(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = -1;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static int open_port(const char *path)
{
    struct termios settings;
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), error = 0;

    if (fd < 0)
        return -1;
    if (tcgetattr(fd, &settings) == 0) {
        cfmakeraw(&settings);
        settings.c_cflag |= CLOCAL | CREAD;
        settings.c_cflag &= ~(tcflag_t)(CSTOPB | CRTSCTS);
        (void)cfsetispeed(&settings, B115200);
        (void)cfsetospeed(&settings, B115200);
        if (tcsetattr(fd, TCSANOW, &settings) == 0 && ioctl(fd, TIOCEXCL) == 0)
            return fd;
    }
    error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static const char *advice_for(int error)
{
    switch (error) {
    case ENOENT:
    case ECONNREFUSED: return "start a kernel there: qemu/run or helix-run";
    case EACCES: return "it belongs to somebody else";
    case EBUSY: return "another program has it";
    case ENOTTY: return "name a Unix socket or a serial port";
    case ENAMETOOLONG: return "reach it from a directory nearer to it";
    default: return "check the path";
    }
}

enum hx_ctl_exit hx_ctl_line_open(struct hx_ctl_line *out, const struct hx_ctl_options *options, bool quiet)
{
    struct stat found;

    out->fd = -1;
    if (!find(options, out->path, sizeof(out->path))) {
        if (!quiet)
            hx_ctl_complain(
                "no kernel found: start one with qemu/run or helix-run, or name its socket or serial port by "
                "--connect or HELIX_CONTROL");
        return HX_CTL_ABSENT;
    }
    out->fd = stat(out->path, &found) == 0 && S_ISCHR(found.st_mode) ? open_port(out->path) : open_socket(out->path);
    if (out->fd >= 0 && fcntl(out->fd, F_SETFL, O_NONBLOCK) == 0)
        return HX_CTL_OK;
    if (!quiet)
        hx_ctl_complain("%s: cannot connect: %s; %s", out->path, strerror(errno), advice_for(errno));
    hx_ctl_line_close(out);
    return HX_CTL_ABSENT;
}

void hx_ctl_line_close(struct hx_ctl_line *line)
{
    if (line->fd >= 0)
        (void)close(line->fd);
    line->fd = -1;
}

/* ---- bytes ---------------------------------------------------------------------------------------------------------- */
static enum hx_ctl_line_event wait_for(struct hx_ctl_line *line, short events, uint64_t deadline_ns)
{
    struct pollfd poll = { .fd = line->fd, .events = events };

    if (line->fd < 0)
        return HX_CTL_LINE_CLOSED;
    if (hx_ctl_poll(&poll, 1, deadline_ns) > 0)
        return HX_CTL_LINE_DATA;
    return hx_ctl_interrupted() ? HX_CTL_LINE_STOPPED : HX_CTL_LINE_SILENT;
}

enum hx_ctl_line_event hx_ctl_line_read(struct hx_ctl_line *line, uint64_t deadline_ns, void *out, size_t bytes,
                                        size_t *out_bytes)
{
    for (;;) {
        enum hx_ctl_line_event event = wait_for(line, POLLIN, deadline_ns);

        if (event != HX_CTL_LINE_DATA)
            return event;
        ssize_t got = read(line->fd, out, bytes);
        if (got > 0) {
            *out_bytes = (size_t)got;
            return HX_CTL_LINE_DATA;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            return HX_CTL_LINE_CLOSED;
    }
}

enum hx_ctl_line_event hx_ctl_line_write(struct hx_ctl_line *line, uint64_t deadline_ns, const void *data, size_t bytes)
{
    const char *at = data;

    while (bytes > 0) {
        enum hx_ctl_line_event event = wait_for(line, POLLOUT, deadline_ns);

        if (event != HX_CTL_LINE_DATA)
            return event;
        ssize_t sent = write(line->fd, at, bytes);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return HX_CTL_LINE_CLOSED;
        if (sent > 0) {
            at += sent;
            bytes -= (size_t)sent;
        }
    }
    return HX_CTL_LINE_DATA;
}
