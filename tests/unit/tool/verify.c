/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/tool/verify.c - the walk finds every damaged byte, with and without keys, and nothing
 * else */
#include "storage/test_store.h"

#include "tool/verify.h"

#include <dirent.h>
#include <unistd.h>

struct lines {
    int n, segments, logs, catalog, bad;
    uint64_t done, total;
    char note[200];
};

static void on_file(void *ctx, const struct verify_file *f)
{
    struct lines *l = ctx;
    l->n++;
    l->segments += str_eq(f->kind, "segment");
    l->logs += str_eq(f->kind, "log");
    l->catalog += str_eq(f->kind, "catalog");
    l->bad += f->result != OK;
    if (f->result == OK && f->text[0] != 0) snprintf(l->note, sizeof l->note, "%s", f->text);
}

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct lines *l = ctx;
    REQUIRE(done <= total && done >= l->done);
    l->done = done;
    l->total = total;
}

static void verify(struct bench *b, bool with_keys, struct verify_report *r, struct lines *l)
{
    struct diag d = DIAG_INIT;
    *l = (struct lines){0};
    struct verify_options o = {.dir = b->dir,
                               .catalog = b->catalog,
                               .keys = with_keys ? &b->keys.keys : NULL,
                               .on_file = on_file,
                               .on_progress = on_progress,
                               .ctx = l};
    memcpy(o.platform_account, platform, 16);
    REQUIRE_OK(verify_store(&o, r, &d));
}

static const struct verify_account *account_of(const struct verify_report *r, const uint8_t *id)
{
    for (uint32_t i = 0; i < r->n_accounts; i++) {
        if (memcmp(r->accounts[i].account, id, 16) == 0) return &r->accounts[i];
    }
    fail_msg("the report does not have the account");
    return NULL;
}

/* Two segments and a log of customer, a log of customer2. The store stays open: nothing is flushed.
 */
static void fill(struct bench *b, const char *name)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(bench_open(b, name, &d));
    REQUIRE_OK(store_account_open(b->store, customer, &d));
    REQUIRE_OK(store_account_open(b->store, customer2, &d));
    REQUIRE_OK(append_ids(b, customer, 0, 300, &d));
    REQUIRE_OK(store_flush(b->store, customer, &d));
    REQUIRE_OK(append_ids(b, customer, 300, 300, &d));
    REQUIRE_OK(store_flush(b->store, customer, &d));
    REQUIRE_OK(append_ids(b, customer, 600, 5, &d));
    REQUIRE_OK(append_ids(b, customer2, 605, 5, &d));
}

TEST(verify, a_good_store_is_good_and_counted_by_account)
{
    struct bench b = {0};
    struct verify_report r;
    struct lines l;
    fill(&b, "good");
    verify(&b, true, &r, &l);
    EXPECT_EQ(r.n_damages, 0);
    EXPECT_EQ(r.bytes_without_key, 0);
    EXPECT_EQ(r.strangers, 0);
    EXPECT_EQ(r.files, 4);
    EXPECT_EQ(r.opened, r.blocks);
    EXPECT_EQ(l.segments, 2);
    EXPECT_EQ(l.logs, 2);
    EXPECT_EQ(l.catalog, 1);
    EXPECT_EQ(l.bad, 0);
    EXPECT_EQ(l.done, l.total);
    const struct verify_account *a = account_of(&r, customer);
    EXPECT_EQ(a->segments, 2);
    EXPECT_EQ(a->logs, 1);
    EXPECT_EQ(a->rows, 600);
    EXPECT_EQ(a->n_aeks, 1);
    EXPECT_EQ(a->aeks[0].bytes, a->bytes);
    REQUIRE(!a->aeks[0].is_framed && a->aeks[0].aek_id[0] == 1 && a->bytes > 1000 &&
            a->blocks > 10);
    EXPECT_EQ(account_of(&r, customer2)->logs, 1);
    EXPECT_EQ(account_of(&r, platform)->files, 0);
    uint64_t blocks = r.blocks;
    verify_report_release(&r);

    verify(&b, false, &r, &l);
    EXPECT_EQ(r.n_damages, 0);
    EXPECT_EQ(r.blocks, blocks);
    EXPECT_EQ(r.opened, 0);
    EXPECT_EQ(r.bytes_without_key, 0); /* nobody asked for keys */
    verify_report_release(&r);
    bench_release(&b);
    EXPECT_EQ(b.keys.n_out, 0);
}

