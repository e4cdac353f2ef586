/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/ceiling.c - whatever an operator keeps, the query stays under its ceiling
 *
 * Each query keeps far more rows than it may have memory for. It must give its rows, by way of a
 * place outside, or say E_RUNAWAY_QUERY; and all that the process had from the heap meanwhile must be
 * no more than the ceiling and MARGIN. The margin is for what no arena counts: a block on its way out,
 * an array of a series or a text while it is put together, what libraries allocate for themselves.
 */
#include "from_text.h"
#include "live_bytes.h"

#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CEILING ((size_t)6 << 20) /* bytes */
#define MARGIN  ((size_t)1 << 20) /* for each worker */

/* --- a place outside of memory: pages that are not from the heap -------------------------------- */

#define PLACE_MAX ((size_t)1 << 30)

struct place {
    pthread_mutex_t lock;
    uint8_t *p;
    size_t len;
};

static enum err place_write(void *spill, struct bytes block, uint64_t *at, struct diag *d)
{
    struct place *p = spill;
    LOCK_SCOPE(&p->lock);
    if (block.len > PLACE_MAX - p->len)
        return FAIL_TAG(d, ERR_LIMIT, "E_RUNAWAY_QUERY", "no more room for rows outside of memory");
    *at = p->len;
    memcpy(p->p + p->len, block.p, block.len);
    p->len += block.len;
    return OK;
}

static enum err place_read(void *spill, uint64_t at, size_t len, struct arena *a, struct bytes *out,
                           struct diag *d)
{
    const struct place *p = spill;
    *out = arena_bytes(a, bytes_of(p->p + at, len));
    return out->p != NULL ? OK : arena_full(a, d);
}

static const struct spill_ops place_ops = {place_write, place_read};

/* --- queries ------------------------------------------------------------------------------------ */

/* R: 80,000 rows of a number, its half-random other, and a text of its own. */
static const char rows_text[] = "let R = range x from 1 to 80000 step 1 | extend k = hash(x, "
                                "20000), s = strcat('text of row ', "
                                "x, ' ', hash(x)), at = datetime(2024-01-01) + x * 1s;\n";

struct query {
    const char *text;
    bool must_run; /* it has a way out of memory */
};

