/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/segment_meta.h - numbers that writer and reader of segments share; for segment_*.c only
 */
#pragma once

#include "storage/segment.h"

#define SEGMENT_META_VERSION   1
#define SEGMENT_FOOTER_VERSION 1
#define SEGMENT_END_LEN        16
#define SEGMENT_FOOTER_ENTRY   29 /* bytes per block: u64 offset, u32 length, u8 type, tag[16] */
#define SEGMENT_PREFIX_MAX     32 /* bytes of a string's min and max */

enum { CHUNK_INLINE = 1, CHUNK_RANGE = 2, CHUNK_FILTER = 4 };

/* Which types have min and max in META, as 8 bytes. */
static inline bool has_word_range(enum type t)
{
    return t == T_BOOL || t == T_INT || t == T_LONG || t == T_REAL || t == T_DATETIME ||
           t == T_TIMESPAN;
}
