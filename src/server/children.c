/* SPDX-License-Identifier: Apache-2.0 */
/* server/children.c - processes, their control sockets, and the loop around them */
#include "server/children.h"

#include "base/log.h"
#include "base/os.h"
#include "base/str.h"
#include "base/time.h"
#include "crypto/secret_file.h"
#include "server/control.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEATHS_MAX 3 /* of a process that never served: a busy port does not go away by trying */

static const char *const names[N_CHILDREN] = {"identity", "vault", "keyd", "logs"};
static const enum child_id pairs[][2] = {{CHILD_LOGS, CHILD_KEYD},
                                         {CHILD_LOGS, CHILD_IDENTITY},
                                         {CHILD_KEYD, CHILD_IDENTITY},
                                         {CHILD_VAULT, CHILD_IDENTITY}};
#define N_PAIRS (sizeof pairs / sizeof pairs[0])

#define BACKOFF_MIN_US (200 * 1000LL)
#define BACKOFF_MAX_US (5 * US_PER_S)
#define STEADY_US \
    (30 * US_PER_S) /* up for so long: the next failure starts from the smallest backoff */
#define STOP_US  (20 * US_PER_S) /* per process, then SIGKILL */
#define ARGS_MAX 48

#define PASSPHRASE_FD     4 /* of the vault; our own descriptors of that number are closed on exec */
#define PASSPHRASE_OPTION "fd:4"

/* --- starting one process --------------------------------------------------------------------- */

struct arg_list {
    char *v[ARGS_MAX];
    unsigned n;
};

static void arg_list_release(struct arg_list *a)
{
    for (unsigned i = 0; i < a->n; i++)
        free(a->v[i]);
}

static void arg(struct arg_list *a, const char *name, const char *value)
{
    if (a->n + 2 >= ARGS_MAX) abort(); /* our own mistake: the lists below are fixed */
    a->v[a->n++] = str_fmt("--%s", name);
    if (value != NULL) a->v[a->n++] = str_dup(value);
}

static void arg_number(struct arg_list *a, const char *name, uint64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, v);
    arg(a, name, text);
}

static bool needs_token(const struct up_options *o) /* keyd */
{
    const char *iek = o->infrastructure_key;
    return o->hsm.direct || o->hsm.platform_key != NULL ||
           (iek != NULL && strncmp(iek, "hsm:", 4) == 0);
}

static void hsm_args(struct arg_list *a, const struct hsm_options *o)
{
    if (o->module == NULL) return;
    arg(a, "hsm-module", o->module);
    arg(a, "hsm-token", o->token);
    arg(a, "hsm-pin-file", o->pin_file);
    if (o->direct) arg(a, "hsm-direct", NULL);
    if (o->platform_key != NULL) arg(a, "platform-key", o->platform_key);
}

static void tls_args(const struct children *c, struct arg_list *a)
{
    if (c->o->cert != NULL) arg(a, "cert", c->o->cert);
    if (c->o->key != NULL) arg(a, "key", c->o->key);
}

static void foreign_args(const struct children *c, struct arg_list *a)
{
    if (c->o->vault_hosts != NULL) arg(a, "vault-hosts", c->o->vault_hosts);
    if (c->o->vault_ca != NULL) arg(a, "vault-ca", c->o->vault_ca);
}

static void external_args(const struct children *c, struct arg_list *a)
{
    if (c->o->external_data != NULL) arg(a, "external-data", c->o->external_data);
    if (c->o->external_ca != NULL) arg(a, "external-ca", c->o->external_ca);
    if (c->o->geo_ip_database != NULL) arg(a, "geo-ip-database", c->o->geo_ip_database);
}

