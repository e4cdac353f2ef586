/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/root.c - the sum over records, and who is behind a difference */
#include "test.h"

#include "base/str.h"
#include "custody/root.h"

#include <stdio.h>
#include <stdlib.h>

#define N 300

static struct secret *mk_of_test(void)
{
    static struct secret *mk;
    if (mk == NULL && secret_of(&mk, BYTES("0123456789abcdef0123456789abcdef"), NULL) != OK)
        abort();
    return mk;
}

struct fake { /* a record whose header says the generation, and no more */
    char kind[8], id[64];
    uint8_t value[48];
};

static struct custody_record fake(struct fake *f, const char *kind, unsigned account, unsigned n,
                                  uint64_t generation)
{
    snprintf(f->kind, sizeof f->kind, "%s", kind);
    snprintf(f->id, sizeof f->id, "%032x%s%x", account, n != 0 ? "/" : "", n);
    struct wr w = wr_into(f->value, sizeof f->value);
    wr_bytes(&w, BYTES("KSTR\1\2\0\0"));
    wr_u64be(&w, generation);
    return (struct custody_record){f->kind, f->id, "", bytes_of(f->value, sizeof f->value)};
}

static void fill(struct root_index *x, struct root_record *r, bool backwards)
{
    struct diag d = DIAG_INIT;
    struct fake f;
    REQUIRE_OK(root_index_init(x, mk_of_test(), &d));
    for (unsigned i = 0; i < N; i++) {
        unsigned a = backwards ? N - 1 - i : i;
        struct custody_record rec = fake(&f, "state", a, 0, 2 * a + 10);
        REQUIRE_OK(root_add(x, r, &rec, &d));
        rec = fake(&f, "wrap", a, 1, 2 * a + 11);
        REQUIRE_OK(root_add(x, r, &rec, &d));
    }
}

TEST(root, the_order_of_the_records_does_not_matter_and_each_change_can_be_undone)
{
    struct diag d = DIAG_INIT;
    struct fake f;
    struct root_index a, b;
    struct root_record ra = {0}, rb = {0}, changed;
    fill(&a, &ra, false);
    fill(&b, &rb, true);
    REQUIRE(memcmp(&ra, &rb, sizeof ra) == 0);

    changed = ra;
    struct custody_record rec = fake(&f, "wrap", 7, 1, 999);
    REQUIRE_OK(root_change(&a, &changed, &rec, &d));
    REQUIRE(!lthash_same(&changed.all, &ra.all));
    REQUIRE_OK(root_settle(&a, &rec, &d));
    rec = fake(&f, "wrap", 7, 1, 2 * 7 + 11);
    REQUIRE_OK(root_change(&a, &changed, &rec, &d));
    REQUIRE(memcmp(&changed, &ra, sizeof ra) == 0);
    root_index_release(&a);
    root_index_release(&b);
}

struct named {
    unsigned n;
    char last[64];
};

static void note(void *ctx, const char *kind, const char *subject)
{
    struct named *x = ctx;
    x->n++;
    snprintf(x->last, sizeof x->last, "%s %s", kind, subject);
}

TEST(root, one_older_record_among_hundreds_is_named_alone)
{
    struct diag d = DIAG_INIT;
    struct fake f;
    for (unsigned a = 0; a < N; a += 37) {
        struct root_index x;
        struct root_record root = {0};
        struct named who = {0};
        char expect[64];
        fill(&x, &root, false);
        struct root_record is = root;
        struct custody_record rec = fake(&f, "wrap", a, 1, 3); /* what lies there is older */
        REQUIRE_OK(root_change(&x, &is, &rec, &d));
        REQUIRE_OK(root_settle(&x, &rec, &d));
        REQUIRE(!root_compare(&x, &root, &is, note, &who));
        snprintf(expect, sizeof expect, "account %032x", a);
        EXPECT_EQ(who.n, 1);
        EXPECT_STR(who.last, expect);
        root_index_release(&x);
    }
}

