/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/timespan.h - the timespan of a query: ISO 8601, "PT1H", "start/end", "start/duration",
 * "duration/end"
 */
#pragma once

#include "column/type.h"

/* ISO 8601 duration as ticks; a year is 365 days, a month 30. Fractions anywhere ("PT86400.0S"). */
bool iso_duration_parse(struct bytes s, int64_t *ticks);
/* *from and *to in ticks. ERR_INVALID names what is wrong. A bare duration ends now. */
enum err timespan_range(const char *text, int64_t now_ticks, int64_t *from, int64_t *to,
                        struct diag *d);