TEST(verify, a_key_that_is_away_is_missing_and_no_damage)
{
    struct bench b = {0};
    struct verify_report r;
    struct lines l;
    fill(&b, "away");
    test_keys_set(&b.keys, customer, ERR_KEY_LOCKED);
    verify(&b, true, &r, &l);
    EXPECT_EQ(r.n_damages, 0);
    const struct verify_account *a = account_of(&r, customer);
    EXPECT_EQ(a->key, ERR_KEY_LOCKED);
    EXPECT_EQ(a->bytes_without_key, a->bytes);
    EXPECT_EQ(r.bytes_without_key, a->bytes);
    EXPECT_EQ(a->opened, 0);
    REQUIRE(a->blocks > 10); /* headers are checked all the same */
    EXPECT_EQ(account_of(&r, customer2)->key, OK);
    verify_report_release(&r);
    test_keys_set(&b.keys, platform, ERR_UNAVAILABLE);
    verify(&b, true, &r, &l);
    EXPECT_EQ(r.n_damages, 0);
    EXPECT_EQ(account_of(&r, platform)->key, ERR_UNAVAILABLE);
    verify_report_release(&r);
    bench_release(&b);
}

static char *find_file(const char *dir, const char *suffix, uint32_t *skip)
{
    struct dirent **names;
    char *found = NULL;
    int n = scandir(dir, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char *sub = os_path(dir, names[i]->d_name);
        if (found == NULL && names[i]->d_type == DT_DIR && names[i]->d_name[0] != '.')
            found = find_file(sub, suffix, skip);
        if (found == NULL && str_ends(sub, suffix) && (*skip)-- == 0) found = TAKE(sub);
        free(sub);
        free(names[i]);
    }
    if (n >= 0) free(names);
    return found;
}

static void file_write(const char *path, struct bytes b)
{
    FILE *f = fopen(path, "wb");
    REQUIRE(f != NULL && fwrite(b.p, 1, b.len, f) == b.len && fclose(f) == 0);
}

static void expect_damage(struct bench *b, bool with_keys, const char *name)
{
    struct verify_report r;
    struct lines l;
    verify(b, with_keys, &r, &l);
    if (r.n_damages != 1) fail_msg("%u damages, with%s keys", r.n_damages, with_keys ? "" : "out");
    REQUIRE(str_ends(name, r.damages[0].file));
    REQUIRE(r.damages[0].text[0] != 0);
    EXPECT_EQ(l.bad, 1);
    verify_report_release(&r);
}

TEST(verify, every_flipped_byte_of_a_segment_is_found_with_and_without_keys)
{
    struct bench b = {0};
    struct diag d = DIAG_INIT;
    uint32_t skip = 0;
    fill(&b, "flip");
    char *path = find_file(b.dir, ".seg", &skip);
    CLEANUP_BUF struct buf image = {0};
    REQUIRE_OK(os_read_file(path, 1 << 20, &image, &d));
    for (size_t at = 0; at < image.len; at += 1 + image.len / 300) {
        image.p[at] ^= 0x40;
        file_write(path, buf_view(&image));
        expect_damage(&b, true, path);
        expect_damage(&b, false, path);
        image.p[at] ^= 0x40;
    }
    file_write(path, bytes_of(image.p, image.len - 1));
    expect_damage(&b, false, path);
    unlink(path);
    expect_damage(&b, false, path);
    file_write(path, buf_view(&image));
    struct verify_report r;
    struct lines l;
    verify(&b, true, &r, &l);
    EXPECT_EQ(r.n_damages, 0);
    verify_report_release(&r);
    free(path);
    bench_release(&b);
}

