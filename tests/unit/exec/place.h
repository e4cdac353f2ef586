/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/place.h - a place outside of memory, as far as a query is concerned: it counts, fails
 * and cancels when told to
 */
#pragma once

#include "test.h"

#include "base/thread.h"
#include "exec/exec.h"

struct place {
    pthread_mutex_t lock;
    struct buf all;
    uint64_t n_writes, n_reads;
    uint64_t fail_at;     /* this write fails: 0 = none */
    _Atomic bool *cancel; /* set by write number cancel_at */
    uint64_t cancel_at;
};

static inline enum err place_write(void *spill, struct bytes block, uint64_t *at, struct diag *dd)
{
    struct place *p = spill;
    LOCK_SCOPE(&p->lock);
    p->n_writes++;
    if (p->n_writes == p->fail_at) return FAIL(dd, ERR_IO, "spill: write: no space left on device");
    if (p->n_writes == p->cancel_at) atomic_store(p->cancel, true);
    *at = p->all.len;
    buf_bytes(&p->all, block);
    return buf_check(&p->all, dd);
}

static inline enum err place_read(void *spill, uint64_t at, size_t len, struct arena *a,
                                  struct bytes *out, struct diag *dd)
{
    struct place *p = spill;
    LOCK_SCOPE(&p->lock);
    p->n_reads++;
    REQUIRE(at + len <= p->all.len);
    *out = arena_bytes(a, bytes_of(p->all.p + at, len));
    return out->p != NULL ? OK : arena_full(a, dd);
}

static const struct spill_ops place_ops = {place_write, place_read};
