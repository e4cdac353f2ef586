/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/layers.c - ingestion and reading with no, one and two layers of encryption, in one run
 *
 *     bench_layers [ROWS] [ROUNDS]
 *
 * The store is the real one. "None" is this program's alone: the linker puts a block_seal() and a
 * block_open() that only copy in the place of the real ones, which run in the other two cases.
 */
#include "base/log.h"
#include "base/os.h"
#include "base/time.h"
#include "storage/store.h"
#include "unit/storage/test_keys.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>

enum err __wrap_block_seal(struct file_key *k, enum btype btype, uint64_t block_no,
                           struct bytes plain, struct buf *out, struct diag *d);
enum err __real_block_seal(struct file_key *k, enum btype btype, uint64_t block_no,
                           struct bytes plain, struct buf *out, struct diag *d);
enum err __wrap_block_open(struct file_key *k, enum btype btype, uint64_t block_no,
                           struct bytes sealed, struct buf *out, struct diag *d);
enum err __real_block_open(struct file_key *k, enum btype btype, uint64_t block_no,
                           struct bytes sealed, struct buf *out, struct diag *d);

static bool no_layer;

enum err __wrap_block_seal(struct file_key *k, enum btype btype, uint64_t block_no,
                           struct bytes plain, struct buf *out, struct diag *d)
{
    if (!no_layer || btype == BTYPE_ENTRY)
        return __real_block_seal(k, btype, block_no, plain, out, d);
    uint8_t head[SEALED_NEEDLE_MAX];
    const uint8_t zeros[24] = {0};
    buf_bytes(out, file_key_needle(k, btype, head));
    buf_u64be(out, block_no);
    buf_u32be(out, (uint32_t)plain.len);
    buf_u32be(out, 0);
    buf_bytes(out, BYTES_OF(zeros));
    buf_bytes(out, plain);
    buf_bytes(out, bytes_of(zeros, BLOCK_TAG_LEN));
    return buf_check(out, d);
}

enum err __wrap_block_open(struct file_key *k, enum btype btype, uint64_t block_no,
                           struct bytes sealed, struct buf *out, struct diag *d)
{
    if (!no_layer || btype == BTYPE_ENTRY)
        return __real_block_open(k, btype, block_no, sealed, out, d);
    buf_bytes(out, bytes_of(sealed.p + BLOCK_HEADER_LEN, sealed.len - BLOCK_OVERHEAD));
    return buf_check(out, d);
}

static const struct column cols[] = {
    {"TimeGenerated", T_DATETIME},
    {"Host", T_STRING},
    {"Level", T_STRING},
    {"Message", T_STRING},
    {"TraceId", T_STRING},
    {"DurationMs", T_REAL},
    {"Bytes", T_LONG},
};
#define COLS  (sizeof cols / sizeof cols[0])
#define BATCH 5000

static const uint8_t customer[16] = {0xcc};
static const struct guid workspace = {{7}};

static uint64_t next(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return *s >> 20;
}

static enum err make_batch(struct arena *a, uint64_t from, struct batch *out, struct diag *d)
{
    static const char *const levels[] = {"Information", "Warning", "Error"};
    struct vecb b[COLS];
    uint64_t s = from;
    for (size_t i = 0; i < COLS; i++)
        vecb_init(&b[i], a, cols[i].type, BATCH);
    for (uint64_t id = from; id < from + BATCH; id++) {
        uint64_t x = next(&s), y = next(&s);
        vecb_i64(&b[0], TICKS_UNIX + 1700000000 * TICKS_PER_S + (int64_t)id * 10000);
        vecb_str(&b[1], bytes_str(arena_fmt(a, "host-%02u", (unsigned)(x % 40))));
        vecb_str(&b[2], bytes_str(levels[x % 100 < 90 ? 0 : x % 3]));
        vecb_str(&b[3], bytes_str(arena_fmt(
                            a, "request %" PRIu64 " of user-%u took %u ms, shard-%u", id,
                            (unsigned)(y % 5000), (unsigned)(x % 900), (unsigned)(y % 16))));
        vecb_str(&b[4], bytes_str(arena_fmt(a, "%011" PRIx64 "%011" PRIx64, x, y)));
        vecb_r64(&b[5], (double)(x % 90000) / 100);
        vecb_i64(&b[6], (int64_t)(y % 65536));
    }
    *out =
        (struct batch){.n_rows = BATCH, .n_cols = COLS, .cols = arena_array(a, struct vec, COLS)};
    for (size_t i = 0; i < COLS; i++)
        TRY(vecb_finish(&b[i], &out->cols[i], d));
    return OK;
}

struct figures {
    double ingest_s, scan_s;         /* by the clock */
    double ingest_cpu_s, scan_cpu_s; /* of all threads: what a busy machine disturbs least */
    uint64_t bytes;
};

static double cpu_s(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / US_PER_S;
}

