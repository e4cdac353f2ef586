/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/iek.c - the infrastructure key in keyd: checked against its record, then used
 *
 * (1) Without the right key nothing is sealed or opened that belongs under it; all else goes on. A
 *     missing or a wrong key is the operator's fault: it locks no account and drops no row.
 * (2) Its record is made once, at the first start with a key, and never again.
 */
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "crypto/hash.h"
#include "custody/core.h"

#include <stdio.h>

struct iek_load {
    struct keyd *k;
    struct iek_record rec;
    bool found;
};

static enum err take_record(void *ctx, const struct custody_record *r, struct diag *d)
{
    struct iek_load *l = ctx;
    if (!str_eq(r->id, "iek")) return OK;
    TRY(iek_decode(r->value, l->k->mk, &l->rec, d));
    l->found = true;
    return OK;
}

static enum err make_record(struct keyd *k, struct iek_record *rec, struct diag *d)
{
    rec->created_us = time_now_us();
    rand_bytes(rec->id, sizeof rec->id);
    TRY(iek_commitment(k->iek.key, rec->id, rec->commit, d));
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, k, d));
    TRY(ledger_iek(&l, rec, d));
    TRY(ledger_commit(&l, d)); /* (2) */
    char hex[33];
    hex_encode(bytes_of(rec->id, sizeof rec->id), hex);
    return AUDIT(k->audit, d, "iek.installed", F_STR("iek", hex), F_STR("at", k->iek.custodian));
}

static void refuse(struct keyd *k, const char *why)
{
    LOG(ERROR, "iek.refused", F_STR("reason", why));
    secret_free(TAKE(k->iek.key));
    snprintf(k->iek.trouble, sizeof k->iek.trouble, "%s", why);
}

static void check(struct keyd *k, const struct iek_record *rec)
{
    uint8_t commit[32];
    struct diag d = DIAG_INIT;
    if (iek_commitment(k->iek.key, rec->id, commit, &d) != OK) {
        refuse(k, d.text);
    } else if (!secret_eq(BYTES_OF(commit), BYTES_OF(rec->commit))) {
        refuse(k, "this is not the key under which the data was sealed");
    }
}

enum err iek_boot(struct keyd *k, struct diag *d)
{
    struct iek_load l = {.k = k};
    TRY(ledger_load(k, "iek", take_record, &l, d));
    pthread_mutex_lock(&k->lock);
    bool have = k->iek.key != NULL;
    k->iek.is_known = l.found;
    if (have && l.found) check(k, &l.rec);
    if (l.found) memcpy(k->iek.id, l.rec.id, sizeof k->iek.id);
    if (k->generation < l.rec.generation) k->generation = l.rec.generation;
    pthread_mutex_unlock(&k->lock);
    if (!have || l.found) return OK;
    TRY(make_record(k, &l.rec, d));
    LOCK_SCOPE(&k->lock);
    memcpy(k->iek.id, l.rec.id, sizeof k->iek.id);
    k->iek.is_known = true;
    return OK;
}

enum err iek_need(const struct keyd *k, struct diag *d)
{
    if (k->iek.key != NULL && k->iek.is_known) return OK;
    return FAIL(d, ERR_UNAVAILABLE, "no infrastructure key for double encryption: %s",
                k->iek.trouble[0] != 0 ? k->iek.trouble : "none is configured");
}

json_t *iek_status(const struct keyd *k)
{
    char hex[33] = "";
    if (k->iek.is_known) hex_encode(bytes_of(k->iek.id, sizeof k->iek.id), hex);
    json_t *o = json_object();
    json_object_set_new(o, "id", hex[0] != 0 ? json_string(hex) : json_null());
    json_object_set_new(o, "custodian", json_string(k->iek.custodian));
    json_object_set_new(o, "state",
                        json_string(iek_need(k, NULL) == OK ? "ready" : k->iek.trouble));
    return o;
}
