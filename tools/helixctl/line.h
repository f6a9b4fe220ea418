/* SPDX-License-Identifier: MIT */
/*
 * line.h - the line to a kernel: a Unix socket that QEMU listens on, or a serial port of this machine.
 *
 * Where:  --connect, else $HELIX_CONTROL, else $HELIX_BUILD/qemu/control.sock; else build/qemu/control.sock or
 *         qemu/control.sock in the current directory or one above it, where qemu/run puts it; else helix/control.sock in
 *         $XDG_RUNTIME_DIR, or /tmp/helix-UID/control.sock, where helix-run puts it.
 */
#pragma once
#include "command.h"

#include <stddef.h>
#include <stdint.h>

struct hx_ctl_line {
    int fd; /* -1: closed */
    char path[512];
};

/* Connects; complains unless @quiet. */
enum hx_ctl_exit hx_ctl_line_open(struct hx_ctl_line *out, const struct hx_ctl_options *options, bool quiet);
void hx_ctl_line_close(struct hx_ctl_line *line);

enum hx_ctl_line_event { HX_CTL_LINE_DATA, HX_CTL_LINE_SILENT, HX_CTL_LINE_CLOSED, HX_CTL_LINE_STOPPED };
/* Waits until @deadline_ns for bytes. STOPPED: Ctrl-C. */
enum hx_ctl_line_event hx_ctl_line_read(struct hx_ctl_line *line, uint64_t deadline_ns, void *out, size_t bytes,
                                        size_t *out_bytes);
/* All of it. SILENT: the other end has not taken it by then. */
enum hx_ctl_line_event hx_ctl_line_write(struct hx_ctl_line *line, uint64_t deadline_ns, const void *data,
                                         size_t bytes);
