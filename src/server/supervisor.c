/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/supervisor.c - one thread, one poll loop: control sockets, signals, and the time of the next restart
 *
 * (1) A pair of processes gets a new socket pair whenever either of them starts.
 * (2) Nothing is waited for without the loop running: a child that dies while another starts is seen.
 * (3) The lock of the data directory is inherited by the children: it is free only when all are gone.
 */
#include "server/supervisor.h"

#include "base/log.h"
#include "base/os.h"
#include "base/rand.h"
#include "base/str.h"
#include "base/time.h"
#include "json/json.h"
#include "net/tls.h"
#include "cli/credentials.h"
#include "server/control.h"
#include "server/datadir.h"

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

enum { IDENTITY, VAULT, KEYD, LOGS, N_CHILDREN };

static const char *const names[N_CHILDREN] = {"identity", "vault", "keyd", "logs"};
static const int pairs[][2] = {{LOGS, KEYD}, {LOGS, IDENTITY}, {KEYD, IDENTITY}, {VAULT, IDENTITY}};
#define N_PAIRS (sizeof pairs / sizeof pairs[0])

#define BACKOFF_MIN_US (200 * 1000LL)
#define BACKOFF_MAX_US (5 * US_PER_S)
#define STEADY_US      (30 * US_PER_S) /* up for so long: the next failure starts from the smallest backoff */
#define STOP_US        (20 * US_PER_S) /* per process, then SIGKILL */
#define ARGS_MAX       24

struct child {
    pid_t pid;   /* 0 = not running */
    int control; /* -1 = not running */
    bool wanted, ready;
    int64_t started_us, restart_at_us, backoff_us; /* monotonic */
};

struct supervisor {
    const struct up_options *o;
    struct datadir dir;
    struct credentials credentials;
    struct child children[N_CHILDREN];
    int signals;
    bool stopping, announced;
    unsigned logs_port;
};

/* --- starting one process ---------------------------------------------------------------------- */

struct arg_list {
    char *v[ARGS_MAX];
    unsigned n;
};

static void arg_list_release(struct arg_list *a)
{
    for (unsigned i = 0; i < a->n; i++) free(a->v[i]);
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

static void child_args(const struct supervisor *s, int which, struct arg_list *a)
{
    const struct credentials *c = &s->credentials;
    a->v[a->n++] = str_dup("keystead");
    a->v[a->n++] = str_fmt("serve-%s", names[which]);
    arg(a, "data", s->dir.path);
    if (s->o->virtual_clock) arg(a, "virtual-clock", NULL);
    if (which == IDENTITY || which == LOGS) arg(a, "endpoint", c->endpoint);
    if (which != IDENTITY) {
        arg(a, "vault-suffix", c->vault_suffix);
        arg(a, "ca-file", c->ca_file);
        arg(a, "tenant", c->tenant_id);
    }
    if (which == VAULT || which == KEYD) arg(a, "platform-principal", c->platform_object_id);
    if (which == VAULT) {
        arg(a, "listen", s->o->vault_listen);
        arg(a, "endpoint", c->endpoint);
        arg(a, "subscription", c->subscription_id);
    }
    if (which == KEYD) {
        arg_number(a, "probe-seconds", s->o->probe_s);
        arg_number(a, "revocation-bound", s->o->revocation_bound_s);
    }
    if (which == LOGS) {
        arg(a, "listen", s->o->listen);
        arg(a, "vault-listen", s->o->vault_listen);
        arg(a, "subscription", c->subscription_id);
        arg(a, "object-id", c->object_id);
        if (s->o->allow_swap) arg(a, "allow-swap", NULL);
    }
    a->v[a->n] = NULL;
}

/* In the new process: nothing but async-signal-safe calls. */
static void become_child(int control, int lock_fd, char *const *argv)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (control != CONTROL_FD && dup2(control, CONTROL_FD) < 0) _exit(127);
    fcntl(CONTROL_FD, F_SETFD, 0);
    fcntl(lock_fd, F_SETFD, 0); /* (3) */
    /* Standard output belongs to the one line of the supervisor. */
    if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0) _exit(127);
    execv("/proc/self/exe", argv);
    _exit(127);
}

static enum err connect_pair(struct supervisor *s, int a, int b, struct diag *d)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        return FAIL(d, ERR_IO, "socket pair: %s", strerror(errno));
    }
    /* A process that died meanwhile gets its socket at its next start. */
    (void)control_send(s->children[a].control, 'P', names[b], fds[0], NULL);
    (void)control_send(s->children[b].control, 'P', names[a], fds[1], NULL);
    close(fds[0]);
    close(fds[1]);
    return OK;
}

