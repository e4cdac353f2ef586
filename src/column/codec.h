/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column/codec.h - vectors to bytes and back, for the log and for segments
 *
 * An encoded vector does not say its type or its number of rows: whoever stores it does.
 *
 *      0  u8   codec, below; the numbers are on disks and are never reused
 *      1  u8   0 no nulls, 1 a bitmap follows, 2 every row is null and nothing follows
 *      2  ...  bitmap of (rows + 7) / 8 bytes, least significant bit first, set = null
 *         ...  by codec, docs/formats/segment.md
 *
 * Decoding never reads outside its input and never believes a count that the input cannot hold.
 * Strings of a decoded vector borrow the input.
 */
#pragma once

#include "column/vec.h"

enum codec {
    CODEC_CONST = 1,    /* one value for all rows */
    CODEC_INTS = 2,     /* 64-bit integers: frame of reference, bit-packed by 256 */
    CODEC_DELTAS = 3,   /* the same over the differences */
    CODEC_REALS = 4,    /* IEEE doubles as they are */
    CODEC_DECIMALS = 5, /* doubles that are a whole number of 10^-k: integers and k */
    CODEC_BITS = 6,     /* bools */
    CODEC_WIDE = 7,     /* 16 bytes each: guid, decimal */
    CODEC_TEXT = 8,     /* strings and dynamics: lengths, then the bytes */
    CODEC_DICTIONARY =
        9,          /* strings and dynamics: codes, then the distinct values; read as VEC_DICT */
    CODEC_HEX = 10, /* strings of lower-case hex, all of one even length: two digits a byte */
};

#define CODEC_ROWS_MAX ((uint32_t)1 << 24)

/* The dictionary form of strings or dynamics, where at most a quarter of the rows (and 65,536)
 * differ; false: they differ more, or memory is out. Values borrow from v, the rest lies in the
 * arena. */
bool codec_to_dictionary(const struct vec *v, struct arena *a, struct vec *out);

enum codec_effort {
    CODEC_FAST,  /* the log: one look at the values, no dictionaries */
    CODEC_SMALL, /* segments: the smallest form that is still quick to read; VEC_DICT stays a
                    dictionary */
};

/* Appends. The vector may have any shape. */
enum err codec_encode(const struct vec *v, enum codec_effort effort, struct buf *out,
                      struct diag *d);
/* ERR_CORRUPT when `in` is not exactly one encoded vector of that type and length. */
enum err codec_decode(struct bytes in, enum type type, uint32_t n, struct arena *a, struct vec *out,
                      struct diag *d);

/* zstd at level 1, or the bytes as they are where that does not help: u8 method, u32 length, data.
 */
enum err codec_compress(struct bytes in, struct buf *out, struct diag *d);
/* ERR_CORRUPT, also when the length it claims is above max. *out lies in the arena. */
enum err codec_decompress(struct bytes in, size_t max, struct arena *a, struct bytes *out,
                          struct diag *d);
