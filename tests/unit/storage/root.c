/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/entry_root.c - entries that were deleted, put back or exchanged are found at start */
#include "test_store.h"

#include "base/os.h"
#include "storage/store_impl.h"

#include <stdlib.h>

struct copy { /* of one row */
    char kind[16], id[80], parent[80];
    struct buf value;
};
struct copies {
    struct copy rows[64];
    size_t n;
    const char *kind;
};

static enum err keep(void *ctx, const struct catalog_row *row, struct diag *d)
{
    struct copies *c = ctx;
    struct copy *x = &c->rows[c->n++];
    REQUIRE(c->n <= sizeof c->rows / sizeof c->rows[0]);
    *x = (struct copy){0};
    snprintf(x->kind, sizeof x->kind, "%s", c->kind);
    snprintf(x->id, sizeof x->id, "%s", row->id);
    snprintf(x->parent, sizeof x->parent, "%s", row->parent);
    buf_bytes(&x->value, row->value);
    return buf_check(&x->value, d);
}

static void copy_all(struct catalog *c, struct copies *out)
{
    static const char *const kinds[] = {"table", "segment", "covered", "log", "entries"};
    struct diag d = DIAG_INIT;
    out->n = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        out->kind = kinds[i];
        REQUIRE_OK(c->ops->list(c, NULL, kinds[i], NULL, NULL, keep, out, &d));
    }
}

static void copies_release(struct copies *c)
{
    for (size_t i = 0; i < c->n; i++)
        buf_release(&c->rows[i].value);
}

static void put_row(struct catalog *c, const struct copy *x, struct bytes value)
{
    struct diag d = DIAG_INIT;
    struct catalog_txn *t;
    REQUIRE_OK(c->ops->begin(c, &t, &d));
    if (value.p != NULL) {
        REQUIRE_OK(c->ops->put(t, x->kind, x->id, x->parent, value, &d));
    } else {
        REQUIRE_OK(c->ops->remove(t, x->kind, x->id, &d));
    }
    REQUIRE_OK(c->ops->commit(t, &d));
}

/* Two segments, a log that is not covered, and what the catalogue was before the second. */
static void write_store(struct bench *b, const char *name, struct copies *before)
{
    struct diag d = DIAG_INIT;
    b->config.merge_on_request = true;
    REQUIRE_OK(bench_open(b, name, &d));
    REQUIRE_OK(store_account_open(b->store, customer, &d));
    REQUIRE_OK(append_ids(b, customer, 0, 10, &d));
    REQUIRE_OK(store_flush(b->store, customer, &d));
    copy_all(b->catalog, before);
    REQUIRE_OK(append_ids(b, customer, 10, 10, &d));
    REQUIRE_OK(store_flush(b->store, customer, &d));
    REQUIRE_OK(append_ids(b, customer, 20, 10, &d));
    store_account_lock(b->store, customer); /* so that close cannot flush */
    bench_close(b);
}

static void open_catalog(struct bench *b)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *path = os_path(b->dir, "catalog.db");
    bench_close(b);
    REQUIRE_OK(catalog_open_sqlite(&b->catalog, path, &d));
}

/* The store does not open; does it say which entries are wrong? */
static bool is_named(struct bench *b, const char *kind, const char *of)
{
    struct diag d = DIAG_INIT;
    bench_close(b);
    REQUIRE_ERR(ERR_CORRUPT, bench_open(b, NULL, &d));
    bool named = strstr(d.text, kind) != NULL && (of == NULL || strstr(d.text, of) != NULL);
    open_catalog(b);
    return named;
}

static void expect_refused(struct bench *b, const char *kind, const char *of)
{
    REQUIRE(is_named(b, kind, of));
}

static void expect_all_rows(struct bench *b)
{
    struct diag d = DIAG_INIT;
    bench_close(b);
    REQUIRE_OK(bench_open(b, NULL, &d));
    REQUIRE_OK(store_account_open(b->store, customer, &d));
    expect_ids(b, 30);
}