static const struct query queries[] = {
    {"R | sort by s asc", true},
    {"R | sort by k asc, s desc | extend r = 1", true},
    {"R | top 40000 by s asc", true},
    {"R | take 60000 | sort by s asc", true},
    {"R | summarize count(), max(s) by s", true},
    {"R | summarize make_list(s), make_set(x) by k", true},
    {"R | summarize arg_max(x, *), dcount(s) by k", true},
    {"R | summarize percentile(x, 50), hll(x), tdigest(x), stdev(x) by k", false},
    {"R | distinct s, k", true},
    {"R | join kind=inner (R | project s, y = x) on s", true},
    {"R | join kind=leftouter (R | project s, y = x) on s", true},
    {"R | join kind=fullouter (R | project s = strcat(s, k), y = x) on s", true},
    {"R | join kind=leftanti (R | where x % 2 == 0) on s", true},
    {"R | lookup (R | project s, y = x) on s", true},
    {"R | sort by k asc, x asc | extend p = prev(s), n = next(s, 2), c = row_cumsum(x), r = "
     "row_number(), d = row_rank_dense(k), w = row_window_session(at, 1h, 1m)",
     true},
    {"R | sort by s asc | where prev(k) < k | summarize count(), max(s)", true},
    {"R | serialize | extend a = row_cumsum(prev(x) + row_number(1, k == 3))", true},
    {"R | make-series n = count(), m = max(x) on at step 1h by k", true},
    {"R | make-series n = count() on at from datetime(2024-01-01) to datetime(2024-01-10) step 20m "
     "by k",
     true},
    {"let m = materialize(R | union R); m | where x < 9 | union (m | where x > 79990)", true},
    {"let m = materialize(R | sort by s asc); m | count | union (m | take 3)", true},
    {"union R, R, R | summarize count() by s", true},
    {"R | extend a = pack_array(x, k, s) | mv-expand a | sort by tostring(a) asc", true},
    {"R | mv-expand a = range(1, 20) to typeof(long) | summarize sum(a) by x", true},
    {"R | parse s with * 'row ' n:long ' ' h:long | summarize count() by h", true},
    {"print a = range(1, 1000000) | extend n = array_length(a)", false},
    {"range x from 1 to 1000000000000 step 1 | count", false},
    {"R | summarize make_list(s)", false},
    {"R | summarize make_set(s)", false},
    {"R | summarize make_bag(bag_pack(s, x))", false},
    {"R | summarize count_distinct(s), dcount(s), hll(s), tdigest(x), percentiles(x, 1, 50, 99)",
     false},
    {"R | summarize buildschema(bag_pack(s, x))", false},
    {"R | summarize take_any(*), arg_min(s, *)", false},
    {"R | where s in (R | project s)", false},
    {"R | extend t = toscalar(R | summarize make_list(s)) | take 1", false},
    {"R | make-series make_list(s) on x step 1", false},
    {"R | make-series count() on x from 1 to 1000000 step 1 by k", false},
    {"R | partition hint.strategy=native by k (top 1 by s)", false},
    {"R | partition hint.strategy=native by k (extend y = strcat(s, s))", false},
    {"R | extend a = pack_array(x, k, s) | mv-apply a on (where tostring(a) != '')", false},
    {"R | scan declare (t:string) with (step a: true => t = strcat(a.t, '.');)", false},
    {"R | top-nested 1000 of k by max(x), top-nested 1000 of s by sum(x)", false},
    {"R | fork (summarize count() by s) (sort by s asc)", false},
    {"R | facet by s with (take 1)", false},
    {"R | as hint.materialized=true M | count | union (M | summarize Count = max(x))", false},
    {"R | sample 40000", false},
    {"R | sample-distinct 20000 of s", false},
    {"R | search 'text'", false},
    {"R | parse-kv s as (row:string) with (pair_delimiter=' ', kv_delimiter=' ') | sort by row asc",
     false},
    {"R | extend a = bag_pack('y', x, 't', s) | evaluate bag_unpack(a) | sort by t asc", true},
    {"R | evaluate narrow()", false},
    {"R | extend c = tostring(k % 200) | evaluate pivot(c, max(s), x)", false},
    {"R | evaluate activity_counts_metrics(s, x, 1, 80000, 1000)", false},
    {"R | evaluate activity_metrics(s, x, 1, 80000, 1000)", false},
    {"R | evaluate new_activity_metrics(s, x, 1, 80000, 1000)", false},
    {"R | evaluate activity_engagement(s, x, 1, 80000, 1, 2000)", false},
    {"R | evaluate active_users_count(s, x, 1, 80000, 2000, 1, 2, 1)", false},
    {"R | evaluate sliding_window_counts(s, x, 1, 80000, 100000, 100)", false},
    {"R | evaluate rolling_percentile(x, 50, x, 1, 100000)", false},
    {"R | evaluate rows_near(k == 7, 100)", false},
    {"R | extend ip = format_ipv4(x) | evaluate ipv4_lookup((R | project net = strcat('10.', x % "
     "250, '.0.0/16'), s), ip, net)",
     false},
    {"R | make-graph x --> k with_node_id=n | graph-match (a)-[e]->(b)-[f]->(c) project a = a.n, c "
     "= "
     "c.n",
     true},
    {"R | make-graph x --> k with_node_id=n | graph-to-table nodes", true},
    {"R | extend k = x + 1 | make-graph x --> k with_node_id=n | graph-mark-components "
     "with_component_id=c | graph-to-table nodes",
     false},
    {"R | extend k = x + 1 | make-graph x --> k with_node_id=n | graph-match (a)-[e*1..50]->(b) "
     "project a = a.n, b = b.n",
     false},
    {"R | extend k = x + 1 | make-graph x --> k with_node_id=n | graph-shortest-paths "
     "(a)-[e*1..500]->(b) where a.n == 1 project b = b.n",
     false},
    {"R | extend f = pack_array(x, k) | summarize l = make_list(f) by x % 10 | extend o = "
     "series_fir(l[0], dynamic([1, 1]))",
     false},
    {"R | extend t = repeat(s, 1000000) | summarize count() by array_length(t)", false},
    {"R | extend t = strrep(s, 1000, ',') | summarize count() by strlen(t)", false},
    {"R | extend t = strcat_array(repeat(s, 100000), ',') | count", false},
    {"R | extend t = replace_regex(strrep(s, 900), '.', '<some longer text>') | summarize "
     "max(strlen(t))",
     false},
    {"R | summarize l = make_list(x, 100000) | mv-expand a = l, b = l | mv-expand c = l | count",
     false},
    {"R | extend e = x % 2 | join kind=inner (R | extend e = x % 2) on e | count", false},
};
#define N_QUERIES (sizeof queries / sizeof *queries)

