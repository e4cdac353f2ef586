/* SPDX-License-Identifier: Apache-2.0 */
#include "resource/doc.h"

#include "base/str.h"
#include "test.h"

static struct catalog *catalog;
static struct docs *docs;

static void open_at(const char *name)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *path = os_path(test_dir(), name);
    REQUIRE_OK(catalog_open_sqlite(&catalog, path, &d));
    REQUIRE_OK(docs_open(&docs, catalog, &d));
}

static void close_all(void)
{
    docs_close(docs);
    catalog->ops->close(catalog);
}

static void put(const char *id, const char *parent, int n)
{
    struct diag d = DIAG_INIT;
    CLEANUP_CHANGE struct change c = {0};
    change_put(&c, DOC_RESOURCE, id, parent, json_pack("{s:i}", "n", n));
    DOCS_WRITE(docs);
    REQUIRE_OK(docs_commit(docs, &c, &d));
}

static int get(const char *id)
{
    CLEANUP_JSON json_t *j = docs_get(docs, DOC_RESOURCE, id);
    return j != NULL ? (int)json_integer_value(json_object_get(j, "n")) : -1;
}

static size_t count(const char *parent, const char *prefix)
{
    CLEANUP_JSON json_t *j = docs_list(docs, DOC_RESOURCE, parent, prefix);
    return json_array_size(j);
}

TEST(doc, what_was_committed_is_there_after_opening_again)
{
    open_at("again.db");
    put("/a", "t1", 1);
    put("/b", "t1", 2);
    put("/a", "t1", 3);
    close_all();
    open_at("again.db");
    EXPECT_EQ(get("/a"), 3);
    EXPECT_EQ(get("/b"), 2);
    EXPECT_EQ(get("/c"), -1);
    close_all();
}

TEST(doc, lists_are_in_order_by_parent_and_prefix)
{
    open_at("lists.db");
    put("/g1/b", "t1", 2);
    put("/g1/a", "t1", 1);
    put("/g2/c", "t1", 3);
    put("/g1/d", "t2", 4);
    CLEANUP_JSON json_t *list = docs_list(docs, DOC_RESOURCE, "t1", NULL);
    EXPECT_EQ(json_array_size(list), 3);
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(json_integer_value(json_object_get(json_array_get(list, i), "n")), (int)i + 1);
    }
    EXPECT_EQ(count("t1", "/g1/"), 2);
    EXPECT_EQ(count(NULL, "/g1/"), 3);
    EXPECT_EQ(count("t3", NULL), 0);
    REQUIRE(docs_any(docs, DOC_RESOURCE, "/g2/"));
    REQUIRE(!docs_any(docs, DOC_RESOURCE, "/g3/"));
    close_all();
}

TEST(doc, a_document_moves_between_parents_and_goes)
{
    struct diag d = DIAG_INIT;
    open_at("moves.db");
    put("/a", "t1", 1);
    put("/b", "t1", 2);
    put("/a", "t2", 3);
    EXPECT_EQ(count("t1", NULL), 1);
    EXPECT_EQ(count("t2", NULL), 1);
    CLEANUP_CHANGE struct change c = {0};
    change_remove_parts(&c, docs, "/");
    EXPECT_EQ(c.n, 2);
    REQUIRE_OK(docs_commit(docs, &c, &d));
    EXPECT_EQ(count(NULL, NULL), 0);
    EXPECT_EQ(get("/a"), -1);
    close_all();
}

TEST(doc, a_reader_keeps_the_document_that_it_got)
{
    open_at("reader.db");
    put("/a", "t1", 1);
    CLEANUP_JSON json_t *before = docs_get(docs, DOC_RESOURCE, "/a");
    put("/a", "t1", 2);
    EXPECT_EQ(json_integer_value(json_object_get(before, "n")), 1);
    EXPECT_EQ(get("/a"), 2);
    close_all();
}

TEST(doc, a_change_that_could_not_be_built_changes_nothing)
{
    struct diag d = DIAG_INIT;
    open_at("bad.db");
    CLEANUP_CHANGE struct change c = {0};
    change_put(&c, DOC_RESOURCE, "/a", "t1", json_object());
    change_put(&c, DOC_RESOURCE, "/b", "t1", NULL); /* out of memory while it was packed */
    REQUIRE_ERR(ERR_LIMIT, docs_commit(docs, &c, &d));
    EXPECT_EQ(count(NULL, NULL), 0);
    EXPECT_EQ(c.n, 0);
    close_all();
}
