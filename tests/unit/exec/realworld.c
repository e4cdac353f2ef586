/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/realworld.c - real queries run on made-up rows of the tables that they name,
 * where the corpus is there
 *
 * Nobody knows the right answers; none may crash, run for long, or fail inside. Prints a score;
 * KQL_MISSES=n prints the first n that did not run, with the reason. The floor may only be raised.
 */
#include "../mmdb_file.h"
#include "../coverage_page.h"
#include "../kql/tables.h"

#include "base/time.h"
#include "column/dyn.h"
#include "exec/exec.h"

#include <stdio.h>

#define FLOOR_RUN  1618 /* of 1,640 that the original's parser knows the schema of */
#define ROWS       40
#define UNITS      2
#define NOW        (TICKS_UNIX + 1700000000 * TICKS_PER_S)
#define QUERY_US   (20 * US_PER_S)
#define MEMORY_MAX ((size_t)256 << 20)

/* --- rows of any schema ----------------------------------------------------------------------- */

static const char *const texts[] = {"",
                                    "admin",
                                    "10.1.2.3",
                                    "https://example.com/a?b=c",
                                    "{\"a\":1,\"b\":[1,2]}",
                                    "4624",
                                    "error",
                                    "C:\\Windows\\system32\\cmd.exe /c whoami",
                                    "user@example.com",
                                    "true"};
static const char *const documents[] = {"{\"a\":1,\"b\":\"x\"}",
                                        "[1,2,3]",
                                        "\"text\"",
                                        "7",
                                        "null",
                                        "[{\"displayName\":\"n\",\"newValue\":\"[1]\"}]"};

static void put(struct vecb *b, enum type t, uint32_t i, uint32_t col)
{
    uint32_t k = i * 7 + col * 3;
    if (k % 11 == 5) {
        vecb_null(b);
    } else if (t == T_STRING) {
        vecb_str(b, bytes_str(texts[k % 10]));
    } else if (t == T_DYNAMIC) {
        CLEANUP_BUF struct buf dyn = {0};
        REQUIRE(dyn_from_json(bytes_str(documents[k % 6]), &dyn, NULL) == OK);
        vecb_str(b, buf_view(&dyn));
    } else if (t == T_REAL) {
        vecb_r64(b, k * 0.25);
    } else if (t == T_BOOL) {
        vecb_bool(b, k % 2 != 0);
    } else if (t == T_GUID || t == T_DECIMAL) {
        vecb_u128(b, (struct u128){.b = {(uint8_t)(k % 3)}});
    } else if (t == T_DATETIME) {
        vecb_i64(b, NOW - (int64_t)k * 600 * TICKS_PER_S);
    } else {
        vecb_i64(b, k);
    }
}

struct opened {
    const struct schema *schema;
    uint32_t *cols;
};

static enum err open_scan(void *table, const uint32_t *cols, uint32_t n,
                          const struct scan_hint *hints, uint32_t n_hints, void **scan,
                          uint32_t *n_units, struct diag *d)
{
    (void)hints, (void)n_hints, (void)d;
    struct opened *o = calloc(1, sizeof *o);
    REQUIRE(o != NULL && (o->cols = calloc(n + 1, sizeof *cols)) != NULL);
    o->schema = table;
    for (uint32_t i = 0; i < n; i++)
        o->cols[i] = cols[i];
    *scan = o;
    *n_units = UNITS;
    return OK;
}

static enum err read_unit(void *scan, uint32_t unit, const uint32_t *places, uint32_t n,
                          struct arena *a, struct batch *out, struct diag *d)
{
    const struct opened *o = scan;
    struct vec *cols = arena_array(a, struct vec, n);
    if (cols == NULL) return arena_full(a, d);
    for (uint32_t k = 0; k < n; k++) {
        struct vecb b;
        uint32_t col = o->cols[places[k]];
        vecb_init(&b, a, o->schema->cols[col].type, ROWS);
        for (uint32_t i = 0; i < ROWS; i++)
            put(&b, o->schema->cols[col].type, i + unit * ROWS, col);
        TRY(vecb_finish(&b, &cols[k], d));
    }
    *out = (struct batch){.n_rows = ROWS, .n_cols = n, .cols = cols};
    return OK;
}

