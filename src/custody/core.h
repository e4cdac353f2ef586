/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/core.h - what the files of keyd share: the daemon, its scopes, its accounts
 *
 * Locking:
 *
 * (1) k->lock guards every field below but those of a busy scope's own worker. It is never held
 *     over a vault call, a call to the log service, or a sync of the audit log.
 * (2) A scope is `busy` while one thread asks its vault or changes its wraps; only that thread does
 *     so. It is taken with scope_take(), before k->lock. A dead vault keeps its own scope busy and
 *     nobody else's.
 * (3) Scopes and accounts are never freed before keyd_free(): a pointer stays good. `removed` ones
 *     are skipped. One that is removed and added again is another object under the same name.
 * (4) An AEK is read under k->lock, and replaced or wiped under k->lock.
 */
#pragma once

#include "base/map.h"
#include "base/thread.h"
#include "base/time.h"
#include "custody/anchor.h"
#include "custody/audit.h"
#include "custody/audit_files.h"
#include "custody/kek.h"
#include "custody/keyd.h"
#include "custody/protocol.h"
#include "custody/root.h"

#define WORKERS_MAX       32
#define DUE_NEVER         INT64_MAX
#define BY_MAX            128 /* bytes of who gave an order, with the terminating zero */
#define DOUBT_PROBE_S     2
#define DOUBT_S           10
#define CONFIRM_S         2  /* a firewall, a vault that is gone: looked at again so soon */
#define RETRY_AFTER_S_MAX 60 /* who asks for more must not postpone a revocation by that much */

struct aek {
    struct wrap wrap;   /* the active one; its MAC was right when it was loaded or made */
    struct secret *key; /* NULL unless the account's state holds it */
};

struct account {
    uint8_t id[16];
    char hex[33];
    char workspace[128];
    struct scope *scope;
    struct key_position at;
    struct aek *aeks; /* by gen; the last is for new files */
    size_t n_aeks;
    bool damaged; /* one of its records is not what keyd wrote: every answer counts as none */
    bool removed;
    bool fresh;  /* still in its state of the start: nothing to tell the holder */
    bool barred; /* the last answer was one that locks when it comes twice */
    int64_t since_us, created_us;
    int64_t doubt_since_us;        /* steady time */
    int64_t good_us, good_boot_us; /* when the last good unwrap was asked for; 0 = never */
    uint64_t seq, seq_told, seq_saved, seq_restoring;
    uint32_t revocations; /* how often it was REVOKED; binds a spool to the outage it was made in */
    unsigned n_untold;    /* how often this holder did not acknowledge that the account is locked */
    /* The platform's version that wraps its spool, "" = there is none; keyd knows it from the calls
     * since its start, or since there was none for sure. */
    char spool_kek[KEK_ID_MAX];
    bool spool_known;
};

struct version_use { /* when a KEK version last unwrapped something */
    char kek_id[KEK_ID_MAX];
    int64_t last_us;
};

#define VERSIONS_MAX 64

struct alarm {                          /* somebody must look: an operator's fault, or an attack */
    char code[DIAG_TAG_MAX], text[256]; /* code "" = none */
    int64_t since_us;
};

/* Who hangs must not use up the hands that serve the others: a vault is asked with little patience
 * first, and who did not answer in that time waits with those of his kind. */
enum lane { LANE_QUICK, LANE_SLOW, LANES };

struct scope {
    struct scope_record rec;
    struct account **accounts;
    size_t n_accounts;
    bool busy, removed, platform;
    int64_t due_us; /* steady time of the next round */
    uint32_t round; /* probes so far: which account's wrap is the sample */
    struct version_use versions[VERSIONS_MAX];
    size_t n_versions;
    char target[KEK_ID_MAX]; /* the version that new wraps are made with, as last seen */
    char overdue[256];       /* why the key no longer wraps, though it unwraps; "" = it does */
    int64_t wrap_tried_us;
    int64_t quiet_until_us; /* steady: the vault asked to be left alone until then (Retry-After) */
    struct alarm alarm;
    enum lane lane;
    bool again; /* it was asked with little patience: it is due at once, as a slow one */
};

struct iek {            /* the infrastructure key of the second layer */
    struct secret *key; /* NULL: `trouble` says why */
    uint8_t id[16];
    bool is_known; /* its record is there, so id is right */
    char custodian[256], trouble[192];
};

struct worker {
    struct keyd *k;
    struct timer *timer;
    pthread_t thread;
};

