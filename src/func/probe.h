/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/probe.h - where a text may begin: two of its bytes are looked for at 16 to 64 places at once
 *
 * The two bytes of a needle that are rarest in logs are compared, each at its own distance, with a
 * whole vector of places; what passes is for the caller to compare in full. Kernels for AVX-512BW
 * and AVX2 are chosen by the processor at the first call; all others (NEON too) are what the
 * compiler makes of vectors of 16 bytes.
 */
#pragma once

#include "base/bytes.h"

struct probe {
    uint8_t byte[2], fold[2]; /* fold is or-ed to the text first: 0x20 for a letter without case */
    size_t at[2];             /* where in the needle each stands */
    size_t len;               /* of the needle, at least 1 */
};

/* nocase: text is folded, and its ASCII letters stand for both cases. */
struct probe probe_of(struct bytes text, bool nocase);

/* The first place in [from, end) at which both bytes stand where they should; NULL: none. The
 * needle's length is readable from every place: up to end + len - 1. */
const uint8_t *probe_find(const struct probe *p, const uint8_t *from, const uint8_t *end);

/* The kernels by name, for the test that holds them against each other: NULL behind the last that
 * this processor has. */
typedef const uint8_t *probe_kernel(const struct probe *p, const uint8_t *from, const uint8_t *end);
probe_kernel *probe_kernel_at(unsigned i);
