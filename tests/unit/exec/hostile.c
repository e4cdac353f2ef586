/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/hostile.c - queries made to hurt: each ends with rows or a refusal that says why, in
 * bounded memory, and stops when it is told to
 *
 * None is given longer than PATIENCE_US: then it is cancelled, as a client that goes away does, and must
 * have ended. A query that hears nothing would never come back; the test's own deadline says so then.
 */
#include "from_text.h"
#include "live_bytes.h"

#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"

#include <pthread.h>
#include <stdlib.h>

#define TEXT_MEMORY  ((size_t)64 << 20) /* bytes: what compiling may take */
#define QUERY_MEMORY ((size_t)16 << 20)
#define MARGIN       ((size_t)8 << 20) /* compiled patterns; texts being put together */
#define PATIENCE_US  400000

/* --- names: 10,000 tables, and functions that call each other ----------------------------------- */

#define N_TABLES 10000
static const struct column one_column[] = {{"x", T_LONG}};
static const struct schema one_schema = {1, one_column};

static enum err any_table(void *ctx, const char *name, const struct schema **schema, void **table,
                          struct diag *d)
{
    (void)ctx;
    if (name[0] != 'T') return FAIL(d, ERR_NOT_FOUND, "no table %.40s", name);
    *schema = &one_schema;
    *table = NULL;
    return OK;
}

static const char *any_name(void *ctx, uint32_t i)
{
    static char name[16];
    (void)ctx;
    snprintf(name, sizeof name, "T%u", i);
    return i < N_TABLES ? name : NULL;
}

static enum err any_function(void *ctx, const char *name, struct kql_function *out, struct diag *d)
{
    static const struct {
        const char *name, *parameters, *body;
    } all[] = {
        {"SelfScalar", "a:long", "SelfScalar(a + 1)"}, {"Self", "", "Self() | take 1"},
        {"Ping", "", "Pong() | extend p = 1"},         {"Pong", "", "Ping() | extend q = 1"},
        {"Twice", "t:(x:long)", "union t, t"},
    };
    (void)ctx;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!str_eq(all[i].name, name)) continue;
        *out = (struct kql_function){all[i].parameters, all[i].body};
        return OK;
    }
    return FAIL(d, ERR_NOT_FOUND, "no function %.40s", name);
}

static const struct kql_catalog catalog = {
    .table = any_table, .table_name = any_name, .function = any_function};

static enum err empty_open(void *table, const uint32_t *columns, uint32_t n_columns,
                           const struct scan_hint *hints, uint32_t n_hints, void **scan,
                           uint32_t *n_units, struct diag *d)
{
    (void)table, (void)columns, (void)n_columns, (void)hints, (void)n_hints, (void)d;
    *scan = NULL;
    *n_units = 0;
    return OK;
}
static uint64_t no_rows(void *scan, uint32_t unit)
{
    (void)scan, (void)unit;
    return 0;
}
static void nothing(void *scan)
{
    (void)scan;
}
static const struct source_ops empty_source = {
    .open = empty_open, .rows = no_rows, .close = nothing};

/* --- running ------------------------------------------------------------------------------------ */

struct patience {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool end;
    _Atomic bool cancel;
};

static void *wait_and_cancel(void *arg)
{
    struct patience *p = arg;
    int64_t until = time_mono_us() + PATIENCE_US;
    LOCK_SCOPE(&p->lock);
    while (!p->end && time_mono_us() < until)
        (void)cond_wait_until(&p->ended, &p->lock, until);
    atomic_store(&p->cancel, true);
    return NULL;
}

static enum err see(void *ctx, const struct batch *b, struct diag *d)
{
    (void)ctx, (void)b, (void)d;
    return OK;
}

static enum err compile_and_run(struct bytes text, const _Atomic bool *cancel, struct diag *d)
{
    CLEANUP_ARENA struct arena a;
    struct plan plan = {0};
    struct kql_options opt = {.now_ticks = TICKS_UNIX, .run = run_part, .run_ctx = &opt};
    arena_init(&a, TEXT_MEMORY);
    TRY(kql_compile(&a, text, &catalog, &opt, &plan, d));
    struct exec_request r = {
        .plan = &plan, .source = &empty_source, .now_ticks = TICKS_UNIX, .cancel = cancel};
    r.limits.memory_max = QUERY_MEMORY;
    return exec_run(&r, see, NULL, NULL, d);
}

/* Rows, or a refusal with a sentence. */
static void must_end(const char *what, struct bytes text)
{
    struct patience p = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct diag d = DIAG_INIT;
    pthread_t thread;
    cond_init(&p.ended);
    REQUIRE(pthread_create(&thread, NULL, wait_and_cancel, &p) == 0);
    live_begin();
    enum err e = compile_and_run(text, &p.cancel, &d);
    size_t most = live_most();
    pthread_mutex_lock(&p.lock);
    p.end = true;
    pthread_cond_signal(&p.ended);
    pthread_mutex_unlock(&p.lock);
    pthread_join(thread, NULL);
    pthread_cond_destroy(&p.ended);
    if (getenv("HOSTILE_SHOW") != NULL)
        fprintf(stderr, "%6zu KiB %s: %s %s %.100s\n", most >> 10, what, err_name(e), d.tag,
                d.text);
    bool named = e == OK || ((e == ERR_LIMIT || e == ERR_INVALID || e == ERR_UNSUPPORTED ||
                              e == ERR_CANCELLED || e == ERR_NOT_FOUND) &&
                             d.text[0] != '\0');
    if (!named) fail_msg("%s: %s %s %s", what, err_name(e), d.tag, d.text);
    if (LIVE_COUNTED && most > TEXT_MEMORY + QUERY_MEMORY + MARGIN)
        fail_msg("%s: %zu bytes at once", what, most);
}

