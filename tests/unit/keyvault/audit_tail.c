/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/audit_tail.c - a log is read while it is written, each record once */
#include "base/os.h"
#include "base/str.h"
#include "keyvault/audit_log.h"
#include "keyvault/audit_tail.h"
#include "test.h"

#include <fcntl.h>
#include <unistd.h>

static const char record[] = "{\"said\":\"a ,\\\"sequence\\\":99 that a client sent\"}";

static void append(struct audit_log *a, int n)
{
    struct diag d = DIAG_INIT;
    for (int i = 0; i < n; i++)
        REQUIRE_OK(audit_log_append(a, bytes_str(record), false, &d));
}

/* Checks that the numbers are after + 1, after + 2 ...; returns the last. */
static uint64_t read_on(struct audit_tail *t, uint64_t after, size_t max)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf out = {0};
    REQUIRE_OK(audit_tail_read(t, after, max, &out, &d));
    for (size_t i = 0; i < out.len;) {
        const uint8_t *end = memchr(out.p + i, '\n', out.len - i);
        REQUIRE(end != NULL);
        size_t n = (size_t)(end - (out.p + i)) + 1;
        EXPECT_EQ(audit_line_sequence(bytes_of(out.p + i, n)), ++after);
        i += n;
    }
    return after;
}

TEST(audit_tail, records_come_in_order_once_across_files)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *dir = os_path(test_dir(), "order");
    CLEANUP(audit_log_close) struct audit_log *a = NULL;
    REQUIRE_OK(audit_log_open(&a, dir, 2000, &d)); /* a few records to a file */
    struct audit_tail t = {.dir = dir};
    uint64_t last = read_on(&t, 0, 1 << 20), end = 0;
    EXPECT_EQ(last, 0);
    for (int i = 0; i < 20; i++) {
        append(a, 1 + i % 7);
        last = read_on(&t, last, i % 2 == 0 ? 1 : 1 << 20);
    }
    for (uint64_t was = UINT64_MAX; was != last;) {
        was = last;
        last = read_on(&t, last, 1 << 20);
    }
    REQUIRE_OK(audit_tail_end(dir, &end, &d));
    EXPECT_EQ(last, end);
    EXPECT_EQ(last, 77);
    audit_tail_release(&t);
}

TEST(audit_tail, it_begins_behind_any_number)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *dir = os_path(test_dir(), "begin");
    CLEANUP(audit_log_close) struct audit_log *a = NULL;
    REQUIRE_OK(audit_log_open(&a, dir, 2000, &d));
    append(a, 50);
    for (uint64_t after = 0; after <= 50; after++) {
        struct audit_tail t = {.dir = dir};
        EXPECT_EQ(read_on(&t, after, 1 << 20), 50);
        EXPECT_EQ(read_on(&t, 50, 1 << 20), 50);
        EXPECT_EQ(read_on(&t, 3, 1 << 20), 50); /* back again */
        audit_tail_release(&t);
    }
}

/* Cuts at every byte: the writer may be anywhere in its last line. */
TEST(audit_tail, half_a_line_is_not_given_out)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *dir = os_path(test_dir(), "half");
    CLEANUP_FREE char *path = os_path(dir, "audit-000000000001.jsonl");
    CLEANUP_BUF struct buf whole = {0};
    struct audit_log *a = NULL;
    REQUIRE_OK(audit_log_open(&a, dir, 1 << 20, &d));
    append(a, 2);
    audit_log_close(a);
    REQUIRE_OK(os_read_file(path, 1 << 20, &whole, &d));
    size_t first = (size_t)((uint8_t *)memchr(whole.p, '\n', whole.len) - whole.p) + 1;
    for (size_t cut = 0; cut <= whole.len; cut++) {

        REQUIRE_OK(os_replace(path, bytes_of(whole.p, cut), &d));
        struct audit_tail t = {.dir = dir};
        EXPECT_EQ(read_on(&t, 0, 1 << 20), (cut >= first) + (cut >= whole.len));
        audit_tail_release(&t);
    }
}
