/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/tool/audit.c - a log of key uses, tampered with in every way, and what verify finds */
#include "../custody/audit_log.h"

#include "base/time.h"
#include "tool/audit.h"

#include <fcntl.h>
#include <unistd.h>

#define EPOCH ((int64_t)5900000 * AUDIT_EPOCH_US)

static struct audit_signer signer_of_test(void)
{
    static struct secret *key;
    struct diag d = DIAG_INIT;
    if (key == NULL) REQUIRE_OK(secret_random(&key, 32, &d));
    struct audit_signer s = {.key = key};
    REQUIRE_OK(ed25519_public(key, s.public_key, &d));
    return s;
}

static void seal(struct audit *a, int64_t epochs, struct anchor_value *anchor)
{
    struct diag d = DIAG_INIT;
    struct audit_signer s = signer_of_test();
    struct audit_tip tip = {0};
    REQUIRE_OK(audit_seal(a, &s, EPOCH + epochs * AUDIT_EPOCH_US, &tip, &d));
    secret_free(tip.key);
    anchor->audit_seq = tip.seq;
    memcpy(anchor->audit_chain, tip.chain, sizeof anchor->audit_chain);
    memcpy(anchor->signer, s.public_key, sizeof anchor->signer);
}

/* One start of keyd: its segment, n lines, a seal, one line, a seal. */
static void run(const char *dir, int n, int64_t epoch, size_t file_max, struct anchor_value *anchor)
{
    struct diag d = DIAG_INIT;
    struct audit_past past = {0};
    CLEANUP(audit_close) struct audit *a = NULL;
    log_open(&a, dir, file_max, &past);
    for (int i = 0; i < n; i++)
        REQUIRE_OK(AUDIT(a, &d, "lease", F_STR("account", "aa"), F_U64("files", i)));
    seal(a, epoch, anchor);
    REQUIRE_OK(AUDIT(a, &d, "unwrap", F_STR("result", "ok")));
    seal(a, epoch + 1, anchor);
}

struct found {
    uint64_t n, first;
    char text[256];
};

static void note(void *ctx, uint64_t seq, const char *text)
{
    struct found *f = ctx;
    if (f->n++ != 0) return;
    f->first = seq;
    snprintf(f->text, sizeof f->text, "%s", text);
}

static struct audit_verify_report verify(const char *dir, bool keys,
                                         const struct anchor_value *anchor, struct found *f)
{
    struct diag d = DIAG_INIT;
    struct audit_verify_report r;
    *f = (struct found){0};
    const struct audit_verify_options o = {.dir = dir,
                                           .auditor = keys ? log_auditor() : NULL,
                                           .anchor = anchor,
                                           .on_damage = note,
                                           .ctx = f};
    REQUIRE_OK(audit_verify(&o, &r, &d));
    EXPECT_EQ(r.damages, f->n);
    return r;
}

static void put(const char *path, struct bytes b)
{
    CLEANUP_FD int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && write(fd, b.p, b.len) == (ssize_t)b.len);
}

/* Where line i (0 the first) begins; i = the number of lines: the end. */
static size_t line_at(const struct buf *text, size_t i)
{
    size_t at = 0;
    for (; i != 0 && at < text->len; i--)
        at = (size_t)((uint8_t *)memchr(text->p + at, '\n', text->len - at) - text->p) + 1;
    return at;
}

TEST(audit_verify, a_good_log_is_good_with_keys_without_and_with_the_anchor)
{
    char dir[256];
    struct anchor_value anchor = {0};
    struct found f;
    log_dir(dir);
    run(dir, 5, 0, 0, &anchor);
    run(dir, 5, 4, 0, &anchor); /* a gap of some epochs, in one record */
    struct audit_verify_report r = verify(dir, true, &anchor, &f);
    EXPECT_STR(f.text, "");
    EXPECT_EQ(r.segments, 2);
    EXPECT_EQ(r.seals, 4);
    EXPECT_EQ(r.macs, r.lines);
    EXPECT_EQ(r.signed_seq, r.last_seq);
    REQUIRE(r.signer_known);
    r = verify(dir, false, NULL, &f);
    EXPECT_EQ(f.n, 0);
    REQUIRE(!r.signer_known && memcmp(r.signer, anchor.signer, 32) == 0);
}

