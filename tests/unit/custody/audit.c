/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/audit.c - the chain holds, a cut is kept and told, a log that cannot be
 * written gives no lease */
#include "audit_log.h"
#include "house.h"

#include <fcntl.h>

static void write_lines(const char *dir, int n, size_t file_max)
{
    struct diag d = DIAG_INIT;
    struct audit_past past = {0};
    CLEANUP(audit_close) struct audit *a = NULL;
    log_open(&a, dir, file_max, &past);
    for (int i = 0; i < n; i++)
        REQUIRE_OK(AUDIT(a, &d, "test", F_U64("i", i), F_STR("text", "a\"b\n")));
}

/* How many lines the log had when it was opened; this opening adds its own. */
static uint64_t lines_kept(const char *dir)
{
    struct audit_past past = {0};
    CLEANUP(audit_close) struct audit *a = NULL;
    log_open(&a, dir, 0, &past);
    return past.seq;
}

static void put(const char *path, struct bytes b)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(os_replace(path, b, &d));
}

#define OPENING 1 /* lines: segment.opened */

TEST(audit, the_chain_goes_on_over_restarts)
{
    char dir[256];
    log_dir(dir);
    write_lines(dir, 3, 0);
    write_lines(dir, 4, 0);
    EXPECT_EQ(lines_kept(dir), OPENING + 3 + OPENING + 4);
}

TEST(audit, every_changed_byte_breaks_the_chain_where_it_was_changed)
{
    char dir[256];
    log_set_level(LOG_ERROR + 1);
    log_dir(dir);
    write_lines(dir, 3, 0);
    CLEANUP_FREE char *path = log_file(dir, 0);
    CLEANUP_BUF struct buf good = log_text(dir);
    size_t mac_len = 64 + strlen(",\"mac\":\"\"}");
    for (size_t i = 0, line = 0, end = 0; i < good.len; i += 7) {
        while (i >= end) {
            end = (size_t)((uint8_t *)memchr(good.p + end, '\n', good.len - end) - good.p) + 1;
            line++;
        }
        if (end - 1 - i <= mac_len) continue; /* the MAC needs its key: tests/unit/tool/audit.c */
        good.p[i] ^= 1;
        put(path, buf_view(&good));
        good.p[i] ^= 1;
        EXPECT_EQ(lines_kept(dir), line - 1);
    }
}

TEST(audit, a_torn_line_is_set_aside_and_the_chain_goes_on)
{
    char dir[256];
    struct diag d = DIAG_INIT;
    log_set_level(LOG_ERROR + 1);
    log_dir(dir);
    write_lines(dir, 3, 0);
    CLEANUP_FREE char *path = log_file(dir, 0);
    int fd = open(path, O_WRONLY | O_APPEND);
    REQUIRE(write(fd, "{\"seq\":4,", 9) == 9);
    close(fd);
    EXPECT_EQ(lines_kept(dir), 4); /* this opening wrote two more: its segment, what was cut */
    EXPECT_EQ(lines_kept(dir), 6);
    CLEANUP_FREE char *aside = str_fmt("%s.cut-4", path);
    CLEANUP_BUF struct buf kept = {0};
    REQUIRE_OK(os_read_file(aside, 1 << 20, &kept, &d));
    REQUIRE(bytes_eq(buf_view(&kept), BYTES("{\"seq\":4,")));
}

TEST(audit, a_full_file_is_followed_by_the_next_and_the_chain_goes_on)
{
    char dir[256];
    log_dir(dir);
    write_lines(dir, 40, 4096);
    write_lines(dir, 40, 4096);
    REQUIRE(log_n_files(dir) > 3);
    CLEANUP_BUF struct buf all = log_text(dir);
    uint8_t chain[AUDIT_CHAIN_LEN] = {0};
    uint64_t seq = 0, opened = 0;
    for (uint8_t *p = all.p, *end; p < all.p + all.len; p = end + 1) {
        struct diag d = DIAG_INIT;
        CLEANUP_AUDIT_LINE struct audit_line l = {0};
        end = memchr(p, '\n', (size_t)(all.p + all.len - p));
        REQUIRE(end != NULL);
        REQUIRE_OK(audit_line_read(bytes_of(p, (size_t)(end - p)), chain, &l, &d));
        EXPECT_EQ(l.seq, ++seq);
        opened += json_get_str(l.doc, "previous") != NULL;
    }
    REQUIRE(opened == log_n_files(dir) || opened == log_n_files(dir) + 1); /* and the restart */
    EXPECT_EQ(lines_kept(dir), seq);
}

