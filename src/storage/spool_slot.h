/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/spool_slot.h - the one place where the wrap of a spool's key lies
 *
 * A file of SLOT_LEN bytes that is written in place, never replaced: what is overwritten there is
 * gone, as far as the medium keeps its word. All zeros: empty. Else, little-endian:
 *
 *      0  "KSSL"   4  u8 version, 1   5  zero[3]   8  u32 length of the record   12  zero[4]
 *     16  i64 when the spool was made, microseconds since 1970
 *     24  SHA-256 of bytes 0 to 23 and of the record
 *     56  record, MACed by keyd; zeros up to the end
 *
 * (1) The file has its length, and its blocks, before the first record is written: overwriting
 *     needs no space.
 * (2) Any other content is ERR_CORRUPT, whichever byte it differs in.
 */
#pragma once

#include "base/bytes.h"

#define SLOT_LEN        4096 /* bytes */
#define SLOT_RECORD_MAX 4000 /* bytes */

struct slot {
    struct buf record; /* empty: there is no spool */
    int64_t since_us;
};

/* A missing file is an empty slot. Appends to out->record. */
enum err slot_read(const char *path, struct slot *out, struct diag *d);
/* Makes the file if need be; durable when it returns. */
enum err slot_write(const char *path, struct bytes record, int64_t since_us, struct diag *d);
/* Overwrites it in place, durably. A missing file is fine. */
enum err slot_wipe(const char *path, struct diag *d);
