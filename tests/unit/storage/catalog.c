/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/catalog.c - the contract of storage/catalog.h, kept by SQLite */
#include "test.h"

#include "base/str.h"
#include "base/thread.h"
#include "storage/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct catalog *open_new(const char *name)
{
    struct diag d = DIAG_INIT;
    struct catalog *c = NULL;
    char *path = os_path(test_dir(), name);
    REQUIRE_OK(catalog_open_sqlite(&c, path, &d));
    free(path);
    return c;
}

static void put_one(struct catalog *c, const char *kind, const char *id, const char *parent,
                    const char *value)
{
    struct diag d = DIAG_INIT;
    struct catalog_txn *t = NULL;
    REQUIRE_OK(c->ops->begin(c, &t, &d));
    REQUIRE_OK(c->ops->put(t, kind, id, parent, bytes_str(value), &d));
    REQUIRE_OK(c->ops->commit(t, &d));
}

static bool has(struct catalog *c, struct catalog_txn *t, const char *kind, const char *id,
                const char *value)
{
    CLEANUP_BUF struct buf b = {0};
    return c->ops->get(c, t, kind, id, &b, NULL) == OK && bytes_eq(buf_view(&b), bytes_str(value));
}

static enum err collect(void *ctx, const struct catalog_row *row, struct diag *d)
{
    struct buf *b = ctx;
    buf_fmt(b, "%s<%s ", row->id, row->parent);
    return buf_check(b, d);
}

static void expect_list(struct catalog *c, const char *kind, const char *parent, const char *prefix,
                        const char *want)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf b = {0};
    REQUIRE_OK(c->ops->list(c, NULL, kind, parent, prefix, collect, &b, &d));
    EXPECT_STR(buf_cstr(&b), want);
}

TEST(catalog, what_was_committed_is_there_after_reopening)
{
    struct diag d = DIAG_INIT;
    struct catalog *c = open_new("a.db");
    put_one(c, "table", "t1", "w1", "one");
    put_one(c, "table", "t1", "w1", "two");
    c->ops->close(c);
    c = open_new("a.db");
    REQUIRE(has(c, NULL, "table", "t1", "two"));
    CLEANUP_BUF struct buf b = {0};
    REQUIRE_ERR(ERR_NOT_FOUND, c->ops->get(c, NULL, "segment", "t1", &b, &d));
    c->ops->close(c);
}

TEST(catalog, a_rollback_leaves_nothing_and_readers_see_only_what_is_committed)
{
    struct diag d = DIAG_INIT;
    struct catalog *c = open_new("b.db");
    struct catalog_txn *t = NULL;
    REQUIRE_OK(c->ops->begin(c, &t, &d));
    REQUIRE_OK(c->ops->put(t, "k", "x", "", BYTES("v"), &d));
    REQUIRE(has(c, t, "k", "x", "v"));
    REQUIRE(!has(c, NULL, "k", "x", "v"));
    c->ops->rollback(t);
    REQUIRE(!has(c, NULL, "k", "x", "v"));
    c->ops->rollback(NULL);

    put_one(c, "k", "x", "", "");
    REQUIRE(has(c, NULL, "k", "x", ""));
    REQUIRE_OK(c->ops->begin(c, &t, &d));
    REQUIRE_OK(c->ops->remove(t, "k", "x", &d));
    REQUIRE_OK(c->ops->remove(t, "k", "never there", &d));
    REQUIRE_OK(c->ops->commit(t, &d));
    REQUIRE(!has(c, NULL, "k", "x", ""));
    c->ops->close(c);
}

TEST(catalog, lists_come_in_order_by_parent_and_by_prefix)
{
    struct catalog *c = open_new("c.db");
    put_one(c, "seg", "b1", "p", "");
    put_one(c, "seg", "a2", "p", "");
    put_one(c, "seg", "a1", "q", "");
    put_one(c, "other", "a0", "p", "");
    expect_list(c, "seg", NULL, NULL, "a1<q a2<p b1<p ");
    expect_list(c, "seg", "p", NULL, "a2<p b1<p ");
    expect_list(c, "seg", NULL, "a", "a1<q a2<p ");
    expect_list(c, "seg", "p", "b", "b1<p ");
    expect_list(c, "seg", "", NULL, "");
    expect_list(c, "seg", "p", "%", "");
    c->ops->close(c);
}

