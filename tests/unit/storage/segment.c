/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/segment.c - segments: what is skipped, what older columns give, and no damaged
 * byte believed */
#include "test_store.h"

#include "storage/filter.h"

#include <dirent.h>
#include <unistd.h>

struct hint_case {
    struct store_hint h;
    uint32_t units;
};

static uint32_t units_with(struct bench *b, const struct store_hint *hints, uint32_t n)
{
    struct diag d = DIAG_INIT;
    struct store_scan *sc = NULL;
    uint32_t column = 1;
    REQUIRE_OK(store_scan_open(b->store, b->table, &column, 1, hints, n, &sc, &d));
    uint32_t units = store_scan_units(sc);
    store_scan_close(sc);
    return units;
}

#define LONG(v)     ((struct value){.type = T_LONG, .i = (v)})
#define STRING(lit) ((struct value){.type = T_STRING, .s = BYTES(lit)})
#define SECOND(n) \
    ((struct value){.type = T_DATETIME, .i = TICKS_UNIX + (1700000000LL + (n)) * TICKS_PER_S})

TEST(segment, row_groups_are_skipped_by_time_by_range_and_by_word)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    REQUIRE_OK(bench_open(&b, "skip", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(
        append_ids(&b, customer, 0, 65536, &d)); /* two row groups: ids below and from 32768 */
    REQUIRE_OK(store_flush(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 65536, 100, &d)); /* and a memtable */
    EXPECT_EQ(units_with(&b, NULL, 0), 3);
    const struct hint_case cases[] = {
        {{0, STORE_LT, SECOND(0)}, 0},
        {{0, STORE_LE, SECOND(0)}, 1},
        {{0, STORE_EQ, SECOND(40000)}, 1},
        {{0, STORE_GE, SECOND(65536)}, 1}, /* the memtable alone */
        {{0, STORE_GT, SECOND(70000)}, 0},
        {{1, STORE_EQ, LONG(5)}, 2}, /* memtables are skipped by time only */
        {{1, STORE_GT, LONG(32767)}, 2},
        {{1, STORE_GE, LONG(32767)}, 3},
        {{1, STORE_LT, LONG(0)}, 1},
        {{1, STORE_LE, LONG(0)}, 2},
        {{1, STORE_EQ, {.type = T_INT, .i = 5}}, 2},
        {{2, STORE_HAS_TERM, STRING("message5")}, 2},
        {{2, STORE_HAS_TERM, STRING("MESSAGE40000")}, 2},
        {{2, STORE_HAS_TERM, STRING("canaryword")}, 3},
        {{2, STORE_HAS_TERM, STRING("canaryword message5 of")}, 2},
        {{2, STORE_HAS_TERM, STRING("nowhere")}, 1},
        {{2, STORE_EQ, STRING("canaryword message40000 of a row")}, 2},
        {{2, STORE_EQ, STRING("zebra")}, 1},
        {{3, STORE_EQ, STRING("canaryhost-3")}, 3},
        {{3, STORE_EQ, STRING("canaryhost-9")}, 1},
        {{4, STORE_LT, {.type = T_REAL, .r = 0.0}}, 1},
        {{4, STORE_GE, {.type = T_REAL, .r = 4096.0}}, 2},
        {{2, STORE_EQ, {.type = T_STRING, .is_null = true}}, 3},
        {{1, STORE_EQ, STRING("a wrong type skips nothing")}, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t got = units_with(&b, &cases[i].h, 1);
        if (got != cases[i].units) fail_msg("case %zu: %u units, not %u", i, got, cases[i].units);
    }
    const struct store_hint both[] = {cases[1].h, cases[6].h};
    EXPECT_EQ(units_with(&b, both, 2), 0);
    bench_release(&b);
}

TEST(segment, rows_come_out_sorted_by_time)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    REQUIRE_OK(bench_open(&b, "sorted", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    for (uint64_t i = 0; i < 50; i++)
        REQUIRE_OK(append_ids(&b, customer, (i * 37 % 50) * 10, 10, &d));
    REQUIRE_OK(store_flush(b.store, customer, &d));
    expect_ids(&b, 500);
    struct store_scan *sc = NULL;
    uint32_t column = 1, place = 0;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct batch got;
    REQUIRE_OK(store_scan_open(b.store, b.table, &column, 1, NULL, 0, &sc, &d));
    REQUIRE_OK(store_scan_read(sc, 0, &place, 1, &a, &got, &d));
    for (uint32_t i = 0; i < 500; i++)
        EXPECT_EQ(vec_i64(&got.cols[0], i), i);
    store_scan_close(sc);
    bench_release(&b);
}

static const struct column added_cols[] = {{"Late", T_STRING}, {"LateNumber", T_LONG}};
static const struct schema added = {2, added_cols};

static void expect_late(struct bench *b, uint64_t rows, uint64_t with_value)
{
    struct diag d = DIAG_INIT;
    struct store_scan *sc = NULL;
    uint32_t columns[] = {1, TEST_COLS, TEST_COLS + 1}, places[] = {2, 1, 0};
    uint64_t n = 0, values = 0;
    REQUIRE_OK(store_scan_open(b->store, b->table, columns, 3, NULL, 0, &sc, &d));
    for (uint32_t u = 0; u < store_scan_units(sc); u++) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 0);
        struct batch got;
        REQUIRE_OK(store_scan_read(sc, u, places, 3, &a, &got, &d));
        for (uint32_t i = 0; i < got.n_rows; i++, n++) {
            if (vec_null(&got.cols[0], i)) {
                EXPECT_EQ(vec_str(&got.cols[1], i).len, 0);
                continue;
            }
            values++;
            EXPECT_EQ(vec_i64(&got.cols[0], i), vec_i64(&got.cols[2], i) * 2);
            REQUIRE(bytes_eq(vec_str(&got.cols[1], i), BYTES("late")));
        }
    }
    EXPECT_EQ(n, rows);
    EXPECT_EQ(values, with_value);
    store_scan_close(sc);
}

static void append_wide(struct bench *b, uint64_t id)
{
    struct diag d = DIAG_INIT;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct batch rows, wide;
    make_rows(&a, id, 1, &rows);
    struct vec cols[TEST_COLS + 2];
    memcpy(cols, rows.cols, TEST_COLS * sizeof *cols);
    struct value late = {.type = T_STRING, .s = BYTES("late")},
                 number = {.type = T_LONG, .i = (int64_t)id * 2};
    cols[TEST_COLS] = *vec_const(&a, &late, 1);
    cols[TEST_COLS + 1] = *vec_const(&a, &number, 1);
    wide = (struct batch){1, TEST_COLS + 2, cols};
    REQUIRE_OK(store_append(b->store, b->table, customer, &wide, &d));
}

TEST(segment, a_column_added_later_is_null_in_rows_from_before_wherever_they_lie)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    REQUIRE_OK(bench_open(&b, "added", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 10, &d));
    REQUIRE_OK(store_flush(b.store, customer, &d));   /* in a segment */
    REQUIRE_OK(append_ids(&b, customer, 10, 10, &d)); /* in the memtable */
    REQUIRE_OK(store_table_add_columns(b.store, b.table, &added, &d));
    REQUIRE_ERR(ERR_CONFLICT, store_table_add_columns(b.store, b.table, &added, &d));
    EXPECT_EQ(store_table_schema(b.table)->n, TEST_COLS + 2);
    REQUIRE_OK(append_ids(&b, customer, 20, 10, &d)); /* a batch made before */
    for (uint64_t id = 30; id < 35; id++)
        append_wide(&b, id);
    expect_late(&b, 35, 5);
    test_keys_set(&b.keys, customer, ERR_KEY_LOCKED);
    store_account_lock(b.store, customer);
    test_keys_set(&b.keys, customer, OK);
    REQUIRE_OK(store_account_open(b.store, customer, &d)); /* replays narrow and wide records */
    expect_late(&b, 35, 5);
    REQUIRE_OK(store_flush(b.store, customer, &d));
    expect_late(&b, 35, 5);
    bench_close(&b);
    REQUIRE_OK(bench_open(&b, "added", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    expect_late(&b, 35, 5);
    bench_release(&b);
}

TEST(segment, a_batch_that_is_not_the_tables_is_refused)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct batch rows;
    make_rows(&a, 0, 2, &rows);
    REQUIRE_OK(bench_open(&b, "refused", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    rows.cols[1].type = T_REAL;
    REQUIRE_ERR(ERR_INVALID, store_append(b.store, b.table, customer, &rows, &d));
    rows.cols[1].type = T_LONG;
    rows.cols[1].n = 1;
    REQUIRE_ERR(ERR_INVALID, store_append(b.store, b.table, customer, &rows, &d));
    rows.n_cols = TEST_COLS + 1;
    REQUIRE_ERR(ERR_INVALID, store_append(b.store, b.table, customer, &rows, &d));
    struct table *t = NULL;
    REQUIRE_ERR(ERR_CONFLICT,
                store_table_create(b.store, &workspace, "Canary_CL", &test_schema, &t, &d));
    const struct column twice[] = {{"A", T_LONG}, {"A", T_LONG}};
    REQUIRE_ERR(ERR_CONFLICT,
                store_table_create(b.store, &workspace, "T", &(struct schema){2, twice}, &t, &d));
    REQUIRE_ERR(ERR_NOT_FOUND, store_table_find(b.store, &workspace, "canary_cl", &t, &d));
    expect_ids(&b, 0);
    bench_release(&b);
}

TEST(segment, a_row_too_long_for_a_record_is_refused_and_a_batch_too_long_is_split)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)1 << 30);
    const uint32_t size = 3 << 20;
    char *text = malloc((size_t)size * 8);
    REQUIRE(text != NULL);
    memset(text, 'x', (size_t)size * 8);
    struct batch rows;
    make_rows(&a, 0, 8, &rows);
    struct bytes longs[8];
    for (int i = 0; i < 8; i++)
        longs[i] = bytes_of(text, size);
    rows.cols[2].data = longs;
    longs[7].len = size + 1; /* not a constant */
    REQUIRE_OK(bench_open(&b, "long", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(store_append(b.store, b.table, customer, &rows, &d)); /* 24 MiB */
    struct store_stats stats;
    store_stats(b.store, &stats);
    EXPECT_EQ(stats.memtable_rows, 8);
    longs[3].len = (size_t)size * 8;
    REQUIRE_ERR(ERR_LIMIT, store_append(b.store, b.table, customer, &rows, &d));
    free(text);
    bench_release(&b);
}

/* --- damage ----------------------------------------------------------------------------------- */

static char *only_segment(const struct bench *b, uint32_t skip)
{
    char *found = NULL;
    for (int i = 0; i < 256 && found == NULL; i++) {
        char *dir = str_fmt("%s/blobs/%02x", b->dir, i);
        DIR *x = opendir(dir);
        for (struct dirent *e = x != NULL ? readdir(x) : NULL; e != NULL && found == NULL;
             e = readdir(x)) {
            if (str_ends(e->d_name, ".seg") && skip-- == 0) found = os_path(dir, e->d_name);
        }
        if (x != NULL) closedir(x);
        free(dir);
    }
    REQUIRE(found != NULL);
    return found;
}

static void file_write(const char *path, struct bytes b)
{
    FILE *f = fopen(path, "wb");
    REQUIRE(f != NULL && fwrite(b.p, 1, b.len, f) == b.len && fclose(f) == 0);
}

/* A scan of everything, filters included. */
static enum err scan_all(struct bench *b)
{
    struct diag d = DIAG_INIT;
    uint8_t counts[1000] = {0};
    uint64_t total = 0;
    const struct store_hint words[] = {{2, STORE_HAS_TERM, STRING("canaryword")},
                                       {3, STORE_HAS_TERM, STRING("canaryhost")}};
    struct store_scan *sc = NULL;
    uint32_t column = 1;
    TRY(store_scan_open(b->store, b->table, &column, 1, words, 2, &sc, &d));
    store_scan_close(sc);
    return count_ids(b, counts, sizeof counts, &total, &d);
}

static void damage_every_byte(const char *dir, bool is_double)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    test_keys_init(&b.keys);
    b.keys.is_double = is_double;
    REQUIRE_OK(bench_open(&b, dir, &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 60, &d));
    REQUIRE_OK(store_flush(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 60, 60, &d));
    REQUIRE_OK(store_flush(b.store, customer, &d));
    REQUIRE_OK(scan_all(&b));
    char *one = only_segment(&b, 0), *two = only_segment(&b, 1);
    CLEANUP_BUF struct buf image = {0}, other = {0};
    REQUIRE_OK(os_read_file(one, 1 << 20, &image, &d));
    REQUIRE_OK(os_read_file(two, 1 << 20, &other, &d));
    for (size_t at = 0; at < image.len; at++) {
        image.p[at] ^= 0x04;
        file_write(one, buf_view(&image));
        enum err e = scan_all(&b);
        if (e != ERR_CORRUPT) fail_msg("byte %zu of %zu: %s", at, image.len, err_name(e));
        image.p[at] ^= 0x04;
    }
    for (size_t cut = 0; cut < image.len; cut += 1 + image.len / 200) {
        file_write(one, bytes_of(image.p, cut));
        EXPECT_EQ(scan_all(&b), ERR_CORRUPT);
    }
    file_write(one, buf_view(&other)); /* another segment of the same table under this name */
    EXPECT_EQ(scan_all(&b), ERR_CORRUPT);
    file_write(one, buf_view(&image));
    EXPECT_EQ(scan_all(&b), OK);
    unlink(one);
    EXPECT_EQ(scan_all(&b), ERR_CORRUPT);
    free(one);
    free(two);
    bench_release(&b);
}

TEST(segment, no_flipped_byte_no_truncation_and_no_other_file_is_read_as_rows)
{
    damage_every_byte("damage", false);
}

TEST(segment, sealed_twice_no_flipped_byte_no_truncation_and_no_other_file_is_read_as_rows)
{
    damage_every_byte("damage-twice", true);
}

/* The key says how many layers a file has; the file is not asked. */
static void open_with_other_layers(const char *dir, bool is_double)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    test_keys_init(&b.keys);
    b.keys.is_double = is_double;
    REQUIRE_OK(bench_open(&b, dir, &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 60, &d));
    REQUIRE_OK(store_flush(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 60, 60, &d));
    REQUIRE_OK(scan_all(&b));
    b.keys.is_double = !is_double;
    EXPECT_EQ(scan_all(&b), ERR_CORRUPT); /* the segment */
    store_account_lock(b.store, customer);
    REQUIRE_ERR(ERR_CORRUPT, store_account_open(b.store, customer, NULL)); /* the log */
    b.keys.is_double = is_double;
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    EXPECT_EQ(scan_all(&b), OK);
    bench_release(&b);
}

