/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column/type.h - the ten scalar types of KQL, and one value of any of them
 *
 * datetime is 100 ns ticks since 0001-01-01T00:00:00Z, years 1..9999; timespan is 100 ns ticks. int
 * is kept in 64 bits like long, its range checked where it is made. A string is UTF-8 and has no
 * null: its absence is "". A dynamic is the self-contained binary form of column/dyn.h.
 */
#pragma once

#include "base/arena.h"

enum type {
    T_NONE, /* not typed: the literal null before it meets another type */
    T_BOOL,
    T_INT,
    T_LONG,
    T_REAL,
    T_DECIMAL,
    T_STRING,
    T_DATETIME,
    T_TIMESPAN,
    T_GUID,
    T_DYNAMIC,
    N_TYPES,
};

#define TM(t)      (1U << (t)) /* a set of types */
#define TM_INTS    (TM(T_INT) | TM(T_LONG))
#define TM_NUMERIC (TM_INTS | TM(T_REAL) | TM(T_DECIMAL))
#define TM_ANY     ((1U << N_TYPES) - 1)

const char *type_name(enum type t); /* "long", as KQL and the query API say it */
enum err type_parse(const char *name, enum type *out,
                    struct diag *d); /* aliases and any case too */

struct u128 { /* decimal (BID encoding of IEEE 754 decimal128) and guid (bytes in text order) */
    uint8_t b[16];
};

#define TICKS_PER_S 10000000LL
#define TICKS_UNIX  621355968000000000LL  /* 1970-01-01 */
#define TICKS_MAX   3155378975999999999LL /* 9999-12-31T23:59:59.9999999Z */

struct value {
    enum type type;
    bool is_null;
    union {
        bool b;
        int64_t i; /* int, long, datetime, timespan */
        double r;
        struct u128 u;  /* decimal, guid */
        struct bytes s; /* string, dynamic: borrowed */
    };
};

/* Text both ways. Parsing takes every form that KQL's todatetime(), totimespan() ... take. */
bool datetime_parse(struct bytes s, int64_t *ticks);
void datetime_format(int64_t ticks, struct buf *out); /* 2026-03-01T00:00:00.0000000Z */
bool timespan_parse(struct bytes s, int64_t *ticks);  /* "1.02:03:04.5", "2h", "1d" ... */
void timespan_format(int64_t ticks, struct buf *out); /* [-][d.]hh:mm:ss[.fffffff] */
bool real_parse(struct bytes s, double *out);
void real_format(double v,
                 struct buf *out); /* shortest that reads back; NaN, Infinity, -Infinity */
bool long_parse(struct bytes s, int64_t *out); /* decimal, or 0x hex */
bool decimal_parse(struct bytes s, struct u128 *out);
void decimal_format(const struct u128 *v, struct buf *out);
bool guid_text_parse(struct bytes s, struct u128 *out); /* with or without dashes or braces */
