/* SPDX-License-Identifier: MIT */
/*
 * fmt.h - text from values; see helix/fmt.h, which modules share.
 */
#pragma once
#include <helix/fmt.h>