TEST(segment, a_bare_block_where_a_frame_belongs_is_refused_and_the_other_way_round)
{
    open_with_other_layers("bare", true);
    open_with_other_layers("framed", false);
}

static void expect_frames(struct bytes file)
{
    struct diag d = DIAG_INIT;
    size_t at = FILE_HEADER_LEN, n = 0;
    while (at + OUTER_HEADER_LEN <= file.len) {
        struct sealed_head h;
        REQUIRE_OK(sealed_head_decode(bytes_of(file.p + at, file.len - at), &h, &d));
        REQUIRE(h.is_framed);
        at += h.length;
        n++;
    }
    REQUIRE(n > 1);
    REQUIRE(memmem(file.p, file.len, "KSTB", 4) == NULL);
}

TEST(segment, in_a_doubly_sealed_segment_every_block_lies_in_a_frame)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    test_keys_init(&b.keys);
    b.keys.is_double = true;
    REQUIRE_OK(bench_open(&b, "frames", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 40000, &d));
    REQUIRE_OK(store_flush(b.store, customer, &d));
    char *path = only_segment(&b, 0);
    CLEANUP_BUF struct buf image = {0};
    REQUIRE_OK(os_read_file(path, 1 << 24, &image, &d));
    expect_frames(buf_view(&image));
    free(path);
    bench_release(&b);
}