/* What keyd can prove later: the root over all records, the anchor, the seals of the audit log.
 * lock guards all but what is set once before the threads start; it is taken before keyd.lock, and
 * held over a commit: transactions come one after the other, and the anchor after each. */
struct proof {
    pthread_mutex_t lock;
    struct root_index index;
    struct root_record root; /* as the catalogue has it */
    uint8_t root_mac[32];
    bool unsure; /* of a commit without an answer */
    struct anchor anchor;
    int64_t anchored_us; /* when it was last written; 0: not by this keyd */
    char anchor_problem[256];
    uint64_t accept;          /* the rollback that the operator accepts, by its generation */
    bool accepted;            /* it was met, and recorded */
    _Atomic uint64_t entries; /* generation of the storage's root: the anchor's, then as told */
    struct secret *signer_key;
    uint8_t signer[ED25519_KEY_LEN];
    int slot_fd;        /* holds the current MAC key of the audit log, sealed under MK */
    uint64_t audit_seq; /* of the last seal; 0: none by this keyd */
    uint8_t audit_chain[32];
    int64_t sealed_us;
    char audit_problem[256]; /* "" = the past of the audit log is what it was */
    char auditor_key[512];   /* where the auditor's private key lies; "" = not with us */
    char audit_dir[512];
    struct timer *timer; /* NULL: the thread was not started */
    pthread_t thread;
};

struct feed { /* where the last reader of the audit log stands */
    pthread_mutex_t lock;
    struct audit_reader reader;
    bool is_open;
    uint64_t next_seq; /* of the line that the reader gives next */
};

struct keyd {
    struct kek_config platform;
    struct key_policy policy; /* resolved: scopes without one of their own */
    void (*holder_failed)(void *ctx);
    void *ctx;
    struct chan *logs, *identity, *reader;
    struct kek_port port;
    struct audit *audit;
    struct proof proof;
    struct feed feed;
    struct map past_states; /* account hex -> enum key_state + 1: last state in the audit log */
    struct map past_uses; /* scope, newline, KEK version -> int64_t *: last good unwrap, likewise */
    bool past_mk;
    uint64_t journal_file; /* that has what is current (journal.c), by its first line; under lock */

    pthread_mutex_t lock;
    pthread_cond_t change;       /* a scope became idle, ready, stopping, something to tell */
    struct map scopes, accounts; /* by name, by id */
    struct scope **all_scopes;   /* removed ones too: they own their accounts */
    size_t n_scopes;
    struct secret *mk;
    struct mk_record mk_record;
    struct iek iek;
    uint64_t generation, seq;
    uint64_t holder; /* how many have connected: which of them has heard something */
    bool ready, stopping, herald_due;
    char waits_for[256];       /* why it is not ready */
    pthread_mutex_t save_lock; /* one writer of state records; taken before lock */

    struct timer *boot_timer; /* NULL: not started */
    pthread_t boot_thread, herald_thread;
    struct worker workers[WORKERS_MAX];
    unsigned n_workers, busy[LANES]; /* workers at a vault, by the lane of the scope */
    /* Calls of the log service that wait for a vault, the customers' or the platform's: keyd.c */
    unsigned n_vault_calls, n_spool_calls;
};

/* journal.c */
enum err journal_use(struct keyd *k, const char *scope, const char *kek_id, int64_t us,
                     struct diag *d);                   /* when a KEK version was last used */
enum err journal_carry(struct keyd *k, struct diag *d); /* once per file of the audit log */

/* boot.c */
enum err boot_run(struct keyd *k, struct diag *d); /* one try: MK, records; ready when OK */
void forget_scopes(struct keyd *k);                /* frees all scopes and accounts */

/* ledger.c: records go to the log service; a generation per transaction */
struct ledger {
    struct keyd *k;
    uint64_t generation;
    struct buf body;
};
enum err ledger_begin(struct ledger *l, struct keyd *k, struct diag *d);
enum err ledger_wrap(struct ledger *l, struct wrap *w, struct diag *d); /* sets w->generation */
enum err ledger_drop_wrap(struct ledger *l, const struct wrap *w, struct diag *d);
enum err ledger_scope(struct ledger *l, struct scope_record *s, struct diag *d);
enum err ledger_drop_scope(struct ledger *l, const char *name, struct diag *d);
enum err ledger_state(struct ledger *l, struct state_record *s, struct diag *d);
enum err ledger_drop_state(struct ledger *l, const uint8_t account[16], struct diag *d);
enum err ledger_mk(struct ledger *l, struct mk_record *m, struct diag *d);
enum err ledger_iek(struct ledger *l, struct iek_record *i, struct diag *d);
enum err ledger_signer(struct ledger *l, struct signer_record *s, struct diag *d);
enum err ledger_commit(struct ledger *l, struct diag *d);      /* acknowledged by the log service */
enum err ledger_commit_root(struct ledger *l, struct diag *d); /* also when nothing changed */
void ledger_release(struct ledger *l);
typedef enum err ledger_visit(void *ctx, const struct custody_record *r, struct diag *d);
enum err ledger_load(struct keyd *k, const char *kind, ledger_visit *visit, void *ctx,
                     struct diag *d);
