/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/wal.c - what a crash may leave of a log file, and what is read back from it */
#include "test.h"
#include "test_keys.h"

#include "base/thread.h"
#include "base/time.h"
#include "storage/wal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST (WAL_NUMBERS * 3)

static const uint8_t account[16] = {0xaa};

struct file {
    struct test_keys keys;
    char *dir;
    struct wal_config c;
};

static void file_init(struct file *f, uint8_t number)
{
    struct diag d = DIAG_INIT;
    *f = (struct file){0};
    test_keys_init(&f->keys);
    f->dir = os_path(test_dir(), "wal");
    REQUIRE_OK(os_mkdir(f->dir, &d));
    f->c = (struct wal_config){
        .dir = f->dir, .keys = &f->keys.keys, .file_id = {number}, .first = FIRST};
    memcpy(f->c.account, account, sizeof account);
}

static void file_release(struct file *f)
{
    struct diag d = DIAG_INIT;
    char *path = wal_path(f->dir, f->c.file_id);
    REQUIRE_OK(os_remove(path, &d));
    EXPECT_EQ(f->keys.n_out, 0); /* every key was given back */
    free(path);
    free(f->dir);
}

struct seen {
    uint64_t numbers[64];
    uint32_t n;
};

static void see(void *arg, uint64_t number)
{
    struct seen *s = arg;
    REQUIRE(s->n < 64);
    s->numbers[s->n++] = number;
}

static enum err append_text(struct wal *w, const char *text, struct seen *seen, struct diag *d)
{
    CLEANUP_BUF struct buf record = {0};
    wal_record_begin(&record, RECORD_ROWS);
    buf_str(&record, text);
    return wal_append(w, &record, 1, see, seen, d);
}

/* Reads all records after the start; their bodies, each with a comma, and where the good part ends.
 */
static enum err read_all(struct file *f, struct buf *out, size_t *end, struct diag *d)
{
    CLEANUP_LOCAL(wal_reader_release) struct wal_reader r = {0};
    CLEANUP_BUF struct buf plain = {0};
    struct file_key *k = NULL;
    TRY(wal_reader_open(&r, f->dir, account, f->c.file_id, FIRST, d));
    TRY(f->keys.keys.ops->open(&f->keys, account, &r.ident, 1, &k, d));
    enum err e;
    for (;;) {
        struct wal_record rec;
        e = wal_reader_next(&r, k, &plain, &rec, d);
        if (e != OK || rec.number == 0) break;
        if (rec.kind != RECORD_ROWS) continue;
        buf_bytes(out, rec.body);
        buf_str(out, ",");
    }
    test_keys_release(&f->keys, k);
    *end = r.pos;
    return e;
}

static void write_three(struct file *f, size_t ends[4])
{
    struct diag d = DIAG_INIT;
    struct wal *w = NULL;
    struct seen seen = {0};
    REQUIRE_OK(wal_create(&w, &f->c, &d));
    ends[0] = wal_length(w);
    REQUIRE_OK(append_text(w, "one", &seen, &d));
    ends[1] = wal_length(w);
    REQUIRE_OK(append_text(w, "two", &seen, &d));
    ends[2] = wal_length(w);
    REQUIRE_OK(append_text(w, "three", &seen, &d));
    ends[3] = wal_length(w);
    EXPECT_EQ(seen.n, 3);
    for (uint64_t i = 0; i < 3; i++)
        REQUIRE(seen.numbers[i] == FIRST + 1 + i);
    wal_unref(w);
}

static void image_read(struct file *f, struct buf *image)
{
    struct diag d = DIAG_INIT;
    char *path = wal_path(f->dir, f->c.file_id);
    REQUIRE_OK(os_read_file(path, 1 << 20, image, &d));
    free(path);
}

static void image_write(struct file *f, struct bytes image)
{
    char *path = wal_path(f->dir, f->c.file_id);
    int fd = open(path, O_WRONLY | O_TRUNC);
    REQUIRE(fd >= 0 && write(fd, image.p, image.len) == (ssize_t)image.len);
    close(fd);
    free(path);
}