static enum err collect_id(void *ctx, const struct catalog_row *row, struct diag *d)
{
    buf_str(ctx, row->id);
    return buf_check(ctx, d);
}

TEST(segment, an_entry_in_another_row_of_the_catalogue_is_refused)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    REQUIRE_OK(bench_open(&b, "swapped", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    static const struct guid elsewhere = {{8}};
    struct table *other = NULL;
    REQUIRE_OK(store_table_create(b.store, &elsewhere, "Other_CL", &test_schema, &other, &d));
    bench_close(&b);

    /* The second table's entry over the first one's. */
    char *path = os_path(b.dir, "catalog.db");
    struct catalog *c = NULL;
    CLEANUP_BUF struct buf ids = {0}, value = {0};
    REQUIRE_OK(catalog_open_sqlite(&c, path, &d));
    struct catalog_txn *t = NULL;
    REQUIRE_OK(c->ops->begin(c, &t, &d));
    REQUIRE_OK(c->ops->list(c, t, "table", NULL, NULL, collect_id, &ids, &d));
    char first[33] = {0}, second[33] = {0};
    memcpy(first, ids.p, 32);
    memcpy(second, ids.p + 32, 32);
    REQUIRE_OK(c->ops->get(c, t, "table", second, &value, &d));
    REQUIRE_OK(c->ops->put(t, "table", first, "x", buf_view(&value), &d));
    REQUIRE_OK(c->ops->commit(t, &d));
    c->ops->close(c);
    free(path);
    REQUIRE_ERR(ERR_CORRUPT, bench_open(&b, "swapped", &d));
    bench_release(&b);
}
