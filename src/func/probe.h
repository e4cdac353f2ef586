/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/probe.h - where a text may begin: two of its bytes are looked for at many places at once
 *
 * The two bytes of a needle that are rarest in logs are compared, each at its own distance, with a
 * whole vector of places (column/simd.h); what passes is for the caller to compare in full.
 */
#pragma once

#include "column/simd.h"

/* nocase: text is folded, and its ASCII letters stand for both cases. */
struct probe probe_of(struct bytes text, bool nocase);

/* The first place in [from, end) at which both bytes stand where they should; NULL: none. The
 * needle's length is readable from every place: up to end + len - 1. */
static inline const uint8_t *probe_find(const struct probe *p, const uint8_t *from,
                                        const uint8_t *end)
{
    return simd()->probe(p, from, end);
}
