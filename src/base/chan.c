/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/chan.c - framed calls over a socket pair
 *
 * (1) send_lock keeps frames whole; lock guards everything else. lock is never held over a blocking
 *     call. Order: send_lock, then lock.
 * (2) A waiting call lives on its caller's stack and is on the list until its caller takes it off.
 * (3) Each attach starts a generation with a reader of its own; a reader that ends fails the calls
 * of its generation.
 */
#include "base/chan.h"

#include "base/thread.h"
#include "base/time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER_LEN 16
#define QUEUE_MAX  1024

struct waiting {
    struct waiting *next;
    uint64_t id, generation;
    struct buf *out;
    struct diag *d;
    enum err result;
    bool done;
};

struct chan {
    const char *name;
    chan_handler *handler;
    void *ctx;
    void (*changed)(void *ctx, bool up);
    void *changed_ctx;
    struct pool *pool;
    pthread_mutex_t send_lock, lock;
    pthread_cond_t change;
    int fd; /* -1 = detached */
    uint64_t generation, id_next;
    struct waiting *waiting;
    unsigned n_readers, n_serving;
};

struct frame {
    uint64_t id;
    uint16_t method, error;
    struct buf body;
};

struct serving { /* an incoming call on its way through the pool */
    struct chan *c;
    uint64_t generation;
    struct frame f;
};