/* --- running ------------------------------------------------------------------------------------ */

static enum err see(void *ctx, const struct batch *b, struct diag *d)
{
    (void)d;
    *(uint64_t *)ctx += b->n_rows;
    return OK;
}

static enum err begin(void *ctx, uint32_t result, struct diag *d)
{
    (void)ctx, (void)result, (void)d;
    return OK;
}

struct outcome {
    enum err err;
    struct diag d;
    uint64_t n_rows;
    size_t most; /* bytes */
};

static void run_one(const struct query *one, struct place *place, struct pool *pool,
                    struct outcome *out)
{
    CLEANUP_BUF struct buf all = {0};
    struct arena a;
    struct plan plan = {0};
    struct kql_options opt = {.now_ticks = TICKS_UNIX, .run = run_part, .run_ctx = &opt};
    *out = (struct outcome){.d = DIAG_INIT};
    buf_str(&all, rows_text);
    buf_str(&all, one->text);
    arena_init(&a, 0);
    out->err = kql_compile(&a, buf_view(&all), &no_tables, &opt, &plan, &out->d);
    struct exec_request q = {.plan = &plan, .begin = begin, .pool = pool, .now_ticks = TICKS_UNIX};
    q.limits = (struct exec_limits){
        .memory_max = CEILING, .rows_max = 2000000, .bytes_max = (uint64_t)1 << 32};
    if (!one->must_run) q.limits.deadline_us = time_mono_us() + US_PER_S;
    q.spill_ops = &place_ops;
    if (place != NULL) {
        place->len = 0;
        q.spill = place;
    }
    live_begin();
    if (out->err == OK) out->err = exec_run(&q, see, &out->n_rows, NULL, &out->d);
    out->most = live_most();
    arena_release(&a);
}

/* A limit's name, the operator's, and what the limit is. */
static bool is_named(const struct outcome *o)
{
    if (str_eq(o->d.tag, "E_QUERY_TIMEOUT")) return true;
    return str_eq(o->d.tag, "E_RUNAWAY_QUERY") && strpbrk(o->d.text, "0123456789") != NULL;
}

static bool is_fine(const struct outcome *o, bool must_run, unsigned workers)
{
    if (LIVE_COUNTED && o->most > CEILING + MARGIN * workers) return false;
    return o->err == OK || (!must_run && o->err == ERR_LIMIT && is_named(o));
}

/* CEILING_SHOW=text tells what those take that have the text in them, and runs no others. */
static void check_all(struct place *place, struct pool *pool)
{
    bool fine = true;
    const char *show = getenv("CEILING_SHOW");
    for (size_t i = 0; i < N_QUERIES; i++) {
        struct outcome o;
        if (pool != NULL && !queries[i].must_run) continue;
        if (show != NULL && strstr(queries[i].text, show) == NULL) continue;
        run_one(&queries[i], place, pool, &o);
        bool good = is_fine(&o, place != NULL && pool == NULL && queries[i].must_run,
                            pool != NULL ? cpu_count() : 1);
        if (!good || show != NULL)
            fprintf(stderr, "%s %zu KiB, %llu rows, %s %s %s: %s\n", good ? "  " : "!!",
                    o.most >> 10, (unsigned long long)o.n_rows, err_name(o.err), o.d.tag, o.d.text,
                    queries[i].text);
        fine = fine && good;
    }
    REQUIRE(fine);
}

static void place_open(struct place *p)
{
    *p = (struct place){.lock = PTHREAD_MUTEX_INITIALIZER};
    p->p = mmap(NULL, PLACE_MAX, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(p->p != MAP_FAILED);
}

TEST(exec, no_operator_takes_more_than_the_ceiling_and_a_margin)
{
    struct place place;
    place_open(&place);
    check_all(&place, NULL);
    munmap(place.p, PLACE_MAX);
}

TEST(exec, without_a_place_no_operator_does_either)
{
    check_all(NULL, NULL);
}

TEST(exec, workers_together_stay_below_it)
{
    struct place place;
    struct pool *pool;
    struct diag d = DIAG_INIT;
    place_open(&place);
    REQUIRE_OK(pool_new(&pool, 2, 64, &d));
    check_all(&place, pool);
    pool_free(pool);
    munmap(place.p, PLACE_MAX);
}
