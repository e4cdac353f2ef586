/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/kek_door.c - the vault port of production: the providers of vault/vault.h, with tokens
 * from identity
 *
 * Vaults of this server and foreign ones have each their own client: what vouches for one kind never
 * vouches for the other, and only ours are behind the socket.
 *
 * A handle per (key, principal) is kept: it holds its token and its connections. Handles are few -
 * one per scope and key it has ever had - and live as long as keyd.
 */
#include "base/map.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "custody/kek.h"
#include "identity/identity_client.h"
#include "net/http_client.h"
#include "vault/vault.h"

#include <stdio.h>
#include <stdlib.h>

/* Less than the shortest probe interval: each probe asks identity whether the principal is still
 * there. The calls of one rotation share a token. */
#define TOKEN_AGE_S_MAX 5

struct handle {
    struct door *door;
    char principal_id[64];
    const struct vault_ops *ops;
    void *vault;
};

struct vaults {
    struct http_client *http;
    char **hosts;
};

struct door {
    struct vaults ours, foreign;
    struct token *hsm; /* borrowed */
    struct identity_client *identity;
    pthread_mutex_t lock; /* guards handles */
    struct map handles;
};

static void handle_free(struct handle *h)
{
    if (h->vault != NULL) h->ops->close(h->vault);
    free(h);
}

static void vaults_release(struct vaults *v)
{
    http_client_free(v->http);
    for (char **h = v->hosts; h != NULL && *h != NULL; h++)
        free(*h);
    free(v->hosts);
}

