/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/test_store.h - a store in a directory of its own, a small table, rows that can
 * be counted */
#pragma once

#include "test.h"
#include "test_keys.h"

#include "base/time.h"
#include "storage/store.h"

#include <stdio.h>

struct bench { /* one directory, one open store */
    char *dir;
    struct test_keys keys;
    struct catalog *catalog;
    struct store *store;
    struct table *table;
    struct store_config config;
};

static const uint8_t platform[16] = {0xee};
static const uint8_t customer[16] = {0xcc, 1};
static const uint8_t customer2[16] = {0xcc, 2};
static const struct guid workspace = {{7}};

static const struct column test_cols[] = {
    {"TimeGenerated", T_DATETIME},
    {"CanaryId_CL", T_LONG},
    {"CanaryMessage_CL", T_STRING},
    {"Host", T_STRING},
    {"Duration", T_REAL},
    {"Ok", T_BOOL},
    {"Id", T_GUID},
    {"Extra", T_DYNAMIC},
};
#define TEST_COLS (sizeof test_cols / sizeof test_cols[0])
static const struct schema test_schema = {TEST_COLS, test_cols};

static inline enum err bench_open(struct bench *b, const char *name, struct diag *d)
{
    if (b->dir == NULL) b->dir = os_path(test_dir(), name);
    if (b->keys.keys.ops == NULL) test_keys_init(&b->keys);
    CLEANUP_FREE char *path = os_path(b->dir, "catalog.db");
    TRY(os_mkdir(b->dir, d));
    TRY(catalog_open_sqlite(&b->catalog, path, d));
    struct store_config c = b->config;
    c.dir = b->dir;
    c.catalog = b->catalog;
    c.keys = b->keys.keys;
    memcpy(c.platform_account, platform, 16);
    TRY(store_open(&b->store, &c, d));
    enum err e = store_table_find(b->store, &workspace, "Canary_CL", &b->table, NULL);
    if (e == ERR_NOT_FOUND)
        e = store_table_create(b->store, &workspace, "Canary_CL", &test_schema, &b->table, d);
    return e;
}

static inline void bench_close(struct bench *b)
{
    store_close(b->store);
    if (b->catalog != NULL) b->catalog->ops->close(b->catalog);
    b->store = NULL;
    b->catalog = NULL;
    b->table = NULL;
}

static inline void bench_release(struct bench *b)
{
    bench_close(b);
    free(b->dir);
}

/* Rows with the ids [from, from + n), one second apart. */
static inline void make_rows(struct arena *a, uint64_t from, uint32_t n, struct batch *out)
{
    struct diag d = DIAG_INIT;
    struct vecb b[TEST_COLS];
    for (size_t i = 0; i < TEST_COLS; i++)
        vecb_init(&b[i], a, test_cols[i].type, n);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t id = from + i;
        struct u128 guid = {{(uint8_t)id, (uint8_t)(id >> 8), 9}};
        vecb_i64(&b[0], TICKS_UNIX + 1700000000 * TICKS_PER_S + (int64_t)id * TICKS_PER_S);
        vecb_i64(&b[1], (int64_t)id);
        vecb_str(&b[2], bytes_str(arena_fmt(a, "canaryword message%llu of a row",
                                            (unsigned long long)id)));
        vecb_str(&b[3], bytes_str(arena_fmt(a, "canaryhost-%u", (unsigned)(id % 5))));
        vecb_r64(&b[4], (double)id / 8);
        if (id % 7 == 0) {
            vecb_null(&b[5]);
        } else {
            vecb_bool(&b[5], id % 2 == 0);
        }
        vecb_u128(&b[6], guid);
        vecb_str(&b[7], BYTES("i\x2a\0\0\0\0\0\0\0"));
    }
    out->n_rows = n;
    out->n_cols = TEST_COLS;
    out->cols = arena_array(a, struct vec, TEST_COLS);
    for (size_t i = 0; i < TEST_COLS; i++)
        REQUIRE_OK(vecb_finish(&b[i], &out->cols[i], &d));
}

static inline enum err append_ids(struct bench *b, const uint8_t *account, uint64_t from,
                                  uint32_t n, struct diag *d)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct batch rows;
    make_rows(&a, from, n, &rows);
    return store_append(b->store, b->table, account, &rows, d);
}

/* Reads all rows; counts[id] is raised for each. Every column must be the id's. */
static inline enum err count_ids(struct bench *b, uint8_t *counts, uint64_t n_ids, uint64_t *total,
                                 struct diag *d)
{
    uint32_t columns[TEST_COLS], places[TEST_COLS];
    for (uint32_t i = 0; i < TEST_COLS; i++)
        columns[i] = places[i] = i;
    CLEANUP(store_scan_close) struct store_scan *sc = NULL;
    TRY(store_scan_open(b->store, b->table, columns, TEST_COLS, NULL, 0, &sc, d));
    *total = 0;
    for (uint32_t u = 0; u < store_scan_units(sc); u++) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 0);
        struct batch got, want;
        TRY(store_scan_read(sc, u, places, TEST_COLS, &a, &got, d));
        EXPECT_EQ(got.n_rows, store_scan_rows(sc, u));
        *total += got.n_rows;
        for (uint32_t i = 0; i < got.n_rows; i++) {
            uint64_t id = (uint64_t)vec_i64(&got.cols[1], i);
            REQUIRE(id < n_ids);
            counts[id]++;
            CLEANUP_ARENA struct arena one;
            arena_init(&one, 0);
            make_rows(&one, id, 1, &want);
            EXPECT_EQ(vec_i64(&got.cols[0], i), vec_i64(&want.cols[0], 0));
            REQUIRE(bytes_eq(vec_str(&got.cols[2], i), vec_str(&want.cols[2], 0)));
            REQUIRE(bytes_eq(vec_str(&got.cols[3], i), vec_str(&want.cols[3], 0)));
            REQUIRE(vec_r64(&got.cols[4], i) == vec_r64(&want.cols[4], 0));
            EXPECT_EQ(vec_null(&got.cols[5], i), vec_null(&want.cols[5], 0));
            if (!vec_null(&want.cols[5], 0))
                EXPECT_EQ(vec_bool(&got.cols[5], i), vec_bool(&want.cols[5], 0));
            REQUIRE(bytes_eq(vec_str(&got.cols[7], i), vec_str(&want.cols[7], 0)));
        }
    }
    return OK;
}

/* Every id in [0, n) is there exactly once, and nothing else. */
static inline void expect_ids(struct bench *b, uint64_t n)
{
    struct diag d = DIAG_INIT;
    uint8_t *counts = calloc(n + 1, 1);
    uint64_t total = 0;
    REQUIRE(counts != NULL);
    REQUIRE_OK(count_ids(b, counts, n, &total, &d));
    EXPECT_EQ(total, n);
    for (uint64_t i = 0; i < n; i++)
        EXPECT_EQ(counts[i], 1);
    free(counts);
}
