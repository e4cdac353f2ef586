/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest/gzip.h - Content-Encoding: gzip, with a ceiling: a kilobyte can unpack to a megabyte
 */
#pragma once

#include "base/bytes.h"

/*
 * Unpacks all members; appends.
 *
 * ERR_INVALID  not gzip, cut short, or damaged
 * ERR_LIMIT    more than max bytes; out then holds some of them
 */
enum err gzip_unpack(struct bytes in, size_t max, struct buf *out, struct diag *d);