static void read_back(bool is_double)
{
    struct diag d = DIAG_INIT;
    struct file f;
    size_t ends[4], end = 0;
    file_init(&f, 1);
    f.keys.is_double = is_double;
    write_three(&f, ends);
    CLEANUP_BUF struct buf got = {0};
    REQUIRE_OK(read_all(&f, &got, &end, &d));
    EXPECT_STR(buf_cstr(&got), "one,two,three,");
    EXPECT_EQ(end, ends[3]);
    file_release(&f);
}

TEST(wal, what_was_appended_is_read_back_in_order)
{
    read_back(false);
}

TEST(wal, sealed_twice_what_was_appended_is_read_back_in_order)
{
    read_back(true);
}

/* Cuts the file at every byte: a crash may stop a write anywhere. */
static void tear(bool is_double)
{
    struct diag d = DIAG_INIT;
    struct file f;
    size_t ends[4];
    file_init(&f, 2);
    f.keys.is_double = is_double;
    write_three(&f, ends);
    CLEANUP_BUF struct buf image = {0};
    image_read(&f, &image);
    static const char *const want[] = {"", "one,", "one,two,", "one,two,three,"};
    for (size_t cut = 0; cut <= image.len; cut++) {
        image_write(&f, bytes_of(image.p, cut));
        CLEANUP_BUF struct buf got = {0};
        size_t end = 0;
        if (cut < ends[0]) { /* the start was durable before anyone knew the file's name */
            REQUIRE_ERR(ERR_CORRUPT, read_all(&f, &got, &end, &d));
            continue;
        }
        uint32_t whole = 0;
        while (whole < 3 && ends[whole + 1] <= cut)
            whole++;
        REQUIRE_OK(read_all(&f, &got, &end, &d));
        EXPECT_STR(buf_cstr(&got), want[whole]);
        EXPECT_EQ(end, ends[whole]);
    }
    file_release(&f);
}

TEST(wal, a_torn_tail_never_hides_a_whole_record)
{
    tear(false);
}

TEST(wal, sealed_twice_a_torn_tail_never_hides_a_whole_record)
{
    tear(true);
}

/* The disk may have written the sectors of an unsynced group in any order. */
static void spoil(bool is_double)
{
    struct diag d = DIAG_INIT;
    struct file f;
    size_t ends[4];
    file_init(&f, 3);
    f.keys.is_double = is_double;
    write_three(&f, ends);
    CLEANUP_BUF struct buf image = {0};
    image_read(&f, &image);
    for (size_t at = ends[0]; at < image.len; at++) {
        CLEANUP_BUF struct buf got = {0};
        size_t end = 0;
        image.p[at] ^= 0x10;
        image_write(&f, buf_view(&image));
        enum err e = read_all(&f, &got, &end, NULL);
        if (at < ends[1]) { /* "two" and "three" vouch for "one" */
            EXPECT_EQ(e, ERR_CORRUPT);
        } else if (at < ends[2]) { /* "three" vouches for "two" */
            EXPECT_EQ(e, ERR_CORRUPT);
        } else { /* nobody vouches for "three" */
            EXPECT_EQ(e, OK);
            EXPECT_STR(buf_cstr(&got), "one,two,");
            EXPECT_EQ(end, ends[2]);
        }
        image.p[at] ^= 0x10;
    }
    /* Zeroes where sectors never arrived, with a whole header behind: still corrupt, still found.
     */
    memset(image.p + ends[0], 0, ends[1] - ends[0]);
    image_write(&f, buf_view(&image));
    CLEANUP_BUF struct buf got = {0};
    size_t end = 0;
    REQUIRE_ERR(ERR_CORRUPT, read_all(&f, &got, &end, &d));
    file_release(&f);
}

TEST(wal, a_bad_record_is_a_torn_tail_unless_a_later_one_says_that_it_was_durable)
{
    spoil(false);
}

TEST(wal, sealed_twice_a_bad_record_is_a_torn_tail_unless_a_later_one_says_that_it_was_durable)
{
    spoil(true);
}

