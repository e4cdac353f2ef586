/* SPDX-License-Identifier: Apache-2.0 */
/* column/calendar.c - the proleptic Gregorian calendar */
#include "column/calendar.h"

bool calendar_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int calendar_month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && calendar_leap(year) ? 29 : days[month - 1];
}

/* The year is taken to begin in March, so that the leap day is its last. */
int64_t calendar_days(int year, int month, int day)
{
    int64_t y = month <= 2 ? (int64_t)year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 306;
}

void calendar_split(int64_t ticks, struct civil *out)
{
    int64_t days = ticks / TICKS_PER_DAY + 306;
    int64_t rest = ticks % TICKS_PER_DAY;
    int64_t era = days / 146097;
    int64_t of_era = days % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    out->day = (int)(of_year - (153 * month + 2) / 5 + 1);
    out->month = (int)(month < 10 ? month + 3 : month - 9);
    out->year = (int)(year + era * 400 + (out->month <= 2));
    out->hour = (int)(rest / TICKS_PER_H);
    out->minute = (int)(rest / TICKS_PER_MIN % 60);
    out->second = (int)(rest / TICKS_PER_S % 60);
    out->ticks = (int)(rest % TICKS_PER_S);
}

bool calendar_join(const struct civil *c, int64_t *ticks)
{
    if (c->year < 1 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1) return false;
    if (c->day > calendar_month_days(c->year, c->month)) return false;
    if (c->hour < 0 || c->hour > 23 || c->minute < 0 || c->minute > 59) return false;
    if (c->second < 0 || c->second > 59 || c->ticks < 0 || c->ticks >= TICKS_PER_S) return false;
    *ticks = calendar_days(c->year, c->month, c->day) * TICKS_PER_DAY + c->hour * TICKS_PER_H +
             c->minute * TICKS_PER_MIN + c->second * TICKS_PER_S + c->ticks;
    return true;
}
