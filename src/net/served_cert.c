/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/served_cert.c - pairs of chain and key, one after the other
 *
 * A handshake borrows its pair and gives no notice when it is through, so a pair that was replaced
 * is kept until the server stops; PAIRS_MAX of them, then files are not looked at any more.
 */
#include "net/served_cert.h"

#include "base/log.h"
#include "base/os.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define PEM_MAX   ((size_t)1 << 20) /* bytes */
#define CHAIN_MAX 8
#define PAIRS_MAX 1000 /* one a day for years */
#define LOOK_US   US_PER_S

struct pair {
    struct pair *older;
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned n_chain;
    gnutls_privkey_t key;
};

struct stamp { /* what tells that a file is another one */
    struct timespec changed;
    ino_t inode;
    off_t size;
};

struct served_cert {
    struct served_cert *next;
    char *cert_file, *key_file;
    union {
        struct sockaddr any;
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
        struct sockaddr_un path;
    } local;
    pthread_mutex_t lock; /* over what follows */
    struct pair *now;
    unsigned n_pairs;
    struct stamp seen[2];
    int64_t looked_us;
};

static pthread_rwlock_t all_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct served_cert *all;

/* --- pairs ------------------------------------------------------------------------------------ */

static void pair_free(struct pair *p)
{
    if (p == NULL) return;
    for (unsigned i = 0; i < p->n_chain; i++)
        gnutls_pcert_deinit(&p->chain[i]);
    if (p->key != NULL) gnutls_privkey_deinit(p->key);
    free(p);
}
DEFINE_CLEANUP(pair_free, struct pair)

static bool belong_together(const struct pair *p)
{
    uint8_t a[64], b[64];
    size_t n = sizeof a, m = sizeof b;
    gnutls_pubkey_t public = NULL;
    bool same = gnutls_pubkey_init(&public) == 0 &&
                gnutls_pubkey_import_privkey(public, p->key, 0, 0) == 0 &&
                gnutls_pubkey_get_key_id(public, 0, a, &n) == 0 &&
                gnutls_pubkey_get_key_id(p->chain[0].pubkey, 0, b, &m) == 0 && n == m &&
                memcmp(a, b, n) == 0;
    if (public != NULL) gnutls_pubkey_deinit(public);
    return same;
}

static enum err load(const struct served_cert *c, struct pair **out, struct diag *d)
{
    CLEANUP_BUF struct buf cert = {0}, key = {0};
    CLEANUP(pair_free) struct pair *p = calloc(1, sizeof *p);
    if (p == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(os_read_file(c->cert_file, PEM_MAX, &cert, d));
    TRY(os_read_file(c->key_file, PEM_MAX, &key, d));
    gnutls_datum_t pem = {cert.p, (unsigned)cert.len}, secret = {key.p, (unsigned)key.len};
    unsigned n = CHAIN_MAX;
    if (gnutls_pcert_list_import_x509_raw(p->chain, &n, &pem, GNUTLS_X509_FMT_PEM, 0) < 0) {
        return FAIL(d, ERR_INVALID, "%s holds no certificates, or more than %d", c->cert_file,
                    CHAIN_MAX);
    }
    p->n_chain = n;
    if (gnutls_privkey_init(&p->key) < 0 ||
        gnutls_privkey_import_x509_raw(p->key, &secret, GNUTLS_X509_FMT_PEM, NULL, 0) < 0) {
        return FAIL(d, ERR_INVALID, "%s holds no private key", c->key_file);
    }
    if (n == 0 || !belong_together(p)) {
        return FAIL(d, ERR_INVALID, "%s is not the key of %s", c->key_file, c->cert_file);
    }
    *out = TAKE(p);
    return OK;
}

static struct stamp stamp_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) return (struct stamp){0};
    return (struct stamp){st.st_mtim, st.st_ino, st.st_size};
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec &&
           a->inode == b->inode && a->size == b->size;
}