struct appender {
    struct wal *w;
    struct seen seen;
    int failed;
};

static void *append_some(void *arg)
{
    struct appender *a = arg;
    for (int i = 0; i < 10; i++) {
        char text[32];
        snprintf(text, sizeof text, "%d", i);
        if (append_text(a->w, text, &a->seen, NULL) != OK) a->failed++;
    }
    return NULL;
}

/* Two records sealed into one group carry the same figure: neither vouches for the other. */
TEST(wal, a_record_does_not_vouch_for_its_own_group)
{
    struct file f;
    size_t end = 0;
    file_init(&f, 4);
    struct diag d = DIAG_INIT;
    struct wal *w = NULL;
    REQUIRE_OK(wal_create(&w, &f.c, &d));
    size_t start = wal_length(w);
    wal_unref(w);
    /* What a group of two leaves on disk, made by hand with the file's own key. */
    CLEANUP_BUF struct buf image = {0}, record = {0}, first = {0};
    image_read(&f, &image);
    struct file_ident ident;
    struct file_key *k = NULL;
    REQUIRE_OK(file_header_decode(buf_view(&image), &ident, &d));
    REQUIRE_OK(f.keys.keys.ops->open(&f.keys, account, &ident, 1, &k, &d));
    wal_record_begin(&record, RECORD_ROWS);
    record.p[4] = 3; /* durable: FIRST, the start */
    buf_str(&record, "x");
    REQUIRE_OK(block_seal(k, BTYPE_WAL, FIRST + 1, buf_view(&record), &image, &d));
    REQUIRE_OK(block_seal(k, BTYPE_WAL, FIRST + 2, buf_view(&record), &image, &d));
    test_keys_release(&f.keys, k);
    image_write(&f, buf_view(&image));
    REQUIRE_OK(read_all(&f, &first, &end, &d));
    EXPECT_STR(buf_cstr(&first), "x,x,");
    image.p[start + 100] ^= 1; /* the first of the two never arrived whole */
    image_write(&f, buf_view(&image));
    CLEANUP_BUF struct buf got = {0};
    REQUIRE_OK(read_all(&f, &got, &end, &d));
    EXPECT_STR(buf_cstr(&got), "");
    EXPECT_EQ(end, start);
    file_release(&f);
}

TEST(wal, many_appenders_share_a_file_and_are_told_in_order)
{
    struct diag d = DIAG_INIT;
    struct file f;
    file_init(&f, 5);
    struct appender a[4] = {0};
    pthread_t threads[4];
    struct wal *w = NULL;
    REQUIRE_OK(wal_create(&w, &f.c, &d));
    for (int i = 0; i < 4; i++) {
        a[i].w = w;
        REQUIRE_OK(thread_start(&threads[i], append_some, &a[i], &d));
    }
    uint64_t sum = 0;
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        EXPECT_EQ(a[i].failed, 0);
        EXPECT_EQ(a[i].seen.n, 10);
        for (int k = 0; k < 10; k++)
            sum += a[i].seen.numbers[k] - FIRST;
        for (int k = 1; k < 10; k++)
            REQUIRE(a[i].seen.numbers[k] > a[i].seen.numbers[k - 1]);
    }
    EXPECT_EQ(sum, 40 * 41 / 2);
    wal_unref(w);
    file_release(&f);
}

