/* SPDX-License-Identifier: Apache-2.0 */
/* func/md5.h - MD5 (RFC 1321), for hash_md5() alone: libcrypto may be built or configured without
 * it */
#pragma once

#include "base/bytes.h"

void md5(struct bytes in, uint8_t *out); /* 16 bytes */
