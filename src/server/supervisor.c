/* SPDX-License-Identifier: Apache-2.0 */
/* server/supervisor.c - addresses, certificates, credentials; then the processes, until a signal */
#include "server/supervisor.h"

#include "base/log.h"
#include "base/os.h"
#include "base/rand.h"
#include "base/str.h"
#include "base/time.h"
#include "crypto/secret.h"
#include "net/tls.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct supervisor {
    const struct up_options *o;
    struct datadir dir;
    struct credentials credentials;
    struct children children;
    bool announced;
};

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
    if (which == CHILD_LOGS && !s->announced) {
        s->announced = true;
        printf("ready %s\n", s->credentials.endpoint);
        fflush(stdout);
    }
    return OK;
}

/* --- DIR/run.sock
 * ------------------------------------------------------------------------------------ */

bool supervisor_socket(const char *data, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(out->sun_path, sizeof out->sun_path, "%s/run.sock", data);
    return n > 0 && (size_t)n < sizeof out->sun_path;
}

static enum err open_socket(struct supervisor *s, struct diag *d)
{
    struct sockaddr_un a;
    if (!supervisor_socket(s->dir.path, &a)) {
        LOG(WARN, "up.no_socket",
            F_STR("reason", "the path of the data directory is too long for one"));
        return OK;
    }
    unlink(a.sun_path); /* left by a supervisor that was killed: the lock says that none runs */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return FAIL(d, ERR_IO, "socket: %s", strerror(errno));
    mode_t before = umask(0177);
    int rc = bind(fd, (struct sockaddr *)&a, sizeof a);
    umask(before);
    if (rc != 0 || listen(fd, 8) != 0) {
        close(fd);
        return FAIL(d, ERR_IO, "%s: %s", a.sun_path, strerror(errno));
    }
    s->children.watch = fd;
    return OK;
}

static void close_socket(struct supervisor *s)
{
    struct sockaddr_un a;
    if (s->children.watch < 0) return;
    close(s->children.watch);
    if (supervisor_socket(s->dir.path, &a)) unlink(a.sun_path);
}

/* Only the owner of the directory, or root, gets further: the descriptor itself goes to keyd. */
static void on_connection(void *ctx)
{
    struct supervisor *s = ctx;
    int fd = accept4(s->children.watch, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return;
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 ||
        (peer.uid != 0 && peer.uid != geteuid())) {
        close(fd);
        return;
    }
    LOG(INFO, "up.reader_connected", F_I64("pid", peer.pid));
    children_give(&s->children, CHILD_KEYD, "reader", fd);
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
    snprintf(c->ca_file, sizeof c->ca_file, "%s/tls/ca.pem", s->dir.path);
    return OK;
}

static enum err certificates(struct supervisor *s, struct diag *d)
{
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

/* Everything before the first process. Changed addresses are written down at each start. */
static enum err prepare(struct supervisor *s, struct diag *d)
{
    TRY(datadir_clock(&s->dir, s->o->virtual_clock, d));
    CLEANUP_FREE char *path = datadir_path(&s->dir, "credentials.json");
    bool first = !os_exists(path);
    TRY(first ? check_first_start(s, d) : credentials_read(path, &s->credentials, d));
    TRY(addresses(s, d));
    TRY(certificates(s, d));
    return first ? OK : save_credentials(s, d);
}

#define START_US (600 * US_PER_S) /* a process that fails is restarted until then */

static enum err start_all(struct supervisor *s, struct diag *d)
{
    struct children *c = &s->children;
    int64_t give_up = time_mono_us() + START_US;
    TRY(children_start(c, CHILD_IDENTITY, d));
    TRY(children_until_ready(c, CHILD_IDENTITY, give_up, d));
    if (c->stopping) return OK;
    TRY(children_start(c, CHILD_VAULT, d));
    TRY(children_until_ready(c, CHILD_VAULT, give_up, d));
    if (c->stopping) return OK;
    TRY(children_start(c, CHILD_KEYD, d));
    return children_start(c, CHILD_LOGS, d);
}

static enum err run(struct supervisor *s, struct diag *d)
{
    TRY(prepare(s, d));
    TRY(children_init(&s->children, d));
    TRY(open_socket(s, d));
    TRY(start_all(s, d));
    return children_run(&s->children, d);
}

enum err supervisor_run(const struct up_options *o, struct diag *d)
{
    struct supervisor s = {.o = o};
    log_set_process("up");
    TRY(datadir_open(&s.dir, o->data, d));
    s.children = (struct children){.o = o,
                                   .dir = &s.dir,
                                   .credentials = &s.credentials,
                                   .ready = on_ready,
                                   .watched = on_connection,
                                   .ctx = &s,
                                   .watch = -1,
                                   .signals = -1};
    enum err e = run(&s, d);
    close_socket(&s);
    s.children.watch = -1;
    if (s.children.signals >= 0) children_stop(&s.children);
    datadir_release(&s.dir);
    wipe(&s.credentials, sizeof s.credentials);
    if (e == OK) LOG(INFO, "up.stopped");
    return e;
}