TEST(wal, a_failed_write_or_sync_ends_the_file_and_only_what_was_acknowledged_is_in_it)
{
    struct diag d = DIAG_INIT;
    for (uint64_t nth = 1; nth <= 2; nth++) { /* write, fdatasync */
        struct file f;
        struct seen seen = {0};
        file_init(&f, (uint8_t)(10 + nth));
        struct wal *w = NULL;
        REQUIRE_OK(wal_create(&w, &f.c, &d));
        REQUIRE_OK(append_text(w, "good", &seen, &d));
        os_fault_arm(nth, EIO);
        REQUIRE_ERR(ERR_IO, append_text(w, "bad", &seen, &d));
        os_fault_arm(0, 0);
        REQUIRE_ERR(ERR_CONFLICT, append_text(w, "later", &seen, &d)); /* never again */
        REQUIRE(wal_ended(w));
        EXPECT_EQ(seen.n, 1);
        struct wal_end end;
        wal_drain(w, &end);
        REQUIRE(end.last == FIRST + 1);
        wal_unref(w);
        CLEANUP_BUF struct buf got = {0};
        size_t at = 0;
        REQUIRE_OK(read_all(&f, &got, &at, &d));
        EXPECT_STR(buf_cstr(&got), "good,");
        EXPECT_EQ(at, end.length);
        file_release(&f);
    }
}

TEST(wal, making_a_file_fails_whole)
{
    FAULT_SWEEP (n) {
        struct file f;
        struct diag d = DIAG_INIT;
        os_fault_arm(0, 0);
        file_init(&f, 20);
        os_fault_arm(n, EIO);
        struct wal *w = NULL;
        enum err e = wal_create(&w, &f.c, &d);
        bool fired = os_fault_fired();
        os_fault_arm(0, 0);
        char *path = wal_path(f.dir, f.c.file_id);
        REQUIRE(e != OK || os_exists(path));
        REQUIRE(e == OK || (w == NULL && !os_exists(path)));
        REQUIRE(fired == (e != OK));
        free(path);
        wal_unref(w);
        file_release(&f);
        if (fired) { /* say so to the sweep again: cleaning up has disarmed it */
            os_fault_arm(1, EIO);
            (void)os_fault();
        }
    }
}

TEST(wal, an_ended_file_takes_no_more_and_gives_its_key_back)
{
    struct diag d = DIAG_INIT;
    struct file f;
    struct seen seen = {0};
    file_init(&f, 6);
    struct wal *w = NULL;
    REQUIRE_OK(wal_create(&w, &f.c, &d));
    EXPECT_EQ(f.keys.n_out, 1);
    wal_end(w);
    EXPECT_EQ(f.keys.n_out, 0);
    REQUIRE_ERR(ERR_CONFLICT, append_text(w, "x", &seen, &d));
    wal_unref(w);
    file_release(&f);
}

TEST(wal, a_locked_key_writes_nothing)
{
    struct diag d = DIAG_INIT;
    struct file f;
    struct seen seen = {0};
    file_init(&f, 7);
    struct wal *w = NULL;
    REQUIRE_OK(wal_create(&w, &f.c, &d));
    uint64_t before = wal_length(w);
    test_keys_set(&f.keys, account, ERR_KEY_LOCKED);
    REQUIRE_ERR(ERR_KEY_LOCKED, append_text(w, "x", &seen, &d));
    EXPECT_EQ(wal_length(w), before);
    EXPECT_EQ(seen.n, 0);
    wal_unref(w);
    file_release(&f);
}

TEST(wal, a_file_of_another_name_or_account_is_refused)
{
    struct diag d = DIAG_INIT;
    struct file f;
    file_init(&f, 8);
    size_t ends[4];
    write_three(&f, ends);
    CLEANUP_LOCAL(wal_reader_release) struct wal_reader r = {0};
    static const uint8_t other[16] = {0xbb};
    REQUIRE_ERR(ERR_CORRUPT, wal_reader_open(&r, f.dir, other, f.c.file_id, FIRST, &d));
    static const uint8_t missing[16] = {0x99};
    REQUIRE_ERR(ERR_CORRUPT, wal_reader_open(&r, f.dir, account, missing, FIRST, &d));
    /* Its bytes under another name. */
    CLEANUP_BUF struct buf image = {0};
    image_read(&f, &image);
    char *path = wal_path(f.dir, other);
    REQUIRE_OK(os_replace(path, buf_view(&image), &d));
    REQUIRE_ERR(ERR_CORRUPT, wal_reader_open(&r, f.dir, account, other, FIRST, &d));
    REQUIRE_OK(os_remove(path, &d));
    free(path);
    file_release(&f);
}
