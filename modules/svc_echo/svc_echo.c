/* SPDX-License-Identifier: MIT */
/* svc_echo.c - version 1: see echo.h. */
#define ECHO_MAJOR 1
#include "echo.h"