TEST(audit, where_the_newest_files_are_ruined_the_older_ones_say_where_the_log_ends)
{
    char dir[256];
    struct diag d = DIAG_INIT;
    log_set_level(LOG_ERROR + 1);
    log_dir(dir);
    write_lines(dir, 60, 4096);
    size_t n = log_n_files(dir);
    REQUIRE(n > 3);
    for (size_t i = n - 2; i < n; i++) {
        CLEANUP_FREE char *path = log_file(dir, i);
        put(path, BYTES("nothing\n"));
    }
    CLEANUP_AUDIT_READER struct audit_reader r = {0};
    REQUIRE_OK(audit_reader_open(&r, dir, 0, &d));
    EXPECT_EQ(lines_kept(dir), r.files[n - 2].first_seq - 1);
}

struct writer {
    struct audit *a;
    int ok;
};

static void *write_many(void *arg)
{
    struct writer *w = arg;
    for (int i = 0; i < 50; i++)
        w->ok += AUDIT(w->a, NULL, "test", F_U64("i", i)) == OK;
    return NULL;
}

TEST(audit, threads_share_a_sync_and_lose_no_line)
{
    struct diag d = DIAG_INIT;
    char dir[256];
    log_dir(dir);
    struct audit_past past = {0};
    struct audit *a;
    log_open(&a, dir, 8192, &past); /* files begin meanwhile */
    struct writer w[4] = {{a, 0}, {a, 0}, {a, 0}, {a, 0}};
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        REQUIRE_OK(thread_start(&t[i], write_many, &w[i], &d));
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        EXPECT_EQ(w[i].ok, 50);
    }
    audit_close(a);
    EXPECT_EQ(lines_kept(dir), 200 + OPENING + log_n_files(dir) - 1);
}

TEST(audit, after_one_failed_sync_every_line_fails)
{
    struct diag d = DIAG_INIT;
    char dir[256];
    log_set_level(LOG_ERROR + 1);
    log_dir(dir);
    struct audit_past past = {0};
    CLEANUP(audit_close) struct audit *a = NULL;
    log_open(&a, dir, 0, &past);
    os_fault_arm(1, EIO);
    REQUIRE_ERR(ERR_IO, AUDIT(a, &d, "test", F_STR("a", "b")));
    os_fault_arm(0, 0);
    REQUIRE_ERR(ERR_IO, AUDIT(a, &d, "test", F_STR("a", "b")));
}

static const uint8_t account[16] = "account-one.....";

TEST(audit, no_log_no_lease)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    REQUIRE(house_settles(&h));
    log_set_level(LOG_ERROR + 1);
    pthread_mutex_lock(&h.keyd->lock); /* nobody else is at a file meanwhile */
    os_fault_arm(1, EIO);
    REQUIRE_ERR(ERR_IO, AUDIT(h.keyd->audit, &d, "test", F_STR("a", "b")));
    os_fault_arm(0, 0);
    pthread_mutex_unlock(&h.keyd->lock);
    struct file_key *k;
    uint8_t file_id[16] = {1};
    REQUIRE_ERR(ERR_IO, custody_file_create(h.custody, account, OTYPE_WAL, file_id, &k, &d));
    EXPECT_EQ(h.n_audit_failed, 1); /* once: this keyd is to end */
    house_restart_keyd(&h);
    house_advance(40);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE_OK(custody_file_create(h.custody, account, OTYPE_WAL, file_id, &k, &d));
    custody_file_release(h.custody, k);
    house_close(&h);
}