static enum err ingest(struct store *s, struct table *t, uint64_t rows, struct figures *f,
                       struct diag *d)
{
    int64_t took = 0;
    double cpu = 0;
    for (uint64_t id = 0; id < rows; id += BATCH) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 0);
        struct batch b;
        TRY(make_batch(&a, id, &b, d));
        int64_t began = time_mono_us();
        double cpu_began = cpu_s();
        TRY(store_append(s, t, customer, &b, d));
        took += time_mono_us() - began;
        cpu += cpu_s() - cpu_began;
    }
    int64_t began = time_mono_us();
    double cpu_began = cpu_s();
    TRY(store_flush(s, customer, d));
    f->ingest_s = (double)(took + time_mono_us() - began) / US_PER_S;
    f->ingest_cpu_s = cpu + cpu_s() - cpu_began;
    return OK;
}

static enum err scan(struct store *s, struct table *t, uint64_t rows, struct figures *f,
                     struct diag *d)
{
    uint32_t places[COLS];
    for (uint32_t i = 0; i < COLS; i++)
        places[i] = i;
    int64_t began = time_mono_us();
    double cpu_began = cpu_s();
    CLEANUP(store_scan_close) struct store_scan *sc = NULL;
    TRY(store_scan_open(s, t, places, COLS, NULL, 0, &sc, d));
    uint64_t seen = 0;
    for (uint32_t u = 0; u < store_scan_units(sc); u++) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 0);
        struct batch b;
        TRY(store_scan_read(sc, u, places, COLS, &a, &b, d));
        seen += b.n_rows;
    }
    f->scan_s = fmin(f->scan_s, (double)(time_mono_us() - began) / US_PER_S);
    f->scan_cpu_s = fmin(f->scan_cpu_s, cpu_s() - cpu_began);
    return seen == rows ? OK : FAIL(d, ERR_CORRUPT, "%" PRIu64 " rows of %" PRIu64, seen, rows);
}

static enum err measure(const char *dir, int layers, uint64_t rows, struct figures *out,
                        struct diag *d)
{
    struct test_keys keys;
    struct catalog *catalog = NULL;
    struct store *store = NULL;
    struct table *t = NULL;
    const struct schema schema = {COLS, cols};
    test_keys_init(&keys);
    no_layer = layers == 0;
    keys.is_double = layers == 2;
    CLEANUP_FREE char *path = os_path(dir, "catalog.db");
    TRY(os_mkdir(dir, d));
    TRY(catalog_open_sqlite(&catalog, path, d));
    const struct store_config c = {.dir = dir,
                                   .catalog = catalog,
                                   .keys = keys.keys,
                                   .platform_account = {0xee},
                                   .memtable_rows_max = 65536};
    TRY(store_open(&store, &c, d));
    TRY(store_account_open(store, customer, d));
    TRY(store_table_create(store, &workspace, "T_CL", &schema, &t, d));
    TRY(ingest(store, t, rows, out, d));
    for (int i = 0; i < 5; i++)
        TRY(scan(store, t, rows, out, d));
    struct store_stats stats;
    store_stats(store, &stats);
    out->bytes = stats.segment_bytes;
    store_close(store);
    catalog->ops->close(catalog);
    return OK;
}

static void keep_best(struct figures *best, const struct figures *f)
{
    best->ingest_s = fmin(best->ingest_s, f->ingest_s);
    best->scan_s = fmin(best->scan_s, f->scan_s);
    best->ingest_cpu_s = fmin(best->ingest_cpu_s, f->ingest_cpu_s);
    best->scan_cpu_s = fmin(best->scan_cpu_s, f->scan_cpu_s);
    best->bytes = f->bytes;
}

static void print(const struct figures best[3], uint64_t rows, int rounds)
{
    static const char *const names[] = {"none", "one", "two"};
    printf("%" PRIu64 " rows, the best of %d rounds; in brackets CPU time beside that of none\n",
           rows, rounds);
    for (int i = 0; i < 3; i++) {
        const struct figures *f = &best[i];
        printf(
            "%-4s  ingestion %8.0f rows/s [%.2f]  reading all columns %9.0f rows/s [%.2f]  %" PRIu64
            " bytes\n",
            names[i], (double)rows / f->ingest_s, f->ingest_cpu_s / best[0].ingest_cpu_s,
            (double)rows / f->scan_s, f->scan_cpu_s / best[0].scan_cpu_s, f->bytes);
    }
}

int main(int argc, char **argv)
{
    uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    int rounds = argc > 2 ? atoi(argv[2]) : 5;
    char root[] = "/tmp/keystead-bench-XXXXXX";
    struct diag d = DIAG_INIT;
    const struct figures worst = {1e9, 1e9, 1e9, 1e9, 0};
    struct figures best[3] = {worst, worst, worst};
    log_set_level(LOG_ERROR);
    if (mkdtemp(root) == NULL) return 1;
    rows = rows / BATCH * BATCH;
    for (int i = 0; i < 3 * rounds; i++) { /* in turn: all meet the same weather */
        CLEANUP_FREE char *dir = str_fmt("%s/%d", root, i);
        struct figures f = worst;
        if (measure(dir, i % 3, rows, &f, &d) != OK) {
            fprintf(stderr, "%s\n", d.text);
            return 1;
        }
        keep_best(&best[i % 3], &f);
    }
    print(best, rows, rounds);
    CLEANUP_FREE char *rm = str_fmt("rm -rf %s", root);
    return system(rm) == 0 ? 0 : 1;
}
