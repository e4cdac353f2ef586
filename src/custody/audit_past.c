/* SPDX-License-Identifier: Apache-2.0 */
/* custody/audit_past.c - from a line that is remembered elsewhere to the end of its segment */
#include "custody/audit_past.h"

#include "base/str.h"

#include <inttypes.h>

static enum err find(struct audit_reader *r, uint64_t seq, const uint8_t chain[AUDIT_CHAIN_LEN],
                     struct diag *d)
{
    uint64_t last = 0;
    for (;;) {
        struct bytes text;
        CLEANUP_AUDIT_LINE struct audit_line l = {0};
        TRY(audit_reader_next(r, &text, d));
        if (text.p == NULL) {
            return FAIL(d, ERR_CORRUPT,
                        "the audit log ends at line %" PRIu64 ", line %" PRIu64 " was there", last,
                        seq);
        }
        TRY(audit_line_read(text, NULL, &l, d));
        last = l.seq;
        if (l.seq < seq) continue;
        if (l.seq == seq && memcmp(l.chain, chain, AUDIT_CHAIN_LEN) == 0) return OK;
        return FAIL(d, ERR_CORRUPT,
                    "line %" PRIu64 " of the audit log is not the one that was "
                    "written",
                    seq);
    }
}

static enum err follow(struct audit_reader *r, const uint8_t start[AUDIT_CHAIN_LEN],
                       struct secret *key, struct diag *d)
{
    uint8_t chain[AUDIT_CHAIN_LEN], mac[32];
    memcpy(chain, start, sizeof chain);
    for (;;) {
        struct bytes text;
        CLEANUP_AUDIT_LINE struct audit_line l = {0};
        TRY(audit_reader_next(r, &text, d));
        if (text.p == NULL) return OK;
        TRY(audit_line_read(text, chain, &l, d));
        if (str_eq(audit_line_event(&l), "segment.opened")) return OK; /* a key of its own */
        audit_mac_next(key, chain, mac);
        if (!secret_eq(bytes_of(mac, sizeof mac), bytes_of(l.mac, sizeof l.mac)))
            return FAIL(d, ERR_CORRUPT, "line %" PRIu64 " of the audit log was not written by keyd",
                        l.seq);
    }
}

enum err audit_past_check(const char *dir, uint64_t seq, const uint8_t chain[AUDIT_CHAIN_LEN],
                          struct bytes key, struct diag *d)
{
    CLEANUP_AUDIT_READER struct audit_reader r = {0};
    TRY(audit_reader_open(&r, dir, seq, d));
    TRY(find(&r, seq, chain, d));
    if (key.len == 0) return OK;
    CLEANUP(secret_free) struct secret *k = NULL;
    TRY(secret_of(&k, key, d));
    return follow(&r, chain, k, d);
}
