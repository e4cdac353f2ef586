/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/mmdb_file.h - writes databases of addresses in MaxMind's format, of addresses that are
 * for documentation */
#pragma once

#include "test.h"

#include "base/str.h"
#include "func/geo_ip.h"
#include "func/ip.h"

#include <stdio.h>

struct place {
    const char *address; /* IPv4 or IPv6 */
    unsigned prefix;
    const char *country, *state, *city; /* NULL: not known */
    double latitude, longitude;         /* both 0: not known */
};

static const struct place mmdb_places[] = {
    {"192.0.2.0", 24, "Ruritania", "Zenda", "Strelsau", 50.25, 14.5},
    {"198.51.100.0", 25, "Ruritania", NULL, NULL, 49.75, 15.5},
    {"203.0.113.7", 32, NULL, NULL, NULL, -12.5, 0.25},
    {"203.0.113.8", 32, NULL, NULL, NULL, 0, 0},
    {"2001:db8:1::", 48, "Syldavia", "Zympathia", "Klow", -45.5, -20.25},
};

#define MMDB_NODES 1024

struct mmdb_writer {
    struct buf data;
    uint32_t node[MMDB_NODES][2]; /* 0 = nothing, a node's number, or MMDB_DATA | offset */
    uint32_t n;
};
#define MMDB_DATA 0x80000000U

static inline void mmdb_text(struct buf *b, const char *s)
{
    buf_u8(b, (uint8_t)(0x40 | strlen(s))); /* below 29 bytes */
    buf_str(b, s);
}

static inline void mmdb_be(struct buf *b, uint64_t v, unsigned bytes)
{
    while (bytes-- > 0)
        buf_u8(b, (uint8_t)(v >> 8 * bytes));
}

/* Between the tree and the data. */
static inline void mmdb_zeros(struct buf *b)
{
    for (int i = 0; i < 16; i++)
        buf_u8(b, 0);
}

static inline void mmdb_map(struct buf *b, unsigned pairs)
{
    buf_u8(b, (uint8_t)(0xe0 | pairs));
}

static inline void mmdb_names(struct buf *b, const char *name)
{
    mmdb_map(b, 2);
    mmdb_text(b, "geoname_id");
    buf_u8(b, 0xc2);
    mmdb_be(b, 4711, 2);
    mmdb_text(b, "names");
    mmdb_map(b, 2);
    mmdb_text(b, "de");
    mmdb_text(b, "sonst");
    mmdb_text(b, "en");
    mmdb_text(b, name);
}

static inline void mmdb_double(struct buf *b, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    buf_u8(b, 0x68);
    mmdb_be(b, bits, 8);
}

static inline void mmdb_record(struct buf *b, const struct place *p)
{
    bool point = p->latitude != 0 || p->longitude != 0;
    mmdb_map(b, (p->country != NULL) + (p->state != NULL) + (p->city != NULL) + point);
    if (p->city != NULL) {
        mmdb_text(b, "city");
        mmdb_names(b, p->city);
    }
    if (p->country != NULL) {
        mmdb_text(b, "country");
        mmdb_names(b, p->country);
    }
    if (point) {
        mmdb_text(b, "location");
        mmdb_map(b, 2);
        mmdb_text(b, "latitude");
        mmdb_double(b, p->latitude);
        mmdb_text(b, "longitude");
        mmdb_double(b, p->longitude);
    }
    if (p->state != NULL) {
        mmdb_text(b, "subdivisions");
        buf_u8(b, 1); /* extended: an array of one */
        buf_u8(b, 4);
        mmdb_names(b, p->state);
    }
}

