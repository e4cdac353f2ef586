/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/kek.h - keyd's door to the vaults: three calls, and what an answer means
 *
 * The door is a struct of functions so that keyd's tests drive it with a vault of their own;
 * kek_door.c is the one that speaks HTTPS with tokens of the clusters' identities.
 */
#pragma once

#include "custody/keyd.h"
#include "custody/record.h"
#include "custody/state.h"

struct kek_call {
    const struct kek_config *kek; /* whose identity asks; for describe and wrap: which key */
    uint64_t timeout_ms;
    bool fresh; /* a new connection and a new token: a denial must not come from something cached */
    uint32_t *retry_after_s; /* may be NULL: set when the vault asks to be left alone so long */
};

struct kek_info {
    char kek_id[KEK_ID_MAX]; /* full URI with version */
    char version[64];
    enum wrap_alg alg;
    bool type_usable;                  /* RSA 2048..4096, or AES-256: else alg means nothing */
    uint32_t rsa_bits;                 /* 0: no RSA key */
    bool enabled, recoverable;         /* recoverable: soft delete and purge protection */
    int64_t not_before_us, expires_us; /* 0 = none */
};

struct kek_port {
    void *ctx;
    /* The version named in the config, or the latest when that is "". */
    enum err (*describe)(void *ctx, const struct kek_call *c, struct kek_info *out, struct diag *d);
    /* Under exactly the version of info. */
    enum err (*wrap)(void *ctx, const struct kek_call *c, const struct kek_info *info,
                     struct bytes plain, struct wrapped *out, struct diag *d);
    /* Under the wrap's own kek_id, whatever the config says now. */
    enum err (*unwrap)(void *ctx, const struct kek_call *c, const struct wrapped *w,
                       struct secret **out, struct diag *d);
    void (*close)(void *ctx); /* may be NULL */
};

/* What the answer to an unwrap says about the key: vault_verdict() of vault/vault.h as an event of
 * state.h. A mismatch (ERR_CORRUPT) is no answer: whoever can make one must not be able to revoke.
 */
enum key_event kek_verdict(enum err e, const struct diag *d);

/* The port of production: HTTPS, with tokens that identity gives for the principals over its
 * channel (which outlives the port). Copies hosts. */
enum err kek_door_port(struct kek_port *out, const struct keyd_config *c, struct chan *identity,
                       struct diag *d);

/* Would the version wrap now? An expired one still unwraps, by design: then a rotation is overdue.
 */
enum err kek_wraps(const struct kek_info *info, int64_t now_us, struct diag *d);

/* An operator's fault that must not pass for an outage of the network: the code of an alarm, or
 * NULL. */
const char *kek_alarm(enum err e, const struct diag *d);

/* May a scope's key be this one? ERR_INVALID with the tags of custody_kek_check(). */
enum err kek_acceptable(const struct kek_info *info, int64_t now_us, struct diag *d);
