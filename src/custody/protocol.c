/* SPDX-License-Identifier: Apache-2.0 */
/* custody/protocol.c - the small encodings that both ends share */
#include "custody/protocol.h"

void put_string(struct buf *b, const char *s)
{
    buf_blob(b, bytes_str(s));
}

void get_string(struct rd *r, char *out, size_t cap)
{
    struct bytes s = rd_blob(r);
    if (s.len >= cap || (s.len != 0 && memchr(s.p, 0, s.len) != NULL)) {
        r->bad = true;
        s.len = 0;
    }
    if (s.len != 0) memcpy(out, s.p, s.len);
    out[s.len] = 0;
}

void put_news(struct buf *b, const struct news *n)
{
    buf_bytes(b, bytes_of(n->account, sizeof n->account));
    buf_u8(b, (uint8_t)n->state);
    buf_u64(b, n->seq);
    buf_u64(b, n->lease_us);
}

struct news get_news(struct rd *r)
{
    struct news n;
    rd_copy(r, n.account, sizeof n.account);
    n.state = (enum key_state)rd_u8(r);
    n.seq = rd_u64(r);
    n.lease_us = rd_u64(r);
    if (n.state >= KEY_STATES) {
        r->bad = true;
        n.state = KEY_SUSPENDED;
    }
    return n;
}

void put_policy(struct buf *b, const struct key_policy *p)
{
    buf_u8(b, (uint8_t)p->outage);
    buf_u32(b, p->grace_s);
    buf_u32(b, p->retain_max_s);
    buf_u32(b, p->probe_s);
    buf_u32(b, p->bound_s);
}

struct key_policy get_policy(struct rd *r)
{
    struct key_policy p = {.outage = (enum outage_policy)rd_u8(r)};
    p.grace_s = rd_u32(r);
    p.retain_max_s = rd_u32(r);
    p.probe_s = rd_u32(r);
    p.bound_s = rd_u32(r);
    if (p.outage > OUTAGE_SUSPEND) r->bad = true;
    return p;
}

void put_kek(struct buf *b, const struct custody_kek *k)
{
    put_string(b, k->vault_uri);
    put_string(b, k->key_name);
    put_string(b, k->key_version != NULL ? k->key_version : "");
    put_string(b, k->principal_id);
    put_policy(b, &k->policy);
    buf_u8(b, k->is_double);
}

struct kek_request get_kek(struct rd *r)
{
    struct kek_request q = {0};
    get_string(r, q.kek.vault_uri, sizeof q.kek.vault_uri);
    get_string(r, q.kek.key_name, sizeof q.kek.key_name);
    get_string(r, q.kek.key_version, sizeof q.kek.key_version);
    get_string(r, q.kek.principal_id, sizeof q.kek.principal_id);
    q.policy = get_policy(r);
    q.is_double = rd_u8(r) != 0;
    return q;
}

struct leased_key get_leased_key(struct rd *r)
{
    struct leased_key x = {0};
    uint8_t layers = rd_u8(r);
    if (layers != 1 && layers != 2) r->bad = true;
    x.key = rd_bytes(r, FILE_KEY_LEN);
    if (layers == 2) {
        x.iek_id = rd_bytes(r, 16);
        x.outer = rd_bytes(r, FILE_KEY_LEN);
    }
    return x;
}

enum err leased_key_open(const struct leased_key *x, const struct file_ident *f,
                         struct file_key **out, struct diag *d)
{
    CLEANUP(file_key_free) struct file_key *k = NULL;
    TRY(file_key_new(&k, f, x->key, d));
    if (x->outer.len != 0) {
        struct outer_key *outer = NULL;
        TRY(outer_key_new(&outer, x->iek_id.p, f, x->outer, d));
        file_key_double(k, outer);
    }
    *out = TAKE(k);
    return OK;
}

void put_record(struct buf *b, const char *id, const char *parent, const char *kind,
                struct bytes value)
{
    put_string(b, kind);
    put_string(b, id);
    put_string(b, parent);
    buf_blob(b, value);
}