/* Under the lock. */
static void look(struct served_cert *c)
{
    int64_t now = time_mono_us();
    if (now - c->looked_us < LOOK_US || c->n_pairs >= PAIRS_MAX) return;
    c->looked_us = now;
    struct stamp is[2] = {stamp_of(c->cert_file), stamp_of(c->key_file)};
    if (same_stamp(&is[0], &c->seen[0]) && same_stamp(&is[1], &c->seen[1])) return;
    memcpy(c->seen, is, sizeof is);
    struct pair *fresh = NULL;
    struct diag d = DIAG_INIT;
    if (load(c, &fresh, &d) != OK) {
        LOG(ERROR, "tls.certificate_not_taken", F_ERR(&d));
        return;
    }
    fresh->older = c->now;
    c->now = fresh;
    c->n_pairs++;
    LOG(INFO, "tls.certificate_reloaded", F_STR("file", c->cert_file));
}

/* --- which one
 * ---------------------------------------------------------------------------------------- */

static bool same_place(const struct served_cert *c, const struct sockaddr_storage *at)
{
    if (c->local.any.sa_family != at->ss_family) return false;
    switch (at->ss_family) {
    case AF_INET: return c->local.ip4.sin_port == ((const struct sockaddr_in *)at)->sin_port;
    case AF_INET6: return c->local.ip6.sin6_port == ((const struct sockaddr_in6 *)at)->sin6_port;
    default: return strcmp(c->local.path.sun_path, ((const struct sockaddr_un *)at)->sun_path) == 0;
    }
}

static int retrieve(gnutls_session_t session, const gnutls_datum_t *authorities, int n_authorities,
                    const gnutls_pk_algorithm_t *algorithms, int n_algorithms,
                    gnutls_pcert_st **chain, unsigned *n_chain, gnutls_privkey_t *key)
{
    (void)authorities, (void)n_authorities, (void)algorithms, (void)n_algorithms;
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof at;
    int found = -1;
    if (getsockname(gnutls_transport_get_int(session), (struct sockaddr *)&at, &len) != 0) {
        return -1;
    }
    pthread_rwlock_rdlock(&all_lock);
    for (struct served_cert *c = all; c != NULL && found != 0; c = c->next) {
        if (!same_place(c, &at)) continue;
        LOCK_SCOPE(&c->lock);
        look(c);
        *chain = c->now->chain;
        *n_chain = c->now->n_chain;
        *key = c->now->key;
        found = 0;
    }
    pthread_rwlock_unlock(&all_lock);
    return found;
}

void *served_cert_callback(void)
{
    return (void *)retrieve; // NOLINT: the library's option takes a pointer
}

/* --- life
 * --------------------------------------------------------------------------------------------- */

void served_cert_bind(struct served_cert *c, int listen_fd)
{
    socklen_t len = sizeof c->local;
    (void)getsockname(listen_fd, &c->local.any, &len); /* a socket of ours has a name */
    pthread_rwlock_wrlock(&all_lock);
    c->next = all;
    all = c;
    pthread_rwlock_unlock(&all_lock);
}

void served_cert_close(struct served_cert *c)
{
    if (c == NULL) return;
    pthread_rwlock_wrlock(&all_lock);
    for (struct served_cert **at = &all; *at != NULL; at = &(*at)->next) {
        if (*at != c) continue;
        *at = c->next;
        break;
    }
    pthread_rwlock_unlock(&all_lock);
    while (c->now != NULL) {
        struct pair *older = c->now->older;
        pair_free(c->now);
        c->now = older;
    }
    pthread_mutex_destroy(&c->lock);
    free(c->cert_file);
    free(c->key_file);
    free(c);
}
DEFINE_CLEANUP(served_cert_close, struct served_cert)

enum err served_cert_open(struct served_cert **out, const char *cert_file, const char *key_file,
                          struct diag *d)
{
    CLEANUP(served_cert_close) struct served_cert *c = calloc(1, sizeof *c);
    if (c == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_mutex_init(&c->lock, NULL);
    c->cert_file = str_dup(cert_file);
    c->key_file = str_dup(key_file);
    if (c->cert_file == NULL || c->key_file == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    c->seen[0] = stamp_of(cert_file);
    c->seen[1] = stamp_of(key_file);
    TRY(load(c, &c->now, d));
    c->n_pairs = 1;
    *out = TAKE(c);
    return OK;
}