TEST(audit_verify, every_flipped_byte_is_found)
{
    char dir[256];
    struct anchor_value anchor = {0};
    struct found f;
    log_dir(dir);
    run(dir, 1, 0, 0, &anchor);
    CLEANUP_FREE char *path = log_file(dir, 0);
    CLEANUP_BUF struct buf text = log_text(dir);
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t changed = text.p[i] ^ 1;
        REQUIRE(pwrite(fd, &changed, 1, (off_t)i) == 1);
        struct audit_verify_report r = verify(dir, true, &anchor, &f);
        if (f.n == 0 && !r.torn) fail_msg("byte %zu of %zu", i, text.len);
        REQUIRE(pwrite(fd, &text.p[i], 1, (off_t)i) == 1);
    }
    verify(dir, true, &anchor, &f);
    EXPECT_EQ(f.n, 0);
}

TEST(audit_verify, a_line_that_was_removed_or_swapped_is_found_wherever_it_stood)
{
    char dir[256];
    struct anchor_value anchor = {0};
    struct found f;
    log_dir(dir);
    run(dir, 6, 0, 0, &anchor);
    uint64_t n = verify(dir, true, NULL, &f).lines;
    CLEANUP_FREE char *path = log_file(dir, 0);
    CLEANUP_BUF struct buf text = log_text(dir);
    for (size_t i = 0; i + 1 < n; i++) {
        size_t a = line_at(&text, i), b = line_at(&text, i + 1), c = line_at(&text, i + 2);
        CLEANUP_BUF struct buf less = {0}, swapped = {0};
        buf_bytes(&less, bytes_of(text.p, a));
        buf_bytes(&swapped, buf_view(&less));
        buf_bytes(&less, bytes_of(text.p + b, text.len - b));
        buf_bytes(&swapped, bytes_of(text.p + b, c - b));
        buf_bytes(&swapped, bytes_of(text.p + a, b - a));
        buf_bytes(&swapped, bytes_of(text.p + c, text.len - c));
        for (int keys = 0; keys < 2; keys++) {
            put(path, buf_view(&less));
            verify(dir, keys != 0, NULL, &f);
            REQUIRE(f.n != 0);
            put(path, buf_view(&swapped));
            verify(dir, keys != 0, NULL, &f);
            REQUIRE(f.n != 0);
        }
    }
}

TEST(audit_verify, a_cut_tail_is_found_with_the_anchor_only)
{
    char dir[256];
    struct anchor_value anchor = {0};
    struct found f;
    log_dir(dir);
    run(dir, 4, 0, 0, &anchor);
    uint64_t n = verify(dir, true, &anchor, &f).lines;
    CLEANUP_FREE char *path = log_file(dir, 0);
    CLEANUP_BUF struct buf text = log_text(dir);
    for (size_t i = 1; i < n; i++) {
        put(path, bytes_of(text.p, line_at(&text, i)));
        verify(dir, true, NULL, &f);
        EXPECT_EQ(f.n, 0);
        verify(dir, false, &anchor, &f);
        EXPECT_EQ(f.n, 1);
        REQUIRE(strstr(f.text, "the anchor has seen line") != NULL);
    }
}

/* Who has no key writes lines that link, under MACs of his own. */
TEST(audit_verify, lines_that_link_but_were_not_written_by_keyd_are_found)
{
    char dir[256], forged[256];
    struct anchor_value anchor = {0}, other = {0};
    struct found f;
    struct diag d = DIAG_INIT;
    log_dir(dir);
    run(dir, 3, 0, 0, &anchor);
    CLEANUP_FREE char *path = log_file(dir, 0);
    CLEANUP_BUF struct buf text = log_text(dir);
    size_t at = line_at(&text, 3);
    uint8_t chain[AUDIT_CHAIN_LEN] = {0};
    for (size_t i = 0; i < 3; i++) {
        CLEANUP_AUDIT_LINE struct audit_line l = {0};
        size_t a = line_at(&text, i);
        REQUIRE_OK(
            audit_line_read(bytes_of(text.p + a, line_at(&text, i + 1) - a - 1), chain, &l, &d));
    }
    CLEANUP_BUF struct buf new = {0}, body = {0};
    char hex[65];
    buf_str(&body, "{\"seq\":4,\"time\":\"2026-01-01T00:00:00.000000Z\",\"event\":\"lease\"}");
    audit_chain_next(chain, buf_view(&body));
    hex_encode(bytes_of(chain, sizeof chain), hex);
    buf_bytes(&new, bytes_of(text.p, at));
    buf_fmt(&new, "%.*s,\"chain\":\"%s\",\"mac\":\"%s\"}\n", (int)body.len - 1,
            (const char *)body.p, hex, hex);
    put(path, buf_view(&new));
    verify(dir, true, NULL, &f);
    EXPECT_EQ(f.n, 1);
    EXPECT_EQ(f.first, 4);
    REQUIRE(strstr(f.text, "MAC") != NULL);

    /* A whole log by somebody else, who knows the auditor's public key too. */
    log_dir(forged);
    run(forged, 3, 0, 0, &other);
    CLEANUP_BUF struct buf whole = log_text(forged);
    put(path, buf_view(&whole));
    verify(dir, true, &anchor, &f);
    REQUIRE(f.n != 0);
}

