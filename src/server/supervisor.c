/* SPDX-License-Identifier: Apache-2.0 */
/* server/supervisor.c - addresses, certificates, credentials; then the processes, until a signal */
#include "server/supervisor.h"

#include "base/log.h"
#include "base/os.h"
#include "base/rand.h"
#include "base/str.h"
#include "base/time.h"
#include "crypto/secret_file.h"
#include "net/tls.h"
#include "server/doorway.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CERTIFICATES_US (6 * 3600 * US_PER_S)

struct supervisor {
    const struct up_options *o;
    struct datadir dir;
    struct credentials credentials;
    struct children children;
    bool announced;
    int waiter; /* the connection of `keystead logs` that ends when identity begins anew; -1 = none
                 */
    int64_t certificates_us; /* monotonic: when they were last looked at */
};

enum { RUN, VAULT }; /* places in children.watch */

/* --- what the processes say
 * ----------------------------------------------------------------------- */

static enum err save_credentials(const struct supervisor *s, struct diag *d)
{
    CLEANUP_FREE char *path = datadir_path(&s->dir, "credentials.json");
    return credentials_write(path, &s->credentials, d);
}

static enum err take_founder(struct supervisor *s, const json_t *info, struct diag *d)
{
    struct credentials *c = &s->credentials;
    if (c->tenant_id[0] != 0) return OK; /* read from credentials.json */
    const struct {
        const char *name;
        char *to;
        size_t size;
    } fields[] = {
        {"tenantId", c->tenant_id, sizeof c->tenant_id},
        {"subscriptionId", c->subscription_id, sizeof c->subscription_id},
        {"clientId", c->client_id, sizeof c->client_id},
        {"objectId", c->object_id, sizeof c->object_id},
        {"clientSecret", c->client_secret, sizeof c->client_secret},
        {"platformObjectId", c->platform_object_id, sizeof c->platform_object_id},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *v = json_get_str(info, fields[i].name);
        if (v == NULL || v[0] == 0) {
            return FAIL(d, ERR_INTERNAL, "identity did not say its %s", fields[i].name);
        }
        snprintf(fields[i].to, fields[i].size, "%s", v);
    }
    return save_credentials(s, d);
}

static enum err on_ready(void *ctx, enum child_id which, const json_t *info, struct diag *d)
{
    struct supervisor *s = ctx;
    if (which == CHILD_IDENTITY) TRY(take_founder(s, info, d));
    bool last = which == (s->o->part == PART_VAULT ? CHILD_VAULT : CHILD_LOGS);
    if (last && !s->announced) {
        s->announced = true;
        const struct credentials *c = &s->credentials;
        printf("ready %s%s\n", s->o->part == PART_VAULT ? "https://" : "",
               s->o->part == PART_VAULT ? c->vault_suffix : c->endpoint);
        fflush(stdout);
    }
    return OK;
}

/* --- who comes through the doorways
 * -------------------------------------------------------------------- */

static enum err on_reader(struct supervisor *s)
{
    int fd;
    if (doorway_accept(s->children.watch[RUN], &fd, NULL) != OK) return OK;
    LOG(INFO, "up.reader_connected");
    children_give(&s->children, CHILD_KEYD, "reader", fd);
    return OK;
}

