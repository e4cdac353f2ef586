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

#include "base/rand.h"

#include <fcntl.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#define MASK 0x5a

static const uint8_t account[16] = "account-one.....";

struct masked {
    uint8_t b[32];
};

static struct masked mask(struct bytes secret)
{
    struct masked m;
    for (size_t i = 0; i < sizeof m.b; i++)
        m.b[i] = secret.p[i] ^ MASK;
    return m;
}

static bool is_here(const uint8_t *p, const struct masked *m)
{
    for (size_t i = 0; i < sizeof m->b; i++) {
        if ((p[i] ^ MASK) != m->b[i]) return false;
    }
    return true;
}

static size_t hits_in(const uint8_t *p, size_t n, const struct masked *m)
{
    size_t hits = 0;
    for (size_t i = 0; i + sizeof m->b <= n; i++) {
        if ((p[i] ^ MASK) == m->b[0] && is_here(p + i, m)) hits++;
    }
    return hits;
}

/* All memory that can be read and written, but for the buffer of the search. */
static size_t search_memory(const struct masked *m)
{
    static uint8_t part[(1 << 20) + 32];
    FILE *maps = fopen("/proc/self/maps", "re");
    CLEANUP_FD int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    char line[512];
    size_t hits = 0;
    REQUIRE(maps != NULL && mem >= 0);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long long at, end;
        char rights[8];
        if (sscanf(line, "%llx-%llx %7s", &at, &end, rights) != 3 || strncmp(rights, "rw", 2) != 0)
            continue;
        for (; at < end; at += sizeof part - 32) {
            size_t want = end - at < sizeof part ? (size_t)(end - at) : sizeof part;
            ssize_t n = pread(mem, part, want, (off_t)at);
            if (n > 0 && ((uintptr_t)part < at || (uintptr_t)part >= end))
                hits += hits_in(part, (size_t)n, m);
            explicit_bzero(part, sizeof part);
            if (n <= 0) break; /* secret pages, guard pages */
        }
    }
    fclose(maps);
    return hits;
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
#ifdef SANITIZED
    return; /* the sanitizer's own memory is terabytes wide */
#endif
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
    for (size_t i = 0; i < 32; i++)
        control.p[i] = aek.b[i] ^ MASK;
    REQUIRE(search_memory(&aek) >= 1); /* the search finds what is there */
    buf_release(&control);

    tv_enable(&h.vault, "kek", NULL, false);
    house_advance(36);
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_REVOKED);
    EXPECT_EQ(search_memory(&aek), 0);
    EXPECT_EQ(search_memory(&file_key), 0);
    custody_file_release(h.custody, k);
    house_close(&h);
}
