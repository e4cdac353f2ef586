/* SPDX-License-Identifier: Apache-2.0 */
/* The test cases that come with the patterns of uap-core, where its package is installed. */
#include "test.h"

#include "base/os.h"
#include "column/scan.h"
#include "func/user_agent.h"

#include <stdio.h>

#define CASES "/usr/share/uap-core/tests/"

struct sample {
    struct bytes text, want[UA_FIELDS_MAX];
    bool there, odd; /* odd: quoted in a way that this reader does not know */
};

/* 'x', with '' for one quote, is unquoted in place; nothing is "". */
static bool read_value(struct bytes s, struct bytes *out)
{
    uint8_t *to = (uint8_t *)(uintptr_t)s.p;
    *out = (struct bytes){0};
    if (s.len == 0) return true;
    if (s.p[0] != '\'' || s.len < 2 || s.p[s.len - 1] != '\'') return false;
    *out = bytes_of(to, 0);
    for (size_t i = 1; i + 1 < s.len; i++) {
        to[out->len++] = s.p[i];
        if (s.p[i] == '\'') i++;
    }
    return true;
}

static bool as_wanted(enum ua_part part, const struct sample *c, struct ua *ua)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(ua_find(part, c->text, ua, &d));
    for (uint32_t k = 0; k < ua_fields(part); k++) {
        if (!bytes_eq(bytes_trim(c->want[k]), ua->fields[k])) return false;
    }
    return true;
}

static void run(enum ua_part part, const struct sample *c, unsigned step, unsigned *n,
                unsigned *wrong)
{
    CLEANUP_UA struct ua ua = {0};
    if (!c->there || c->odd || (*n)++ % step != 0 || as_wanted(part, c, &ua)) return;
    if ((*wrong)++ < 5)
        fprintf(stderr, "%.*s is not '%.*s'\n", (int)c->text.len, (const char *)c->text.p,
                (int)ua.fields[0].len, (const char *)ua.fields[0].p);
}

/* Every step-th case of a file. */
static void run_file(const char *path, enum ua_part part, const char *const *keys, unsigned step)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf file = {0};
    struct sample c = {0};
    unsigned n = 0, wrong = 0;
    REQUIRE_OK(os_read_file(path, (size_t)16 << 20, &file, &d));
    for (const uint8_t *p = file.p, *end = file.p + file.len; p < end;) {
        const uint8_t *eol = memchr(p, '\n', (size_t)(end - p));
        if (eol == NULL) eol = end;
        struct bytes line = bytes_trim(bytes_of(p, (size_t)(eol - p)));
        const uint8_t *colon = memchr(line.p, ':', line.len);
        p = eol + 1;
        if (colon == NULL) continue;
        struct bytes key = bytes_trim(bytes_of(line.p, (size_t)(colon - line.p)));
        struct bytes value =
            bytes_trim(bytes_of(colon + 1, (size_t)(line.p + line.len - colon - 1)));
        if (bytes_eq(key, BYTES("- user_agent_string"))) {
            run(part, &c, step, &n, &wrong);
            c = (struct sample){.there = true};
            c.odd = !read_value(value, &c.text);
        }
        for (uint32_t k = 0; k < ua_fields(part); k++) {
            if (bytes_eq(key, bytes_str(keys[k]))) c.odd |= !read_value(value, &c.want[k]);
        }
    }
    run(part, &c, step, &n, &wrong);
    fprintf(stderr, "%s: %u cases, every %u. looked at, %u wrong\n", path, n, step, wrong);
    EXPECT_EQ(wrong, 0);
    REQUIRE(n > 100);
}

TEST(func, the_cases_of_uap_core_come_out_as_it_says)
{
    static const char *const browser[] = {"family", "major", "minor", "patch"};
    static const char *const os[] = {"family", "major", "minor", "patch", "patch_minor"};
    static const char *const device[] = {"family", "brand", "model"};
    struct diag d = DIAG_INIT;
    if (ua_ready(&d) != OK) {
        fprintf(stderr, "skipped: %s\n", d.text);
        return;
    }
    run_file(CASES "test_ua.yaml", UA_BROWSER, browser, 5);
    run_file(CASES "test_os.yaml", UA_OS, os, 2);
    run_file(CASES "test_device.yaml", UA_DEVICE, device, 31);
}