static void child_args(const struct children *c, enum child_id which, struct arg_list *a)
{
    const struct credentials *k = c->credentials;
    a->v[a->n++] = str_dup("keystead");
    a->v[a->n++] = str_fmt("serve-%s", names[which]);
    arg(a, "data", c->dir->path);
    arg(a, "log-level", c->o->log_level);
    if (c->o->virtual_clock) arg(a, "virtual-clock", NULL);
    if (which != CHILD_KEYD) arg(a, "endpoint", k->endpoint);
    if (which != CHILD_IDENTITY) {
        arg(a, "vault-suffix", k->vault_suffix);
        arg(a, "ca-file", k->ca_file);
        arg(a, "tenant", k->tenant_id);
    }
    switch (which) {
    case CHILD_IDENTITY:
        if (c->o->issuers != NULL) arg(a, "issuers", c->o->issuers);
        if (c->o->imds != NULL) arg(a, "imds", c->o->imds);
        if (c->o->imds_allow != NULL) arg(a, "imds-allow", c->o->imds_allow);
        break;
    case CHILD_VAULT:
        tls_args(c, a);
        arg(a, "listen", c->o->vault_listen);
        if (c->o->faults) arg(a, "faults", NULL);
        hsm_args(a, &c->o->hsm);
        if (c->o->hsm.vault_root != NULL) arg(a, "vault-root", c->o->hsm.vault_root);
        if (c->passphrase != NULL) {
            arg(a, "vault-passphrase-file", PASSPHRASE_OPTION);
        } else if (c->o->hsm.passphrase_file != NULL) {
            arg(a, "vault-passphrase-file", c->o->hsm.passphrase_file);
        }
        arg(a, "platform-principal", k->platform_object_id);
        break;
    case CHILD_KEYD:
        arg(a, "platform-principal", k->platform_object_id);
        /* keyd gets the PIN only if it is to use the token past the vault. */
        if (needs_token(c->o)) hsm_args(a, &c->o->hsm);
        if (c->o->infrastructure_key != NULL)
            arg(a, "infrastructure-key", c->o->infrastructure_key);
        arg_number(a, "probe-seconds", c->o->probe_s);
        arg_number(a, "revocation-bound", c->o->revocation_bound_s);
        if (c->o->outage_policy != NULL) arg(a, "outage-policy", c->o->outage_policy);
        arg_number(a, "outage-grace", c->o->outage_grace_s);
        arg_number(a, "retain-max", c->o->retain_max_s);
        if (c->o->auditor_key != NULL) arg(a, "auditor-key", c->o->auditor_key);
        if (c->o->anchor != NULL) {
            CLEANUP_FREE char *anchor = hsm_anchor(&c->o->hsm, c->o->anchor);
            arg(a, "anchor", anchor != NULL ? anchor : c->o->anchor);
        }
        foreign_args(c, a);
        if (c->o->hsm.files != NULL) arg(a, "hsm-files", c->o->hsm.files);
        arg_number(a, "accept-rollback", c->o->accept_rollback);
        if (c->o->vault_socket != NULL) arg(a, "vault-socket", c->o->vault_socket);
        break;
    case CHILD_LOGS:
        tls_args(c, a);
        foreign_args(c, a);
        external_args(c, a);
        arg(a, "listen", c->o->listen);
        arg(a, "subscription", k->subscription_id);
        arg(a, "object-id", k->object_id);
        if (c->o->hsm.direct) hsm_args(a, &c->o->hsm);
        arg_number(a, "accept-entries", c->o->accept_entries);
        arg_number(a, "spool-bytes", c->o->spool_bytes);
        arg_number(a, "query-memory-bytes", c->o->query_memory);
        arg_number(a, "query-disk-bytes", c->o->query_disk);
        arg_number(a, "spool-total-bytes", c->o->spool_total);
        arg_number(a, "spool-hours", c->o->spool_hours);
        if (c->o->allow_swap) arg(a, "allow-swap", NULL);
        break;
    default: break;
    }
    a->v[a->n] = NULL;
}

/* In the new process: nothing but async-signal-safe calls. passphrase -1: none. */
static void become_child(int control, int passphrase, const int lock_fds[2], char *const *argv)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Out of the way of one another: either may have the other's number. */
    if (passphrase >= 0 && (passphrase = fcntl(passphrase, F_DUPFD_CLOEXEC, 10)) < 0) _exit(127);
    if (control != CONTROL_FD && dup2(control, CONTROL_FD) < 0) _exit(127);
    if (passphrase >= 0 && dup2(passphrase, PASSPHRASE_FD) < 0) _exit(127);
    fcntl(CONTROL_FD, F_SETFD, 0);
    for (int i = 0; i < 2; i++)
        if (lock_fds[i] >= 0) fcntl(lock_fds[i], F_SETFD, 0); /* (3) */
    /* Standard output belongs to the one line of the supervisor. */
    if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0) _exit(127);
    execv("/proc/self/exe", argv);
    _exit(127);
}

void children_give(struct children *c, enum child_id which, const char *peer, int fd)
{
    /* A process that died meanwhile gets its sockets at its next start. */
    if (c->children[which].control >= 0) {
        (void)control_send(c->children[which].control, 'P', peer, fd, NULL);
    }
    close(fd);
}

static enum err connect_pair(struct children *c, enum child_id a, enum child_id b, struct diag *d)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        return FAIL(d, ERR_IO, "socket pair: %s", strerror(errno));
    }
    children_give(c, a, names[b], fds[0]);
    children_give(c, b, names[a], fds[1]);
    return OK;
}

