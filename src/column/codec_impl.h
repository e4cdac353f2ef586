/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column/codec_impl.h - what the codecs share; for codec*.c only
 *
 * An x_encode() appends a payload and sets *codec to what it chose. An x_try() says whether its
 * form fits these values; where it does not, it has written nothing.
 */
#pragma once

#include "column/codec.h"

struct codec_in { /* what a decoder reads from and into */
    struct rd r;
    enum type type;
    uint32_t n;
    struct arena *a;
    struct vec *out; /* type, n and nulls are set; shape and data are the decoder's */
};

/* Blocks of 256: u8 width, i64 base, then 256 (or what is left) values of width bits. */
void ints_put(const int64_t *v, uint32_t n, struct buf *out);
enum err ints_get(struct rd *r, uint32_t n, int64_t *out, struct diag *d);
uint64_t ints_size(const int64_t *v, uint32_t n); /* bytes that ints_put would write */

enum err ints_encode(const int64_t *v, uint32_t n, struct buf *out, uint8_t *codec, struct diag *d);
enum err ints_decode(struct codec_in *in, struct diag *d);
enum err deltas_decode(struct codec_in *in, struct diag *d);

enum err reals_encode(const double *v, uint32_t n, enum codec_effort effort, struct buf *out,
                      uint8_t *codec, struct diag *d);
enum err reals_decode(struct codec_in *in, struct diag *d);
enum err decimals_decode(struct codec_in *in, struct diag *d);

enum err strings_encode(const struct vec *v, enum codec_effort effort, struct buf *out,
                        uint8_t *codec, struct diag *d);
enum err text_decode(struct codec_in *in, struct diag *d);

void dictionary_put(const struct vec *v, struct buf *out); /* of a VEC_DICT */
enum err dictionary_decode(struct codec_in *in, struct diag *d);

bool hex_try(const struct vec *v, struct buf *out);
enum err hexes_decode(struct codec_in *in, struct diag *d);

/* Lengths and bytes of n strings: the payload of CODEC_TEXT, and the values of a dictionary. */
void text_put(const struct bytes *v, uint32_t n, struct buf *out);
enum err text_get(struct rd *r, uint32_t n, struct arena *a, struct bytes **out, struct diag *d);

/* What every decoder asks at its end: was everything there, and nothing more? */
enum err codec_end(const struct codec_in *in, const char *what, struct diag *d);