#define CLEANUP_LEDGER __attribute__((cleanup(ledger_release)))

/* audit_feed.c: durable lines behind number `after`, as they stand in the log; appends to out */
enum err feed_read(struct keyd *k, uint64_t after, struct buf *out, struct diag *d);
void feed_release(struct keyd *k);

/* rollback.c: is what the catalogue holds the newest there was? */
/* Serves KEYD_ENTRIES. */
enum err entries_serve(struct keyd *k, struct rd *in, struct buf *out, struct diag *d);
void entries_told(struct keyd *k, uint64_t generation);
enum err rollback_check(struct keyd *k, struct diag *d);
enum err proof_reload(struct keyd *k, struct diag *d); /* under proof.lock: root and index anew */

/* seal.c: signatures, the anchor, every five minutes */
enum err proof_open(struct keyd *k, const struct keyd_config *c, struct diag *d);
enum err proof_begin(struct keyd *k, struct diag *d); /* MK is there: the signer, the first seal */
void proof_anchor(struct keyd *k);                    /* under proof.lock; a failure is shown */
enum err proof_seal(struct keyd *k, struct diag *d);
enum err proof_start(struct keyd *k, struct diag *d);
void proof_stop(struct keyd *k);
void proof_release(struct keyd *k);

/* scope.c */
struct key_policy scope_policy(const struct keyd *k, const struct scope *s);
uint64_t scope_call_ms(const struct keyd *k, const struct scope *s);
struct scope *scope_find(struct keyd *k, const char *name); /* under lock; NULL */
enum err scope_insert(struct keyd *k, const struct scope_record *rec, struct scope **out,
                      struct diag *d);            /* under lock */
void scope_take(struct keyd *k, struct scope *s); /* waits until idle; not under lock */
void scope_give(struct keyd *k, struct scope *s, int64_t due_us);
int64_t scope_next_due(const struct keyd *k, const struct scope *s); /* under lock */
void scope_used(struct keyd *k, struct scope *s, const char *kek_id, int64_t now_us);
void scope_free(struct scope *s);
enum err scope_set(struct keyd *k, const char *name, const struct kek_request *q, uint64_t *wraps,
                   struct diag *d);
enum err scope_set_policy(struct keyd *k, const char *name, const struct key_policy *p,
                          const char *by, struct diag *d);
enum err scope_clear(struct keyd *k, const char *name, bool sealed, struct diag *d);
enum err scope_unlock(struct keyd *k, const char *name, const char *by, struct diag *d);
enum err scope_remove(struct keyd *k, const char *name, struct diag *d);

/* worker.c: threads that serve what is due */
enum err workers_match(struct keyd *k,
                       struct diag *d); /* under lock: one per scope, to WORKERS_MAX */
void workers_wake(struct keyd *k);      /* under lock: something is due earlier */
void workers_stop(struct keyd *k);

/* account.c */
struct account *account_find(struct keyd *k, const uint8_t id[16]); /* under lock; NULL */
enum err account_insert(struct keyd *k, struct scope *s, const struct state_record *rec,
                        struct account **out, struct diag *d); /* under lock */
enum err account_adopt_wrap(struct account *a, const struct wrap *w,
                            struct diag *d); /* under lock */
void key_account_free(struct account *a);
enum err account_add(struct keyd *k, const char *scope, const uint8_t id[16], const char *workspace,
                     struct news *out, struct diag *d);
/* Applies one event: state, wipe, audit, news, in this order. Scope busy. */
void account_event(struct keyd *k, struct account *a, enum key_event event);
/* How long keys that are in memory may still serve a silent vault; INT64_MAX = for ever. Under
 * lock. */