/* Of a record that is missing as a whole nobody knows the name, so those of its cell are suspected;
 * where its name is still there, they are not. */
TEST(root, who_shares_a_cell_with_an_unreadable_record_is_not_suspected)
{
    struct diag d = DIAG_INIT;
    struct fake f;
    unsigned n_suspected = 0;
    for (unsigned i = 0; i < 8; i++) {
        struct root_index x;
        struct root_record is = {0}, root;
        struct named before = {0}, after = {0};
        fill(&x, &is, false);
        root = is;
        struct custody_record rec = fake(&f, "scope", 1000 + i, 0, 5000);
        REQUIRE_OK(root_change(&x, &root, &rec, &d));
        REQUIRE(!root_compare(&x, &root, &is, note, &before));
        REQUIRE_OK(root_note_unread(&x, &rec, &d));
        REQUIRE(!root_compare(&x, &root, &is, note, &after));
        n_suspected += before.n;
        EXPECT_EQ(after.n, 0);
        root_index_release(&x);
    }
    REQUIRE(n_suspected > 0);
}

TEST(root, several_changes_at_once_are_all_noticed)
{
    struct diag d = DIAG_INIT;
    struct fake f;
    struct root_index x;
    struct root_record root = {0};
    struct named who = {0};
    fill(&x, &root, false);
    struct root_record is = root;
    for (unsigned a = 0; a < 20; a++) {
        struct custody_record rec = fake(&f, a % 2 == 0 ? "wrap" : "state", a, a % 2 == 0, 3);
        if (a % 3 == 0) rec.value.len = 0;
        REQUIRE_OK(root_change(&x, &is, &rec, &d));
        REQUIRE_OK(root_settle(&x, &rec, &d));
    }
    REQUIRE(!root_compare(&x, &root, &is, note, &who));
    REQUIRE(who.n >= 20);
    root_index_release(&x);
}

TEST(root, a_record_of_the_root_with_any_bit_changed_is_refused)
{
    struct diag d = DIAG_INIT;
    struct root_index x;
    struct root_record root = {0}, back;
    fill(&x, &root, false);
    root.generation = 12;
    root.previous = 11;
    root.anchored = true;
    CLEANUP_BUF struct buf b = {0};
    REQUIRE_OK(root_encode(&root, mk_of_test(), &b, &d));
    REQUIRE_OK(root_decode(buf_view(&b), mk_of_test(), &back, &d));
    REQUIRE(lthash_same(&back.all, &root.all) && back.previous == 11 && back.anchored &&
            back.generation == 12 && back.all.n == (uint64_t)2 * N);
    for (size_t bit = 0; bit < 8 * b.len; bit += 61) {
        b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        REQUIRE_ERR(ERR_CORRUPT, root_decode(buf_view(&b), mk_of_test(), &back, &d));
        b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    root_index_release(&x);
}

TEST(root, a_root_goes_only_over_the_one_it_was_made_for)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf one = {0}, two = {0}, three = {0};
    struct root_record r = {.generation = 5};
    REQUIRE_OK(root_encode(&r, mk_of_test(), &one, &d));
    r = (struct root_record){.generation = 8, .previous = 5};
    REQUIRE_OK(root_encode(&r, mk_of_test(), &two, &d));
    r = (struct root_record){.generation = 9, .previous = 8};
    REQUIRE_OK(root_encode(&r, mk_of_test(), &three, &d));
    REQUIRE(root_follows((struct bytes){0}, buf_view(&one)));
    REQUIRE(root_follows(buf_view(&one), buf_view(&two)));
    REQUIRE(root_follows(buf_view(&two), buf_view(&three)));
    REQUIRE(!root_follows((struct bytes){0}, buf_view(&two)));
    REQUIRE(!root_follows(buf_view(&one), buf_view(&three)));
    REQUIRE(!root_follows(buf_view(&two), buf_view(&two)));
    REQUIRE(!root_follows(buf_view(&three), buf_view(&two)));
    REQUIRE(!root_follows(buf_view(&two), BYTES("short")));
}