static enum err child_start(struct supervisor *s, int which, struct diag *d)
{
    struct child *c = &s->children[which];
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
        return FAIL(d, ERR_IO, "socket pair: %s", strerror(errno));
    }
    struct arg_list args = {0};
    child_args(s, which, &args);
    pid_t pid = fork();
    if (pid == 0) become_child(fds[1], s->dir.lock_fd, args.v);
    arg_list_release(&args);
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return FAIL(d, ERR_IO, "fork: %s", strerror(errno));
    }
    c->pid = pid;
    c->control = fds[0];
    c->wanted = true;
    c->ready = false;
    c->started_us = time_mono_us();
    LOG(INFO, "process.started", F_STR("process", names[which]), F_I64("pid", pid));
    for (size_t i = 0; i < N_PAIRS; i++) { /* (1) */
        int a = pairs[i][0], b = pairs[i][1];
        if ((a == which || b == which) && s->children[a].pid != 0 && s->children[b].pid != 0) {
            TRY(connect_pair(s, a, b, d));
        }
    }
    return OK;
}

/* --- what a process says ------------------------------------------------------------------------ */

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

static enum err on_ready(struct supervisor *s, int which, const char *text, struct diag *d)
{
    CLEANUP_JSON json_t *info = NULL;
    TRY(json_read(bytes_str(text), &info, d));
    s->children[which].ready = true;
    LOG(INFO, "process.ready", F_STR("process", names[which]),
        F_I64("took_us", time_mono_us() - s->children[which].started_us));
    if (which == IDENTITY) TRY(take_founder(s, info, d));
    if (which == LOGS && !s->announced) {
        s->announced = true;
        printf("ready %s\n", s->credentials.endpoint);
        fflush(stdout);
    }
    return OK;
}

static void kill_named(struct supervisor *s, const char *name)
{
    for (int i = 0; i < N_CHILDREN; i++) {
        if (!str_eq(names[i], name) || s->children[i].pid == 0) continue;
        LOG(ERROR, "process.killed", F_STR("process", name),
            F_STR("reason", "did not acknowledge that its keys are wiped"));
        kill(s->children[i].pid, SIGKILL);
    }
}

static enum err on_control(struct supervisor *s, int which, struct diag *d)
{
    struct control_message m;
    struct child *c = &s->children[which];
    if (control_receive(c->control, &m, NULL) != OK) {
        close(c->control); /* its SIGCHLD follows */
        c->control = -1;
        return OK;
    }
    if (m.fd >= 0) close(m.fd);
    if (m.kind == 'R') return on_ready(s, which, m.text, d);
    if (m.kind == 'K' && which == KEYD) kill_named(s, m.text);
    return OK;
}

static void describe_end(int status, char *out, size_t size)
{
    if (WIFSIGNALED(status)) {
        snprintf(out, size, "killed by signal %d", WTERMSIG(status));
    } else {
        snprintf(out, size, "exited with %d", WEXITSTATUS(status));
    }
}

static void on_child_end(struct supervisor *s, pid_t pid, int status)
{
    for (int i = 0; i < N_CHILDREN; i++) {
        struct child *c = &s->children[i];
        if (c->pid != pid) continue;
        char how[64];
        describe_end(status, how, sizeof how);
        int64_t now = time_mono_us(), lived = now - c->started_us;
        if (c->control >= 0) close(c->control);
        c->pid = 0;
        c->control = -1;
        c->ready = false;
        if (s->stopping) {
            LOG(INFO, "process.stopped", F_STR("process", names[i]), F_STR("how", how));
            return;
        }
        c->backoff_us = lived > STEADY_US || c->backoff_us == 0 ? BACKOFF_MIN_US : c->backoff_us * 2;
        if (c->backoff_us > BACKOFF_MAX_US) c->backoff_us = BACKOFF_MAX_US;
        c->restart_at_us = now + c->backoff_us;
        LOG(ERROR, "process.died", F_STR("process", names[i]), F_STR("how", how),
            F_I64("restart_in_us", c->backoff_us));
    }
}

static void on_signal(struct supervisor *s)
{
    struct signalfd_siginfo info;
    if (read(s->signals, &info, sizeof info) != sizeof info) return;
    if (info.ssi_signo != SIGCHLD) {
        s->stopping = true;
        return;
    }
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) on_child_end(s, pid, status);
}

/* --- the loop ------------------------------------------------------------------------------------ */

/* One round: waits for an event until the monotonic time, handles it. */
static enum err step(struct supervisor *s, int64_t until_us, struct diag *d)
{
    struct pollfd fds[N_CHILDREN + 1];
    int which[N_CHILDREN + 1];
    nfds_t n = 0;
    for (int i = 0; i < N_CHILDREN; i++) {
        if (s->children[i].control < 0) continue;
        which[n] = i;
        fds[n++] = (struct pollfd){.fd = s->children[i].control, .events = POLLIN};
    }
    which[n] = -1;
    fds[n++] = (struct pollfd){.fd = s->signals, .events = POLLIN};
    int64_t left_ms = (until_us - time_mono_us()) / 1000 + 1;
    int timeout = left_ms < 0 ? 0 : left_ms > 60000 ? 60000 : (int)left_ms;
    if (poll(fds, n, timeout) < 0 && errno != EINTR) {
        return FAIL(d, ERR_IO, "poll: %s", strerror(errno));
    }
    for (nfds_t i = 0; i < n; i++) {
        if (fds[i].revents == 0) continue;
        if (which[i] < 0) {
            on_signal(s);
        } else {
            TRY(on_control(s, which[i], d));
        }
    }
    return OK;
}

