/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/layers.c - the infrastructure key: who gets a second layer, and whose it is */
#include "house.h"

#include "base/os.h"
#include "base/rand.h"
#include "custody/iek.h"

#include <sys/stat.h>

static const uint8_t account[16] = "account-twice...";
static const uint8_t once[16] = "account-once....";
#define ONCE "/subscriptions/s/clusters/once"

static void make_iek(struct house *h)
{
    struct diag d = DIAG_INIT;
    secret_free(TAKE(h->iek));
    REQUIRE_OK(secret_random(&h->iek, IEK_LEN, &d));
}

static void open_with_iek(struct house *h)
{
    struct diag d = DIAG_INIT;
    house_build(h);
    make_iek(h);
    house_start_custody(h);
    house_start_keyd(h);
    house_connect(h);
    REQUIRE_OK(custody_wait_ready(h->custody, 120000, &d));
}

static enum err set_scope(struct house *h, const char *scope, bool is_double)
{
    struct custody_kek kek = house_kek("");
    kek.is_double = is_double;
    return custody_scope_set(h->custody, scope, &kek, NULL, NULL);
}

static void double_cluster(struct house *h)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(set_scope(h, CLUSTER, true));
    REQUIRE_OK(custody_account_add(h->custody, CLUSTER, account, "workspace", &d));
}

struct sealed_file {
    struct file_ident ident;
    struct buf block;
};

static struct sealed_file write_file(struct house *h, const uint8_t id[16], enum otype otype)
{
    struct diag d = DIAG_INIT;
    struct sealed_file f = {0};
    struct file_key *k;
    uint8_t file_id[16];
    rand_bytes(file_id, sizeof file_id);
    REQUIRE_OK(custody_file_create(h->custody, id, otype, file_id, &k, &d));
    f.ident = *file_key_ident(k);
    REQUIRE_OK(block_seal(k, BTYPE_DATA, 1, BYTES("a log row"), &f.block, &d));
    custody_file_release(h->custody, k);
    return f;
}

static enum err read_file(struct house *h, const struct sealed_file *f)
{
    struct file_key *k;
    CLEANUP_BUF struct buf out = {0};
    TRY(custody_file_open(h->custody, f->ident.account, &f->ident, 1, &k, NULL));
    enum err e = block_open(k, BTYPE_DATA, 1, buf_view(&f->block), &out, NULL);
    custody_file_release(h->custody, k);
    return e;
}

static bool is_framed(const struct sealed_file *f)
{
    return f->block.len > 4 && memcmp(f->block.p, "KSTO", 4) == 0;
}

TEST(layers, files_of_a_double_scope_come_with_both_keys_and_others_with_one)
{
    struct diag d = DIAG_INIT;
    struct house h;
    open_with_iek(&h);
    double_cluster(&h);
    REQUIRE_OK(set_scope(&h, ONCE, false));
    REQUIRE_OK(custody_account_add(h.custody, ONCE, once, "workspace", &d));
    struct sealed_file segment = write_file(&h, account, OTYPE_SEGMENT);
    struct sealed_file wal = write_file(&h, account, OTYPE_WAL);
    struct sealed_file spool = write_file(&h, account, OTYPE_SPOOL);
    struct sealed_file plain = write_file(&h, once, OTYPE_SEGMENT);
    REQUIRE(is_framed(&segment) && is_framed(&wal) && is_framed(&spool) && !is_framed(&plain));
    house_restart_keyd(&h); /* the record says which key is right, and that it is double */
    house_restart_custody(&h);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE) && house_reaches(&h, once, KEY_ACTIVE));
    REQUIRE_OK(read_file(&h, &segment));
    REQUIRE_OK(read_file(&h, &wal));
    REQUIRE_OK(read_file(&h, &plain));
    EXPECT_EQ(house_records(&h, "iek"), 1);
    buf_release(&segment.block);
    buf_release(&wal.block);
    buf_release(&spool.block);
    buf_release(&plain.block);
    house_close(&h);
}

TEST(layers, the_number_of_layers_of_a_scope_never_changes)
{
    struct diag d = DIAG_INIT;
    struct house h;
    open_with_iek(&h);
    double_cluster(&h);
    REQUIRE_OK(set_scope(&h, ONCE, false));
    EXPECT_EQ(set_scope(&h, CLUSTER, false), ERR_CONFLICT);
    EXPECT_EQ(set_scope(&h, ONCE, true), ERR_CONFLICT);
    EXPECT_EQ(set_scope(&h, CLUSTER, true), OK);
    house_close(&h);
}

