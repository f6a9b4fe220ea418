/* SPDX-License-Identifier: MIT */
/* drv_serial1.c - see module_host.h. */
#include "module_host.h"

#include "../../../modules/drv_serial/drv_serial.c"

static const struct hx_interface_record none;
MODULE_HOST(drv_serial1, serial, none, &hx_param_baud);
const struct drv_serial_parts drv_serial1_parts = { serial_interrupt, transmit, deliver, serve };
