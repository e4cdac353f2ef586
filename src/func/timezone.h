/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/timezone.h - the clocks of places, from the system's compiled rules (TZif, RFC 8536)
 *
 * Ticks in and out are those of KQL. The file's own table is used as far as it goes, its footer (a
 * POSIX rule) beyond.
 */
#pragma once

#include "column/type.h"

struct timezone;

/* The name as the tz database has it, "Europe/Paris". ERR_NOT_FOUND: there is none. */
enum err timezone_open(struct timezone **out, struct bytes name, struct diag *d);
void timezone_free(struct timezone *tz);

int64_t timezone_offset_utc(const struct timezone *tz, int64_t utc); /* in ticks: local - UTC */
/* In a gap, and in an hour that comes twice, what holds after the change: so says the record. */
int64_t timezone_offset_local(const struct timezone *tz, int64_t local);

/* All names, sorted, each ending in a newline. */
enum err timezone_names(struct buf *out, struct diag *d);
