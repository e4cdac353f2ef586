/* SPDX-License-Identifier: Apache-2.0 */
/* server/process.c - the child's end of the control socket */
#include "server/process.h"

#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "server/control.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

struct peer {
    char name[32];
    struct chan *chan; /* NULL: the socket came first */
    int fd;            /* -1: attached, or not here yet */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool quit;
    struct peer peers[PROCESS_PEERS_MAX];
    unsigned n_peers;
} self = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static struct peer *peer_slot(const char *name)
{
    for (unsigned i = 0; i < self.n_peers; i++) {
        if (str_eq(self.peers[i].name, name)) return &self.peers[i];
    }
    if (self.n_peers == PROCESS_PEERS_MAX) return NULL;
    struct peer *p = &self.peers[self.n_peers++];
    *p = (struct peer){.fd = -1};
    snprintf(p->name, sizeof p->name, "%s", name);
    return p;
}

static enum err attach(struct peer *p, struct diag *d)
{
    if (p->chan == NULL || p->fd < 0) return OK;
    int fd = p->fd;
    p->fd = -1;
    LOG(INFO, "peer.attached", F_STR("peer", p->name));
    return chan_attach(p->chan, fd, d);
}

static void take_peer(const struct control_message *m)
{
    LOCK_SCOPE(&self.lock);
    struct peer *p = peer_slot(m->text);
    if (p == NULL || m->fd < 0) {
        if (m->fd >= 0) close(m->fd);
        return;
    }
    if (p->fd >= 0) close(p->fd);
    p->fd = m->fd;
    struct diag d = DIAG_INIT;
    if (attach(p, &d) != OK) LOG(ERROR, "peer.attach_failed", F_STR("peer", p->name), F_ERR(&d));
}

void process_quit(void)
{
    LOCK_SCOPE(&self.lock);
    self.quit = true;
    pthread_cond_broadcast(&self.changed);
}

static void *control_run(void *arg)
{
    (void)arg;
    struct control_message m;
    while (control_receive(CONTROL_FD, &m, NULL) == OK && m.kind != 'Q') {
        if (m.kind == 'P') take_peer(&m);
    }
    process_quit();
    return NULL;
}

enum err process_begin(const char *name, struct diag *d)
{
    log_set_process(name);
    prctl(PR_SET_NAME, name);
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    /* A supervisor that is killed takes its processes with it: nobody else would stop them in
     * order. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pthread_t t;
    TRY(thread_start(&t, control_run, NULL, d));
    pthread_detach(t);
    return OK;
}

enum err process_peer(const char *name, struct chan *c, struct diag *d)
{
    LOCK_SCOPE(&self.lock);
    struct peer *p = peer_slot(name);
    if (p == NULL) return FAIL(d, ERR_LIMIT, "more than %d peers", PROCESS_PEERS_MAX);
    p->chan = c;
    return attach(p, d);
}

enum err process_ready(json_t *info, struct diag *d)
{
    CLEANUP_JSON json_t *j = info != NULL ? info : json_object();
    CLEANUP_BUF struct buf text = {0};
    TRY(json_write(j, &text, d));
    return control_send(CONTROL_FD, 'R', buf_cstr(&text), -1, d);
}

enum err process_kill_peer(const char *name, struct diag *d)
{
    return control_send(CONTROL_FD, 'K', name, -1, d);
}

bool process_quitting(void)
{
    LOCK_SCOPE(&self.lock);
    return self.quit;
}

void process_wait_quit(void)
{
    LOCK_SCOPE(&self.lock);
    while (!self.quit)
        pthread_cond_wait(&self.changed, &self.lock);
}
