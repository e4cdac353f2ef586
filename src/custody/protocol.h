/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/protocol.h - what keyd and the log service say to each other over their channel
 *
 * Little-endian, as base/bytes.h writes it; texts and blobs are a u32 length and the bytes. Both
 * ends come from one build, so there is no version; both read with bounded readers all the same:
 * the log service is exposed to the network, and keyd must not believe its lengths.
 *
 *      log service asks keyd               in                                out
 *      KEYD_READY                          -                                 -
 *      KEYD_KEK_CHECK                      kek                               version, u32 RSA bits or 0
 *      KEYD_SCOPE_SET                      scope, kek                        u64 wraps rewritten
 *      KEYD_SCOPE_POLICY                   scope, policy, by                 -
 *      KEYD_SCOPE_CLEAR                    scope, u8 sealed                  -
 *      KEYD_SCOPE_UNLOCK                   scope, by                         -
 *      KEYD_SCOPE_REMOVE                   scope                             -
 *      KEYD_ACCOUNT_ADD                    scope, account[16], workspace     news
 *      KEYD_STATUS                         scope, "" = all                   JSON text
 *      KEYD_FILE_CREATE                    account[16], u8 otype, file_id    u64 lease, header[128], file key
 *      KEYD_FILE_OPEN                      account[16], u32 n, n headers     u64 lease, n file keys
 *      KEYD_LEASES                         u32 n, n accounts, u64 entries    n news
 *      KEYD_ENTRIES                        u64 accepted or 0, text           u64 entries, u8 older
 *      KEYD_AUDIT_READ                     u64 after                         lines of the audit log
 *      KEYD_REPLAYED                       account[16], u64 seq              news
 *      KEYD_SPOOL_MAKE                     account[16]                       record
 *      KEYD_SPOOL_KEYS                     account[16], record, u32 n, n headers, u8 new, file_id
 *                                          if new                            n keys; header, key
 *      KEYD_SCOPE_REWRAP                   scope, by                         u64 wraps rewritten
 *      KEYD_AEK_ROTATE                     account[16], by                   u32 generation, aek_id
 *      KEYD_AEK_DROP                       account[16], aek_id[16]           -
 *
 *      keyd asks the log service
 *      LOGS_LOAD                           kind, id after which              u8 more, records
 *      LOGS_PERSIST                        records                           -
 *      LOGS_NEWS                           news                              -
 *
 * (1) A lease is a length of time in microseconds. keyd counts it from its answer, the holder from
 *     before its question: the holder's end always comes first.
 * (2) News carry a number that only goes up, also over a restart of keyd. Older news than the last
 *     are ignored. Number 0 means: nothing new since keyd started.
 * (3) entries is the generation of the storage's root (storage/entry_root.h): keyd takes it into
 *     the anchor. older: the operator has accepted an older copy at this start.
 */
#pragma once

#include "custody/record.h"

enum keyd_method {
    KEYD_READY = 1,
    KEYD_KEK_CHECK,
    KEYD_SCOPE_SET,
    KEYD_SCOPE_CLEAR,
    KEYD_SCOPE_REMOVE,
    KEYD_ACCOUNT_ADD,
    KEYD_STATUS,
    KEYD_FILE_CREATE,
    KEYD_FILE_OPEN,
    KEYD_LEASES,
    KEYD_REPLAYED,
    KEYD_SCOPE_POLICY,
    KEYD_SCOPE_UNLOCK,
    KEYD_SPOOL_MAKE,
    KEYD_SPOOL_KEYS,
    KEYD_SCOPE_REWRAP,
    KEYD_AEK_ROTATE,
    KEYD_AEK_DROP,
    KEYD_AUDIT_READ,
    KEYD_ENTRIES,
};

enum logs_method { LOGS_LOAD = 101, LOGS_PERSIST, LOGS_NEWS };

#define FILES_MAX    65536  /* file keys in one exchange */
#define ACCOUNTS_MAX 100000 /* accounts in one exchange */
#define LEASE_S_MAX  60     /* seconds that a lease lasts at most */
#define WIPE_MS      1000   /* the holder acknowledges a wipe within this time, or is killed */

struct news {
    uint8_t account[16];
    enum key_state state;
    uint64_t seq;
    uint64_t lease_us; /* 0 = none */
};

void put_news(struct buf *b, const struct news *n);
struct news get_news(struct rd *r);

void put_string(struct buf *b, const char *s);
/* A text that fits into cap bytes with its end, without a zero byte inside; else r->bad. */
void get_string(struct rd *r, char *out, size_t cap);

struct kek_request {
    struct kek_config kek;
    struct key_policy policy;
    bool is_double;
};
void put_policy(struct buf *b, const struct key_policy *p);
struct key_policy get_policy(struct rd *r);
void put_kek(struct buf *b, const struct custody_kek *k);
struct kek_request get_kek(struct rd *r);

/* A file key on its way: u8 layers, key[64]; with two layers iek_id[16] and outer key[64]. */
struct leased_key { /* borrows the message */
    struct bytes key, iek_id, outer;
};
struct leased_key get_leased_key(struct rd *r);
enum err leased_key_open(const struct leased_key *x, const struct file_ident *f,
                         struct file_key **out, struct diag *d);

void put_record(struct buf *b, const char *id, const char *parent, const char *kind,
                struct bytes value);