TEST(layers, a_scope_record_that_was_turned_to_one_layer_is_not_believed)
{
    struct diag d = DIAG_INIT;
    struct house h;
    open_with_iek(&h);
    double_cluster(&h);
    house_stop_keyd(&h);
    struct buf *value = NULL;
    MAP_EACH (&h.catalogue, e) {
        if (e->key.len > 7 && memcmp(e->key.p, "scope\n/", 7) == 0)
            value = &((struct stored *)e->value)->value;
    }
    REQUIRE(value != NULL);
    value->p[value->len - 33] ^= 1; /* the flag is the body's last byte */
    house_start_keyd(&h);
    house_connect(&h);
    REQUIRE_OK(custody_wait_ready(h.custody, 120000, &d));
    struct file_key *k;
    REQUIRE(custody_file_create(h.custody, account, OTYPE_SEGMENT, once, &k, NULL) != OK);
    house_close(&h);
}

/* The operator's fault: nobody's rows are dropped, nobody is revoked. */
static void expect_away(struct house *h, const struct sealed_file *f)
{
    struct diag d = DIAG_INIT;
    house_restart_keyd(h);
    house_restart_custody(h);
    REQUIRE(house_reaches(h, account, KEY_ACTIVE));
    EXPECT_EQ(read_file(h, f), ERR_UNAVAILABLE);
    struct file_key *k;
    REQUIRE_ERR(ERR_UNAVAILABLE, custody_file_create(h->custody, account, OTYPE_WAL, once, &k, &d));
    CLEANUP_JSON json_t *status = NULL;
    REQUIRE_OK(custody_status(h->custody, &status, &d));
    REQUIRE(!str_eq(json_get_str(json_get(status, "infrastructureKey"), "state"), "ready"));
}

TEST(layers, a_missing_or_wrong_infrastructure_key_is_never_used_and_locks_nobody)
{
    struct diag d = DIAG_INIT;
    struct house h;
    open_with_iek(&h);
    double_cluster(&h);
    struct sealed_file f = write_file(&h, account, OTYPE_SEGMENT);
    struct secret *right = TAKE(h.iek);
    expect_away(&h, &f);
    make_iek(&h);
    expect_away(&h, &f);
    secret_free(h.iek);
    h.iek = right;
    house_restart_keyd(&h);
    house_restart_custody(&h);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE_OK(read_file(&h, &f));
    EXPECT_EQ(house_records(&h, "iek"), 1);
    buf_release(&f.block);
    house_close(&h);
}

TEST(layers, without_an_infrastructure_key_no_double_scope_is_made)
{
    struct house h;
    house_open(&h);
    EXPECT_EQ(set_scope(&h, CLUSTER, true), ERR_UNAVAILABLE);
    EXPECT_EQ(set_scope(&h, CLUSTER, false), OK);
    EXPECT_EQ(house_records(&h, "iek"), 0);
    house_close(&h);
}

TEST(layers, the_key_file_has_exactly_32_bytes_and_one_reader)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *path = os_path(test_dir(), "iek.key");
    CLEANUP(secret_free) struct secret *a = NULL, *b = NULL, *none = NULL;
    REQUIRE_ERR(ERR_NOT_FOUND, iek_file_open(path, false, &none, &d));
    diag_reset(&d);
    REQUIRE_OK(iek_file_open(path, true, &a, &d));
    REQUIRE_OK(iek_file_open(path, true, &b, &d)); /* made once */
    REQUIRE(secret_len(a) == 32 && secret_eq(secret_view(a), secret_view(b)));
    struct stat st;
    REQUIRE(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
    REQUIRE(chmod(path, 0640) == 0);
    REQUIRE_ERR(ERR_INVALID, iek_file_open(path, true, &none, &d));
    REQUIRE(chmod(path, 0600) == 0 && truncate(path, 31) == 0);
    REQUIRE_ERR(ERR_INVALID, iek_file_open(path, true, &none, &d));
    REQUIRE(truncate(path, 33) == 0);
    REQUIRE_ERR(ERR_INVALID, iek_file_open(path, true, &none, &d));
}