/* `keystead logs` wants a socket to identity, or to hear when the one it has is dead. */
static enum err on_other_part(struct supervisor *s)
{
    int fd;
    char who = 0;
    if (doorway_accept(s->children.watch[VAULT], &fd, NULL) != OK) return OK;
    const struct timeval patience = {.tv_sec = 1};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    bool said = recv(fd, &who, 1, 0) == 1;
    const struct timeval none = {0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
    if (said && who == 'K') {
        children_give(&s->children, CHILD_IDENTITY, "keyd", fd);
    } else if (said && who == 'L') {
        children_give(&s->children, CHILD_IDENTITY, "logs", fd);
    } else {
        if (s->waiter >= 0) close(s->waiter);
        s->waiter = said && who == 'W' ? fd : -1;
        if (s->waiter < 0) close(fd);
    }
    return OK;
}

#define VAULT_US (60 * US_PER_S) /* that the other part may take to come back */

static enum err reach_vault_part(struct supervisor *s, char who, int *fd, struct diag *d)
{
    int64_t until = time_mono_us() + VAULT_US;
    struct diag why = DIAG_INIT;
    while (doorway_connect(s->dir.path, DOORWAY_VAULT, fd, &why) != OK) {
        if (time_mono_us() > until) {
            return FAIL(d, ERR_UNAVAILABLE, "keystead vault does not run on this directory: %s",
                        why.text);
        }
        diag_reset(&why);
        time_sleep_us(100000);
    }
    if (send(*fd, &who, 1, MSG_NOSIGNAL) == 1) return OK;
    close(*fd);
    return FAIL(d, ERR_UNAVAILABLE, "keystead vault went away: %s", strerror(errno));
}

static enum err give_identity(struct supervisor *s, enum child_id which, struct diag *d)
{
    int fd;
    TRY(reach_vault_part(s, which == CHILD_KEYD ? 'K' : 'L', &fd, d));
    children_give(&s->children, which, "identity", fd);
    return OK;
}

/* The other part's identity began anew: new sockets for both, and a new wait for its end. */
static enum err rejoin(struct supervisor *s, struct diag *d)
{
    int *w = &s->children.watch[VAULT];
    if (*w >= 0) close(*w);
    *w = -1;
    TRY(reach_vault_part(s, 'W', w, d));
    if (s->children.children[CHILD_KEYD].pid != 0) TRY(give_identity(s, CHILD_KEYD, d));
    if (s->children.children[CHILD_LOGS].pid != 0) TRY(give_identity(s, CHILD_LOGS, d));
    return OK;
}

static enum err on_watched(void *ctx, int i, struct diag *d)
{
    struct supervisor *s = ctx;
    if (i == RUN) return on_reader(s);
    return s->o->part == PART_VAULT ? on_other_part(s) : rejoin(s, d);
}

static void on_started(void *ctx, enum child_id which)
{
    struct supervisor *s = ctx;
    if (s->o->part == PART_VAULT && which == CHILD_IDENTITY && s->waiter >= 0) {
        close(s->waiter);
        s->waiter = -1;
    }
    /* Where the other part is away, its return gives the socket: rejoin(). */
    if (s->o->part == PART_LOGS && (which == CHILD_KEYD || which == CHILD_LOGS) &&
        give_identity(s, which, NULL) != OK) {
        LOG(WARN, "up.no_identity");
    }
}

static enum err open_doorways(struct supervisor *s, struct diag *d)
{
    struct diag why = DIAG_INIT;
    if (s->o->part != PART_VAULT &&
        doorway_open(s->dir.path, DOORWAY_RUN, &s->children.watch[RUN], &why) != OK) {
        LOG(WARN, "up.no_doorway", F_ERR(&why)); /* verify then needs the server to be down */
    }
    if (s->o->part == PART_VAULT)
        return doorway_open(s->dir.path, DOORWAY_VAULT, &s->children.watch[VAULT], d);
    return s->o->part == PART_LOGS ? rejoin(s, d) : OK;
}

static void close_doorways(struct supervisor *s)
{
    if (s->o->part != PART_VAULT) doorway_close(s->dir.path, DOORWAY_RUN, s->children.watch[RUN]);
    if (s->o->part == PART_VAULT)
        doorway_close(s->dir.path, DOORWAY_VAULT, s->children.watch[VAULT]);
    if (s->o->part == PART_LOGS && s->children.watch[VAULT] >= 0) close(s->children.watch[VAULT]);
    if (s->waiter >= 0) close(s->waiter);
    s->children.watch[RUN] = s->children.watch[VAULT] = -1;
}

/* --- set-up
 * ---------------------------------------------------------------------------------------- */

/* A first start that died before credentials.json was written left an identity nobody can use:
 * begin anew. Anything else beside it means that the file was lost later, which only a backup can
 * mend. */
static enum err check_first_start(const struct supervisor *s, struct diag *d)
{
    CLEANUP_FREE char *catalog = datadir_path(&s->dir, "catalog.db");
    CLEANUP_FREE char *vault = datadir_path(&s->dir, "vault");
    CLEANUP_FREE char *identity = datadir_path(&s->dir, "identity");
    if (os_exists(catalog) || os_exists(vault)) {
        return FAIL(d, ERR_CORRUPT, "%s/credentials.json is missing: restore it from a backup",
                    s->dir.path);
    }
    if (!os_exists(identity)) return OK;
    CLEANUP_FREE char *aside = str_fmt("%s.incomplete-%016" PRIx64, identity, rand_u64());
    if (rename(identity, aside) != 0) return FAIL(d, ERR_IO, "%s: %s", identity, strerror(errno));
    return OK;
}

static enum err port_of(const char *address, uint64_t *out, struct diag *d)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL) return FAIL(d, ERR_INVALID, "'%s' is not ADDRESS:PORT", address);
    return str_u64(colon + 1, 65535, out, d);
}

