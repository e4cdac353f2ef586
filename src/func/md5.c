/* SPDX-License-Identifier: Apache-2.0 */
/* func/md5.c - MD5 as RFC 1321 has it */
#include "func/md5.h"

#include <endian.h>
#include <math.h>

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static void block(uint32_t state[4], const uint8_t *p)
{
    static const uint8_t shifts[4][4] = {
        {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t w[16], a = state[0], b = state[1], c = state[2], d = state[3];
    memcpy(w, p, sizeof w);
    for (unsigned i = 0; i < 64; i++) {
        uint32_t f, g;
        switch (i / 16) {
        case 0: f = (b & c) | (~b & d), g = i; break;
        case 1: f = (d & b) | (~d & c), g = (5 * i + 1) % 16; break;
        case 2: f = b ^ c ^ d, g = (3 * i + 5) % 16; break;
        default: f = c ^ (b | ~d), g = (7 * i) % 16; break;
        }
        /* The constants are the sines of whole numbers, exact to 32 bits in a double. */
        uint32_t k = (uint32_t)(uint64_t)floor(fabs(sin((double)(i + 1))) * 4294967296.0);
        uint32_t next = b + rotate(a + f + k + le32toh(w[g]), shifts[i / 16][i % 4]);
        a = d, d = c, c = b, b = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

void md5(struct bytes in, uint8_t *out)
{
    uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    uint8_t tail[128] = {0};
    size_t whole = in.len / 64 * 64, rest = in.len - whole;
    for (size_t i = 0; i < whole; i += 64)
        block(state, in.p + i);
    if (rest != 0) memcpy(tail, in.p + whole, rest);
    tail[rest] = 0x80;
    size_t end = rest < 56 ? 64 : 128;
    uint64_t bits = htole64((uint64_t)in.len * 8);
    memcpy(tail + end - 8, &bits, sizeof bits);
    for (size_t i = 0; i < end; i += 64)
        block(state, tail + i);
    for (int i = 0; i < 4; i++) {
        uint32_t v = htole32(state[i]);
        memcpy(out + 4 * i, &v, sizeof v);
    }
}