TEST(verify, a_damaged_log_is_found_and_a_torn_tail_is_a_note)
{
    struct bench b = {0};
    struct diag d = DIAG_INIT;
    struct verify_report r;
    struct lines l;
    uint32_t skip = 0;
    fill(&b, "log");
    REQUIRE_OK(append_ids(&b, customer, 610, 5, &d)); /* it vouches for the record before */
    char *path = find_file(b.dir, ".wal", &skip);
    CLEANUP_BUF struct buf image = {0};
    REQUIRE_OK(os_read_file(path, 1 << 20, &image, &d));
    image.p[600] ^= 1; /* in the first rows */
    file_write(path, buf_view(&image));
    expect_damage(&b, true, path);
    image.p[600] ^= 1;
    image.p[5] ^= 1; /* in the header */
    file_write(path, buf_view(&image));
    expect_damage(&b, false, path);
    image.p[5] ^= 1;
    buf_str(&image, "KSTB half a record");
    file_write(path, buf_view(&image));
    for (int keys = 0; keys < 2; keys++) {
        verify(&b, keys != 0, &r, &l);
        EXPECT_EQ(r.n_damages, 0);
        REQUIRE(strstr(l.note, "18 bytes behind") != NULL);
        verify_report_release(&r);
    }
    free(path);
    bench_release(&b);
}

TEST(verify, a_changed_entry_and_a_file_that_nobody_names_are_told)
{
    struct bench b = {0};
    struct diag d = DIAG_INIT;
    struct verify_report r;
    struct lines l;
    fill(&b, "entry");
    char *stranger = str_fmt("%s/blobs/00/%032d.seg", b.dir, 7), *dir = os_path(b.dir, "blobs/00");
    REQUIRE_OK(os_mkdir(dir, &d));
    file_write(stranger, BYTES("whatever"));
    verify(&b, true, &r, &l);
    EXPECT_EQ(r.strangers, 1);
    EXPECT_EQ(r.n_damages, 0);
    verify_report_release(&r);
    free(stranger);
    free(dir);

    struct catalog_txn *t = NULL;
    REQUIRE_OK(b.catalog->ops->begin(b.catalog, &t, &d));
    REQUIRE_OK(b.catalog->ops->put(t, "covered", "x/y", "", BYTES("not sealed at all"), &d));
    REQUIRE_OK(b.catalog->ops->commit(t, &d));
    for (int keys = 0; keys < 2; keys++) {
        verify(&b, keys != 0, &r, &l);
        EXPECT_EQ(r.n_damages, 1);
        EXPECT_STR(r.damages[0].file, "");
        verify_report_release(&r);
    }
    bench_release(&b);
}

TEST(verify, the_second_layer_is_checked_and_counted)
{
    struct bench b = {0};
    struct verify_report r;
    struct lines l;
    test_keys_init(&b.keys);
    b.keys.is_double = true;
    fill(&b, "double");
    verify(&b, true, &r, &l);
    EXPECT_EQ(r.n_damages, 0);
    EXPECT_EQ(r.opened, r.blocks);
    EXPECT_EQ(r.framed_files, 4);
    const struct verify_account *a = account_of(&r, customer);
    EXPECT_EQ(r.frames, a->blocks + account_of(&r, customer2)->blocks);
    EXPECT_EQ(a->n_aeks, 1);
    REQUIRE(a->aeks[0].is_framed && a->aeks[0].iek_id[0] == 0x1e);
    uint64_t frames = r.frames;
    verify_report_release(&r);

    verify(&b, false, &r, &l);
    EXPECT_EQ(r.n_damages, 0);
    EXPECT_EQ(r.frames, frames);
    EXPECT_EQ(r.opened, 0);
    verify_report_release(&r);

    b.keys.is_double = false; /* with keys of one layer every file is another's */
    verify(&b, true, &r, &l);
    EXPECT_EQ(r.n_damages, 4);
    verify_report_release(&r);
    bench_release(&b);
}
