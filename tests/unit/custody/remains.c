/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/custody/remains.c - after REVOKED no byte of an AEK or a file key is left, in either
 * end
 *
 * Both ends live in this process, so one search sees both. The test's own copies are masked. Where
 * secrets lie in memfd_secret their pages cannot be read from here at all: then the search shows
 * that no copy lies elsewhere.
 */
#include "house.h"
#include "memory.h"

static const uint8_t account[16] = "account-one.....";

struct masked {
    uint8_t b[32];
};

static struct masked mask(struct bytes secret)
{
    struct masked m;
    memory_mask(m.b, secret.p, sizeof m.b);
    return m;
}

static size_t search_memory(const struct masked *m)
{
    return memory_count_bytes(m->b, sizeof m->b);
}

static void fetch_masked(struct house *h, const struct file_ident *f, struct masked *aek,
                         struct masked *file_key)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *key = NULL;
    struct file_ident copy = *f;
    LOCK_SCOPE(&h->keyd->lock);
    const struct aek *x = &account_find(h->keyd, account)->aeks[0];
    REQUIRE_OK(file_key_derive(x->key, &copy, false, &key, &d));
    *aek = mask(secret_view(x->key));
    *file_key = mask(secret_view(key));
}

TEST(custody, no_account_key_and_no_file_key_is_left_in_memory_after_revoked)
{
    if (!MEMORY_SEARCHED) return;
    struct diag d = DIAG_INIT;
    struct house h;
    struct masked aek, file_key;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    struct file_key *k;
    struct file_ident f;
    uint8_t file_id[16] = {3};
    REQUIRE_OK(custody_file_create(h.custody, account, OTYPE_WAL, file_id, &k, &d));
    f = *file_key_ident(k);
    CLEANUP_BUF struct buf out = {0};
    REQUIRE_OK(block_seal(k, BTYPE_WAL, 1, BYTES("row"), &out, &d));
    fetch_masked(&h, &f, &aek, &file_key);

    CLEANUP_BUF struct buf control = {0};
    buf_extend(&control, 64);
    memory_mask(control.p, aek.b, sizeof aek.b); /* unmasks */
    REQUIRE(search_memory(&aek) >= 1);           /* the search finds what is there */
    buf_release(&control);

    tv_enable(&h.vault, "kek", NULL, false);
    house_advance(36);
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_REVOKED);
    EXPECT_EQ(search_memory(&aek), 0);
    EXPECT_EQ(search_memory(&file_key), 0);
    custody_file_release(h.custody, k);
    house_close(&h);
}
