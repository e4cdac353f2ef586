/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column/codec_reals.c - doubles: most in logs were written with a few decimals, and are integers
 * then
 *
 * A value becomes an integer of 10^-k only if the division back gives the same 64 bits.
 */
#include "column/codec_impl.h"

#include <math.h>
#include <stdlib.h>

#define DECIMALS_MAX 6
#define WHOLE_MAX    9007199254740992.0 /* 2^53: whole numbers up to here are exact */

static const double powers[DECIMALS_MAX + 1] = {1, 10, 100, 1000, 10000, 100000, 1000000};

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static bool to_whole(double v, uint32_t k, int64_t *out)
{
    double scaled = nearbyint(v * powers[k]);
    if (!(fabs(scaled) <= WHOLE_MAX)) return false; /* NaN and infinities too */
    *out = (int64_t)scaled;
    double back = (double)*out / powers[k]; /* -0.0 comes back as 0.0 and fails here */
    return bits_of(back) == bits_of(v);
}

/* The smallest k that serves all values; they are in out then. */
static bool find_scale(const double *v, uint32_t n, int64_t *out, uint32_t *scale)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t before = k;
        while (!to_whole(v[i], k, &out[i])) {
            if (++k > DECIMALS_MAX) return false;
        }
        if (k != before) i = UINT32_MAX; /* again from the first one with the larger scale */
    }
    *scale = k;
    return true;
}

enum err reals_encode(const double *v, uint32_t n, enum codec_effort effort, struct buf *out,
                      uint8_t *codec, struct diag *d)
{
    uint32_t scale = 0;
    int64_t *whole = effort == CODEC_SMALL ? malloc(n * sizeof *whole) : NULL;
    if (whole != NULL && find_scale(v, n, whole, &scale)) {
        *codec = CODEC_DECIMALS;
        buf_u8(out, (uint8_t)scale);
        ints_put(whole, n, out);
    } else {
        *codec = CODEC_REALS;
        buf_bytes(out, bytes_of(v, n * sizeof *v));
    }
    if (whole != NULL) explicit_bzero(whole, n * sizeof *whole);
    free(whole);
    return buf_check(out, d);
}

enum err reals_decode(struct codec_in *in, struct diag *d)
{
    struct bytes all = rd_bytes(&in->r, (size_t)in->n * sizeof(double));
    TRY(codec_end(in, "reals", d));
    double *data = arena_array(in->a, double, in->n);
    if (data == NULL) return arena_full(in->a, d);
    if (all.len != 0) memcpy(data, all.p, all.len);
    in->out->data = data;
    return OK;
}

enum err decimals_decode(struct codec_in *in, struct diag *d)
{
    uint32_t scale = rd_u8(&in->r);
    if (scale > DECIMALS_MAX) return FAIL(d, ERR_CORRUPT, "codec: reals of %u decimals", scale);
    TRY(ints_decode(in, d));
    /* In place: an int64_t and a double have the same size, and memcpy keeps the compiler honest.
     */
    uint8_t *data = (uint8_t *)in->out->data;
    for (uint32_t i = 0; i < in->n; i++, data += sizeof(double)) {
        int64_t whole;
        memcpy(&whole, data, sizeof whole);
        double v = (double)whole / powers[scale];
        memcpy(data, &v, sizeof v);
    }
    return OK;
}