static inline void mmdb_insert(struct mmdb_writer *w, const struct place *p, bool four)
{
    struct ip ip;
    uint8_t key[16] = {0};
    bool v4 = strchr(p->address, ':') == NULL;
    REQUIRE(ip_parse(bytes_str(p->address), &ip));
    memcpy(key + (v4 ? 12 : 0), ip.b + (v4 ? 12 : 0), v4 ? 4 : 16);
    unsigned bit = four ? 96 : 0, end = p->prefix + (v4 ? 96 : 0);
    uint32_t at = 0;
    for (; bit < end; bit++) {
        uint32_t *to = &w->node[at][key[bit / 8] >> (7 - bit % 8) & 1];
        if (bit + 1 == end) {
            *to = MMDB_DATA | (uint32_t)w->data.len;
            break;
        }
        if (*to == 0) {
            REQUIRE(w->n < MMDB_NODES);
            *to = w->n++;
        }
        at = *to;
    }
    /* The record stands behind a pointer, as those of many networks do. */
    buf_u8(&w->data, 0x20);
    buf_u8(&w->data, (uint8_t)(w->data.len + 1));
    w->data.p[w->data.len - 2] = (uint8_t)(0x20 | (w->data.len >> 8 & 7));
    w->data.p[w->data.len - 1] = (uint8_t)w->data.len;
    mmdb_record(&w->data, p);
}

static inline void mmdb_put_node(struct buf *b, uint32_t left, uint32_t right, unsigned bits)
{
    if (bits == 28) {
        mmdb_be(b, left & 0xffffff, 3);
        buf_u8(b, (uint8_t)((left >> 24) << 4 | right >> 24));
        mmdb_be(b, right & 0xffffff, 3);
    } else {
        mmdb_be(b, left, bits / 8);
        mmdb_be(b, right, bits / 8);
    }
}

static inline void mmdb_metadata(struct buf *b, const char *type, uint32_t nodes, unsigned bits,
                                 unsigned version)
{
    buf_str(b, "\xab\xcd\xef"
               "MaxMind.com");
    mmdb_map(b, 5);
    mmdb_text(b, "node_count");
    buf_u8(b, 0xc4);
    mmdb_be(b, nodes, 4);
    mmdb_text(b, "record_size");
    buf_u8(b, 0xa2);
    mmdb_be(b, bits, 2);
    mmdb_text(b, "ip_version");
    buf_u8(b, 0xa1);
    mmdb_be(b, version, 1);
    mmdb_text(b, "database_type");
    mmdb_text(b, type);
    mmdb_text(b, "binary_format_major_version");
    buf_u8(b, 0xa1);
    mmdb_be(b, 2, 1);
}

/* version 4 leaves the places of IPv6 out. Appends. */
static inline void mmdb_make(struct buf *out, const char *type, unsigned bits, unsigned version)
{
    static struct mmdb_writer w;
    memset(&w, 0, sizeof w);
    w.n = 1;
    for (size_t i = 0; i < sizeof mmdb_places / sizeof mmdb_places[0]; i++) {
        if (version == 6 || strchr(mmdb_places[i].address, ':') == NULL)
            mmdb_insert(&w, &mmdb_places[i], version == 4);
    }
    for (uint32_t k = 0; k < w.n; k++) {
        uint32_t r[2];
        for (int side = 0; side < 2; side++) {
            uint32_t v = w.node[k][side];
            r[side] = v == 0 ? w.n : (v & MMDB_DATA) != 0 ? w.n + 16 + (v & ~MMDB_DATA) : v;
        }
        mmdb_put_node(out, r[0], r[1], bits);
    }
    mmdb_zeros(out);
    buf_bytes(out, buf_view(&w.data));
    mmdb_metadata(out, type, w.n, bits, version);
    buf_release(&w.data);
}

static inline const char *mmdb_write(const struct buf *b)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/places.mmdb", test_dir());
    FILE *f = fopen(path, "wb"); /* not os_replace(): some tests write thousands */
    REQUIRE(f != NULL && fwrite(b->p, 1, b->len, f) == b->len && fclose(f) == 0);
    return path;
}

/* For tests of queries that ask where an address is. */
static inline void mmdb_name_one(void)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf b = {0};
    mmdb_make(&b, "Made-City", 28, 6);
    REQUIRE_OK(geo_ip_open(mmdb_write(&b), &d));
}