static void must_end_text(const char *text)
{
    must_end(text, bytes_str(text));
}

/* before, n times part, after: % in part is the number of the time. */
static void must_end_repeated(const char *before, const char *part, uint32_t n, const char *after)
{
    CLEANUP_BUF struct buf b = {0};
    CLEANUP_BUF struct buf what = {0};
    buf_str(&b, before);
    for (uint32_t i = 0; i < n; i++) {
        for (const char *c = part; *c != '\0'; c++) {
            if (*c == '%')
                buf_fmt(&b, "%u", i);
            else if (*c == '#')
                buf_fmt(&b, "%u", i + 1);
            else
                buf_u8(&b, (uint8_t)*c);
        }
    }
    buf_str(&b, after);
    buf_fmt(&what, "%u times %s", n, part);
    must_end(buf_cstr(&what), buf_view(&b));
}

/* --- families ----------------------------------------------------------------------------------- */

TEST(exec, deep_queries_end)
{
    static const uint32_t depths[] = {150, 5000, 200000};
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        uint32_t n = depths[i];
        must_end_repeated("print ", "(", n, "1");
        must_end_repeated("print ", "-", n, "1");
        must_end_repeated("print ", "not(", n, "true");
        must_end_repeated("print 1", " + 1", n, "");
        must_end_repeated("print true", " and true", n, "");
        must_end_repeated("print dynamic(", "[", n, "");
        must_end_repeated("print parse_json('", "[", n, "')");
        must_end_repeated("print parse_json('", "{\"a\":", n, "')");
        must_end_repeated("print a = dynamic({})", ".a", n, "");
        must_end_repeated("print a = dynamic({})", "[0]", n, "");
        must_end_repeated("print ", "toscalar(print ", n, "1");
        must_end_repeated("print ", "iff(true, ", n, "1");
        must_end_repeated("print x = 1", " | where x > 0", n, "");
        must_end_repeated("print x = 1", " | extend x = x + 1", n, "");
        must_end_repeated("print x = 1", " | sort by x", n, "");
        must_end_repeated("print x = 1", " | union (print x = %)", n, "");
        must_end_repeated("print x = 1", " | join (print x = 1", n, "");
        must_end_repeated("", "union (", n, "print 1");
        must_end_repeated("print x = 1 | ", "mv-apply y = pack_array(x) on (", n, "take 1");
        must_end_repeated("", "/* ", n, "print 1");
    }
}

TEST(exec, long_queries_end)
{
    must_end_repeated("", "let a% = %; ", 50000, "print a1");
    must_end_repeated("let a0 = 1; ", "let a# = a%; ", 40000, "print a1");
    must_end_repeated("let a0 = print x = 1; ", "let a# = a% | where x > 0; ", 20000, "a1");
    must_end_repeated("print x = 1 | where x in (", "%, ", 100000, "1)");
    must_end_repeated("print x = 'a' | where x in~ (", "'k%', ", 50000, "'a')");
    must_end_repeated("print x = 'a' | where x has_any (", "'k%', ", 50000, "'a')");
    must_end_repeated("print x = dynamic([", "%, ", 100000, "1])");
    must_end_repeated("print ", "c% = 1, ", 30000, "d = 1");
    must_end_repeated("union ", "(print x% = 1), ", 3000, "(print 1)");
    must_end_repeated("datatable(x:long)[", "%, ", 100000, "1] | count");
    must_end_repeated("print case(", "% == 1, 1, ", 30000, "0)");
    must_end_repeated("print x = 1 | summarize ", "a% = count(), ", 20000, "b = count()");
    must_end_repeated("print s = '", "a", 1000000, "' | where s matches regex '(a*)*b'");
    must_end_repeated("print s = 'a' | where s matches regex '", "(a|b%)*", 20000, "'");
}