struct nested {
    struct catalog *c;
    int n;
};

static enum err visit_and_get(void *ctx, const struct catalog_row *row, struct diag *d)
{
    struct nested *x = ctx;
    x->n++;
    CLEANUP_BUF struct buf b = {0};
    return x->c->ops->get(x->c, NULL, "k", row->id, &b, d);
}

TEST(catalog, a_visit_may_read_again)
{
    struct diag d = DIAG_INIT;
    struct catalog *c = open_new("n.db");
    put_one(c, "k", "1", "", "a");
    put_one(c, "k", "2", "", "b");
    struct nested x = {.c = c};
    REQUIRE_OK(c->ops->list(c, NULL, "k", NULL, NULL, visit_and_get, &x, &d));
    EXPECT_EQ(x.n, 2);
    c->ops->close(c);
}

TEST(catalog, reserved_numbers_are_never_given_twice)
{
    struct diag d = DIAG_INIT;
    struct catalog *c = open_new("r.db");
    uint64_t a = 0, b = 0, other = 0;
    REQUIRE_OK(c->ops->reserve(c, "file", 10, &a, &d));
    REQUIRE_OK(c->ops->reserve(c, "log", 1, &other, &d));
    c->ops->close(c);
    c = open_new("r.db");
    REQUIRE_OK(c->ops->reserve(c, "file", 5, &b, &d));
    EXPECT_EQ(a, 1);
    EXPECT_EQ(other, 1);
    EXPECT_EQ(b, 11);
    REQUIRE_ERR(ERR_INVALID, c->ops->reserve(c, "file", 0, &b, &d));
    c->ops->close(c);
}

struct race {
    struct catalog *c;
    uint64_t sum;
};

static void *reserve_many(void *arg)
{
    struct race *r = arg;
    for (int i = 0; i < 20; i++) {
        uint64_t first = 0;
        if (r->c->ops->reserve(r->c, "n", 1, &first, NULL) == OK) r->sum += first;
    }
    return NULL;
}

TEST(catalog, two_writers_wait_for_each_other)
{
    struct diag d = DIAG_INIT;
    struct catalog *c = open_new("w.db");
    struct race a = {.c = c}, b = {.c = c};
    pthread_t t;
    REQUIRE_OK(thread_start(&t, reserve_many, &a, &d));
    reserve_many(&b);
    pthread_join(t, NULL);
    EXPECT_EQ(a.sum + b.sum, 40 * 41 / 2);
    c->ops->close(c);
}

TEST(catalog, a_failed_commit_changes_nothing_and_the_next_one_works)
{
    struct diag d = DIAG_INIT;
    struct catalog *c = open_new("f.db");
    struct catalog_txn *t = NULL;
    REQUIRE_OK(c->ops->begin(c, &t, &d));
    REQUIRE_OK(c->ops->put(t, "k", "x", "", BYTES("v"), &d));
    os_fault_arm(1, EIO);
    REQUIRE_ERR(ERR_IO, c->ops->commit(t, &d));
    os_fault_arm(0, 0);
    REQUIRE(!has(c, NULL, "k", "x", "v"));
    put_one(c, "k", "x", "", "v");
    REQUIRE(has(c, NULL, "k", "x", "v"));
    c->ops->close(c);
}

TEST(catalog, the_file_is_for_its_owner_only_and_a_foreign_file_is_refused)
{
    struct diag d = DIAG_INIT;
    struct catalog *c = open_new("m.db");
    c->ops->close(c);
    char *path = os_path(test_dir(), "m.db");
    struct stat st;
    REQUIRE(stat(path, &st) == 0);
    EXPECT_EQ(st.st_mode & 0777, 0600);
    free(path);

    path = os_path(test_dir(), "foreign.db");
    REQUIRE_OK(
        os_replace(path, BYTES("this is not a database, and long enough to be looked at"), &d));
    REQUIRE(catalog_open_sqlite(&c, path, &d) != OK);
    free(path);
}
