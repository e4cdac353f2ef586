/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/mmdb.h - reads a database of addresses in MaxMind's format (MaxMind DB, version 2.0)
 *
 *      search tree       node_count nodes of two records of 24, 28 or 32 bits, big-endian
 *      16 zero bytes
 *      data section      maps, arrays, texts, numbers; a record of the tree points into it
 *      AB CD EF "MaxMind.com", metadata: one map, in the last 128 KiB
 *
 * (1) The file is foreign. It is read whole, because one that is overwritten in place must not end
 *     the process as a mapped one would; its metadata and every record of its tree are checked when
 *     it is opened, and each value when it is read.
 * (2) A value nests at most MMDB_DEPTH_MAX deep, and finding one looks at MMDB_VALUES_MAX at most.
 *     That is why libmaxminddb is not used: 1.7.1 recurses as deep as the file says.
 */
#pragma once

#include "base/bytes.h"

#define MMDB_FILE_MAX   ((size_t)1 << 30) /* bytes */
#define MMDB_DEPTH_MAX  32
#define MMDB_VALUES_MAX 4096

struct mmdb;

/* ERR_CORRUPT: no such database, damaged or cut off. ERR_LIMIT: longer than MMDB_FILE_MAX.
 * ERR_UNSUPPORTED: another version of the format. */
enum err mmdb_open(struct mmdb **out, const char *path, struct diag *d);
void mmdb_close(struct mmdb *m);              /* NULL is fine */
struct bytes mmdb_type(const struct mmdb *m); /* GeoLite2-City ... */

/* The record of an address, IPv4 as ::ffff:a.b.c.d; *found is false where there is none. */
enum err mmdb_find(const struct mmdb *m, const uint8_t address[16], uint32_t *record, bool *found,
                   struct diag *d);

struct mmdb_value {
    enum { MMDB_NONE, MMDB_TEXT, MMDB_REAL, MMDB_UINT } kind; /* NONE: not there, or another kind */
    struct bytes text;                                        /* of the database */
    double real;
    uint64_t uint;
};
/* What a record has along names: {"country", "names", "en", NULL}; "0" is an array's first. Any
 * thread may ask. */
enum err mmdb_get(const struct mmdb *m, uint32_t record, const char *const *path,
                  struct mmdb_value *out, struct diag *d);

DEFINE_CLEANUP(mmdb_close, struct mmdb)