static enum err addresses(struct supervisor *s, struct diag *d)
{
    struct credentials *c = &s->credentials;
    uint64_t port, vault_port;
    TRY(port_of(s->o->listen, &port, d));
    TRY(port_of(s->o->vault_listen, &vault_port, d));
    if (port == 0 || vault_port == 0)
        return FAIL(d, ERR_INVALID, "port 0: clients need to know the port");
    const char *domain = s->o->domain;
    int n = port == 443
                ? snprintf(c->endpoint, sizeof c->endpoint, "https://%s", domain)
                : snprintf(c->endpoint, sizeof c->endpoint, "https://%s:%" PRIu64, domain, port);
    int m = vault_port == 443
                ? snprintf(c->vault_suffix, sizeof c->vault_suffix, "vault.%s", domain)
                : snprintf(c->vault_suffix, sizeof c->vault_suffix, "vault.%s:%" PRIu64, domain,
                           vault_port);
    if (n >= (int)sizeof c->endpoint || m >= (int)sizeof c->vault_suffix) {
        return FAIL(d, ERR_LIMIT, "the domain '%s' is too long", domain);
    }
    if (s->o->cert == NULL) {
        snprintf(c->ca_file, sizeof c->ca_file, "%s/tls/ca.pem", s->dir.path);
    } else {
        const char *ca = s->o->ca != NULL ? s->o->ca : "/etc/ssl/certs/ca-certificates.crt";
        if ((size_t)snprintf(c->ca_file, sizeof c->ca_file, "%s", ca) >= sizeof c->ca_file) {
            return FAIL(d, ERR_LIMIT, "the path of --ca is too long");
        }
    }
    return OK;
}

static enum err certificates(struct supervisor *s, struct diag *d)
{
    if (s->o->cert != NULL) return OK; /* the operator's to renew */
    CLEANUP_FREE char *dir = datadir_path(&s->dir, "tls");
    TRY(os_mkdir(dir, d));
    char names_of[6][300];
    static const char *const parts[] = {"",       "*.vault.",  "*.managedhsm.",
                                        "*.ods.", "*.ingest.", "vault."};
    const char *list[10];
    for (int i = 0; i < 6; i++) {
        snprintf(names_of[i], sizeof names_of[i], "%s%s", parts[i], s->o->domain);
        list[i] = names_of[i];
    }
    list[6] = "127.0.0.1";
    list[7] = "::1";
    list[8] = str_eq(s->o->domain, "localhost") ? NULL : "localhost";
    list[9] = NULL;
    return tls_ensure_files(dir, list, d);
}

/* A certificate of our CA is renewed while the server runs: its listeners see the new files. */
static void on_tick(void *ctx)
{
    struct supervisor *s = ctx;
    int64_t now = time_mono_us();
    struct diag d = DIAG_INIT;
    if (s->o->part == PART_LOGS || now - s->certificates_us < CERTIFICATES_US) return;
    s->certificates_us = now;
    if (certificates(s, &d) != OK) LOG(ERROR, "tls.not_renewed", F_ERR(&d));
}

