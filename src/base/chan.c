/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/chan.c - framed calls over a socket pair
 *
 * (1) Who sends has begun with out, which keeps frames whole; lock guards everything else, and is
 *     never held over a blocking call. Order: out, then lock.
 * (2) A waiting call lives on its caller's stack and is on the list until its caller takes it off.
 * (3) Each attach starts a generation with a reader of its own; a reader that ends fails the calls
 * of its generation.
 * (4) The reader never waits for anything but its peer's bytes: what is too much is read, thrown away
 *     and refused, if the refusal can be sent at once.
 */
#include "base/chan.h"

#include "base/chan_frame.h"
#include "base/thread.h"
#include "base/time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_MAX 1024  /* calls that wait for a thread */
#define ANSWER_MS 30000 /* a peer that does not take an answer for so long does not get it */

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
    struct frame_out out;
    pthread_mutex_t lock;
    pthread_cond_t change;
    int fd; /* -1 = detached */
    uint64_t generation, id_next;
    struct waiting *waiting;
    unsigned n_readers, n_serving;
    size_t bytes_taken; /* bodies of calls that wait or are served */
};

struct serving { /* an incoming call on its way through the pool */
    struct chan *c;
    uint64_t generation;
    struct frame f;
};

static int fd_of(struct chan *c, uint64_t generation)
{
    LOCK_SCOPE(&c->lock);
    return c->generation == generation ? c->fd : -1;
}

/* Sends on the given generation only: an answer must not reach the next incarnation of the peer. */
static enum err send_frame(struct chan *c, uint64_t generation, const struct frame *f,
                           struct bytes body, int64_t until, struct diag *d)
{
    if (body.len > CHAN_BODY_MAX) {
        return FAIL(d, ERR_LIMIT, "%s: a message of more than %zu bytes", c->name, CHAN_BODY_MAX);
    }
    enum frame_sent s = FRAME_LATE;
    if (frame_out_begin(&c->out, until)) {
        int fd = fd_of(c, generation);
        s = fd < 0 ? FRAME_GONE : frame_out_send(&c->out, fd, generation, f, body, until);
        frame_out_end(&c->out);
    }
    if (s == FRAME_SENT) return OK;
    if (s == FRAME_LATE)
        return FAIL(d, ERR_UNAVAILABLE, "%s does not read what it is sent", c->name);
    return FAIL(d, ERR_UNAVAILABLE, "%s does not answer: it is not running", c->name);
}

/* --- incoming calls
 * ----------------------------------------------------------------------------------- */

static void answer_failure(struct buf *out, enum err e, const struct diag *d)
{
    buf_clear(out);
    buf_blob(out, bytes_str(d->code != OK ? d->text : err_name(e)));
    buf_blob(out, bytes_str(d->tag));
}

static void give_back(struct chan *c, struct buf *body)
{
    LOCK_SCOPE(&c->lock);
    c->bytes_taken -= body->len;
    buf_release(body);
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
    give_back(c, &s->f.body);
    /* A peer that is gone, or does not read, needs no answer. */
    const struct frame answer = {.id = s->f.id, .error = (uint16_t)e};
    int64_t until = time_mono_us() + ANSWER_MS * 1000LL;
    (void)send_frame(c, s->generation, &answer, buf_view(&out), until, NULL);
    free(s);

    LOCK_SCOPE(&c->lock);
    c->n_serving--;
    pthread_cond_broadcast(&c->change);
}

/* (4) The caller's timeout tells him where this cannot. */
static void refuse(struct chan *c, uint64_t generation, uint64_t id, const char *why)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf out = {0};
    (void)FAIL(&d, ERR_UNAVAILABLE, "%s", why);
    answer_failure(&out, ERR_UNAVAILABLE, &d);
    const struct frame answer = {.id = id, .error = ERR_UNAVAILABLE};
    if (buf_check(&out, NULL) == OK)
        (void)send_frame(c, generation, &answer, buf_view(&out), 0, NULL);
}

static bool take_bytes(struct chan *c, size_t n)
{
    LOCK_SCOPE(&c->lock);
    bool room = n <= CHAN_BYTES_MAX - c->bytes_taken;
    if (room) c->bytes_taken += n;
    return room;
}

static void take_call(struct chan *c, uint64_t generation, struct frame *f)
{
    struct serving *s = malloc(sizeof *s);
    if (s == NULL) {
        give_back(c, &f->body);
        return; /* the caller's timeout will tell */
    }
    *s = (struct serving){.c = c, .generation = generation, .f = *f};
    pthread_mutex_lock(&c->lock);
    c->n_serving++;
    pthread_mutex_unlock(&c->lock);
    if (pool_submit(c->pool, serve, s, NULL) == OK) return;

    refuse(c, generation, s->f.id, "too many calls wait already");
    give_back(c, &s->f.body);
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
    shutdown(r->fd, SHUT_RDWR); /* whoever waits for room in it waits no longer */
    /* Nobody may be writing to a descriptor that is closed. */
    (void)frame_out_begin(&c->out, INT64_MAX);
    frame_out_forget(&c->out, r->generation);
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
    frame_out_end(&c->out);
    if (current && c->changed != NULL) c->changed(c->changed_ctx, false);

    LOCK_SCOPE(&c->lock);
    c->n_readers--;
    pthread_cond_broadcast(&c->change);
}

/* False: the connection ends. */
static bool read_call(struct reader *r, struct frame *f, uint32_t len)
{
    if (!take_bytes(r->c, len)) { /* (4) */
        if (!frame_discard(r->fd, len)) return false;
        refuse(r->c, r->generation, f->id, "the calls that wait hold too many bytes already");
        return true;
    }
    if (frame_read_body(r->fd, f, len)) {
        take_call(r->c, r->generation, f);
        return true;
    }
    LOCK_SCOPE(&r->c->lock);
    r->c->bytes_taken -= len;
    return false;
}

static bool read_answer(struct reader *r, struct frame *f, uint32_t len)
{
    if (!frame_read_body(r->fd, f, len)) return false;
    take_answer(r->c, r->generation, f);
    return true;
}

static void *reader_run(void *arg)
{
    struct reader *r = arg;
    if (r->c->changed != NULL) r->c->changed(r->c->changed_ctx, true);
    struct frame f;
    uint32_t len;
    bool more = true;
    while (more && frame_read_header(r->fd, &f, &len))
        more = f.method != 0 ? read_call(r, &f, len) : read_answer(r, &f, len);
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
    frame_out_init(&c->out);
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
    frame_out_release(&c->out);
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

    const struct frame f = {.id = w.id, .method = method};
    enum err e = send_frame(c, w.generation, &f, in, until, d);

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
