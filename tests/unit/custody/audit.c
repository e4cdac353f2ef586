/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/audit.c - the chain holds, a cut is kept and told, a log that cannot be
 * written gives no lease */
#include "house.h"

#include <fcntl.h>

static void path_of(const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", test_dir(), name);
    unlink(out);
}

static void write_lines(const char *path, int n)
{
    struct diag d = DIAG_INIT;
    struct audit_past past = {0};
    CLEANUP(audit_close) struct audit *a = NULL;
    REQUIRE_OK(audit_open(&a, path, &past, &d));
    for (int i = 0; i < n; i++)
        REQUIRE_OK(AUDIT(a, &d, "test", F_U64("i", i), F_STR("text", "a\"b\n")));
}

static uint64_t lines_kept(const char *path)
{
    struct diag d = DIAG_INIT;
    struct audit_past past = {0};
    CLEANUP(audit_close) struct audit *a = NULL;
    REQUIRE_OK(audit_open(&a, path, &past, &d));
    return past.n_lines;
}

static struct buf contents(const char *path)
{
    struct diag d = DIAG_INIT;
    struct buf b = {0};
    REQUIRE_OK(os_read_file(path, 1 << 20, &b, &d));
    return b;
}

TEST(audit, the_chain_goes_on_over_restarts)
{
    char path[256];
    path_of("chain.log", path);
    write_lines(path, 3);
    write_lines(path, 4);
    EXPECT_EQ(lines_kept(path), 7);
}

TEST(audit, every_changed_byte_breaks_the_chain_where_it_was_changed)
{
    char path[256];
    log_set_level(LOG_ERROR + 1);
    path_of("flip.log", path);
    write_lines(path, 3);
    struct buf good = contents(path);
    for (size_t i = 0; i < good.len; i += 7) {
        path_of("flip.log", path);
        int fd = open(path, O_WRONLY | O_CREAT, 0600);
        good.p[i] ^= 1;
        REQUIRE(write(fd, good.p, good.len) == (ssize_t)good.len);
        good.p[i] ^= 1;
        close(fd);
        size_t line = 0;
        for (size_t j = 0; j < i; j++)
            line += good.p[j] == '\n';
        EXPECT_EQ(lines_kept(path), line);
    }
    buf_release(&good);
}

TEST(audit, a_torn_line_is_set_aside_and_the_chain_goes_on)
{
    char path[256];
    struct diag d = DIAG_INIT;
    log_set_level(LOG_ERROR + 1);
    path_of("torn.log", path);
    write_lines(path, 3);
    int fd = open(path, O_WRONLY | O_APPEND);
    REQUIRE(write(fd, "{\"seq\":4,", 9) == 9);
    close(fd);
    EXPECT_EQ(lines_kept(path), 3); /* this opening wrote a fourth: what was cut */
    EXPECT_EQ(lines_kept(path), 4);
    CLEANUP_FREE char *aside = str_fmt("%s.cut-3", path);
    CLEANUP_BUF struct buf kept = {0};
    REQUIRE_OK(os_read_file(aside, 1 << 20, &kept, &d));
    REQUIRE(bytes_eq(buf_view(&kept), BYTES("{\"seq\":4,")));
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
    char path[256];
    path_of("threads.log", path);
    struct audit_past past = {0};
    struct audit *a;
    REQUIRE_OK(audit_open(&a, path, &past, &d));
    struct writer w[4] = {{a, 0}, {a, 0}, {a, 0}, {a, 0}};
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        REQUIRE_OK(thread_start(&t[i], write_many, &w[i], &d));
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        EXPECT_EQ(w[i].ok, 50);
    }
    audit_close(a);
    EXPECT_EQ(lines_kept(path), 200);
}

TEST(audit, after_one_failed_sync_every_line_fails)
{
    struct diag d = DIAG_INIT;
    char path[256];
    log_set_level(LOG_ERROR + 1);
    path_of("failed.log", path);
    struct audit_past past = {0};
    CLEANUP(audit_close) struct audit *a = NULL;
    REQUIRE_OK(audit_open(&a, path, &past, &d));
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
    time_sleep_us(300000);
    log_set_level(LOG_ERROR + 1);
    pthread_mutex_lock(&h.keyd->lock); /* nobody else is at a file meanwhile */
    os_fault_arm(1, EIO);
    REQUIRE_ERR(ERR_IO, AUDIT(h.keyd->audit, &d, "test", F_STR("a", "b")));
    os_fault_arm(0, 0);
    pthread_mutex_unlock(&h.keyd->lock);
    struct file_key *k;
    uint8_t file_id[16] = {1};
    REQUIRE_ERR(ERR_IO, custody_file_create(h.custody, account, OTYPE_WAL, file_id, &k, &d));
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
    struct buf log = contents(h.audit_file);
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
