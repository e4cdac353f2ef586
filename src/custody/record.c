/* SPDX-License-Identifier: Apache-2.0 */
/* custody/record.c - encoding, MAC and checks of custody/record.h; docs/formats/wrap.md */
#include "custody/record.h"

#include "base/str.h"
#include "crypto/hash.h"
#include "custody/root.h"

#include <inttypes.h>
#include <stdio.h>

#define RECORD_VERSION 1
#define HEADER_LEN     16
#define MAC_LEN        32
#define MK_LEN         32

/* Labels end in one zero byte: sizeof counts it. */
static const char label_mac[] = "keystead/1 record";
static const char label_mk[] = "keystead/1 mk-commit";

const char *record_kind_name(enum record_kind k)
{
    switch (k) {
    case RECORD_SCOPE: return "scope";
    case RECORD_WRAP: return "wrap";
    case RECORD_STATE: return "state";
    case RECORD_MK: return "mk";
    case RECORD_IEK: return "iek";
    case RECORD_ROOT: return "root";
    case RECORD_SIGNER: return "signer";
    case RECORD_SPOOL: return "spool";
    }
    return "?";
}

const char *wrap_alg_name(enum wrap_alg a)
{
    return a == WRAP_A256KW ? "A256KW" : "RSA-OAEP-256";
}

