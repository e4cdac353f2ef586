/* SPDX-License-Identifier: Apache-2.0 */
/* custody/audit_past.h - is the log still what it was, as far as a known line and its key go? */
#pragma once

#include "custody/audit_files.h"

/*
 * Looks for line `seq`, whose chain must be `chain`. With key (the MAC key of the line after it;
 * NULL: none) the MACs of the lines behind it are checked too, to the end of their segment.
 * ERR_CORRUPT says what is wrong: changed, or cut off.
 */
enum err audit_past_check(const char *dir, uint64_t seq, const uint8_t chain[AUDIT_CHAIN_LEN],
                          struct bytes key, struct diag *d);
