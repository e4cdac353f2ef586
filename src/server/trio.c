/* SPDX-License-Identifier: Apache-2.0 */
/* server/trio.c - three processes, and this one in the place of the log service */
#include "server/trio.h"

#include "base/os.h"
#include "base/str.h"
#include "base/time.h"
#include "custody/client.h"
#include "server/children.h"
#include "server/records.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define START_US  (60 * US_PER_S)
#define ANSWER_US (15 * US_PER_S) /* for vaults that do not answer */
#define SETTLE_US (5 * US_PER_S)  /* for keys that were revoked: the first try tells */

struct trio {
    struct datadir dir;
    struct credentials credentials;
    struct up_options o;
    struct children children;
    struct custody *custody;
    struct catalog *catalog;
    char socket_dir[40];
    char vault_listen[64];
};

/* --- in the place of the log service: read everything, write nothing
 * --------------------------------------- */

static enum err forget(void *ctx, const struct custody_record *records, size_t n, struct diag *d)
{
    (void)ctx, (void)records, (void)n, (void)d;
    return OK;
}

static enum err load(void *ctx, const char *kind,
                     enum err (*visit)(void *visit_ctx, const struct custody_record *r,
                                       struct diag *d),
                     void *visit_ctx, struct diag *d)
{
    return records_load(((struct trio *)ctx)->catalog, kind, visit, visit_ctx, d);
}

static enum err changed(void *ctx, const uint8_t account[16], enum key_state was,
                        enum key_state now, struct diag *d)
{
    (void)ctx, (void)account, (void)was, (void)now, (void)d;
    return OK; /* no memtable to wipe, no log to replay */
}

static void on_started(void *ctx, enum child_id which)
{
    struct trio *t = ctx;
    int fds[2];
    if (which != CHILD_KEYD || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return;
    children_give(&t->children, CHILD_KEYD, "logs", fds[0]);
    /* A failure shows as a keyd that never gets ready. */
    if (chan_attach(custody_chan(t->custody), fds[1], NULL) != OK) return;
}

static enum err on_ready(void *ctx, enum child_id which, const json_t *info, struct diag *d)
{
    (void)ctx, (void)which, (void)info, (void)d;
    return OK;
}

/* --- start and stop
 * ------------------------------------------------------------------------------------------- */

static enum err open_directory(struct trio *t, const char *data, const struct trio_options *options,
                               struct diag *d)
{
    TRY(datadir_open(&t->dir, data, LOCK_BOTH, d));
    CLEANUP_FREE char *clock = datadir_path(&t->dir, "clock");
    CLEANUP_FREE char *credentials = datadir_path(&t->dir, "credentials.json");
    t->o = (struct up_options){.data = data,
                               .log_level = "error",
                               .probe_s = 60,
                               .infrastructure_key = options->infrastructure_key,
                               .hsm = options->hsm,
                               .virtual_clock = os_exists(clock)};
    TRY(datadir_clock(&t->dir, t->o.virtual_clock, d));
    TRY(credentials_read(credentials, &t->credentials, d));
    snprintf(t->socket_dir, sizeof t->socket_dir, "/tmp/keystead-verify-XXXXXX");
    if (mkdtemp(t->socket_dir) == NULL) {
        t->socket_dir[0] = 0;
        return FAIL(d, ERR_IO, "a directory for sockets: %s", strerror(errno));
    }
    snprintf(t->vault_listen, sizeof t->vault_listen, "unix:%s/vault.sock", t->socket_dir);
    t->o.vault_listen = t->vault_listen;
    t->o.vault_socket = t->vault_listen + strlen("unix:");
    return OK;
}

static enum err start_processes(struct trio *t, struct diag *d)
{
    static const enum child_id order[] = {CHILD_IDENTITY, CHILD_VAULT, CHILD_KEYD};
    int64_t give_up = time_mono_us() + START_US;
    t->children = (struct children){.o = &t->o,
                                    .dir = &t->dir,
                                    .credentials = &t->credentials,
                                    .ready = on_ready,
                                    .started = on_started,
                                    .ctx = t,
                                    .watch = {-1, -1},
                                    .signals = -1};
    TRY(children_init(&t->children, d));
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        TRY(children_start(&t->children, order[i], d));
        TRY(children_until_ready(&t->children, order[i], give_up, d));
        if (t->children.stopping) return FAIL(d, ERR_CANCELLED, "stopped");
    }
    return OK;
}

/* How many accounts have no good key yet, and how many of them the vault has said no to. */
static enum err count_waiting(struct trio *t, size_t *waiting, size_t *revoked, struct diag *d)
{
    CLEANUP_JSON json_t *status = NULL;
    TRY(custody_status(t->custody, &status, d));
    *waiting = *revoked = 0;
    size_t i;
    json_t *a;
    json_array_foreach (json_get(status, "accounts"), i, a) {
        const char *state = json_get_str(a, "state");
        *waiting += !str_eq(state, "ACTIVE");
        *revoked += str_eq(state, "REVOKED");
    }
    return OK;
}

static enum err settle(struct trio *t, struct diag *d)
{
    TRY(custody_wait_ready(t->custody, START_US / 1000, d));
    int64_t began = time_mono_us();
    for (;;) {
        size_t waiting, revoked;
        TRY(count_waiting(t, &waiting, &revoked, d));
        int64_t patience = waiting == revoked ? SETTLE_US : ANSWER_US;
        if (waiting == 0 || time_mono_us() - began > patience) return OK;
        time_sleep_us(100000);
    }
}

static void let_signals_end_us(void)
{
    /* The children die with us: nothing has to be put in order. */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

enum err trio_start(struct trio **out, const char *data, const struct trio_options *options,
                    struct catalog *catalog, struct diag *d)
{
    struct trio *t = calloc(1, sizeof *t);
    if (t == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    t->catalog = catalog;
    t->dir.lock_fds[0] = t->dir.lock_fds[1] = -1;
    t->children.signals = -1;
    const struct custody_config config = {
        .ctx = t, .persist = forget, .load = load, .changed = changed};
    enum err e = open_directory(t, data, options, d);
    if (e == OK) e = custody_new(&t->custody, &config, d);
    if (e == OK) e = start_processes(t, d);
    if (e == OK) e = settle(t, d);
    if (e != OK) {
        trio_stop(t);
        return e;
    }
    let_signals_end_us();
    *out = t;
    return OK;
}

void trio_stop(struct trio *t)
{
    if (t == NULL) return;
    custody_free(t->custody);
    if (t->children.signals >= 0) children_stop(&t->children);
    if (t->socket_dir[0] != 0) {
        unlink(t->vault_listen + strlen("unix:"));
        rmdir(t->socket_dir);
    }
    datadir_release(&t->dir);
    explicit_bzero(&t->credentials, sizeof t->credentials);
    free(t);
}

struct keys trio_keys(struct trio *t)
{
    static const struct key_ops ops = {
        .open = custody_file_open, .release = custody_file_release, .check = custody_lease_check};
    return (struct keys){&ops, t->custody};
}

enum err trio_status(struct trio *t, json_t **out, struct diag *d)
{
    return custody_status(t->custody, out, d);
}