static void door_close(void *ctx)
{
    struct door *p = ctx;
    if (p == NULL) return;
    MAP_EACH (&p->handles, e)
        handle_free(e->value);
    map_release(&p->handles);
    vaults_release(&p->ours);
    vaults_release(&p->foreign);
    identity_client_free(p->identity);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static enum err token(void *ctx, const char *resource, bool fresh, struct buf *out,
                      int64_t *expires_us, struct diag *d)
{
    const struct handle *h = ctx;
    (void)fresh; /* identity_token() caches nothing */
    return identity_token(h->door->identity, h->principal_id, resource, out, expires_us, d);
}

/* ERR_DENIED, tag "HostNotAllowed": the key is in none of these. */
static enum err open_in(const struct vaults *v, struct handle *h, const char *key_uri,
                        struct diag *d)
{
    const struct vault_config config = {.http = v->http,
                                        .hosts = (const char *const *)v->hosts,
                                        .token = token,
                                        .ctx = h,
                                        .token_age_max_s = TOKEN_AGE_S_MAX,
                                        .hsm = h->door->hsm};
    return h->ops->open(&h->vault, &config, key_uri, d);
}

static enum err handle_new(struct door *p, const char *key_uri, const char *principal_id,
                           struct handle **out, struct diag *d)
{
    const struct vault_ops *ops = vault_find(key_uri);
    if (ops == NULL) return FAIL(d, ERR_INVALID, "a key URI is an https or a pkcs11 URI");
    struct handle *h = calloc(1, sizeof *h);
    if (h == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    h->door = p;
    h->ops = ops;
    snprintf(h->principal_id, sizeof h->principal_id, "%s", principal_id);
    struct diag why = DIAG_INIT;
    enum err e = open_in(&p->ours, h, key_uri, &why);
    if (e == ERR_DENIED && p->foreign.http != NULL) {
        diag_reset(&why);
        e = open_in(&p->foreign, h, key_uri, &why);
    }
    if (e != OK) {
        e = FAIL_TAG(d, e, why.tag, "%s", why.text);
        handle_free(h);
        return e;
    }
    *out = h;
    return OK;
}

/* key_uri without a version. */
static enum err find_handle(struct door *p, const char *key_uri, const char *principal_id,
                            struct handle **out, struct diag *d)
{
    CLEANUP_FREE char *name = str_fmt("%s %s", principal_id, key_uri);
    if (name == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    LOCK_SCOPE(&p->lock);
    struct handle *h = map_get(&p->handles, bytes_str(name));
    if (h == NULL) {
        TRY(handle_new(p, key_uri, principal_id, &h, d));
        enum err e = map_put(&p->handles, bytes_str(name), h, NULL, d);
        if (e != OK) {
            handle_free(h);
            return e;
        }
    }
    *out = h;
    return OK;
}

static struct vault_call call_of(const struct kek_call *c)
{
    return (struct vault_call){.deadline_us = time_mono_us() + (int64_t)c->timeout_ms * 1000,
                               .fresh = c->fresh,
                               .retry_after_s = c->retry_after_s};
}

static enum err configured(struct door *p, const struct kek_config *kek, struct handle **out,
                           struct diag *d)
{
    CLEANUP_FREE char *uri = vault_key_uri(kek->vault_uri, kek->key_name);
    if (uri == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    return find_handle(p, uri, kek->principal_id, out, d);
}

/* Of a modulus that the vault sent, with or without zeros in front. */
static uint32_t bit_length(struct bytes n)
{
    while (n.len > 0 && n.p[0] == 0)
        n = bytes_of(n.p + 1, n.len - 1);
    if (n.len == 0 || n.len > UINT32_MAX / 8) return 0;
    uint32_t unused = (uint32_t)__builtin_clz(n.p[0]) - 24; /* bits of the first byte */
    return (uint32_t)n.len * 8 - unused;
}

static enum err read_key(const struct vault_key *v, struct kek_info *out, struct diag *d)
{
    struct kek_info i = {.enabled = v->enabled,
                         .recoverable = strstr(v->recovery_level, "Purgeable") == NULL &&
                                        str_eq(v->recovery_level, "") == false,
                         .not_before_us = v->nbf * US_PER_S,
                         .expires_us = v->exp * US_PER_S};
    if (strlen(v->kid) >= sizeof i.kek_id || strlen(v->version) >= sizeof i.version) {
        return FAIL(d, ERR_UNAVAILABLE, "the vault names a key version that is too long");
    }
    snprintf(i.kek_id, sizeof i.kek_id, "%s", v->kid);
    snprintf(i.version, sizeof i.version, "%s", v->version);
    const char *alg = vault_wrap_alg(v->kty);
    i.rsa_bits = bit_length(buf_view(&v->n));
    bool size_usable = i.rsa_bits == 0 || (i.rsa_bits >= 2048 && i.rsa_bits <= 4096);
    i.type_usable = alg != NULL && v->can_wrap && v->can_unwrap && size_usable;
    i.alg = str_eq(alg, "A256KW") ? WRAP_A256KW : WRAP_RSA_OAEP_256;
    *out = i;
    return OK;
}

static enum err describe(void *ctx, const struct kek_call *c, struct kek_info *out, struct diag *d)
{
    struct handle *h;
    TRY(configured(ctx, c->kek, &h, d));
    const struct vault_call call = call_of(c);
    CLEANUP_VAULT_KEY struct vault_key key = {0};
    TRY(h->ops->describe(h->vault, &call, c->kek->key_version, &key, d));
    return read_key(&key, out, d);
}

static enum err wrap(void *ctx, const struct kek_call *c, const struct kek_info *info,
                     struct bytes plain, struct wrapped *out, struct diag *d)
{
    struct handle *h;
    TRY(configured(ctx, c->kek, &h, d));
    const struct vault_call call = call_of(c);
    CLEANUP_VAULT_WRAPPED struct vault_wrapped w = {0};
    TRY(h->ops->wrap(h->vault, &call, info->version, wrap_alg_name(info->alg), plain, &w, d));
    if (!str_eq(w.kid, info->kek_id)) {
        return FAIL(d, ERR_UNAVAILABLE, "the vault wrapped with %s instead of %s", w.kid,
                    info->kek_id);
    }
    if (w.blob.len == 0 || w.blob.len > sizeof out->blob) {
        return FAIL(d, ERR_UNAVAILABLE, "the vault's wrap has %zu bytes", w.blob.len);
    }
    *out = (struct wrapped){.alg = info->alg, .len = (uint16_t)w.blob.len};
    memcpy(out->blob, w.blob.p, w.blob.len);
    snprintf(out->kek_id, sizeof out->kek_id, "%s", w.kid);
    return OK;
}

static enum err unwrap(void *ctx, const struct kek_call *c, const struct wrapped *w,
                       struct secret **out, struct diag *d)
{
    CLEANUP_FREE char *uri = NULL;
    char version[VAULT_VERSION_MAX];
    struct handle *h;
    TRY(vault_kid_split(w->kek_id, &uri, version, d));
    TRY(find_handle(ctx, uri, c->kek->principal_id, &h, d));
    const struct vault_call call = call_of(c);
    return h->ops->unwrap(h->vault, &call, version, wrap_alg_name(w->alg),
                          bytes_of(w->blob, w->len), out, d);
}

static enum err copy_hosts(struct vaults *p, const char *const *hosts, struct diag *d)
{
    size_t n = 0;
    while (hosts[n] != NULL)
        n++;
    p->hosts = calloc(n + 1, sizeof *p->hosts);
    if (p->hosts == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (size_t i = 0; i < n; i++) {
        p->hosts[i] = str_dup(hosts[i]);
        if (p->hosts[i] == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    }
    return OK;
}

/* A route is named by the host of "vault.localhost:8444". */
static enum err route(struct door *p, const struct keyd_config *c, struct diag *d)
{
    for (size_t i = 0; c->vault_socket != NULL && c->vault_hosts[i] != NULL; i++) {
        if (vault_find(c->vault_hosts[i]) != NULL) continue; /* the token, not a host */
        CLEANUP_FREE char *host = str_dup(c->vault_hosts[i]);
        if (host == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        host[strcspn(host, ":")] = 0;
        TRY(http_client_route(p->ours.http, host, c->vault_socket, d));
    }
    return OK;
}

enum err kek_door_port(struct kek_port *out, const struct keyd_config *c, struct chan *identity,
                       struct diag *d)
{
    struct door *p = calloc(1, sizeof *p);
    if (p == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    p->hsm = c->hsm;
    pthread_mutex_init(&p->lock, NULL);
    enum err e = copy_hosts(&p->ours, c->vault_hosts, d);
    if (e == OK) e = http_client_new(&p->ours.http, c->ca_file, d);
    if (e == OK && c->foreign_hosts != NULL) {
        e = copy_hosts(&p->foreign, c->foreign_hosts, d);
        if (e == OK) e = http_client_new(&p->foreign.http, c->foreign_ca_file, d);
    }
    if (e == OK) e = route(p, c, d);
    if (e == OK) e = identity_client_new(&p->identity, identity, d);
    if (e != OK) {
        door_close(p);
        return e;
    }
    *out = (struct kek_port){
        .ctx = p, .describe = describe, .wrap = wrap, .unwrap = unwrap, .close = door_close};
    return OK;
}