TEST(audit, no_log_no_new_key_and_no_unwrapped_one)
{
    static const uint8_t other[16] = "account-two.....";
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE(house_settles(&h));
    log_set_level(LOG_ERROR + 1);
    pthread_mutex_lock(&h.keyd->lock); /* nobody else is at a file meanwhile */
    os_fault_arm(1, EIO);
    REQUIRE_ERR(ERR_IO, AUDIT(h.keyd->audit, &d, "test", F_STR("a", "b")));
    os_fault_arm(0, 0);
    pthread_mutex_unlock(&h.keyd->lock);
    REQUIRE_ERR(ERR_IO, custody_account_add(h.custody, CLUSTER, other, "w", &d));
    house_advance(40); /* the vault unwraps, but what it gave is not used: as if it were silent */
    REQUIRE(house_reaches(&h, account, KEY_STALE));
    house_close(&h);
}

static bool has_line(const char *text, const char *a, const char *b)
{
    for (const char *p = text; p != NULL && *p != 0;
         p = strchr(p, '\n'), p = p != NULL ? p + 1 : NULL) {
        const char *end = strchr(p, '\n');
        CLEANUP_FREE char *line = strndup(p, end != NULL ? (size_t)(end - p) : strlen(p));
        if (strstr(line, a) != NULL && strstr(line, b) != NULL) return true;
    }
    return false;
}

TEST(audit, every_use_of_a_key_has_its_line)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    struct file_key *k;
    uint8_t file_id[16] = {1};
    REQUIRE_OK(custody_file_create(h.custody, account, OTYPE_WAL, file_id, &k, &d));
    custody_file_release(h.custody, k);
    tv_enable(&h.vault, "kek", NULL, false);
    house_advance(36);
    struct buf log = log_text(h.audit_dir);
    const char *text = buf_cstr(&log);
    REQUIRE(has_line(text, "\"event\":\"wrap\"", "\"purpose\":\"create\""));
    REQUIRE(has_line(text, "\"event\":\"unwrap\"", "\"result\":\"ok\""));
    REQUIRE(has_line(text, "\"event\":\"unwrap\"", "\"code\":\"KeyDisabled\""));
    REQUIRE(has_line(text, "\"event\":\"lease\"", "\"op\":\"create\""));
    REQUIRE(has_line(text, "\"event\":\"state\"", "\"now\":\"REVOKED\""));
    REQUIRE(has_line(text, "\"event\":\"mk.installed\"", "pmk"));
    buf_release(&log);
    house_close(&h);
}

TEST(audit, a_policy_that_comes_with_a_key_is_written_down_before_it_counts)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    struct custody_kek kek = house_kek("");
    CLEANUP_BUF struct buf text = log_text(h.audit_dir);
    REQUIRE(
        !has_line(buf_cstr(&text), "scope.policy", CLUSTER)); /* the server's own: nothing new */
    kek.policy = (struct key_policy){.outage = OUTAGE_SUSPEND, .grace_s = 77};
    REQUIRE_OK(custody_scope_set(h.custody, CLUSTER, &kek, NULL, &d));
    buf_release(&text);
    text = log_text(h.audit_dir);
    REQUIRE(has_line(buf_cstr(&text), "scope.policy", "77"));
    REQUIRE(strstr(buf_cstr(&text), "scope.policy") <
            strstr(strstr(buf_cstr(&text), "scope.policy"), "scope.set"));

    /* It cannot be written: the old one stays. */
    REQUIRE(house_settles(&h));
    log_set_level(LOG_ERROR + 1);
    pthread_mutex_lock(&h.keyd->lock);
    os_fault_arm(1, EIO);
    REQUIRE_ERR(ERR_IO, AUDIT(h.keyd->audit, &d, "test", F_STR("a", "b")));
    os_fault_arm(0, 0);
    pthread_mutex_unlock(&h.keyd->lock);
    kek.policy.grace_s = 88;
    REQUIRE_ERR(ERR_IO, custody_scope_set(h.custody, CLUSTER, &kek, NULL, &d));
    pthread_mutex_lock(&h.keyd->lock);
    EXPECT_EQ(scope_find(h.keyd, CLUSTER)->rec.policy.grace_s, 77);
    pthread_mutex_unlock(&h.keyd->lock);
    house_close(&h);
}
