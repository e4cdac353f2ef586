/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/slots.h - a small value that is replaced in place, through a descriptor alone
 *
 * keyd may not rename files once it is hardened, so the new value goes over the older of two slots,
 * and counts once it is whole: after a crash the newest whole one is the value.
 *
 *      slot i at 4096 * i:  0 "KSLT"   4 length 32   8 number 64
 *                          16 SHA-256[32] of what is before and behind it   48 value
 *
 * Integers are big-endian. The hash tells a torn slot, not a forged one.
 */
#pragma once

#include "base/bytes.h"

#define SLOT_VALUE_MAX 2048 /* bytes */

/* Appends the newest whole value; none: nothing. */
enum err slots_read(int fd, struct buf *out, struct diag *d);
/* Durable when OK. with_wipe: the value before is then overwritten with zeros. */
enum err slots_write(int fd, struct bytes value, bool with_wipe, struct diag *d);
