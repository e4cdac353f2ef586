/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/secret.h - a secret is opaque, and the type wipes it, not the author's memory
 *
 * Bytes lie on locked pages that are left out of core dumps and of forked children: memfd_secret
 * where the kernel has it, else mlock through libsodium.
 */
#pragma once

#include "base/bytes.h"

struct secret;

/* len zero bytes. ERR_UNAVAILABLE when no more memory can be locked. The caller owns *out. */
enum err secret_new(struct secret **out, size_t len, struct diag *d);
enum err secret_of(struct secret **out, struct bytes b, struct diag *d); /* a copy */
enum err secret_random(struct secret **out, size_t len, struct diag *d);
void secret_free(struct secret *s); /* wipes, then frees; NULL is fine */
size_t secret_len(const struct secret *s);
const uint8_t *secret_peek(const struct secret *s); /* valid until secret_free() */
uint8_t *secret_fill(struct secret *s);             /* for the one producer, before it is shared */

static inline struct bytes secret_view(const struct secret *s)
{
    return (struct bytes){secret_peek(s), secret_len(s)};
}
bool secret_eq(struct bytes a,
               struct bytes b); /* constant time in the content; lengths are public */
void wipe(void *p, size_t n);

/* From here on no memfd_secret: locked pages, as on kernels that have nothing better, which a test can
 * search from outside. For processes with a virtual clock only. */
void secret_plain_pages(void);

DEFINE_CLEANUP(secret_free, struct secret)
