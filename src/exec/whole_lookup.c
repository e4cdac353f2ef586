/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/whole_lookup.c - ipv4_lookup, ipv6_lookup: the rows of another table whose network has an
 * address
 *
 * Networks are found by hash: an address is looked up once for each length of prefix that the table
 * has. All that match are given, in the table's order; without one, and where those may stay, a row
 * of empty cells.
 */
#include "exec/key.h"
#include "exec/whole.h"
#include "func/ip.h"

#include "base/map.h"

struct network {
    struct ip ip;
    struct bytes extra; /* the key of the other columns that must be equal */
    uint32_t row, next; /* of the same hash: place + 1 */
};

struct networks {
    uint32_t n, *slots; /* place + 1; n_slots is a power of two */
    uint32_t n_slots;
    struct network *at;
    bool prefixes[129]; /* lengths that occur */
};

static uint64_t hash_of(struct whole *w, const struct ip *ip, unsigned prefix, struct bytes extra)
{
    uint8_t key[17];
    memcpy(key, ip->b, 16);
    key[16] = (uint8_t)prefix;
    return hash_bytes(bytes_of(key, 17), w->q->hash_seed) ^ hash_bytes(extra, w->q->hash_seed);
}

static enum err extra_keys(struct whole *w, const struct vec *cols, const uint32_t *extra,
                           uint32_t n_rows, struct bytes **out)
{
    const struct ip_lookup *l = w->op->whole.more;
    struct arena *a = &w->m->a;
    struct vec *parts = arena_array(a, struct vec, l->n_extra);
    *out = arena_array(a, struct bytes, n_rows);
    if (parts == NULL || *out == NULL) return query_full(w->q, w->d);
    for (uint32_t i = 0; i < l->n_extra; i++)
        parts[i] = cols[extra[i]];
    return group_keys(a, parts, l->n_extra, n_rows, *out, w->d);
}

static enum err read_networks(struct whole *w, struct networks *t)
{
    const struct ip_lookup *l = w->op->whole.more;
    struct arena *a = &w->m->a;
    struct bytes *extra;
    TRY(extra_keys(w, w->second, l->lookup_extra, w->n_second, &extra));
    t->n_slots = 64;
    while (t->n_slots < w->n_second)
        t->n_slots *= 2;
    t->slots = arena_array(a, uint32_t, t->n_slots);
    t->at = arena_array(a, struct network, w->n_second);
    if (t->slots == NULL || t->at == NULL) return query_full(w->q, w->d);
    for (uint32_t i = w->n_second; i-- > 0;) { /* chains hand out the first row first */
        struct network *n = &t->at[t->n];
        if (!ip_parse(vec_str(&w->second[l->lookup_key], i), &n->ip)) continue;
        ip_mask(&n->ip, n->ip.prefix);
        n->extra = extra[i];
        n->row = i;
        uint32_t *slot = &t->slots[hash_of(w, &n->ip, n->ip.prefix, n->extra) & (t->n_slots - 1)];
        n->next = *slot;
        *slot = ++t->n;
        t->prefixes[n->ip.prefix] = true;
    }
    return whole_check(w);
}

static void put_row(struct whole *w, uint32_t source, const struct network *n)
{
    const struct ip_lookup *l = w->op->whole.more;
    for (uint32_t i = 0; i < w->op->schema.n; i++) {
        uint32_t from = l->from[i];
        if ((from & LOOKUP_SECOND) == 0)
            whole_copy(w, i, &w->cols[from], source);
        else if (n != NULL)
            whole_copy(w, i, &w->second[from & ~LOOKUP_SECOND], n->row);
        else
            vecb_null(&w->out[i]);
    }
}

/* Rows whose network is the first `prefix` bits of the address; returns how many. */
static uint32_t put_matches(struct whole *w, const struct networks *t, uint32_t source,
                            const struct ip *address, unsigned prefix, struct bytes extra)
{
    struct ip ip = *address;
    uint32_t count = 0;
    ip_mask(&ip, prefix);
    uint32_t at = t->slots[hash_of(w, &ip, prefix, extra) & (t->n_slots - 1)];
    for (; at != 0; at = t->at[at - 1].next) {
        const struct network *n = &t->at[at - 1];
        if (n->ip.prefix != prefix || n->ip.v4 != ip.v4 || memcmp(n->ip.b, ip.b, 16) != 0) continue;
        if (!bytes_eq(n->extra, extra)) continue;
        put_row(w, source, n);
        count++;
    }
    return count;
}

enum err whole_ip_lookup(struct whole *w)
{
    const struct ip_lookup *l = w->op->whole.more;
    struct networks t = {0};
    struct bytes *extra;
    TRY(read_networks(w, &t));
    TRY(extra_keys(w, w->cols, l->source_extra, w->n, &extra));
    for (uint32_t i = 0; i < w->n; i++) {
        struct ip ip;
        uint32_t count = 0;
        if (i % 1024 == 0) TRY(whole_check(w));
        if (ip_parse(vec_str(&w->cols[l->source_key], i), &ip)) {
            for (unsigned prefix = 0; prefix <= ip.prefix; prefix++) {
                if (t.prefixes[prefix]) count += put_matches(w, &t, i, &ip, prefix, extra[i]);
            }
        }
        if (count == 0 && l->unmatched) put_row(w, i, NULL);
    }
    return OK;
}
