/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/duration.h - ISO 8601 durations as Azure's properties have them, in whole seconds; pure
 *
 * "P7D", "PT30M", "P1DT2H", "PT90S", "P2W". No years and months: nobody knows how long they are. No
 * fractions, no signs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DURATION_MAX 40 /* bytes of a text, with the terminating zero */

/* False: none, or UINT32_MAX seconds and more. *out is set only on true. */
bool duration_parse(const char *text, uint32_t *out);
/* The shortest with days, hours, minutes, seconds: "P1DT30M". 0 is "PT0S". */
void duration_format(uint32_t seconds, char out[DURATION_MAX]);
