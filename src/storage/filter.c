/* SPDX-License-Identifier: Apache-2.0 */
/* storage/filter.c - collecting words, and split-block Bloom filters over their hashes */
#include "storage/filter.h"

#include "base/map.h"

#include <stdlib.h>

#define BLOCK_BYTES 32
#define LANES       8
#define HASH_SEED   0x6b73u

/* What a byte counts as in a word: its lower case; 0 separates. */
static const uint8_t folded[256] = {
    ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6',
    ['7'] = '7', ['8'] = '8', ['9'] = '9', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd',
    ['e'] = 'e', ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k',
    ['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r',
    ['s'] = 's', ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y',
    ['z'] = 'z', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f',
    ['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l', ['M'] = 'm',
    ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r', ['S'] = 's', ['T'] = 't',
    ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z',
};

/* The next word of the text as a hash, never 0; false: no more. */
static bool next_word(struct bytes *text, uint8_t word[FILTER_WORD_MAX], uint64_t *hash)
{
    const uint8_t *p = text->p, *end = text->p + text->len;
    size_t n = 0;
    while (p < end && folded[*p] == 0)
        p++;
    if (p == end) return false;
    for (uint8_t c; p < end && (c = folded[*p]) != 0; p++) {
        if (n < FILTER_WORD_MAX) word[n++] = c;
    }
    *text = bytes_of(p, (size_t)(end - p));
    *hash = hash_bytes(bytes_of(word, n), HASH_SEED) | 1;
    return true;
}

static bool grow(struct filter_words *w)
{
    uint32_t cap = w->cap != 0 ? w->cap * 2 : 1024;
    uint64_t *slots = calloc(cap, sizeof *slots);
    if (slots == NULL) return false;
    for (uint32_t i = 0; i < w->cap; i++) {
        if (w->slots[i] == 0) continue;
        uint32_t s = (uint32_t)(w->slots[i] >> 32) & (cap - 1);
        while (slots[s] != 0)
            s = (s + 1) & (cap - 1);
        slots[s] = w->slots[i];
    }
    free(w->slots);
    w->slots = slots;
    w->cap = cap;
    return true;
}

static void add_hash(struct filter_words *w, uint64_t h)
{
    if (w->n >= w->cap / 2 && !grow(w)) {
        w->bad = true;
        return;
    }
    uint32_t s = (uint32_t)(h >> 32) & (w->cap - 1);
    for (; w->slots[s] != 0; s = (s + 1) & (w->cap - 1)) {
        if (w->slots[s] == h) return;
    }
    w->slots[s] = h;
    if (++w->n > FILTER_WORDS_MAX) w->bad = true;
}

void filter_words_add(struct filter_words *w, struct bytes text)
{
    uint64_t h;
    while (!w->bad && next_word(&text, w->word, &h))
        add_hash(w, h);
}

void filter_words_release(struct filter_words *w)
{
    if (w->slots != NULL) explicit_bzero(w->slots, w->cap * sizeof *w->slots);
    free(w->slots);
    explicit_bzero(w, sizeof *w);
}

/* One bit in each of the eight lanes of a block. */
static uint32_t lane_bit(uint64_t h, uint32_t lane)
{
    static const uint32_t odd[LANES] = {0x47b6137bu, 0x44974d91u, 0x8824ad5bu, 0xa2b7289du,
                                        0x705495c7u, 0x2df1424bu, 0x9efc4947u, 0x5c6bfb31u};
    return (uint32_t)1 << ((uint32_t)h * odd[lane] >> 27);
}

static size_t block_of(uint64_t h, size_t n_blocks)
{
    return (size_t)((h >> 32) * n_blocks >> 32);
}

static uint32_t load32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void filter_build(const struct filter_words *w, struct buf *out)
{
    if (w->bad || w->n == 0) return;
    size_t n_blocks = ((size_t)w->n * 10 / 8 + BLOCK_BYTES - 1) / BLOCK_BYTES;
    uint8_t *p = buf_extend(out, n_blocks * BLOCK_BYTES);
    for (uint32_t i = 0; p != NULL && i < w->cap; i++) {
        uint64_t h = w->slots[i];
        if (h == 0) continue;
        uint8_t *block = p + block_of(h, n_blocks) * BLOCK_BYTES;
        for (uint32_t lane = 0; lane < LANES; lane++) {
            uint32_t v = load32(block + 4 * lane) | lane_bit(h, lane);
            for (int b = 0; b < 4; b++)
                block[4 * lane + (uint32_t)b] = (uint8_t)(v >> 8 * b);
        }
    }
}

static bool may_hold(struct bytes filter, uint64_t h)
{
    const uint8_t *block = filter.p + block_of(h, filter.len / BLOCK_BYTES) * BLOCK_BYTES;
    for (uint32_t lane = 0; lane < LANES; lane++) {
        if ((load32(block + 4 * lane) & lane_bit(h, lane)) == 0) return false;
    }
    return true;
}

bool filter_may_contain(struct bytes filter, struct bytes text)
{
    if (filter.len < BLOCK_BYTES || filter.len % BLOCK_BYTES != 0) return true;
    uint8_t word[FILTER_WORD_MAX];
    uint64_t h;
    bool all = true;
    while (all && next_word(&text, word, &h))
        all = may_hold(filter, h);
    explicit_bzero(word, sizeof word);
    return all;
}
