/* SPDX-License-Identifier: Apache-2.0 */
/* net/address.c - addresses and ranges of them, read and compared */
#include "net/address.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <string.h>

bool address_range_parse(const char *text, struct address_range *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char address[INET6_ADDRSTRLEN + 1] = "";
    size_t n = strcspn(text, "/");
    uint64_t bits = 0;
    if (n >= sizeof address) return false;
    memcpy(address, text, n);
    struct address_range r = {0};
    unsigned width = 0;
    if (inet_pton(AF_INET6, address, r.address) == 1) {
        width = 128;
    } else if (inet_pton(AF_INET, address, r.address + 12) == 1) {
        memcpy(r.address, mapped, sizeof mapped);
        width = 32;
    }
    if (width == 0) return false;
    bits = width;
    if (text[n] == '/' && str_u64(text + n + 1, width, &bits, NULL) != OK) return false;
    r.bits = (unsigned)bits + 128 - width;
    *out = r;
    return true;
}

bool address_range_covers(const struct address_range *r, const struct address_range *other)
{
    unsigned whole = r->bits / 8, rest = r->bits % 8;
    if (other->bits < r->bits || memcmp(r->address, other->address, whole) != 0) return false;
    return rest == 0 || ((r->address[whole] ^ other->address[whole]) >> (8 - rest)) == 0;
}
