/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column/calendar.h - ticks to years, months and days in the proleptic Gregorian calendar, and back
 */
#pragma once

#include "column/type.h"

#define TICKS_PER_MS  10000LL
#define TICKS_PER_MIN (60 * TICKS_PER_S)
#define TICKS_PER_H   (3600 * TICKS_PER_S)
#define TICKS_PER_DAY (86400 * TICKS_PER_S)

struct civil {            /* what a clock on the wall shows */
    int year, month, day; /* from 1 */
    int hour, minute, second;
    int ticks; /* of the second: 0..9999999 */
};

int64_t calendar_days(int year, int month, int day); /* since 0001-01-01; no range check */
int calendar_month_days(int year, int month);
bool calendar_leap(int year);
void calendar_split(int64_t ticks, struct civil *out);     /* 0 <= ticks <= TICKS_MAX */
bool calendar_join(const struct civil *c, int64_t *ticks); /* false: no such moment */