static uint64_t unit_rows(void *scan, uint32_t unit)
{
    (void)scan, (void)unit;
    return ROWS;
}

static void close_scan(void *scan)
{
    struct opened *o = scan;
    free(o->cols);
    free(o);
}

static const struct source_ops made_up = {open_scan, read_unit, unit_rows, close_scan};

/* A file that is CSV, lines and JSON at once. */
static enum err read_file(void *ctx, const char *uri, size_t len_max, int64_t deadline_us,
                          struct buf *out, struct diag *d)
{
    (void)ctx, (void)uri, (void)len_max, (void)deadline_us;
    for (int i = 0; i < 20; i++)
        buf_fmt(out, "{\"name\":\"n%d\",\"id\":%d}\n", i % 7, i);
    return buf_check(out, d);
}
static const struct external_ops external_made_up = {.read = read_file};

/* --- running ---------------------------------------------------------------------------------- */

static enum err run_part(void *ctx, const struct plan *part, kql_rows_fn *each, void *each_ctx,
                         struct diag *d)
{
    (void)ctx;
    const struct exec_request r = {
        .plan = part,
        .source = &made_up,
        .external = &external_made_up,
        .limits = {.memory_max = MEMORY_MAX, .deadline_us = time_mono_us() + QUERY_US},
        .now_ticks = NOW,
    };
    return exec_run(&r, each, each_ctx, NULL, d);
}

static enum err ignore(void *ctx, const struct batch *b, struct diag *d)
{
    (void)ctx, (void)b, (void)d;
    return OK;
}

static enum err run_query(struct tables *tables, const char *text, struct diag *d)
{
    struct kql_catalog catalog = {.ctx = tables, .table = find, .table_name = name_at};
    struct kql_options options = {.now_ticks = NOW, .run = run_part};
    struct plan plan;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)1 << 30);
    TRY(kql_compile(&a, bytes_str(text), &catalog, &options, &plan, d));
    return run_part(NULL, &plan, ignore, NULL, d);
}

TEST(corpus, real_queries_run_on_made_up_rows)
{
    CLEANUP_JSON json_t *queries = shared("kql/realworld_dev.json");
    CLEANUP_JSON json_t *schemas = shared("kql/schema_dev.json");
    CLEANUP_JSON json_t *table_list = shared("kql/tables_schema.json");
    if (queries == NULL || schemas == NULL || table_list == NULL) return;
    struct tables tables = {0};
    struct map known = {0};
    load_tables(&tables, table_list);
    mmdb_name_one();
    size_t i, ran = 0, inside = 0;
    int show = getenv("KQL_MISSES") != NULL ? atoi(getenv("KQL_MISSES")) : 0;
    json_t *q;
    CLEANUP_BUF struct buf score = {0};
    struct misses m;
    misses_begin(&m, "real queries, run on made-up rows");
    json_array_foreach (schemas, i, q)
        REQUIRE(map_put(&known, bytes_str(json_get_str(q, "id")), q, NULL, NULL) == OK);
    json_array_foreach (queries, i, q) {
        const char *id = json_get_str(q, "id");
        struct diag d = DIAG_INIT;
        if (map_get(&known, bytes_str(id)) == NULL) continue;
        CLEANUP_FREE char *text = filled(json_get_str(q, "query"));
        enum err e = run_query(&tables, text, &d);
        ran += e == OK;
        inside += e == ERR_INTERNAL;
        if (e != OK) misses_add(&m, id, d.text);
        if (e != OK && (show-- > 0 || e == ERR_INTERNAL))
            printf("%s: %s %s %s\n", id, err_name(e), d.tag, d.text);
    }
    buf_fmt(&score, "%zu of %zu real queries run on made-up rows.", ran, json_array_size(schemas));
    printf("corpus: %s\n", buf_cstr(&score));
    misses_end(&m, buf_cstr(&score));
    map_release(&known);
    map_release(&tables.by_name);
    arena_release(&tables.a);
    REQUIRE(inside == 0);
    REQUIRE(ran >= FLOOR_RUN);
    geo_ip_close();
}