enum err children_start(struct children *c, enum child_id which, struct diag *d)
{
    struct child *child = &c->children[which];
    CLEANUP_FD int passphrase = -1;
    int fds[2];
    if (which == CHILD_VAULT && c->passphrase != NULL)
        TRY(secret_pipe(c->passphrase, &passphrase, d));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
        return FAIL(d, ERR_IO, "socket pair: %s", strerror(errno));
    }
    struct arg_list args = {0};
    child_args(c, which, &args);
    pid_t pid = fork();
    if (pid == 0) become_child(fds[1], passphrase, c->dir->lock_fds, args.v);
    arg_list_release(&args);
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return FAIL(d, ERR_IO, "fork: %s", strerror(errno));
    }
    child->pid = pid;
    child->control = fds[0];
    child->wanted = true;
    child->ready = false;
    child->started_us = time_mono_us();
    LOG(INFO, "process.started", F_STR("process", names[which]), F_I64("pid", pid));
    for (size_t i = 0; i < N_PAIRS; i++) { /* (1) */
        enum child_id a = pairs[i][0], b = pairs[i][1];
        if ((a == which || b == which) && c->children[a].pid != 0 && c->children[b].pid != 0) {
            TRY(connect_pair(c, a, b, d));
        }
    }
    if (c->started != NULL) c->started(c->ctx, which);
    return OK;
}

/* --- what a process says, and how it ends
 * ----------------------------------------------------------- */

static enum err on_ready(struct children *c, enum child_id which, const char *text, struct diag *d)
{
    CLEANUP_JSON json_t *info = NULL;
    TRY(json_read(bytes_str(text), &info, d));
    c->children[which].ready = c->children[which].was_ready = true;
    LOG(INFO, "process.ready", F_STR("process", names[which]),
        F_I64("took_us", time_mono_us() - c->children[which].started_us));
    return c->ready(c->ctx, which, info, d);
}

static void kill_named(struct children *c, const char *name)
{
    for (int i = 0; i < N_CHILDREN; i++) {
        if (!str_eq(names[i], name) || c->children[i].pid == 0) continue;
        LOG(ERROR, "process.killed", F_STR("process", name),
            F_STR("reason", "did not acknowledge that its keys are wiped"));
        kill(c->children[i].pid, SIGKILL);
    }
}

static enum err on_control(struct children *c, enum child_id which, struct diag *d)
{
    struct control_message m;
    struct child *child = &c->children[which];
    if (control_receive(child->control, &m, NULL) != OK) {
        close(child->control); /* its SIGCHLD follows */
        child->control = -1;
        return OK;
    }
    if (m.fd >= 0) close(m.fd);
    if (m.kind == 'K' && which == CHILD_KEYD) kill_named(c, m.text);
    return m.kind == 'R' ? on_ready(c, which, m.text, d) : OK;
}

static void describe_end(int status, char *out, size_t size)
{
    if (WIFSIGNALED(status)) {
        snprintf(out, size, "killed by signal %d", WTERMSIG(status));
    } else {
        snprintf(out, size, "exited with %d", WEXITSTATUS(status));
    }
}

static void on_child_end(struct children *c, pid_t pid, int status)
{
    for (int i = 0; i < N_CHILDREN; i++) {
        struct child *child = &c->children[i];
        if (child->pid != pid) continue;
        char how[64];
        describe_end(status, how, sizeof how);
        int64_t now = time_mono_us(), lived = now - child->started_us;
        if (child->control >= 0) close(child->control);
        child->pid = 0;
        child->control = -1;
        child->ready = false;
        if (!child->wanted) {
            LOG(INFO, "process.stopped", F_STR("process", names[i]), F_STR("how", how));
            return;
        }
        if (!child->was_ready) child->deaths++;
        bool steady = lived > STEADY_US || child->backoff_us == 0;
        child->backoff_us = steady ? BACKOFF_MIN_US : child->backoff_us * 2;
        if (child->backoff_us > BACKOFF_MAX_US) child->backoff_us = BACKOFF_MAX_US;
        child->restart_at_us = now + child->backoff_us;
        LOG(ERROR, "process.died", F_STR("process", names[i]), F_STR("how", how),
            F_I64("restart_in_us", child->backoff_us));
    }
}

static void on_signal(struct children *c)
{
    struct signalfd_siginfo info;
    if (read(c->signals, &info, sizeof info) != sizeof info) return;
    if (info.ssi_signo != SIGCHLD) {
        c->stopping = true;
        return;
    }
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        on_child_end(c, pid, status);
}

