/* SPDX-License-Identifier: Apache-2.0 */
/* custody/client_spool.c - the log service asks for keys of a spool: they hang on no lease, their
 * holder destroys them when the account is REVOKED */
#include "custody/holder.h"

#include <stdlib.h>

#define SPOOL_MS 12000 /* two vault calls */

enum err custody_spool_make(void *self, const uint8_t account[16], struct buf *record,
                            struct diag *d)
{
    struct custody *c = self;
    CLEANUP_BUF struct buf in = {0}, answer = {0};
    buf_bytes(&in, bytes_of(account, 16));
    TRY(buf_check(&in, d));
    TRY(chan_call(c->chan, KEYD_SPOOL_MAKE, buf_view(&in), &answer, SPOOL_MS, d));
    struct rd r = rd_from(buf_view(&answer));
    struct bytes b = rd_blob(&r);
    if (!rd_done(&r) || b.len == 0) return FAIL(d, ERR_CORRUPT, "keyd's answer does not parse");
    buf_bytes(record, b);
    return buf_check(record, d);
}

static enum err take_key(struct rd *r, const struct file_ident *f, struct file_key **out,
                         struct diag *d)
{
    struct leased_key key = get_leased_key(r);
    if (r->bad) return FAIL(d, ERR_CORRUPT, "keyd's answer does not parse");
    return leased_key_open(&key, f, out, d);
}

static enum err take_new_key(struct rd *r, const struct spool_ask *q, struct file_key **out,
                             struct diag *d)
{
    struct file_ident f = {0};
    TRY(file_header_decode(rd_bytes(r, FILE_HEADER_LEN), &f, d));
    if (memcmp(f.account, q->account, 16) != 0 || f.otype != OTYPE_SPOOL ||
        memcmp(f.file_id, q->new_file_id, 16) != 0) {
        return FAIL(d, ERR_CORRUPT, "keyd made a key for another file");
    }
    return take_key(r, &f, out, d);
}

enum err custody_spool_keys(void *self, const struct spool_ask *q, struct file_key **out,
                            struct diag *d)
{
    struct custody *c = self;
    CLEANUP_BUF struct buf in = {0}, answer = {0};
    buf_bytes(&in, bytes_of(q->account, 16));
    buf_blob(&in, q->record);
    buf_u32(&in, q->n_files);
    for (uint32_t i = 0; i < q->n_files; i++) {
        uint8_t header[FILE_HEADER_LEN];
        file_header_encode(&q->files[i], header);
        buf_bytes(&in, bytes_of(header, sizeof header));
    }
    buf_u8(&in, q->new_file_id != NULL);
    if (q->new_file_id != NULL) buf_bytes(&in, bytes_of(q->new_file_id, 16));
    TRY(buf_check(&in, d));
    TRY(chan_call(c->chan, KEYD_SPOOL_KEYS, buf_view(&in), &answer, SPOOL_MS, d));

    struct rd r = rd_from(buf_view(&answer));
    uint32_t i = 0;
    enum err e = OK;
    for (; e == OK && i < q->n_files; i++)
        e = take_key(&r, &q->files[i], &out[i], d);
    if (e == OK && q->new_file_id != NULL) e = take_new_key(&r, q, &out[i++], d);
    if (e == OK && !rd_done(&r)) e = FAIL(d, ERR_CORRUPT, "keyd's answer does not parse");
    while (e != OK && i-- > 0)
        file_key_free(TAKE(out[i]));
    return e;
}