static void record_mac(const struct secret *mk, struct bytes record, uint8_t out[MAC_LEN])
{
    CLEANUP_BUF struct buf in = {0};
    buf_bytes(&in, bytes_of(label_mac, sizeof label_mac));
    buf_bytes(&in, record);
    uint8_t full[64];
    hmac_sha512(secret_view(mk), buf_view(&in), full);
    memcpy(out, full, MAC_LEN);
    wipe(full, sizeof full);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_text(struct buf *b, const char *s)
{
    buf_u16be(b, (uint16_t)strlen(s));
    buf_str(b, s);
}

static void put_wrapped(struct buf *b, const struct wrapped *w)
{
    buf_u8(b, (uint8_t)w->alg);
    put_text(b, w->kek_id);
    buf_u16be(b, w->len);
    buf_bytes(b, bytes_of(w->blob, w->len));
}

static void put_header(struct buf *b, enum record_kind kind, uint64_t generation)
{
    buf_bytes(b, BYTES("KSTR"));
    buf_u8(b, RECORD_VERSION);
    buf_u8(b, (uint8_t)kind);
    buf_u16be(b, 0);
    buf_u64be(b, generation);
}

/* Ends a record whose header and body stand in b, and appends it to out. */
static enum err seal(struct buf *b, const struct secret *mk, struct buf *out, struct diag *d)
{
    TRY(buf_check(b, d));
    uint8_t mac[MAC_LEN];
    record_mac(mk, buf_view(b), mac);
    buf_bytes(b, bytes_of(mac, sizeof mac));
    if (b->len > RECORD_MAX)
        return FAIL(d, ERR_LIMIT, "a record of more than %d bytes", RECORD_MAX);
    buf_bytes(out, buf_view(b));
    return buf_check(out, d);
}

static enum err encode_wrap(enum record_kind kind, const struct wrap *w, const struct secret *mk,
                            struct buf *out, struct diag *d)
{
    CLEANUP_BUF struct buf b = {0};
    put_header(&b, kind, w->generation);
    buf_bytes(&b, bytes_of(w->account, sizeof w->account));
    buf_bytes(&b, bytes_of(w->aek_id, sizeof w->aek_id));
    buf_u32be(&b, w->gen);
    buf_u32be(&b, w->serial);
    buf_u16be(&b, w->suite);
    buf_u8(&b, (uint8_t)w->state);
    buf_u64be(&b, (uint64_t)w->created_us);
    put_wrapped(&b, &w->w);
    buf_bytes(&b, bytes_of(w->commit, sizeof w->commit));
    return seal(&b, mk, out, d);
}

enum err wrap_encode(const struct wrap *w, const struct secret *mk, struct buf *out, struct diag *d)
{
    return encode_wrap(RECORD_WRAP, w, mk, out, d);
}

enum err spool_encode(const struct wrap *w, const struct secret *mk, struct buf *out,
                      struct diag *d)
{
    return encode_wrap(RECORD_SPOOL, w, mk, out, d);
}

enum err scope_encode(const struct scope_record *s, const struct secret *mk, struct buf *out,
                      struct diag *d)
{
    CLEANUP_BUF struct buf b = {0};
    put_header(&b, RECORD_SCOPE, s->generation);
    put_text(&b, s->name);
    buf_u8(&b, s->cleared);
    buf_u8(&b, s->sealed);
    put_text(&b, s->kek.vault_uri);
    put_text(&b, s->kek.key_name);
    put_text(&b, s->kek.key_version);
    put_text(&b, s->kek.principal_id);
    buf_u8(&b, (uint8_t)s->policy.outage);
    buf_u32be(&b, s->policy.grace_s);
    buf_u32be(&b, s->policy.retain_max_s);
    buf_u32be(&b, s->policy.probe_s);
    buf_u32be(&b, s->policy.bound_s);
    buf_u8(&b, s->is_double);
    return seal(&b, mk, out, d);
}

enum err state_encode(const struct state_record *s, const struct secret *mk, struct buf *out,
                      struct diag *d)
{
    CLEANUP_BUF struct buf b = {0};
    put_header(&b, RECORD_STATE, s->generation);
    buf_bytes(&b, bytes_of(s->account, sizeof s->account));
    put_text(&b, s->scope);
    put_text(&b, s->workspace);
    put_text(&b, key_state_name(s->state));
    buf_u64be(&b, (uint64_t)s->since_us);
    buf_u64be(&b, (uint64_t)s->created_us);
    buf_u32be(&b, s->revocations);
    return seal(&b, mk, out, d);
}

enum err mk_encode(const struct mk_record *m, const struct secret *mk, struct buf *out,
                   struct diag *d)
{
    CLEANUP_BUF struct buf b = {0};
    put_header(&b, RECORD_MK, m->generation);
    buf_u64be(&b, (uint64_t)m->created_us);
    put_wrapped(&b, &m->w);
    buf_bytes(&b, bytes_of(m->commit, sizeof m->commit));
    return seal(&b, mk, out, d);
}

enum err iek_encode(const struct iek_record *i, const struct secret *mk, struct buf *out,
                    struct diag *d)
{
    CLEANUP_BUF struct buf b = {0};
    put_header(&b, RECORD_IEK, i->generation);
    buf_u64be(&b, (uint64_t)i->created_us);
    buf_bytes(&b, bytes_of(i->id, sizeof i->id));
    buf_bytes(&b, bytes_of(i->commit, sizeof i->commit));
    return seal(&b, mk, out, d);
}

enum err signer_encode(const struct signer_record *s, const struct secret *mk, struct buf *out,
                       struct diag *d)
{
    CLEANUP_BUF struct buf b = {0};
    put_header(&b, RECORD_SIGNER, s->generation);
    buf_u64be(&b, (uint64_t)s->created_us);
    buf_bytes(&b, bytes_of(s->public_key, sizeof s->public_key));
    buf_bytes(&b, bytes_of(s->salt, sizeof s->salt));
    buf_bytes(&b, bytes_of(s->sealed, sizeof s->sealed));
    return seal(&b, mk, out, d);
}

enum err root_encode(const struct root_record *r, const struct secret *mk, struct buf *out,
                     struct diag *d)
{
    CLEANUP_BUF struct buf b = {0};
    put_header(&b, RECORD_ROOT, r->generation);
    buf_u64be(&b, r->previous);
    buf_u8(&b, r->anchored);
    lthash_put(&r->all, &b);
    return seal(&b, mk, out, d);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* A text without a zero byte in it that fits, with its end, into cap bytes. */
static void get_text(struct rd *r, char *out, size_t cap)
{
    struct bytes b = rd_bytes(r, rd_u16be(r));
    if (b.len >= cap || (b.len != 0 && memchr(b.p, 0, b.len) != NULL)) {
        r->bad = true;
        b.len = 0;
    }
    if (b.len != 0) memcpy(out, b.p, b.len);
    out[b.len] = 0;
}

static void get_wrapped(struct rd *r, struct wrapped *w)
{
    w->alg = (enum wrap_alg)rd_u8(r);
    get_text(r, w->kek_id, sizeof w->kek_id);
    w->len = rd_u16be(r);
    if ((w->alg != WRAP_RSA_OAEP_256 && w->alg != WRAP_A256KW) || w->len == 0 ||
        w->len > sizeof w->blob) {
        r->bad = true;
        w->len = 0;
    }
    rd_copy(r, w->blob, w->len);
}

/* A yes or no. */
static bool get_flag(struct rd *r)
{
    uint8_t v = rd_u8(r);
    if (v > 1) r->bad = true;
    return v == 1;
}

static enum key_state get_state(struct rd *r)
{
    char name[16];
    get_text(r, name, sizeof name);
    for (int s = 0; s < KEY_STATES; s++) {
        if (str_eq(name, key_state_name((enum key_state)s))) return (enum key_state)s;
    }
    r->bad = true;
    return KEY_SUSPENDED;
}

bool record_is_ours(struct bytes in, const struct secret *mk)
{
    if (in.len < HEADER_LEN + MAC_LEN || in.len > RECORD_MAX) return false;
    uint8_t mac[MAC_LEN];
    record_mac(mk, bytes_of(in.p, in.len - MAC_LEN), mac);
    return secret_eq(bytes_of(mac, MAC_LEN), bytes_of(in.p + in.len - MAC_LEN, MAC_LEN));
}

uint64_t record_generation(struct bytes in)
{
    struct rd r = rd_from(in);
    (void)rd_bytes(&r, 8);
    return rd_u64be(&r);
}

static enum err mac_right(struct bytes in, const struct secret *mk, const char *kind,
                          struct diag *d)
{
    if (record_is_ours(in, mk)) return OK;
    return FAIL(d, ERR_CORRUPT, "%s record: it was not written by this keyd, or changed since",
                kind);
}

/* Leaves r at the body and without the MAC. */
static enum err header_right(struct bytes in, enum record_kind kind, struct rd *r,
                             uint64_t *generation, struct diag *d)
{
    if (in.len < HEADER_LEN + MAC_LEN || in.len > RECORD_MAX) {
        return FAIL(d, ERR_CORRUPT, "%s record: %zu bytes", record_kind_name(kind), in.len);
    }
    *r = rd_from(bytes_of(in.p, in.len - MAC_LEN));
    struct bytes magic = rd_bytes(r, 4);
    uint8_t version = rd_u8(r), k = rd_u8(r);
    uint16_t zero = rd_u16be(r);
    *generation = rd_u64be(r);
    if (!bytes_eq(magic, BYTES("KSTR")) || version != RECORD_VERSION || k != kind || zero != 0) {
        return FAIL(d, ERR_CORRUPT, "%s record: its header is none of ours",
                    record_kind_name(kind));
    }
    return OK;
}

static enum err whole(const struct rd *r, enum record_kind kind, struct diag *d)
{
    if (rd_done(r)) return OK;
    return FAIL(d, ERR_CORRUPT, "%s record: its fields do not fill it", record_kind_name(kind));
}

static enum err decode_wrap(enum record_kind kind, struct bytes in, const struct secret *mk,
                            struct wrap *out, struct diag *d)
{
    TRY(mac_right(in, mk, record_kind_name(kind), d)); /* (1) */
    struct rd r;
    struct wrap w = {0};
    TRY(header_right(in, kind, &r, &w.generation, d));
    rd_copy(&r, w.account, sizeof w.account);
    rd_copy(&r, w.aek_id, sizeof w.aek_id);
    w.gen = rd_u32be(&r);
    w.serial = rd_u32be(&r);
    w.suite = rd_u16be(&r);
    w.state = (enum wrap_state)rd_u8(&r);
    if (w.state != WRAP_ACTIVE && w.state != WRAP_PENDING) r.bad = true;
    w.created_us = (int64_t)rd_u64be(&r);
    get_wrapped(&r, &w.w);
    rd_copy(&r, w.commit, sizeof w.commit);
    TRY(whole(&r, kind, d));
    *out = w;
    return OK;
}

enum err wrap_decode(struct bytes in, const struct secret *mk, struct wrap *out, struct diag *d)
{
    return decode_wrap(RECORD_WRAP, in, mk, out, d);
}

enum err spool_decode(struct bytes in, const struct secret *mk, struct wrap *out, struct diag *d)
{
    return decode_wrap(RECORD_SPOOL, in, mk, out, d);
}

enum err scope_decode(struct bytes in, const struct secret *mk, struct scope_record *out,
                      struct diag *d)
{
    TRY(mac_right(in, mk, "scope", d)); /* (1) */
    struct rd r;
    struct scope_record s = {0};
    TRY(header_right(in, RECORD_SCOPE, &r, &s.generation, d));
    get_text(&r, s.name, sizeof s.name);
    s.cleared = get_flag(&r);
    s.sealed = get_flag(&r);
    get_text(&r, s.kek.vault_uri, sizeof s.kek.vault_uri);
    get_text(&r, s.kek.key_name, sizeof s.kek.key_name);
    get_text(&r, s.kek.key_version, sizeof s.kek.key_version);
    get_text(&r, s.kek.principal_id, sizeof s.kek.principal_id);
    s.policy.outage = (enum outage_policy)rd_u8(&r);
    if (s.policy.outage > OUTAGE_SUSPEND) r.bad = true;
    s.policy.grace_s = rd_u32be(&r);
    s.policy.retain_max_s = rd_u32be(&r);
    s.policy.probe_s = rd_u32be(&r);
    s.policy.bound_s = rd_u32be(&r);
    s.is_double = get_flag(&r);
    TRY(whole(&r, RECORD_SCOPE, d));
    *out = s;
    return OK;
}

enum err state_decode(struct bytes in, const struct secret *mk, struct state_record *out,
                      struct diag *d)
{
    TRY(mac_right(in, mk, "state", d)); /* (1) */
    struct rd r;
    struct state_record s = {0};
    TRY(header_right(in, RECORD_STATE, &r, &s.generation, d));
    rd_copy(&r, s.account, sizeof s.account);
    get_text(&r, s.scope, sizeof s.scope);
    get_text(&r, s.workspace, sizeof s.workspace);
    s.state = get_state(&r);
    s.since_us = (int64_t)rd_u64be(&r);
    s.created_us = (int64_t)rd_u64be(&r);
    s.revocations = rd_u32be(&r);
    TRY(whole(&r, RECORD_STATE, d));
    *out = s;
    return OK;
}

enum err iek_decode(struct bytes in, const struct secret *mk, struct iek_record *out,
                    struct diag *d)
{
    TRY(mac_right(in, mk, "iek", d)); /* (1) */
    struct rd r;
    struct iek_record i = {0};
    TRY(header_right(in, RECORD_IEK, &r, &i.generation, d));
    i.created_us = (int64_t)rd_u64be(&r);
    rd_copy(&r, i.id, sizeof i.id);
    rd_copy(&r, i.commit, sizeof i.commit);
    TRY(whole(&r, RECORD_IEK, d));
    *out = i;
    return OK;
}

enum err mk_decode(struct bytes in, struct mk_record *out, struct diag *d)
{
    struct rd r;
    struct mk_record m = {0};
    TRY(header_right(in, RECORD_MK, &r, &m.generation, d));
    m.created_us = (int64_t)rd_u64be(&r);
    get_wrapped(&r, &m.w);
    rd_copy(&r, m.commit, sizeof m.commit);
    TRY(whole(&r, RECORD_MK, d));
    *out = m;
    return OK;
}

enum err signer_decode(struct bytes in, const struct secret *mk, struct signer_record *out,
                       struct diag *d)
{
    TRY(mac_right(in, mk, "signer", d)); /* (1) */
    struct rd r;
    struct signer_record s = {0};
    TRY(header_right(in, RECORD_SIGNER, &r, &s.generation, d));
    s.created_us = (int64_t)rd_u64be(&r);
    rd_copy(&r, s.public_key, sizeof s.public_key);
    rd_copy(&r, s.salt, sizeof s.salt);
    rd_copy(&r, s.sealed, sizeof s.sealed);
    TRY(whole(&r, RECORD_SIGNER, d));
    *out = s;
    return OK;
}

enum err root_decode(struct bytes in, const struct secret *mk, struct root_record *out,
                     struct diag *d)
{
    TRY(mac_right(in, mk, "root", d)); /* (1) */
    struct rd r;
    struct root_record x = {0};
    TRY(header_right(in, RECORD_ROOT, &r, &x.generation, d));
    x.previous = rd_u64be(&r);
    x.anchored = get_flag(&r);
    lthash_get(&r, &x.all);
    TRY(whole(&r, RECORD_ROOT, d));
    *out = x;
    return OK;
}

bool root_follows(struct bytes stored, struct bytes next)
{
    struct rd r = rd_from(next);
    (void)rd_bytes(&r, HEADER_LEN);
    uint64_t previous = rd_u64be(&r);
    return !r.bad && previous == record_generation(stored) && record_generation(next) > previous;
}

void mk_commitment(const struct secret *mk, uint8_t out[32])
{
    hkdf_expand(secret_view(mk), bytes_of(label_mk, sizeof label_mk), out, 32);
}

enum err mk_check(struct bytes in, const struct mk_record *m, const struct secret *mk,
                  struct diag *d)
{
    if (secret_len(mk) != MK_LEN) {
        return FAIL(d, ERR_CORRUPT, "the platform's MAC key has %zu bytes, not %d", secret_len(mk),
                    MK_LEN);
    }
    uint8_t commit[32];
    mk_commitment(mk, commit);
    if (!secret_eq(bytes_of(commit, 32), bytes_of(m->commit, 32))) {
        return FAIL(d, ERR_CORRUPT, "what the vault unwrapped is not the platform's MAC key");
    }
    return mac_right(in, mk, "mk", d);
}

void wrap_id(const struct wrap *w, char out[WRAP_ID_MAX])
{
    char account[33], aek[33];
    hex_encode(bytes_of(w->account, 16), account);
    hex_encode(bytes_of(w->aek_id, 16), aek);
    snprintf(out, WRAP_ID_MAX, "%s/%s/%08" PRIx32 "/%08" PRIx32, account, aek, w->gen, w->serial);
}
