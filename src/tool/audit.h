/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tool/audit.h - is the key-access audit log what keyd wrote? Reads the files, needs no server
 *
 * Always: the chain, the numbers, the epochs, the signatures of the seals. With the auditor's
 * private key the MAC of each line too. With the anchor that nothing is missing at the end.
 *
 * What cannot be seen is said: without an anchor a cut tail; without a signer from elsewhere (the
 * anchor, or by hand) that the whole log is another's.
 */
#pragma once

#include "crypto/letter.h"
#include "custody/anchor.h"

struct audit_verify_options {
    const char *dir;                   /* DIR/keyd */
    const struct letter_key *auditor;  /* the private half; NULL: MACs are not checked */
    const struct anchor_value *anchor; /* NULL: none */
    const uint8_t *signer;             /* ED25519_KEY_LEN bytes; NULL: the anchor's, or the log's */
    /* Something is wrong at line `seq` (0: not at a line). May be NULL. */
    void (*on_damage)(void *ctx, uint64_t seq, const char *text);
    void *ctx;
};

struct audit_verify_report {
    uint64_t files, lines, segments, seals, damages;
    uint64_t last_seq, signed_seq; /* the last line, the last seal that is good */
    uint64_t macs;                 /* lines whose MAC was checked */
    uint64_t segments_closed;      /* not opened by this auditor's key */
    uint8_t signer[32];            /* who signed; zeros: nobody */
    bool signer_known;             /* from elsewhere than the log */
    bool torn;                     /* the very last line is not whole: a crash, or being written */
};

/* An error means that the files could not be read; damage is in the report. */
enum err audit_verify(const struct audit_verify_options *o, struct audit_verify_report *out,
                      struct diag *d);