static const char *subject(const struct copy *x)
{
    return str_eq(x->kind, "segment") || str_eq(x->kind, "log") ? x->parent : NULL;
}

TEST(root, an_entry_that_was_deleted_is_named_and_no_file_is_touched)
{
    struct bench b = {0};
    struct copies before, all;
    write_store(&b, "deleted", &before);
    open_catalog(&b);
    copy_all(b.catalog, &all);
    size_t n = 0;
    for (size_t i = 0; i < all.n; i++) {
        const struct copy *x = &all.rows[i];
        if (str_eq(x->kind, "entries")) continue;
        put_row(b.catalog, x, (struct bytes){0});
        /* The root alone tells; nobody has looked into a segment. */
        expect_refused(&b, str_eq(x->kind, "table") ? "entries" : x->kind, subject(x));
        put_row(b.catalog, x, buf_view(&x->value));
        n++;
    }
    REQUIRE(n >= 5); /* a table, two segments, a mark, a log */
    expect_all_rows(&b);
    copies_release(&all);
    copies_release(&before);
    bench_release(&b);
}

TEST(root, an_entry_that_was_put_back_or_exchanged_is_found)
{
    struct bench b = {0};
    struct copies old, all;
    struct copy *marks[2] = {NULL, NULL}, *segment = NULL;
    write_store(&b, "older", &old);
    open_catalog(&b);
    copy_all(b.catalog, &all);
    for (size_t i = 0; i < all.n; i++) {
        if (str_eq(all.rows[i].kind, "covered")) marks[1] = &all.rows[i];
        if (str_eq(all.rows[i].kind, "segment")) segment = &all.rows[i];
    }
    for (size_t i = 0; i < old.n; i++)
        if (str_eq(old.rows[i].kind, "covered")) marks[0] = &old.rows[i];
    REQUIRE(marks[0] != NULL && marks[1] != NULL && segment != NULL);

    put_row(b.catalog, marks[1], buf_view(&marks[0]->value)); /* older: its rows would come twice */
    expect_refused(&b, "covered", NULL);
    put_row(b.catalog, marks[1], buf_view(&marks[1]->value));

    /* A parent is in no seal, but in the root. One in 128 shares the cell of the true one: then the
     * root says only that something is wrong. */
    bool named = false;
    for (int i = 0; i < 8 && !named; i++) {
        struct copy moved = *segment;
        snprintf(moved.parent, sizeof moved.parent, "%032d", i);
        put_row(b.catalog, &moved, buf_view(&segment->value));
        named = is_named(&b, "segment", segment->parent);
        put_row(b.catalog, segment, buf_view(&segment->value));
    }
    REQUIRE(named);
    expect_all_rows(&b);
    copies_release(&all);
    copies_release(&old);
    bench_release(&b);
}

TEST(root, a_root_that_is_gone_older_or_damaged_opens_nothing)
{
    struct bench b = {0};
    struct copies old, all;
    struct copy *older = NULL, *root = NULL;
    write_store(&b, "roots", &old);
    open_catalog(&b);
    copy_all(b.catalog, &all);
    for (size_t i = 0; i < old.n; i++)
        if (str_eq(old.rows[i].kind, "entries")) older = &old.rows[i];
    for (size_t i = 0; i < all.n; i++)
        if (str_eq(all.rows[i].kind, "entries")) root = &all.rows[i];
    REQUIRE(older != NULL && root != NULL);
    put_row(b.catalog, root, (struct bytes){0});
    expect_refused(&b, "entries", NULL);
    put_row(b.catalog, root, buf_view(&older->value));
    expect_refused(&b, "entries", NULL);
    for (size_t at = 0; at < root->value.len; at += 97) {
        root->value.p[at] ^= 1;
        put_row(b.catalog, root, buf_view(&root->value));
        root->value.p[at] ^= 1;
        expect_refused(&b, "root record", NULL);
    }
    put_row(b.catalog, root, buf_view(&root->value));
    expect_all_rows(&b);
    copies_release(&all);
    copies_release(&old);
    bench_release(&b);
}

