/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_bits.c - the bits of whole numbers, and their hexadecimal digits */
#include "func/families.h"

#define X (vec_i64(args[0], i))
#define Y (vec_i64(args[1], i))
EVAL_ROWS(eval_binary_and, T_LONG, int64_t, r[i] = X & Y)
EVAL_ROWS(eval_binary_or, T_LONG, int64_t, r[i] = X | Y)
EVAL_ROWS(eval_binary_xor, T_LONG, int64_t, r[i] = X ^ Y)
EVAL_ROWS(eval_binary_not, T_LONG, int64_t, r[i] = ~X)
/* By the distance of 64 bits' remainder; a negative distance gives null. */
static enum err shift(struct fn_cx *cx, const struct vec *const *args, uint32_t n, bool left,
                      struct vec *out)
{
    struct vecb b;
    vecb_init(&b, cx->a, T_LONG, n);
    for (uint32_t i = 0; i < n; i++) {
        if (vec_null(args[1], i) || Y < 0) {
            vecb_null(&b);
        } else {
            vecb_i64(&b, left ? (int64_t)((uint64_t)X << (Y & 63)) : X >> (Y & 63));
        }
    }
    return vecb_finish(&b, out, cx->d);
}

EVAL(eval_shift_left)
{
    (void)call;
    return shift(cx, args, n, true, out);
}

EVAL(eval_shift_right)
{
    (void)call;
    return shift(cx, args, n, false, out);
}

EVAL_ROWS(eval_count_ones, T_LONG, int64_t, r[i] = __builtin_popcountll((uint64_t)X))

EVAL(eval_tohex)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        int64_t width = call->n_args > 1 ? vec_i64(args[1], i) : 0;
        if (width < 0 || width > 100) width = 0;
        if (!vec_null(args[0], i)) buf_fmt(&r.b, "%0*llx", (int)width, (unsigned long long)X);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

#define BITS(name_, eval_, doc_, example_, expect_) \
    FN(name_, 2, 2, T_LONG, STRICT, eval_, doc_, example_, expect_, ARG_LONG, ARG_LONG)

static const struct fn rows[] = {
    BITS("binary_and", eval_binary_and, "The bits that both have.", "binary_and(6, 3)", "2"),
    FN("binary_not", 1, 1, T_LONG, STRICT, eval_binary_not, "The opposite bits.", "binary_not(0)",
       "-1", ARG_LONG),
    BITS("binary_or", eval_binary_or, "The bits that one of them has.", "binary_or(5, 3)", "7"),
    BITS("binary_shift_left", eval_shift_left, "Bits moved up.", "binary_shift_left(1, 2)", "4"),
    BITS("binary_shift_right", eval_shift_right, "Bits moved down.", "binary_shift_right(4, 2)",
         "1"),
    BITS("binary_xor", eval_binary_xor, "The bits that just one of them has.", "binary_xor(5, 3)",
         "6"),
    FN("bitset_count_ones", 1, 1, T_LONG, STRICT, eval_count_ones, "How many bits are set.",
       "bitset_count_ones(42)", "3", ARG_LONG),
    FN("tohex", 1, 2, T_STRING, 0, eval_tohex, "Hexadecimal digits.", "tohex(256, 6)", "000100",
       ARG_LONG, ARG_LONG),
};
const struct fn_family fn_bits = FAMILY(rows);