/* --- the loop --------------------------------------------------------------------------------- */

enum { SIGNALS = N_CHILDREN, WATCH };

/* One round: waits for an event until the monotonic time, handles it. */
static enum err step(struct children *c, int64_t until_us, struct diag *d)
{
    struct pollfd fds[N_CHILDREN + 3];
    for (int i = 0; i < N_CHILDREN; i++) {
        fds[i] =
            (struct pollfd){.fd = c->children[i].control, .events = POLLIN}; /* -1 is passed over */
    }
    fds[SIGNALS] = (struct pollfd){.fd = c->signals, .events = POLLIN};
    for (int i = 0; i < 2; i++)
        fds[WATCH + i] = (struct pollfd){.fd = c->watch[i], .events = POLLIN};
    int64_t left_ms = (until_us - time_mono_us()) / 1000 + 1;
    int timeout = left_ms < 0 ? 0 : left_ms > 60000 ? 60000 : (int)left_ms;
    if (poll(fds, N_CHILDREN + 3, timeout) < 0 && errno != EINTR) {
        return FAIL(d, ERR_IO, "poll: %s", strerror(errno));
    }
    for (int i = 0; i < N_CHILDREN; i++) {
        if (fds[i].revents != 0) TRY(on_control(c, (enum child_id)i, d));
    }
    if (fds[SIGNALS].revents != 0) on_signal(c);
    for (int i = 0; i < 2; i++) {
        if (fds[WATCH + i].revents != 0) TRY(c->watched(c->ctx, i, d));
    }
    return OK;
}

/* Starts what is due; returns when the next start is. */
static enum err restart_due(struct children *c, int64_t *next_us, struct diag *d)
{
    int64_t now = time_mono_us();
    *next_us = now + 60 * US_PER_S;
    for (int i = 0; i < N_CHILDREN; i++) {
        struct child *child = &c->children[i];
        if (!child->wanted || child->pid != 0) continue;
        if (child->deaths == DEATHS_MAX) {
            return FAIL(d, ERR_UNAVAILABLE, "%s does not start: the lines above say why", names[i]);
        }
        if (child->restart_at_us <= now) {
            TRY(children_start(c, (enum child_id)i, d));
        } else if (child->restart_at_us < *next_us) {
            *next_us = child->restart_at_us;
        }
    }
    return OK;
}

enum err children_until_ready(struct children *c, enum child_id which, int64_t give_up_us,
                              struct diag *d)
{
    while (!c->stopping && !c->children[which].ready) {
        int64_t next;
        TRY(restart_due(c, &next, d));
        TRY(step(c, next < give_up_us ? next : give_up_us, d));
        if (time_mono_us() > give_up_us) {
            return FAIL(d, ERR_UNAVAILABLE, "%s did not start in time: its log says why",
                        names[which]);
        }
    }
    return OK;
}

enum err children_run(struct children *c, struct diag *d)
{
    while (!c->stopping) {
        int64_t next;
        if (c->tick != NULL) c->tick(c->ctx);
        TRY(restart_due(c, &next, d));
        TRY(step(c, next, d));
    }
    return OK;
}

static void stop_one(struct children *c, enum child_id which)
{
    struct child *child = &c->children[which];
    child->wanted = false;
    if (child->pid == 0) return;
    if (child->control >= 0) (void)control_send(child->control, 'Q', "", -1, NULL);
    int64_t until = time_mono_us() + STOP_US;
    while (child->pid != 0 && time_mono_us() < until) {
        if (step(c, until, NULL) != OK) break;
    }
    if (child->pid == 0) return;
    LOG(ERROR, "process.killed", F_STR("process", names[which]),
        F_STR("reason", "did not stop in time"));
    kill(child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
    child->pid = 0;
}

void children_stop(struct children *c)
{
    for (int i = 0; i < N_CHILDREN; i++)
        c->children[i].wanted = false;
    for (int i = N_CHILDREN - 1; i >= 0; i--)
        stop_one(c, (enum child_id)i);
    if (c->signals >= 0) close(c->signals);
    c->signals = -1;
}

enum err children_init(struct children *c, struct diag *d)
{
    for (int i = 0; i < N_CHILDREN; i++)
        c->children[i] = (struct child){.control = -1};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    c->signals = signalfd(-1, &set, SFD_CLOEXEC);
    return c->signals >= 0 ? OK : FAIL(d, ERR_IO, "signalfd: %s", strerror(errno));
}
