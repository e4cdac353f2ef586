/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/exec/received.c - ingestion_time() is the hidden column of the row's table, and seen
 * nowhere else */
#include "by_hand.h"

#include "kql/kql.h"

/* T's rows came one second apart, the column behind the named ones says when. */
#define N_NAMED 3
static struct array_table *stored;
static struct schema named;

static struct value cells(uint32_t row, uint32_t col)
{
    switch (col) {
    case 0: return v_long(row);
    case 1: return v_str(row % 2 != 0 ? "a=1,b=2" : "a=3,b=4");
    case 2: return (struct value){.type = T_DYNAMIC, .s = BYTES("i\x2a\0\0\0\0\0\0\0")};
    default:
        return (struct value){.type = T_DATETIME,
                              .i = TICKS_UNIX + (1767225600LL + row) * TICKS_PER_S};
    }
}

static enum err received_open(void *table, const uint32_t *columns, uint32_t n_columns,
                              const struct scan_hint *hints, uint32_t n_hints, void **scan,
                              uint32_t *n_units, struct diag *dd)
{
    uint32_t mine[N_NAMED + 1];
    REQUIRE(n_columns <= N_NAMED + 1);
    for (uint32_t i = 0; i < n_columns; i++)
        mine[i] = columns[i] == TABLE_RECEIVED ? N_NAMED : columns[i];
    return array_open(table, mine, n_columns, hints, n_hints, scan, n_units, dd);
}

static const struct source_ops received_source = {received_open, array_read, array_rows,
                                                  array_close};

static enum err find_t(void *ctx, const char *name, const struct schema **schema, void **table,
                       struct diag *dd)
{
    (void)ctx;
    if (!str_eq(name, "T")) return FAIL(dd, ERR_NOT_FOUND, "no table %s", name);
    *schema = &named;
    *table = stored;
    return OK;
}

/* The rows, or "refused: why". */
static const char *ask(const char *query)
{
    if (stored == NULL) {
        stored = table_of("x long, s string, d dynamic, came datetime", 3, 2, cells);
        named = (struct schema){N_NAMED, stored->schema.cols};
    }
    const struct kql_catalog catalog = {.table = find_t, .has_received = true};
    const struct kql_options opt = {.now_ticks = TICKS_UNIX + 1767225602LL * TICKS_PER_S};
    struct plan plan = {0};
    struct diag why = DIAG_INIT;
    if (kql_compile(&hand, bytes_str(query), &catalog, &opt, &plan, &why) != OK)
        return arena_fmt(&hand, "refused: %s", why.text);
    struct exec_request r = {.source = &received_source, .now_ticks = opt.now_ticks};
    return run_as(plan.root, r);
}

TEST(exec, ingestion_time_is_the_rows_own_behind_operators_that_keep_rows)
{
    EXPECT_STR(ask("T | where ingestion_time() > ago(1s) | project x"), "2 ");
    EXPECT_EQ(stored->n_hints, 1);
    EXPECT_EQ(stored->hints[0].column, TABLE_RECEIVED);
    EXPECT_STR(ask("T | project x, t = ingestion_time()"),
               "0,2026-01-01T00:00:00.0000000Z 1,2026-01-01T00:00:01.0000000Z "
               "2,2026-01-01T00:00:02.0000000Z ");
    const char *last = "2026-01-01T00:00:02.0000000Z ";
    EXPECT_STR(ask("T | where x == 2 | extend y = x | project y | project ingestion_time()"), last);
    EXPECT_STR(ask("T | sort by x desc | take 1 | project ingestion_time()"), last);
    EXPECT_STR(ask("T | top 1 by ingestion_time() | project ingestion_time()"), last);
    EXPECT_STR(ask("T | summarize max(ingestion_time())"), last);
    EXPECT_STR(ask("T | summarize n = count() by bin(ingestion_time(), 1m)"),
               "2026-01-01T00:00:00.0000000Z,3 ");
    EXPECT_STR(ask("T | parse s with 'a=' a:long ',' * | where x == 2 | extend t = ingestion_time()"
                   " | project a, t"),
               "3,2026-01-01T00:00:02.0000000Z ");
    EXPECT_STR(ask("T | mv-expand e = pack_array(x, 7) to typeof(long) | where x == 2"
                   " | project e, t = ingestion_time()"),
               "2,2026-01-01T00:00:02.0000000Z 7,2026-01-01T00:00:02.0000000Z ");
    EXPECT_STR(ask("T | parse-kv s as (b:long) with (pair_delimiter=',', kv_delimiter='=')"
                   " | where x == 2 | project b, t = ingestion_time()"),
               "4,2026-01-01T00:00:02.0000000Z ");
    EXPECT_STR(ask("union (T | where x == 2), (print x = 9) | project x, t = ingestion_time()"),
               "2,2026-01-01T00:00:02.0000000Z 9,null ");
    EXPECT_STR(ask("let late = (a:long) { ingestion_time() + a * 1s };"
                   "T | where x == 1 | project late(1)"),
               last);
    EXPECT_STR(ask("T | where x == toscalar(T | where ingestion_time() > ago(1s) | project x)"
                   " | project x"),
               "2 ");
}

TEST(exec, ingestion_time_is_null_where_rows_are_no_tables_rows)
{
    EXPECT_STR(ask("print ingestion_time()"), "null ");
    EXPECT_STR(ask("range x from 1 to 1 step 1 | project ingestion_time()"), "null ");
    EXPECT_STR(ask("datatable(x:long)[1] | where isnull(ingestion_time())"), "1 ");
    EXPECT_STR(ask("T | summarize by s | take 1 | project ingestion_time()"), "null ");
    EXPECT_STR(ask("T | count | project ingestion_time()"), "null ");
}

TEST(exec, ingestion_time_is_refused_where_nobody_says_what_it_is)
{
    EXPECT_STR(ask("T | join T on x | project ingestion_time()"),
               "refused: ingestion_time() behind a join is not supported: take it into a column "
               "before");
    EXPECT_STR(ask("let M = materialize(T); M | project ingestion_time()"),
               "refused: ingestion_time() behind materialize() or serialize is not supported: take "
               "it into a column before");
    EXPECT_STR(ask("T | partition by x (extend t = ingestion_time())"),
               "refused: ingestion_time() behind mv-apply or partition is not supported: take it "
               "into a column before");
    EXPECT_STR(ask("find in (T) where ingestion_time() > ago(1d)"),
               "refused: ingestion_time() in 'find' is not supported: use where behind it");
    EXPECT_STR(ask("T | project ingestion_time(1)"),
               "refused: ingestion_time() takes no arguments");
}

TEST(exec, the_hidden_column_is_seen_by_no_star)
{
    EXPECT_STR(ask("T | where ingestion_time() > ago(1s) | getschema | project ColumnName"),
               "x s d ");
    EXPECT_STR(ask("T | where x == 2 | project x, n = array_length(bag_keys(pack_all())),"
                   " t = ingestion_time()"),
               "2,3,2026-01-01T00:00:02.0000000Z ");
    EXPECT_STR(ask("T | summarize arg_max(ingestion_time(), *) | getschema | count"), "4 ");
    EXPECT_STR(ask("T | where * has '2026' or ingestion_time() < ago(3d) | count"), "0 ");
    EXPECT_STR(ask("T | project ingestion_time(), x | summarize max(['$IngestionTime'])"
                   " | getschema | project ColumnName"),
               "max_$IngestionTime ");
    EXPECT_STR(
        ask("T | project-away d | extend t = ingestion_time() | distinct * | getschema | count"),
        "3 ");
}
