/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/crypto/wipe.c - a file key that was taken back, under its holders' hands */
#include "test.h"

#include "base/rand.h"
#include "base/thread.h"
#include "crypto/sealed.h"

#include <stdatomic.h>

static struct file_key *make_key(void)
{
    struct diag d = DIAG_INIT;
    struct file_ident f = {.otype = OTYPE_SEGMENT, .suite = SUITE_0001};
    CLEANUP(secret_free) struct secret *aek = NULL, *bytes = NULL;
    struct file_key *k;
    REQUIRE_OK(secret_random(&aek, AEK_LEN, &d));
    REQUIRE_OK(file_key_derive(aek, &f, true, &bytes, &d));
    REQUIRE_OK(file_key_new(&k, &f, secret_view(bytes), &d));
    return k;
}

TEST(sealed, a_wiped_key_neither_seals_nor_opens_and_says_why)
{
    struct diag d = DIAG_INIT;
    CLEANUP(file_key_free) struct file_key *k = make_key();
    CLEANUP_BUF struct buf sealed = {0}, out = {0};
    REQUIRE_OK(block_seal(k, BTYPE_DATA, 1, BYTES("row"), &sealed, &d));
    size_t len = sealed.len;

    file_key_wipe(k, ERR_KEY_LOCKED);
    file_key_wipe(k, ERR_UNAVAILABLE); /* the first reason stays */
    REQUIRE_ERR(ERR_KEY_LOCKED, block_open(k, BTYPE_DATA, 1, buf_view(&sealed), &out, &d));
    REQUIRE_ERR(ERR_KEY_LOCKED, block_seal(k, BTYPE_DATA, 2, BYTES("row"), &sealed, &d));
    EXPECT_EQ(out.len, 0);
    EXPECT_EQ(sealed.len, len);
}

struct holder {
    struct file_key *k;
    struct buf sealed;
    _Atomic unsigned opened;
    enum err last;
};

static void *open_until_refused(void *arg)
{
    struct holder *h = arg;
    do {
        CLEANUP_BUF struct buf out = {0};
        h->last = block_open(h->k, BTYPE_DATA, 1, buf_view(&h->sealed), &out, NULL);
        if (h->last == OK) h->opened++;
    } while (h->last == OK);
    return NULL;
}

TEST(sealed, a_key_is_taken_back_while_threads_use_it)
{
    struct diag d = DIAG_INIT;
    CLEANUP(file_key_free) struct file_key *k = make_key();
    struct holder h[3] = {0};
    pthread_t t[3];
    for (int i = 0; i < 3; i++) {
        h[i].k = k;
        REQUIRE_OK(block_seal(k, BTYPE_DATA, 1, BYTES("row"), &h[i].sealed, &d));
        REQUIRE_OK(thread_start(&t[i], open_until_refused, &h[i], &d));
    }
    while (h[0].opened == 0 || h[1].opened == 0 || h[2].opened == 0)
        sched_yield();
    file_key_wipe(k, ERR_UNAVAILABLE);
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], NULL);
        EXPECT_STR(err_name(h[i].last), err_name(ERR_UNAVAILABLE));
        buf_release(&h[i].sealed);
    }
}
