/* SPDX-License-Identifier: Apache-2.0 */
/* net/address.h - addresses and ranges of them, as firewalls name them: "10.0.0.0/8", "::1" */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct address_range {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;       /* 128: one address */
};

/* False: neither an address nor a range in CIDR notation. *out is set only on true. */
bool address_range_parse(const char *text, struct address_range *out);
/* Is the other, one address or a whole range, within it? */
bool address_range_covers(const struct address_range *r, const struct address_range *other);