TEST(audit_verify, a_segment_from_another_history_in_the_place_of_the_last_is_found)
{
    char dir[256];
    struct anchor_value anchor = {0}, other = {0};
    struct found f;
    log_dir(dir);
    run(dir, 3, 0, 0, &anchor);
    CLEANUP_FREE char *path = log_file(dir, 0);
    CLEANUP_BUF struct buf first = log_text(dir);
    run(dir, 3, 2, 0, &anchor);
    CLEANUP_BUF struct buf one = log_text(dir);
    put(path, buf_view(&first));
    run(dir, 4, 2, 0, &other); /* the same start, once more, otherwise */
    verify(dir, true, NULL, &f);
    EXPECT_EQ(f.n, 0); /* it is keyd's own work, and links */
    verify(dir, true, &anchor, &f);
    REQUIRE(f.n != 0); /* but not what the anchor has seen */
    put(path, buf_view(&one));
    verify(dir, true, &anchor, &f);
    EXPECT_EQ(f.n, 0);
}

TEST(audit_verify, a_missing_file_is_found)
{
    char dir[256];
    struct anchor_value anchor = {0};
    struct found f;
    log_dir(dir);
    run(dir, 60, 0, 4096, &anchor);
    size_t n = log_n_files(dir);
    REQUIRE(n > 3);
    verify(dir, true, &anchor, &f);
    EXPECT_EQ(f.n, 0);
    for (size_t i = 0; i < n; i++) {
        CLEANUP_FREE char *path = log_file(dir, i), *away = str_fmt("%s.away", path);
        REQUIRE(rename(path, away) == 0);
        verify(dir, false, &anchor, &f);
        REQUIRE(f.n != 0);
        REQUIRE(rename(away, path) == 0);
    }
}

TEST(audit_verify, a_skipped_epoch_and_another_signer_are_found)
{
    char dir[256];
    struct diag d = DIAG_INIT;
    struct anchor_value anchor = {0};
    struct found f;
    struct audit_past past = {0};
    log_dir(dir);
    run(dir, 1, 0, 0, &anchor);
    {
        CLEANUP(audit_close) struct audit *a = NULL;
        CLEANUP(secret_free) struct secret *key = NULL;
        struct audit_tip tip = {0};
        log_open(&a, dir, 0, &past);
        REQUIRE_OK(secret_random(&key, 32, &d));
        struct audit_signer s = {.key = key};
        REQUIRE_OK(ed25519_public(key, s.public_key, &d));
        REQUIRE_OK(audit_seal(a, &s, EPOCH + 2 * AUDIT_EPOCH_US, &tip, &d));
        secret_free(tip.key);
    }
    verify(dir, true, NULL, &f);
    EXPECT_EQ(f.n, 1);
    REQUIRE(strstr(f.text, "another key") != NULL);

    /* An epoch without a seal: somebody with the keys left lines out before they were written. */
    log_dir(dir);
    run(dir, 1, 0, 0, &anchor);
    {
        CLEANUP(audit_close) struct audit *a = NULL;
        struct audit_signer s = signer_of_test();
        char signer[65];
        log_open(&a, dir, 0, &past);
        hex_encode(bytes_of(s.public_key, 32), signer);
        REQUIRE_OK(AUDIT(a, &d, "sealed", F_U64("epoch", EPOCH / AUDIT_EPOCH_US + 9),
                         F_U64("epochs", 1), F_STR("signer", signer)));
    }
    verify(dir, true, NULL, &f);
    EXPECT_EQ(f.n, 2); /* and it is not signed */
    REQUIRE(strstr(f.text, "does not follow epoch") != NULL);
}

TEST(audit_verify, another_auditors_segments_are_counted_not_called_damage)
{
    char dir[256];
    struct diag d = DIAG_INIT;
    struct anchor_value anchor = {0};
    struct audit_verify_report r;
    CLEANUP(letter_key_free) struct letter_key *mine = NULL;
    log_dir(dir);
    run(dir, 2, 0, 0, &anchor);
    REQUIRE_OK(letter_key_generate(&mine, &d));
    const struct audit_verify_options o = {.dir = dir, .auditor = mine};
    REQUIRE_OK(audit_verify(&o, &r, &d));
    EXPECT_EQ(r.damages, 0);
    EXPECT_EQ(r.segments_closed, 1);
    EXPECT_EQ(r.macs, 0);
}
