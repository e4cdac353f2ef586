/* SPDX-License-Identifier: Apache-2.0 */
/* custody/audit_impl.h - the open audit log, as audit.c writes and audit_open.c finds it */
#pragma once

#include "base/thread.h"
#include "custody/audit.h"
#include "custody/audit_files.h"

struct audit {
    char *dir;
    int dir_fd;
    int fd;        /* of whoever syncs; -1: no file yet */
    bool has_file; /* or one is about to begin */
    size_t file_max, file_len;
    uint64_t file_seq; /* the first line of the newest file */
    pthread_mutex_t lock;
    pthread_cond_t synced;
    struct buf gathered; /* lines of callers that wait */
    size_t split;        /* where in them the next file begins */
    uint64_t split_seq;  /* its first line; 0: nowhere */
    uint8_t chain[AUDIT_CHAIN_LEN];
    struct secret *key; /* the MAC key of the next line */
    uint64_t seq, seq_synced;
    uint64_t epoch; /* of the last seal; 0: none yet */
    bool syncing, failed;
    void (*on_failed)(void *ctx);
    void *ctx;
};
