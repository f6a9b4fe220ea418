/* SPDX-License-Identifier: MIT */
/* svc_echo2.c - version 2, which differs in what it says that it is: see echo.h. */
#define ECHO_MAJOR 2
#include "echo.h"