/* Small texts that stand for much. */
TEST(exec, texts_that_grow_end)
{
    must_end_repeated("let f0 = (x:long) { x + x }; ", "let f# = (x:long) { f%(x) + f%(x) }; ", 60,
                      "print f60(1)");
    must_end_repeated("let t0 = print x = 1; ", "let t# = union t%, t%; ", 60, "t60 | count");
    must_end_repeated("let t0 = print x = 1; ", "let t# = t% | join (t%) on x; ", 60,
                      "t60 | count");
    must_end_repeated("let t0 = () { print x = 1 }; ", "let t# = () { union t%(), t%() }; ", 60,
                      "t60() | count");
    must_end_repeated("let m0 = materialize(range x from 1 to 9 step 1); ",
                      "let m# = materialize(union m%, m%); ", 60, "m60 | count");
    must_end_repeated("", "Twice(", 40, "T1");
    must_end_text("let f = (x:long) { f(x) }; print f(1)");
    must_end_text("let g = (x:long) { f(x) }; let f = (x:long) { g(x) }; print f(1)");
    must_end_text("print SelfScalar(1)");
    must_end_text("Self()");
    must_end_text("Ping() | count");
    must_end_text("union * | count");
    must_end_text("union withsource=s T* | summarize count() by s");
    must_end_text("find in (*) where x == 1");
    must_end_text("search 'x'");
    must_end_text("print s = 'aaaa' | where s matches regex '((a{900}){900}){900}'");
    must_end_text("print replace_regex(strrep('a', 1000), '(a|aa|aaa|aaaa)+', strrep('b', 1000))");
    must_end_text("print extract_all('(a)|(b)|(.)', strrep('a', 1024))");
}

TEST(exec, rows_that_grow_end)
{
    static const char *const queries[] = {
        "range x from 1 to 1000000000000000000 step 1 | count",
        "range x from 1 to 1000000000000000000 step 1 | summarize make_list(x)",
        "range x from 1 to 1000000000000000000 step 1 | summarize make_set(x), dcount(x)",
        "range x from 1 to 1000000000000000000 step 1 | sort by x",
        "range x from 1 to 1000000000000000000 step 1 | where x < 0",
        "range x from 1 to 1000000000000000000 step 1 | make-series count() on x step 1",
        "range x from 1 to 1000000000000000000 step 1 | serialize r = row_cumsum(x)",
        "range x from 1 to 1000000000000000000 step 1 | scan with (step a: true;)",
        "range x from 1 to 100000 step 1 | extend k = 1 | join kind=inner (range y from 1 to "
        "100000 "
        "step 1 | extend k = 1) on k | count",
        "range x from 1 to 100000 step 1 | extend k = 1 | join kind=fullouter (range y from 1 to "
        "100000 step 1 | extend k = 1) on k | summarize max(x + y)",
        "range x from 1 to 1000000 step 1 | mv-expand y = range(1, 1000000) | mv-expand z = "
        "range(1, "
        "1000000) | count",
        "print a = range(1, 1000000) | mv-expand b = a, c = a | mv-expand d = a | count",
        "range x from 1 to 1000 step 1 | extend a = repeat(x, 1000000) | mv-expand a | count",
        "range x from 1 to 2048 step 1 | extend a = repeat('abcdefgh', 1000000 + x)",
        "range x from 1 to 2048 step 1 | extend a = strrep(strrep('abcdefgh', 1000), x)",
        "range x from 1 to 2048 step 1 | extend s = strrep('a', x) | extend t = replace_string(s, "
        "'a', "
        "strrep('b', 1000)) | extend u = replace_string(t, 'b', strrep('c', 1000)) | count",
        "range x from 1 to 2048 step 1 | extend a = range(x, x + 1000000) | extend b = "
        "array_concat(a, a, a, a)",
        "range x from 1 to 3000 step 1 | extend a = strcat_array(range(x, x + 100000), ',') | "
        "summarize dcount(a)",
        "range x from 1 to 100 step 1 | extend a = range(x, x + 100000) | extend b = "
        "series_fir(a, a)",
        "print a = range(1, 200000) | extend d = series_decompose(a), f = series_fft(a)",
        "print a = range(1, 100000) | extend b = zip(a, a, a, a), c = array_sort_asc(a, a), d = "
        "set_union(a, a)",
        "range x from 1 to 100000 step 1 | extend a = x + 1 | make-graph x --> a with_node_id=n | "
        "graph-match (p)-[e*1..100]->(q) project p.n, q.n | count",
        "range x from 1 to 60 step 1 | extend k = 1 | join kind=inner (range y from 1 to 60 step 1 "
        "| "
        "extend k = 1) on k | make-graph x --> y with_node_id=n | graph-match (p)-[e*1..20]->(q) "
        "project p.n, q.n | count",
        "range x from 1 to 100000 step 1 | evaluate pivot(x)",
        "range x from 1 to 100000 step 1 | extend d = bag_pack(tostring(x), x) | evaluate "
        "bag_unpack(d)",
        "range x from 1 to 100000 step 1 | extend d = bag_pack(tostring(x), x) | summarize "
        "make_bag(d), buildschema(d)",
        "range x from 1 to 300000 step 1 | partition hint.strategy=native by x (take 1)",
        "range x from 1 to 300000 step 1 | top-nested 300000 of x by count(), top-nested of x by "
        "count()",
        "range x from 1 to 100000 step 1 | evaluate rolling_percentile(x, 50, x, 1, 90000)",
        "range x from 1 to 200000 step 1 | extend s = tostring(hash(x)) | reduce by s",
        "range x from 1 to 200000 step 1 | extend a = x % 7, b = x % 11, c = x % 13, d = x % 17, e "
        "= "
        "x % 19, f = x % 23 | evaluate basket(0.01)",
    };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        must_end_text(queries[i]);
}