/* Starts what is due; returns when the next start is. */
static enum err restart_due(struct supervisor *s, int64_t *next_us, struct diag *d)
{
    int64_t now = time_mono_us();
    *next_us = now + 60 * US_PER_S;
    for (int i = 0; i < N_CHILDREN; i++) {
        struct child *c = &s->children[i];
        if (!c->wanted || c->pid != 0) continue;
        if (c->restart_at_us <= now) {
            TRY(child_start(s, i, d));
        } else if (c->restart_at_us < *next_us) {
            *next_us = c->restart_at_us;
        }
    }
    return OK;
}

static enum err run_until_ready(struct supervisor *s, int which, struct diag *d)
{
    while (!s->stopping && !s->children[which].ready) {
        int64_t next;
        TRY(restart_due(s, &next, d));
        TRY(step(s, next, d));
    }
    return OK;
}

static enum err start_all(struct supervisor *s, struct diag *d)
{
    TRY(child_start(s, IDENTITY, d));
    TRY(run_until_ready(s, IDENTITY, d));
    if (s->stopping) return OK;
    TRY(child_start(s, VAULT, d));
    TRY(run_until_ready(s, VAULT, d));
    if (s->stopping) return OK;
    TRY(child_start(s, KEYD, d));
    TRY(child_start(s, LOGS, d));
    return OK;
}

static void stop_one(struct supervisor *s, int which)
{
    struct child *c = &s->children[which];
    c->wanted = false;
    if (c->pid == 0) return;
    (void)control_send(c->control, 'Q', "", -1, NULL);
    int64_t until = time_mono_us() + STOP_US;
    while (c->pid != 0 && time_mono_us() < until) {
        if (step(s, until, NULL) != OK) break;
    }
    if (c->pid != 0) {
        LOG(ERROR, "process.killed", F_STR("process", names[which]),
            F_STR("reason", "did not stop in time"));
        kill(c->pid, SIGKILL);
        waitpid(c->pid, NULL, 0);
        c->pid = 0;
    }
}

static void stop_all(struct supervisor *s)
{
    s->stopping = true;
    for (int i = N_CHILDREN - 1; i >= 0; i--) stop_one(s, i);
}

/* --- set-up ---------------------------------------------------------------------------------------- */

/* A first start that died before credentials.json was written left an identity nobody can use: begin anew. Anything
 * else beside it means that the file was lost later, which only a backup can mend. */
static enum err check_first_start(const struct supervisor *s, struct diag *d)
{
    CLEANUP_FREE char *catalog = datadir_path(&s->dir, "catalog.db");
    CLEANUP_FREE char *vault = datadir_path(&s->dir, "vault");
    CLEANUP_FREE char *identity = datadir_path(&s->dir, "identity");
    if (os_exists(catalog) || os_exists(vault)) {
        return FAIL(d, ERR_CORRUPT, "%s/credentials.json is missing: restore it from a backup", s->dir.path);
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
    if (port == 0 || vault_port == 0) return FAIL(d, ERR_INVALID, "port 0: clients need to know the port");
    const char *domain = s->o->domain;
    int n = port == 443 ? snprintf(c->endpoint, sizeof c->endpoint, "https://%s", domain)
                        : snprintf(c->endpoint, sizeof c->endpoint, "https://%s:%" PRIu64, domain, port);
    int m = vault_port == 443
                ? snprintf(c->vault_suffix, sizeof c->vault_suffix, "vault.%s", domain)
                : snprintf(c->vault_suffix, sizeof c->vault_suffix, "vault.%s:%" PRIu64, domain, vault_port);
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
    static const char *const parts[] = {"", "*.vault.", "*.managedhsm.", "*.ods.", "*.ingest.", "vault."};
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

static enum err catch_signals(struct supervisor *s, struct diag *d)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC);
    return s->signals >= 0 ? OK : FAIL(d, ERR_IO, "signalfd: %s", strerror(errno));
}

static enum err run(struct supervisor *s, struct diag *d)
{
    TRY(prepare(s, d));
    TRY(catch_signals(s, d));
    TRY(start_all(s, d));
    while (!s->stopping) {
        int64_t next;
        TRY(restart_due(s, &next, d));
        TRY(step(s, next, d));
    }
    return OK;
}

enum err supervisor_run(const struct up_options *o, struct diag *d)
{
    struct supervisor s = {.o = o, .signals = -1};
    for (int i = 0; i < N_CHILDREN; i++) s.children[i].control = -1;
    log_set_process("up");
    TRY(datadir_open(&s.dir, o->data, d));
    enum err e = run(&s, d);
    stop_all(&s);
    if (s.signals >= 0) close(s.signals);
    datadir_release(&s.dir);
    if (e == OK) LOG(INFO, "up.stopped");
    return e;
}
