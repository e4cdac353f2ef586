/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/storage/nonce.c - no key and nonce twice, in either layer, though the random source is
 * broken
 *
 * The linker puts this file's rand_bytes() - always the same bytes - and its aead_seal() - which
 * notes key and nonce before the real one runs - in the place of the program's. Files get their ids
 * from a real catalogue, over restarts. BLOCKS=n in the environment sets how many (make soak).
 */
#include "test_store.h"

#include "crypto/aead.h"
#include "storage/manifest.h"
#include "storage/store_impl.h"

#include <inttypes.h>

void __wrap_rand_bytes(void *p, size_t n);
enum err __wrap_aead_seal(const struct aead *a, struct bytes plain, uint8_t *out, struct diag *d);
enum err __real_aead_seal(const struct aead *a, struct bytes plain, uint8_t *out, struct diag *d);

#define PER_FILE    1000
#define PER_RESTART 20 /* files */

struct seen { /* first 16 bytes of SHA-256(key | nonce), of one algorithm */
    struct u128 *at;
    size_t n, cap;
};

static struct seen seen[AEAD_ALGS];

void __wrap_rand_bytes(void *p, size_t n)
{
    memset(p, 0x5a, n);
}

enum err __wrap_aead_seal(const struct aead *a, struct bytes plain, uint8_t *out, struct diag *d)
{
    struct seen *s = &seen[a->alg];
    uint8_t both[AEAD_KEY_LEN + AEAD_NONCE_LEN], digest[32];
    memcpy(both, a->key, AEAD_KEY_LEN);
    memcpy(both + AEAD_KEY_LEN, a->nonce, AEAD_NONCE_LEN);
    sha256(BYTES_OF(both), digest);
    if (s->n == s->cap) {
        s->cap = s->cap != 0 ? s->cap * 2 : 1 << 16;
        s->at = realloc(s->at, s->cap * sizeof *s->at);
        if (s->at == NULL) abort();
    }
    memcpy(&s->at[s->n++], digest, sizeof *s->at);
    return __real_aead_seal(a, plain, out, d);
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct u128));
}

static void expect_no_pair_twice(struct seen *s, uint64_t at_least)
{
    REQUIRE(s->n >= at_least);
    qsort(s->at, s->n, sizeof *s->at, by_bytes);
    for (size_t i = 1; i < s->n; i++) {
        if (by_bytes(&s->at[i - 1], &s->at[i]) == 0) fail_msg("a pair came twice among %zu", s->n);
    }
}

static void forget(struct seen *s)
{
    free(s->at);
    *s = (struct seen){0};
}

/* Segments and logs of two accounts in turn; the account key is the same for all of a generation.
 */
static void seal_file(struct bench *b, uint64_t number, struct buf *out)
{
    struct diag d = DIAG_INIT;
    uint8_t file_id[16];
    struct file_key *k = NULL;
    enum otype otype = number % 2 == 0 ? OTYPE_SEGMENT : OTYPE_WAL;
    enum btype btype = number % 2 == 0 ? BTYPE_DATA : BTYPE_WAL;
    REQUIRE_OK(manifest_new_file_id(b->store->manifest, file_id, &d));
    b->keys.generation = (uint8_t)(number / 100);
    REQUIRE_OK(
        test_keys_create(&b->keys, number % 3 == 0 ? customer : customer2, otype, file_id, &k, &d));
    for (uint64_t no = 0; no < PER_FILE; no++) {
        buf_clear(out);
        REQUIRE_OK(block_seal(k, btype, no, BYTES("the same words again"), out, &d));
    }
    test_keys_release(&b->keys, k);
}

static uint64_t wanted(void)
{
    const char *n = getenv("BLOCKS");
    return n != NULL ? strtoull(n, NULL, 10) : 100000;
}

TEST(nonce, no_key_and_nonce_come_twice_with_a_broken_random_source)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    CLEANUP_BUF struct buf out = {0};
    test_keys_init(&b.keys);
    b.keys.is_double = true;
    uint64_t blocks = wanted(), files = blocks / PER_FILE;
    for (uint64_t i = 0; i < files; i++) {
        if (i % PER_RESTART == 0) { /* each start reserves numbers of its own */
            if (i != 0) bench_close(&b);
            REQUIRE_OK(bench_open(&b, "nonce", &d));
        }
        seal_file(&b, i, &out);
    }
    expect_no_pair_twice(&seen[AEAD_AES_256_GCM], blocks);
    expect_no_pair_twice(&seen[AEAD_CHACHA20_POLY1305], blocks);
    printf("%zu blocks and %zu frames in %" PRIu64 " files: no pair of key and nonce twice\n",
           seen[AEAD_AES_256_GCM].n, seen[AEAD_CHACHA20_POLY1305].n, files);
    forget(&seen[AEAD_AES_256_GCM]);
    forget(&seen[AEAD_CHACHA20_POLY1305]);
    bench_release(&b);
}

/* That the test could fail: two files of one id, salt and key are what must never be. */
TEST(nonce, the_proof_would_see_a_file_id_that_is_given_twice)
{
    struct diag d = DIAG_INIT;
    struct test_keys keys;
    const uint8_t file_id[16] = {9};
    CLEANUP_BUF struct buf out = {0};
    test_keys_init(&keys);
    keys.is_double = true;
    for (int i = 0; i < 2; i++) {
        struct file_key *k = NULL;
        REQUIRE_OK(test_keys_create(&keys, customer, OTYPE_SEGMENT, file_id, &k, &d));
        REQUIRE_OK(block_seal(k, BTYPE_DATA, 1, BYTES("row"), &out, &d));
        test_keys_release(&keys, k);
    }
    for (int alg = 0; alg < AEAD_ALGS; alg++) {
        EXPECT_EQ(seen[alg].n, 2);
        EXPECT_EQ(by_bytes(&seen[alg].at[0], &seen[alg].at[1]), 0);
        forget(&seen[alg]);
    }
}
