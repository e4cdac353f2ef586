/* SPDX-License-Identifier: Apache-2.0 */
/* custody/reader.c - one kind of question to keyd, and the lease of the account that is being read
 */
#include "custody/reader.h"

#include "base/chan.h"
#include "base/time.h"
#include "custody/protocol.h"

#include <stdlib.h>

#define CALL_MS 30000

struct reader {
    struct chan *chan;
    /* The lease at hand: of the account and file that were opened last. */
    bool has_lease;
    struct file_ident last;
    int64_t good_until_us; /* CLOCK_BOOTTIME */
};

enum err reader_new(struct reader **out, int fd, uint64_t timeout_ms, struct diag *d)
{
    CLEANUP(reader_free) struct reader *r = calloc(1, sizeof *r);
    if (r == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(chan_new(&r->chan, "keyd", 1, NULL, NULL, d));
    TRY(chan_attach(r->chan, fd, d));
    int64_t until = time_mono_us() + (int64_t)timeout_ms * 1000;
    for (;;) {
        struct diag why = DIAG_INIT;
        enum err e = chan_call(r->chan, KEYD_READY, BYTES(""), NULL, CALL_MS, &why);
        if (e == OK) break;
        if (time_mono_us() > until || !chan_is_up(r->chan)) return FAIL(d, e, "%s", why.text);
        time_sleep_us(100000);
    }
    *out = TAKE(r);
    return OK;
}

void reader_free(struct reader *r)
{
    if (r == NULL) return;
    chan_free(r->chan);
    free(r);
}

enum err reader_status(struct reader *r, json_t **out, struct diag *d)
{
    CLEANUP_BUF struct buf answer = {0};
    TRY(chan_call(r->chan, KEYD_STATUS, BYTES(""), &answer, CALL_MS, d));
    return json_read(buf_view(&answer), out, d);
}

/* Asks for the keys of files of one account; answer is the lease and the keys. */
static enum err ask(struct reader *r, const uint8_t account[16], const struct file_ident *files,
                    size_t n, struct buf *answer, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0};
    buf_bytes(&in, bytes_of(account, 16));
    buf_u32(&in, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        uint8_t header[FILE_HEADER_LEN];
        file_header_encode(&files[i], header);
        buf_bytes(&in, bytes_of(header, sizeof header));
    }
    TRY(buf_check(&in, d));
    int64_t asked_us = time_boot_us(); /* (1) of protocol.h: the holder's end comes first */
    TRY(chan_call(r->chan, KEYD_FILE_OPEN, buf_view(&in), answer, CALL_MS, d));
    struct rd rd = rd_from(buf_view(answer));
    r->good_until_us = asked_us + (int64_t)rd_u64(&rd);
    r->last = files[n - 1];
    r->has_lease = true;
    return OK;
}

enum err reader_file_open(void *self, const uint8_t account[16], const struct file_ident *files,
                          size_t n, struct file_key **out, struct diag *d)
{
    struct reader *r = self;
    if (n == 0) return OK;
    if (n > FILES_MAX)
        return FAIL(d, ERR_LIMIT, "more than %d files of one account at once", FILES_MAX);
    CLEANUP_BUF struct buf answer = {0};
    TRY(ask(r, account, files, n, &answer, d));
    struct rd rd = rd_from(buf_view(&answer));
    (void)rd_u64(&rd);
    size_t made = 0;
    enum err e = OK;
    for (; e == OK && made < n; made += e == OK) {
        struct leased_key key = get_leased_key(&rd);
        e = rd.bad ? FAIL(d, ERR_CORRUPT, "keyd answered with another number of keys")
                   : leased_key_open(&key, &files[made], &out[made], d);
    }
    while (e != OK && made > 0)
        file_key_free(out[--made]);
    return e;
}

void reader_file_release(void *self, struct file_key *k)
{
    (void)self;
    file_key_free(k);
}

enum err reader_lease_check(void *self, const uint8_t account[16], struct diag *d)
{
    struct reader *r = self;
    bool same = r->has_lease && memcmp(r->last.account, account, 16) == 0;
    if (!same) return FAIL(d, ERR_UNAVAILABLE, "no lease of this account is at hand");
    if (time_boot_us() < r->good_until_us) return OK;
    CLEANUP_BUF struct buf answer = {0};
    const struct file_ident again = r->last;
    return ask(r, account, &again, 1, &answer, d);
}
