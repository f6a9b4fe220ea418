/* SPDX-License-Identifier: MIT */
/*
 * serial.h - a serial line as a channel.
 *
 * Who connects to HX_SERIAL_CHANNEL sends and receives messages whose inline payload is bytes of the line, in their order; how
 * they are cut into messages means nothing. A message with another payload is thrown away. All who connect share one end.
 * Nothing is dropped on the way but at the line itself: who sends more than it carries waits in the channel, and bytes that
 * nobody receives stay at the device, which loses them when its own buffer is full. That is counted.
 *
 * A request to HX_SERIAL_SERVICE with code HX_SERIAL_COUNTS and no data is answered by a struct hx_serial_counts.
 */
#pragma once
#include <helix/ipc.h>

#define HX_SERIAL_CHANNEL "drv_serial/com3"
#define HX_SERIAL_SERVICE "com3"
enum hx_serial_code { HX_SERIAL_COUNTS };

struct hx_serial_counts {
    uint64_t received, sent; /* bytes, taken from the device and given to it */
    uint64_t overruns;       /* times that the device has lost bytes */
    uint64_t errors;         /* bytes received with a wrong parity or frame, and breaks */
};
