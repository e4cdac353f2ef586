/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/audit_feed.c - lines of the audit log for who keeps a copy that can be queried
 *
 * keyd only answers: it waits for nobody and keeps no queue. Lines are given by their number, whole
 * and durable ones only; who asks remembers how far he came.
 */
#include "custody/core.h"

#define ANSWER_BYTES ((size_t)256 << 10)

static enum err seek(struct feed *f, const char *dir, uint64_t from, struct diag *d)
{
    if (f->is_open && f->next_seq == from) return OK;
    audit_reader_close(&f->reader);
    f->is_open = false;
    TRY(audit_reader_open(&f->reader, dir, from, d));
    f->is_open = true;
    f->next_seq = f->reader.n_files != 0 ? f->reader.files[f->reader.at].first_seq : 1;
    return OK;
}

static enum err give(struct feed *f, uint64_t from, uint64_t last, struct buf *out, struct diag *d)
{
    while (f->next_seq <= last && out->len < ANSWER_BYTES) {
        struct bytes line;
        TRY(audit_reader_next(&f->reader, &line, d));
        if (line.p == NULL) { /* the next file is younger than this reader */
            f->is_open = false;
            break;
        }
        if (f->next_seq++ < from) continue;
        buf_bytes(out, line);
        buf_u8(out, '\n');
    }
    return buf_check(out, d);
}

enum err feed_read(struct keyd *k, uint64_t after, struct buf *out, struct diag *d)
{
    struct feed *f = &k->feed;
    LOCK_SCOPE(&f->lock);
    uint64_t last = audit_durable(k->audit);
    if (after >= last) return OK;
    TRY(seek(f, k->proof.audit_dir, after + 1, d));
    enum err e = give(f, after + 1, last, out, d);
    if (e != OK) f->is_open = false;
    return e;
}

void feed_release(struct keyd *k)
{
    audit_reader_close(&k->feed.reader);
    pthread_mutex_destroy(&k->feed.lock);
}