int64_t account_patience_us(const struct keyd *k, const struct account *a);
struct news account_news(struct keyd *k, const struct account *a);    /* under lock */
struct aek *account_aek(struct account *a, const uint8_t aek_id[16]); /* under lock; NULL */

/* generation.c: an account's AEKs */
enum err aek_make(struct keyd *k, struct scope *s, const uint8_t account[16], uint32_t gen,
                  struct wrap *w, struct secret **aek,
                  struct diag *d); /* wrapped and unwrapped again; scope busy */
enum err aek_rotate(struct keyd *k, const uint8_t account[16], const char *by, uint32_t *gen,
                    uint8_t aek_id[16], struct diag *d);
enum err aek_drop(struct keyd *k, const uint8_t account[16], const uint8_t aek_id[16],
                  struct diag *d);
/* Every wrap of the scope to the version that new ones get. */
enum err scope_rewrap(struct keyd *k, const char *name, const char *by, uint64_t *wraps,
                      struct diag *d);

/* probe.c */
struct probe {
    const char *purpose;         /* for the audit line */
    const struct kek_config *as; /* whose identity asks; NULL = the scope's */
    bool fresh;
    uint64_t timeout_ms;     /* 0 = the scope's */
    uint32_t *retry_after_s; /* may be NULL: set when the vault asks to be left alone */
};
/* Unwraps, writes the audit line, checks the commitment. ERR_CORRUPT: a mismatch, with an alarm. */
enum err probe_unwrap(struct keyd *k, struct scope *s, const struct probe *p, const struct wrap *w,
                      struct secret **out, struct diag *d);
void probe_round(struct keyd *k, struct scope *s); /* scope busy */
void probe_enough(struct keyd *k,
                  struct scope *s); /* the outage policy, by the clock; scope busy */

/* rotate.c */
struct rotation { /* where to */
    const struct kek_config *kek;
    struct kek_info info;
};
/* Rewraps what is not yet under info's version; rec, when not NULL, is written in the same
 * transaction that flips. */
enum err rotate_scope(struct keyd *k, struct scope *s, const struct rotation *r,
                      struct scope_record *rec, uint64_t *wraps, struct diag *d);
/* When key_version is "": to the latest. In any case: does the key still wrap? ERR_INVALID,
 * ERR_DENIED: a rotation is overdue; the sentence says why. */
enum err rotate_follow(struct keyd *k, struct scope *s, struct diag *d);
enum err kek_check(struct keyd *k, const struct kek_config *kek, uint64_t call_ms,
                   struct kek_info *out, struct diag *d);

/* iek.c */
enum err iek_boot(struct keyd *k, struct diag *d);       /* after MK: is it the right one? */
enum err iek_need(const struct keyd *k, struct diag *d); /* under lock: ERR_UNAVAILABLE, and why */
json_t *iek_status(const struct keyd *k);                /* under lock */

/* lease.c */
uint64_t lease_us(struct keyd *k, const struct account *a); /* under lock; 0 = none */
/* Under lock: one file key of this AEK, with its second layer where the account has one; appended
 * as get_leased_key() reads it. */
enum err lease_derive(const struct keyd *k, const struct account *a, const struct secret *aek,
                      struct file_ident *f, bool is_new, struct buf *keys, struct diag *d);
enum err lease_file_create(struct keyd *k, struct rd *in, struct buf *out, struct diag *d);
enum err lease_file_open(struct keyd *k, struct rd *in, struct buf *out, struct diag *d);
enum err lease_renew(struct keyd *k, struct rd *in, struct buf *out, struct diag *d);

/* spool.c: keys for rows that come while an account is SUSPENDED */
enum err spool_make(struct keyd *k, struct rd *in, struct buf *out, struct diag *d);
enum err spool_keys(struct keyd *k, struct rd *in, struct buf *out, struct diag *d);

/* herald.c */
void herald_wake(struct keyd *k); /* under lock */
void *herald_run(void *keyd);
void herald_tell(struct keyd *k, struct account *a); /* now, and waits for the acknowledgement */
/* `holder` acknowledged news number seq. One that was replaced meanwhile counts for nothing: the next
 * has heard nothing yet. */
void herald_told(struct keyd *k, struct account *a, uint64_t seq, uint64_t holder);

/* status.c */
enum err status_json(struct keyd *k, const char *scope, struct buf *out, struct diag *d);

/* keyd.c: as keyd_new(), with the caller's door to the vaults; takes port when OK */
enum err keyd_new_with(struct keyd **out, const struct keyd_config *c, const struct kek_port *port,
                       struct diag *d);