static bool read_all(int fd, void *to, size_t n)
{
    uint8_t *p = to;
    while (n != 0) {
        ssize_t k = recv(fd, p, n, 0);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static bool read_frame(int fd, struct frame *f)
{
    uint8_t header[HEADER_LEN];
    if (!read_all(fd, header, sizeof header)) return false;
    struct rd r = rd_from(bytes_of(header, sizeof header));
    uint32_t len = rd_u32(&r);
    *f = (struct frame){.id = rd_u64(&r), .method = rd_u16(&r), .error = rd_u16(&r)};
    if (len > CHAN_BODY_MAX) return false;
    uint8_t *body = buf_extend(&f->body, len);
    if (body != NULL && read_all(fd, body, len)) return true;
    buf_release(&f->body);
    return false;
}

static bool send_part(int fd, struct bytes b)
{
    while (b.len != 0) {
        ssize_t k = send(fd, b.p, b.len, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return false;
        b.p += k;
        b.len -= (size_t)k;
    }
    return true;
}

/* Sends on the given generation only: an answer must not reach the next incarnation of the peer. */
static enum err send_frame(struct chan *c, uint64_t generation, uint64_t id, uint16_t method,
                           uint16_t error, struct bytes body, struct diag *d)
{
    if (body.len > CHAN_BODY_MAX) {
        return FAIL(d, ERR_LIMIT, "%s: a message of more than %zu bytes", c->name, CHAN_BODY_MAX);
    }
    CLEANUP_BUF struct buf header = {0};
    buf_u32(&header, (uint32_t)body.len);
    buf_u64(&header, id);
    buf_u16(&header, method);
    buf_u16(&header, error);
    TRY(buf_check(&header, d));

    LOCK_SCOPE(&c->send_lock);
    pthread_mutex_lock(&c->lock);
    int fd = c->generation == generation ? c->fd : -1;
    pthread_mutex_unlock(&c->lock);
    if (fd >= 0 && send_part(fd, buf_view(&header)) && send_part(fd, body)) return OK;
    return FAIL(d, ERR_UNAVAILABLE, "%s does not answer: it is not running", c->name);
}

static void answer_failure(struct buf *out, enum err e, const struct diag *d)
{
    buf_clear(out);
    buf_blob(out, bytes_str(d->code != OK ? d->text : err_name(e)));
    buf_blob(out, bytes_str(d->tag));
}

static void serve(void *arg)
{
    struct serving *s = arg;
    struct chan *c = s->c;
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf out = {0};
    enum err e = c->handler != NULL
                     ? c->handler(c->ctx, s->f.method, buf_view(&s->f.body), &out, &d)
                     : FAIL(&d, ERR_UNSUPPORTED, "%s: takes no calls", c->name);
    if (e == OK) e = buf_check(&out, &d);
    if (e != OK) answer_failure(&out, e, &d);
    /* A peer that is gone needs no answer. */
    (void)send_frame(c, s->generation, s->f.id, 0, (uint16_t)e, buf_view(&out), NULL);
    buf_release(&s->f.body);
    free(s);

    LOCK_SCOPE(&c->lock);
    c->n_serving--;
    pthread_cond_broadcast(&c->change);
}

static void take_call(struct chan *c, uint64_t generation, struct frame *f)
{
    struct serving *s = malloc(sizeof *s);
    if (s == NULL) {
        buf_release(&f->body);
        return; /* the caller's timeout will tell */
    }
    *s = (struct serving){.c = c, .generation = generation, .f = *f};
    pthread_mutex_lock(&c->lock);
    c->n_serving++;
    pthread_mutex_unlock(&c->lock);
    struct diag d = DIAG_INIT;
    if (pool_submit(c->pool, serve, s, &d) == OK) return;

    CLEANUP_BUF struct buf out = {0};
    answer_failure(&out, ERR_LIMIT, &d);
    (void)send_frame(c, generation, s->f.id, 0, ERR_UNAVAILABLE, buf_view(&out), NULL);
    buf_release(&s->f.body);
    free(s);
    LOCK_SCOPE(&c->lock);
    c->n_serving--;
}

static void finish(struct waiting *w, struct frame *f)
{
    w->result = (enum err)f->error;
    if (w->result == OK) {
        buf_bytes(w->out, buf_view(&f->body));
        w->result = buf_check(w->out, w->d);
    } else {
        struct rd r = rd_from(buf_view(&f->body));
        struct bytes text = rd_blob(&r), tag = rd_blob(&r);
        char tag_text[DIAG_TAG_MAX];
        snprintf(tag_text, sizeof tag_text, "%.*s", (int)tag.len, (const char *)tag.p);
        w->result =
            FAIL_TAG(w->d, w->result, tag_text, "%.*s", (int)text.len, (const char *)text.p);
    }
    w->done = true;
}

static void take_answer(struct chan *c, uint64_t generation, struct frame *f)
{
    LOCK_SCOPE(&c->lock);
    for (struct waiting *w = c->waiting; w != NULL; w = w->next) {
        if (w->id != f->id || w->generation != generation || w->done) continue;
        finish(w, f);
        pthread_cond_broadcast(&c->change);
        break;
    }
    buf_release(&f->body);
}

struct reader {
    struct chan *c;
    int fd;
    uint64_t generation;
};

/* (3) */
static void reader_end(struct reader *r)
{
    struct chan *c = r->c;
    pthread_mutex_lock(&c->send_lock); /* nobody may be writing to a descriptor that is closed */
    pthread_mutex_lock(&c->lock);
    bool current = c->generation == r->generation && c->fd >= 0;
    if (current) c->fd = -1;
    for (struct waiting *w = c->waiting; w != NULL; w = w->next) {
        if (w->generation != r->generation || w->done) continue;
        w->result = FAIL(w->d, ERR_UNAVAILABLE, "%s went away during the call", c->name);
        w->done = true;
    }
    pthread_mutex_unlock(&c->lock);
    close(r->fd);
    pthread_mutex_unlock(&c->send_lock);
    if (current && c->changed != NULL) c->changed(c->changed_ctx, false);

    LOCK_SCOPE(&c->lock);
    c->n_readers--;
    pthread_cond_broadcast(&c->change);
}

static void *reader_run(void *arg)
{
    struct reader *r = arg;
    if (r->c->changed != NULL) r->c->changed(r->c->changed_ctx, true);
    struct frame f;
    while (read_frame(r->fd, &f)) {
        if (f.method != 0) {
            take_call(r->c, r->generation, &f);
        } else {
            take_answer(r->c, r->generation, &f);
        }
    }
    reader_end(r);
    free(r);
    return NULL;
}

enum err chan_new(struct chan **out, const char *name, unsigned n_threads, chan_handler *handler,
                  void *ctx, struct diag *d)
{
    struct chan *c = calloc(1, sizeof *c);
    if (c == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *c = (struct chan){.name = name, .handler = handler, .ctx = ctx, .fd = -1};
    pthread_mutex_init(&c->send_lock, NULL);
    pthread_mutex_init(&c->lock, NULL);
    cond_init(&c->change);
    enum err e = pool_new(&c->pool, n_threads, QUEUE_MAX, d);
    if (e != OK) {
        chan_free(c);
        return e;
    }
    *out = c;
    return OK;
}

void chan_free(struct chan *c)
{
    if (c == NULL) return;
    pthread_mutex_lock(&c->lock);
    if (c->fd >= 0) shutdown(c->fd, SHUT_RDWR);
    while (c->n_readers != 0 || c->n_serving != 0)
        pthread_cond_wait(&c->change, &c->lock);
    pthread_mutex_unlock(&c->lock);
    pool_free(c->pool);
    pthread_cond_destroy(&c->change);
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->send_lock);
    free(c);
}

void chan_on_state(struct chan *c, void (*changed)(void *ctx, bool up), void *ctx)
{
    c->changed = changed;
    c->changed_ctx = ctx;
}

enum err chan_attach(struct chan *c, int fd, struct diag *d)
{
    struct reader *r = malloc(sizeof *r);
    if (r == NULL) {
        close(fd);
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    pthread_mutex_lock(&c->lock);
    if (c->fd >= 0) shutdown(c->fd, SHUT_RDWR); /* its reader sees the end and closes it */
    c->fd = fd;
    *r = (struct reader){.c = c, .fd = fd, .generation = ++c->generation};
    c->n_readers++;
    pthread_cond_broadcast(&c->change);
    pthread_mutex_unlock(&c->lock);

    pthread_t t;
    enum err e = thread_start(&t, reader_run, r, d);
    if (e != OK) {
        reader_end(r);
        free(r);
        return e;
    }
    pthread_detach(t);
    return OK;
}

bool chan_is_up(struct chan *c)
{
    LOCK_SCOPE(&c->lock);
    return c->fd >= 0;
}

enum err chan_wait_up(struct chan *c, uint64_t timeout_ms, struct diag *d)
{
    int64_t until = time_mono_us() + (int64_t)timeout_ms * 1000;
    LOCK_SCOPE(&c->lock);
    while (c->fd < 0) {
        if (!cond_wait_until(&c->change, &c->lock, until)) {
            return FAIL(d, ERR_UNAVAILABLE, "%s is not running", c->name);
        }
    }
    return OK;
}

static void unlist(struct chan *c, struct waiting *w)
{
    struct waiting **p = &c->waiting;
    while (*p != w)
        p = &(*p)->next;
    *p = w->next;
}

enum err chan_call(struct chan *c, uint16_t method, struct bytes in, struct buf *out,
                   uint64_t timeout_ms, struct diag *d)
{
    int64_t until = time_mono_us() + (int64_t)timeout_ms * 1000;
    CLEANUP_BUF struct buf nowhere = {0};
    struct waiting w = {.out = out != NULL ? out : &nowhere, .d = d};

    pthread_mutex_lock(&c->lock);
    w.id = ++c->id_next;
    w.generation = c->generation;
    w.next = c->waiting;
    c->waiting = &w;
    pthread_mutex_unlock(&c->lock);

    enum err e = send_frame(c, w.generation, w.id, method, 0, in, d);

    LOCK_SCOPE(&c->lock);
    while (e == OK && !w.done) {
        if (!cond_wait_until(&c->change, &c->lock, until) && !w.done) {
            e = FAIL(d, ERR_UNAVAILABLE, "%s did not answer within %llu ms", c->name,
                     (unsigned long long)timeout_ms);
        }
    }
    unlist(c, &w); /* (2) */
    return e == OK ? w.result : e;
}
