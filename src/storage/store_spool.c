/* SPDX-License-Identifier: Apache-2.0 */
/* storage/store_spool.c - a spool's life: found, destroyed, tidied away, told of */
#include "storage/spool.h"

#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/vfs.h>

/* --- found ------------------------------------------------------------------------------------ */

uint64_t spool_bytes(const struct spool *sp)
{
    return sp->bytes_before + (sp->wal != NULL ? wal_length(sp->wal) : 0);
}

void spool_weigh(struct spool *sp)
{
    uint64_t now = spool_bytes(sp);
    atomic_fetch_add(&sp->account->store->spooled, now - sp->weight); /* modulo 2^64: it may sink */
    sp->weight = now;
}

void spool_forget(struct spool *sp)
{
    wal_unref(TAKE(sp->wal));
    for (uint32_t i = 0; i < sp->n_keys; i++)
        file_key_free(sp->keys[i]);
    free(TAKE(sp->keys));
    sp->n_keys = 0;
    buf_release(&sp->slot.record);
    sp->slot = (struct slot){0};
    sp->bytes_before = 0;
    spool_weigh(sp);
}

void spool_free(struct spool *sp)
{
    if (sp == NULL) return;
    spool_forget(sp);
    pthread_cond_destroy(&sp->changed);
    pthread_mutex_destroy(&sp->lock);
    free(sp->dir);
    free(sp->slot_path);
    free(sp);
}
DEFINE_CLEANUP(spool_free, struct spool)

void spool_set_state(struct spool *sp, enum spool_state s)
{
    sp->state = s;
    sp->account->spooled = s == SPOOL_LIVE || s == SPOOL_DRAINING || s == SPOOL_DAMAGED;
    pthread_cond_broadcast(&sp->changed);
}

static enum err find(struct spool *sp, struct diag *d)
{
    uint32_t n = 0;
    struct diag why = DIAG_INIT;
    TRY(spool_files_weigh(sp, &n, &sp->bytes_before, d));
    spool_weigh(sp);
    enum err e = slot_read(sp->slot_path, &sp->slot, &why);
    if (e == ERR_CORRUPT && n == 0) { /* (20): torn while it was written, before the first row */
        TRY(slot_wipe(sp->slot_path, d));
    } else if (e == ERR_CORRUPT) {
        char hex[33];
        id_hex(sp->account->id, hex);
        LOG(ERROR, "spool.damaged", F_STR("account", hex), F_ERR(&why));
        spool_set_state(sp, SPOOL_DAMAGED);
    } else if (e != OK) {
        return FAIL(d, e, "%s", why.text);
    } else if (sp->slot.record.len != 0) {
        spool_set_state(sp, SPOOL_LIVE);
    } else if (n != 0) {
        spool_set_state(sp, SPOOL_DEAD);
    }
    return OK;
}

enum err spool_new(struct account *a, struct spool **out, struct diag *d)
{
    char hex[33];
    id_hex(a->id, hex);
    CLEANUP(spool_free) struct spool *sp = calloc(1, sizeof *sp);
    if (sp == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    sp->account = a;
    pthread_mutex_init(&sp->lock, NULL);
    cond_init(&sp->changed);
    sp->dir = os_path(a->store->spool_dir, hex);
    sp->slot_path = sp->dir != NULL ? os_path(sp->dir, "slot") : NULL;
    if (sp->slot_path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(find(sp, d));
    *out = TAKE(sp);
    return OK;
}

/* --- destroyed -------------------------------------------------------------------------------- */

static enum err destroy(struct spool *sp, struct diag *d)
{
    LOCK_SCOPE(&sp->lock);
    sp->epoch++; /* whoever makes a file finds out */
    if (sp->state == SPOOL_NONE || sp->state == SPOOL_DEAD) return OK;
    if (sp->wal != NULL) wal_end(sp->wal);
    for (uint32_t i = 0; i < sp->n_keys; i++)
        file_key_wipe(sp->keys[i], ERR_KEY_LOCKED);
    TRY(slot_wipe(sp->slot_path, d));
    buf_release(&sp->slot.record);
    spool_set_state(sp, SPOOL_DEAD);
    LOG(WARN, "spool.destroyed", F_STR("dir", sp->dir));
    flusher_kick(sp->account->store);
    return OK;
}

enum err store_spool_destroy(struct store *s, const uint8_t account[16], struct diag *d)
{
    struct account *a = store_account_find(s, account);
    if (a == NULL) return OK;
    pthread_mutex_lock(&s->spool_lock);
    struct spool *sp = a->spool;
    pthread_mutex_unlock(&s->spool_lock);
    return sp != NULL ? destroy(sp, d) : OK;
}

static enum err tidy(struct spool *sp, struct diag *d)
{
    const struct spool_config *c = &sp->account->store->c.spool;
    if (c->emptied != NULL)
        TRY(c->emptied(c->ctx, sp->account->id, &(struct spool_end){.is_destroyed = true}, d));
    TRY(spool_remove_files(sp, d));
    LOCK_SCOPE(&sp->lock);
    spool_forget(sp);
    spool_set_state(sp, SPOOL_NONE);
    return OK;
}

bool spool_tidy(struct account *a)
{
    pthread_mutex_lock(&a->store->spool_lock);
    struct spool *sp = a->spool;
    pthread_mutex_unlock(&a->store->spool_lock);
    if (sp == NULL) return true;
    pthread_mutex_lock(&sp->lock);
    bool due = sp->state == SPOOL_DEAD && !sp->opening && sp->users == 0;
    pthread_mutex_unlock(&sp->lock);
    struct diag d = DIAG_INIT;
    if (!due || tidy(sp, &d) == OK) return true; /* who leaves wakes us again */
    LOG(WARN, "spool.tidy_failed", F_STR("dir", sp->dir), F_ERR(&d));
    return false;
}

/* --- what there is ---------------------------------------------------------------------------- */

/* Media on which writing in place is not what happens. Numbers of linux/magic.h, and of ZFS. */
static const char *medium_of(const char *dir)
{
    struct statfs fs;
    if (statfs(dir, &fs) != 0) return "";
    switch ((uint32_t)fs.f_type) {
    case 0x9123683E: return "btrfs";
    case 0x2FC12FC1: return "zfs";
    case 0x794C7630: return "overlayfs";
    case 0xCA451A4E: return "bcachefs";
    case 0xF2F52010: return "f2fs";
    default: return "";
    }
}

bool store_spool_info(struct store *s, const uint8_t account[16], struct store_spool_info *out)
{
    struct account *a = store_account_find(s, account);
    if (a == NULL) return false;
    pthread_mutex_lock(&s->spool_lock);
    struct spool *sp = a->spool;
    pthread_mutex_unlock(&s->spool_lock);
    if (sp == NULL) return false;
    LOCK_SCOPE(&sp->lock);
    if (sp->state == SPOOL_NONE || sp->state == SPOOL_DEAD) return false;
    *out = (struct store_spool_info){.bytes = spool_bytes(sp),
                                     .since_us = sp->slot.since_us,
                                     .is_damaged = sp->state == SPOOL_DAMAGED,
                                     .medium = medium_of(sp->dir)};
    return true;
}
