/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/kql.c - what the operators cost: queries over vectors in memory, without storage and HTTP
 *
 *      bench_kql FILE.ndjson
 *
 * The rows of `keystead gen` become row groups as a segment has them (dictionaries stay codes). Each
 * line of standard input is a number, a tab and a query, which is compiled and run so many times on
 * all cores; a line of standard output answers with the least time and the least time of processors
 * in microseconds, and how many rows came out. bench/engines.py asks other engines in the same words.
 */
#include "base/os.h"
#include "base/thread.h"
#include "base/time.h"
#include "column/codec.h"
#include "exec/exec.h"
#include "ingest/rows.h"
#include "kql/kql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define UNITS_MAX 4096

#define MUST(call)                                      \
    do {                                                \
        struct diag d = DIAG_INIT;                      \
        if ((call) != OK) {                             \
            fprintf(stderr, "%s: %s\n", #call, d.text); \
            exit(1);                                    \
        }                                               \
    } while (0)

static const struct column columns[] = {
    {"TimeGenerated", T_DATETIME},
    {"Level", T_STRING},
    {"Service", T_STRING},
    {"Host", T_STRING},
    {"Pod", T_STRING},
    {"Region", T_STRING},
    {"TraceId", T_STRING},
    {"SpanId", T_STRING},
    {"UserId", T_STRING},
    {"ClientIp", T_STRING},
    {"Method", T_STRING},
    {"Path", T_STRING},
    {"Status", T_LONG},
    {"DurationMs", T_REAL},
    {"Bytes", T_LONG},
    {"UserAgent", T_STRING},
    {"Message", T_STRING},
};
#define N_COLUMNS (sizeof columns / sizeof *columns)
static const struct schema schema = {N_COLUMNS, columns};

/* --- the table ------------------------------------------------------------------------------- */

static struct arena memory; /* until the program ends */
static struct batch units[UNITS_MAX];
static uint32_t n_units;

/* As a segment keeps it, and as it comes out of one. */
static enum err keep(const struct batch *rows, struct diag *d)
{
    if (n_units == UNITS_MAX) return FAIL(d, ERR_LIMIT, "more than %d row groups", UNITS_MAX);
    struct batch *u = &units[n_units++];
    *u = (struct batch){rows->n_rows, rows->n_cols, arena_array(&memory, struct vec, N_COLUMNS)};
    for (uint32_t c = 0; c < rows->n_cols; c++) {
        CLEANUP_BUF struct buf b = {0};
        struct arena tmp;
        struct vec codes = rows->cols[c];
        arena_init(&tmp, 0);
        if (columns[c].type == T_STRING) (void)codec_to_dictionary(&rows->cols[c], &tmp, &codes);
        enum err e = codec_encode(&codes, CODEC_SMALL, &b, d);
        arena_release(&tmp);
        TRY(e);
        struct bytes kept = arena_bytes(&memory, buf_view(&b));
        if (kept.p == NULL) return arena_full(&memory, d);
        TRY(codec_decode(kept, columns[c].type, rows->n_rows, &memory, &u->cols[c], d));
    }
    return OK;
}

static enum err load(const char *path, struct diag *d)
{
    static char line[1 << 16];
    CLEANUP(row_reader_free) struct row_reader *r = NULL;
    CLEANUP_BUF struct buf text = {0};
    FILE *f = fopen(path, "re");
    if (f == NULL) return FAIL(d, ERR_IO, "%s does not open", path);
    TRY(row_reader_new(&r, d));
    for (uint32_t n = 1;; n++) {
        bool more = fgets(line, sizeof line, f) != NULL;
        if (more) buf_str(&text, line);
        if (text.len != 0 && (!more || n % UNIT_ROWS_MAX == 0)) {
            struct arena a;
            struct batch rows;
            struct row_stats stats = {0};
            arena_init(&a, 0);
            TRY(rows_read(r, buf_view(&text), &schema, 0, &a, &rows, &stats, d));
            TRY(keep(&rows, d));
            arena_release(&a);
            buf_clear(&text);
        }
        if (!more) break;
    }
    fclose(f);
    return OK;
}

struct scan {
    uint32_t columns[N_COLUMNS];
};

static enum err scan_open(void *table, const uint32_t *wanted, uint32_t n,
                          const struct scan_hint *hints, uint32_t n_hints, void **scan,
                          uint32_t *out, struct diag *d)
{
    (void)table, (void)hints, (void)n_hints;
    struct scan *s = calloc(1, sizeof *s);
    if (s == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (n != 0) memcpy(s->columns, wanted, n * sizeof *wanted);
    *scan = s;
    *out = n_units;
    return OK;
}

static enum err scan_read(void *scan, uint32_t unit, const uint32_t *places, uint32_t n,
                          struct arena *a, struct batch *out, struct diag *d)
{
    const struct scan *s = scan;
    struct vec *cols = arena_array(a, struct vec, n + 1);
    if (cols == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < n; i++)
        cols[i] = units[unit].cols[s->columns[places[i]]];
    *out = (struct batch){units[unit].n_rows, n, cols};
    return OK;
}

static uint64_t scan_rows(void *scan, uint32_t unit)
{
    (void)scan;
    return units[unit].n_rows;
}

static const struct source_ops source = {scan_open, scan_read, scan_rows, free};

static enum err find_table(void *ctx, const char *name, const struct schema **out, void **table,
                           struct diag *d)
{
    (void)ctx;
    if (strcmp(name, "T_CL") != 0) return FAIL(d, ERR_NOT_FOUND, "no table %s", name);
    *out = &schema;
    *table = units;
    return OK;
}

static const char *table_name(void *ctx, uint32_t i)
{
    (void)ctx;
    return i == 0 ? "T_CL" : NULL;
}

/* --- the queries ----------------------------------------------------------------------------- */

static enum err count_rows(void *ctx, const struct batch *b, struct diag *d)
{
    (void)d;
    *(uint64_t *)ctx += b->n_rows;
    return OK;
}

static enum err run(const char *text, struct pool *pool, uint64_t *rows, struct diag *d)
{
    const struct kql_catalog catalog = {.table = find_table, .table_name = table_name};
    const struct kql_options options = {0};
    struct plan plan;
    struct arena a;
    arena_init(&a, 0);
    enum err e = kql_compile(&a, bytes_str(text), &catalog, &options, &plan, d);
    const struct exec_request q = {.plan = &plan, .source = &source, .pool = pool};
    struct exec_stats stats;
    *rows = 0;
    if (e == OK) e = exec_run(&q, count_rows, rows, &stats, d);
    arena_release(&a);
    return e;
}

static int64_t cpu_now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

static void answer(int repeat, const char *query, struct pool *pool)
{
    int64_t wall_least = INT64_MAX, cpu_least = INT64_MAX;
    uint64_t rows = 0;
    for (int i = 0; i < repeat; i++) {
        int64_t began = time_mono_us(), cpu_began = cpu_now_us();
        MUST(run(query, pool, &rows, &d));
        int64_t wall = time_mono_us() - began, cpu = cpu_now_us() - cpu_began;
        if (wall < wall_least) wall_least = wall;
        if (cpu < cpu_least) cpu_least = cpu;
    }
    printf("%" PRId64 "\t%" PRId64 "\t%" PRIu64 "\n", wall_least, cpu_least, rows);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static char line[1 << 16];
    if (argc != 2) {
        fprintf(stderr, "usage: bench_kql FILE.ndjson < questions\n");
        return 2;
    }
    struct pool *pool;
    arena_init(&memory, (size_t)64 << 30);
    MUST(load(argv[1], &d));
    MUST(pool_new(&pool, cpu_count(), 4096, &d));
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *query = strchr(line, '\t');
        if (query == NULL) break;
        line[strcspn(line, "\n")] = 0;
        answer(atoi(line), query + 1, pool);
    }
    pool_free(pool);
    return 0;
}