struct word { /* of the operator */
    uint64_t generation;
    unsigned n;
    enum err answer;
};

static enum err take_word(void *ctx, uint64_t generation, const char *what, struct diag *d)
{
    struct word *w = ctx;
    w->n++;
    w->generation = generation;
    REQUIRE(strstr(what, "segment") != NULL);
    return w->answer == OK ? OK : FAIL(d, w->answer, "it cannot be recorded");
}

TEST(root, what_an_operator_accepts_is_recorded_first_and_counts_once)
{
    struct bench b = {0};
    struct copies old, all;
    struct diag d = DIAG_INIT;
    struct word word = {.answer = ERR_IO};
    write_store(&b, "accepted", &old);
    open_catalog(&b);
    copy_all(b.catalog, &all);
    for (size_t i = 0; i < all.n; i++) {
        if (!str_eq(all.rows[i].kind, "segment")) continue;
        put_row(b.catalog, &all.rows[i], (struct bytes){0});
        break;
    }
    bench_close(&b);
    REQUIRE_ERR(ERR_CORRUPT, bench_open(&b, NULL, &d));
    const char *named = strstr(d.text, "--accept-entries ");
    REQUIRE(named != NULL);
    uint64_t generation = strtoull(named + strlen("--accept-entries "), NULL, 10);

    b.config.watch = (struct entry_root_watch){generation + 1, &word, NULL, take_word, NULL};
    bench_close(&b);
    REQUIRE_ERR(ERR_CORRUPT, bench_open(&b, NULL, &d)); /* another number than was named */
    EXPECT_EQ(word.n, 0);
    b.config.watch.accept = generation;
    bench_close(&b);
    diag_reset(&d);
    REQUIRE_ERR(ERR_IO, bench_open(&b, NULL, &d)); /* not recorded: not done */
    word.answer = OK;
    bench_close(&b);
    diag_reset(&d);
    REQUIRE_OK(bench_open(&b, NULL, &d));
    EXPECT_EQ(word.n, 2);
    EXPECT_EQ(word.generation, generation);
    bench_close(&b);
    REQUIRE_OK(bench_open(&b, NULL, &d));
    EXPECT_EQ(word.n, 2); /* from here on the root is what is there */
    copies_release(&all);
    copies_release(&old);
    bench_release(&b);
}

struct outside { /* what an anchor would know */
    uint64_t generation;
    bool older_is_fine;
};

static enum err last_outside(void *ctx, uint64_t *generation, bool *older_is_fine, struct diag *d)
{
    const struct outside *o = ctx;
    (void)d;
    *generation = o->generation;
    *older_is_fine = o->older_is_fine;
    return OK;
}

static void move_outside(void *ctx, uint64_t generation)
{
    struct outside *o = ctx;
    REQUIRE(generation > o->generation);
    o->generation = generation;
}

TEST(root, a_whole_older_catalogue_is_found_by_who_knows_the_generation)
{
    struct bench b = {0};
    struct outside known = {0};
    struct copies old, all;
    struct diag d = DIAG_INIT;
    b.config.watch =
        (struct entry_root_watch){.ctx = &known, .last = last_outside, .moved = move_outside};
    write_store(&b, "outside", &old);
    uint64_t newest = known.generation;
    REQUIRE(newest > 3);
    open_catalog(&b);
    copy_all(b.catalog, &all);
    for (size_t i = 0; i < all.n; i++)
        put_row(b.catalog, &all.rows[i], (struct bytes){0});
    for (size_t i = 0; i < old.n; i++)
        put_row(b.catalog, &old.rows[i], buf_view(&old.rows[i].value));
    expect_refused(&b, "an older catalogue was put back", NULL);
    known.older_is_fine = true; /* its operator has said so */
    bench_close(&b);
    REQUIRE_OK(bench_open(&b, NULL, &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 30, 10, &d));
    REQUIRE(known.generation > newest); /* over an accepted copy too */
    copies_release(&all);
    copies_release(&old);
    bench_release(&b);
}
