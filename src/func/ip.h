/* SPDX-License-Identifier: Apache-2.0 */
/* func/ip.h - text of IP addresses with an optional prefix: 10.0.0.0/8, fe80::/10 */
#pragma once

#include "base/bytes.h"

/* An address; IPv4 counts as ::ffff:a.b.c.d. prefix counts from the front of all 128 bits. */
struct ip {
    uint8_t b[16];
    unsigned prefix; /* 0..128; 128 when the text has none */
    bool v4;
    bool dotted; /* IPv6 whose end is written as IPv4: ::10.0.0.1 */
};

bool ip4_parse(struct bytes s, uint32_t *addr, unsigned *prefix); /* prefix 32 when there is none */
bool ip_parse(struct bytes s, struct ip *out);
static inline uint32_t ip4_mask(unsigned prefix)
{
    return prefix == 0 ? 0 : ~0U << (32 - prefix);
}
void ip_mask(struct ip *a, unsigned prefix);
void ip_map(struct ip *a); /* ::10.0.0.1 becomes ::ffff:10.0.0.1, as comparisons have it */
int ip_cmp(const struct ip *a, const struct ip *b, unsigned prefix); /* of so many bits: -1, 0, 1 */
void ip4_format(uint32_t addr, struct buf *out);
void ip6_format_full(const struct ip *a, struct buf *out); /* eight groups of four digits */