/* Every wrap, the platform's own too, names its key by the vault's name and port: under others nothing
 * would ever be unwrapped. */
static enum err check_vault_name(const struct supervisor *s, const char *before, struct diag *d)
{
    const char *now = s->credentials.vault_suffix;
    if (str_eq(before, now)) return OK;
    return FAIL(
        d, ERR_INVALID,
        "the keys of %s are named under %s, not %s: start with the --domain and the port of "
        "--vault-listen that this directory, or the one it is a copy of, was made with",
        s->dir.path, before, now);
}

/* Everything before the first process. Another front address is written down. */
static enum err prepare(struct supervisor *s, struct diag *d)
{
    TRY(datadir_clock(&s->dir, s->o->virtual_clock, d));
    CLEANUP_FREE char *path = datadir_path(&s->dir, "credentials.json");
    bool first = !os_exists(path);
    if (s->o->part == PART_LOGS) {
        if (first) return FAIL(d, ERR_NOT_FOUND, "%s is missing: start keystead vault first", path);
        return credentials_read(path, &s->credentials, d);
    }
    TRY(first ? check_first_start(s, d) : credentials_read(path, &s->credentials, d));
    const struct credentials before = s->credentials;
    TRY(addresses(s, d));
    if (!first) TRY(check_vault_name(s, before.vault_suffix, d));
    TRY(certificates(s, d));
    return first ? OK : save_credentials(s, d);
}

#define START_US (600 * US_PER_S) /* a process that fails is restarted until then */

static enum err start_all(struct supervisor *s, struct diag *d)
{
    struct children *c = &s->children;
    int64_t give_up = time_mono_us() + START_US;
    if (s->o->part != PART_LOGS) {
        TRY(children_start(c, CHILD_IDENTITY, d));
        TRY(children_until_ready(c, CHILD_IDENTITY, give_up, d));
        if (c->stopping) return OK;
        TRY(children_start(c, CHILD_VAULT, d));
        TRY(children_until_ready(c, CHILD_VAULT, give_up, d));
    }
    if (c->stopping || s->o->part == PART_VAULT) return OK;
    TRY(children_start(c, CHILD_KEYD, d));
    return children_start(c, CHILD_LOGS, d);
}

static enum err run(struct supervisor *s, struct diag *d)
{
    TRY(prepare(s, d));
    TRY(children_init(&s->children, d));
    TRY(open_doorways(s, d));
    TRY(start_all(s, d));
    return children_run(&s->children, d);
}

enum err supervisor_run(const struct up_options *o, struct diag *d)
{
    static const char *const part_names[] = {"up", "vault", "logs"};
    static const enum datadir_lock locks[] = {LOCK_BOTH, LOCK_VAULT, LOCK_STORE};
    struct supervisor s = {.o = o, .waiter = -1};
    log_set_process(part_names[o->part]);
    TRY(datadir_open(&s.dir, o->data, locks[o->part], d));
    s.children = (struct children){.o = o,
                                   .dir = &s.dir,
                                   .credentials = &s.credentials,
                                   .ready = on_ready,
                                   .started = on_started,
                                   .watched = on_watched,
                                   .tick = on_tick,
                                   .ctx = &s,
                                   .watch = {-1, -1},
                                   .signals = -1};
    enum err e =
        secret_is_fd(o->hsm.passphrase_file)
            ? secret_from_file(o->hsm.passphrase_file, "passphrase", &s.children.passphrase, d)
            : OK;
    if (e == OK) e = run(&s, d);
    close_doorways(&s);
    if (s.children.signals >= 0) children_stop(&s.children);
    secret_free(s.children.passphrase);
    datadir_release(&s.dir);
    wipe(&s.credentials, sizeof s.credentials);
    if (e == OK) LOG(INFO, "up.stopped");
    return e;
}
