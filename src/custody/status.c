/* SPDX-License-Identifier: Apache-2.0 */
/* custody/status.c - what `keystead keys status` says of each account and of each scope */
#include "base/str.h"
#include "custody/core.h"
#include "json/json.h"

#include <stdio.h>

static json_t *time_or_null(int64_t us)
{
    if (us == 0) return json_null();
    char text[TIME_TEXT_MAX];
    time_format_iso(us, text);
    return json_string(text);
}

/* All under lock from here on. */

static int64_t last_used(const struct scope *s, const char *kek_id)
{
    for (size_t i = 0; i < s->n_versions; i++) {
        if (str_eq(s->versions[i].kek_id, kek_id)) return s->versions[i].last_us;
    }
    return 0;
}

static uint64_t wraps_of(const struct account *a, const char *kek_id)
{
    uint64_t n = 0;
    for (size_t i = 0; i < a->n_aeks; i++)
        n += str_eq(a->aeks[i].wrap.w.kek_id, kek_id);
    return n;
}

static bool counted_before(const struct account *a, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (str_eq(a->aeks[j].wrap.w.kek_id, a->aeks[i].wrap.w.kek_id)) return true;
    }
    return false;
}

/* No wrap of the whole scope needs it any more, none is about to be made with it, and every record
 * could be read: what a damaged one is wrapped by nobody knows. */
static bool is_safe(const struct scope *s, const char *kek_id)
{
    if (str_eq(s->target, kek_id)) return false;
    for (size_t i = 0; i < s->n_accounts; i++) {
        const struct account *a = s->accounts[i];
        if (!a->removed && (a->damaged || wraps_of(a, kek_id) != 0)) return false;
    }
    return true;
}

/* May rows of an outage lie under this version of the platform's key? After a start of keyd nobody
 * knows, until the account serves again, is revoked, or asks. */
static bool spools_need(const struct keyd *k, const char *kek_id)
{
    MAP_EACH (&k->accounts, e) {
        const struct account *a = e->value;
        if (a->removed || a->at.state == KEY_REVOKED) continue;
        if (a->spool_known ? str_eq(a->spool_kek, kek_id) : a->at.state != KEY_ACTIVE) return true;
    }
    return false;
}

static json_t *version_json(const struct keyd *k, const struct scope *s, const char *kek_id,
                            uint64_t count)
{
    bool needed = s->platform && (str_eq(k->mk_record.w.kek_id, kek_id) || spools_need(k, kek_id));
    json_t *o = json_object();
    json_object_set_new(o, "version", json_string(kek_id));
    json_object_set_new(o, "count", json_integer((json_int_t)count));
    json_object_set_new(o, "lastUsed", time_or_null(last_used(s, kek_id)));
    json_object_set_new(o, "safeToDisable", json_boolean(is_safe(s, kek_id) && !needed));
    return o;
}

/* The versions that wrap something of this account, then those its scope has used and that wrap
 * nothing of it now. */
static json_t *wraps_json(const struct keyd *k, const struct account *a)
{
    json_t *list = json_array();
    for (size_t i = 0; i < a->n_aeks; i++) {
        const char *kek_id = a->aeks[i].wrap.w.kek_id;
        if (counted_before(a, i)) continue;
        json_array_append_new(list, version_json(k, a->scope, kek_id, wraps_of(a, kek_id)));
    }
    for (size_t i = 0; i < a->scope->n_versions; i++) {
        const char *kek_id = a->scope->versions[i].kek_id;
        if (wraps_of(a, kek_id) == 0)
            json_array_append_new(list, version_json(k, a->scope, kek_id, 0));
    }
    return list;
}

/* --- the policy, and what it comes to at this moment ------------------------------------------ */

#define NOT_ENFORCED "not enforced while the vault is unreachable"

/* Seconds from a denial until no row is returned any more; RETAIN_FOREVER: not enforced. */
static uint32_t bound_in_force(const struct keyd *k, const struct scope *s, enum key_state state)
{
    struct key_policy p = scope_policy(k, s);
    return state == KEY_STALE ? policy_silence_s(&p) : p.bound_s;
}

static json_t *seconds_or_null(uint32_t s)
{
    return s == RETAIN_FOREVER ? json_null() : json_integer(s);
}

static json_t *resolved_json(struct key_policy p)
{
    return json_pack("{s:s, s:I, s:o, s:I, s:I}", "outagePolicy", outage_policy_name(p.outage),
                     "outageGraceSeconds", (json_int_t)p.grace_s, "retainMaxSeconds",
                     seconds_or_null(p.retain_max_s), "probeSeconds", (json_int_t)p.probe_s,
                     "revocationBoundSeconds", (json_int_t)p.bound_s);
}

static json_t *policy_json(const struct keyd *k, const struct scope *s)
{
    return resolved_json(scope_policy(k, s));
}

static json_t *alarm_json(const struct scope *s)
{
    if (s->alarm.code[0] == 0) return json_null();
    return json_pack("{s:s, s:s, s:o}", "code", s->alarm.code, "message", s->alarm.text, "since",
                     time_or_null(s->alarm.since_us));
}

static const char *bound_text(const struct keyd *k, const struct account *a, char out[96])
{
    uint32_t bound_s = bound_in_force(k, a->scope, a->at.state);
    if (bound_s == RETAIN_FOREVER) return NOT_ENFORCED;
    snprintf(out, 96, "%u s", bound_s);
    return out;
}

/* Every generation of the account's key, the oldest first; the last one seals new files. */
static json_t *aeks_json(const struct account *a)
{
    json_t *list = json_array();
    for (size_t i = 0; i < a->n_aeks; i++) {
        const struct wrap *w = &a->aeks[i].wrap;
        char hex[33];
        hex_encode(bytes_of(w->aek_id, 16), hex);
        json_t *o = json_object();
        json_object_set_new(o, "aek", json_string(hex));
        json_object_set_new(o, "generation", json_integer(w->gen));
        json_object_set_new(o, "kek", json_string(w->w.kek_id));
        json_object_set_new(o, "createdMicroseconds", json_integer(w->created_us));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *account_json(const struct keyd *k, const struct account *a)
{
    char bound[96];
    const struct wrap *w = a->n_aeks != 0 ? &a->aeks[a->n_aeks - 1].wrap : NULL;
    json_t *o = json_object();
    json_object_set_new(o, "account", json_string(a->hex));
    json_object_set_new(o, "workspace", json_string(a->workspace));
    json_object_set_new(o, "cluster", json_string(a->scope->rec.name));
    json_object_set_new(o, "kek", json_string(w != NULL ? w->w.kek_id : ""));
    json_object_set_new(o, "state", json_string(key_state_name(a->at.state)));
    json_object_set_new(o, "since", time_or_null(a->since_us));
    json_object_set_new(o, "lastUnwrap", time_or_null(a->good_us));
    json_object_set_new(o, "bound", json_string(bound_text(k, a, bound)));
    json_object_set_new(o, "boundInForceSeconds",
                        seconds_or_null(bound_in_force(k, a->scope, a->at.state)));
    json_object_set_new(o, "policy", policy_json(k, a->scope));
    json_object_set_new(o, "rotationOverdue", json_boolean(a->scope->overdue[0] != 0));
    json_object_set_new(o, "alarm", alarm_json(a->scope));
    json_object_set_new(o, "layers", json_integer(a->scope->rec.is_double ? 2 : 1));
    json_object_set_new(o, "aeks", aeks_json(a));
    json_object_set_new(o, "damaged", json_boolean(a->damaged));
    json_object_set_new(o, "wraps", wraps_json(k, a));
    return o;
}

/* --- scopes ----------------------------------------------------------------------------------- */

/* The account that is worst off; NULL: there is none. */
static const struct account *worst_of(const struct scope *s)
{
    static const uint8_t order[KEY_STATES] = {
        [KEY_REVOKED] = 0,   [KEY_SUSPENDED] = 1, [KEY_DOUBT] = 2,
        [KEY_RESTORING] = 3, [KEY_STALE] = 4,     [KEY_ACTIVE] = 5};
    const struct account *worst = NULL;
    for (size_t i = 0; i < s->n_accounts; i++) {
        const struct account *a = s->accounts[i];
        if (a->removed) continue;
        if (worst == NULL || order[a->at.state] < order[worst->at.state]) worst = a;
    }
    return worst;
}

/* The least recent: so far at least every key of the scope was confirmed. */
static int64_t last_unwrap(const struct scope *s)
{
    int64_t least = 0;
    for (size_t i = 0; i < s->n_accounts; i++) {
        const struct account *a = s->accounts[i];
        if (!a->removed && (least == 0 || a->good_us < least)) least = a->good_us;
    }
    return least;
}

static json_t *scope_json(const struct keyd *k, const struct scope *s)
{
    const struct account *worst = worst_of(s);
    enum key_state state = worst != NULL ? worst->at.state : KEY_ACTIVE;
    if (s->rec.cleared) state = KEY_REVOKED;
    uint32_t bound_s = bound_in_force(k, s, state);
    json_t *o = json_object();
    json_object_set_new(o, "scope", json_string(s->rec.name));
    json_object_set_new(o, "state", json_string(key_state_name(state)));
    json_object_set_new(o, "since", time_or_null(worst != NULL ? worst->since_us : 0));
    json_object_set_new(o, "lastUnwrap", time_or_null(last_unwrap(s)));
    json_object_set_new(o, "policy", policy_json(k, s));
    json_object_set_new(o, "boundInForceSeconds", seconds_or_null(bound_s));
    json_object_set_new(o, "notEnforced",
                        bound_s == RETAIN_FOREVER ? json_string(NOT_ENFORCED) : json_null());
    json_object_set_new(o, "hasKey", json_boolean(!s->rec.cleared));
    json_object_set_new(o, "sealed", json_boolean(s->rec.sealed));
    json_object_set_new(o, "rotationOverdue",
                        s->overdue[0] != 0 ? json_string(s->overdue) : json_null());
    json_object_set_new(o, "alarm", alarm_json(s));
    return o;
}

static json_t *scopes_json(struct keyd *k, const char *only)
{
    LOCK_SCOPE(&k->lock);
    json_t *list = json_array();
    for (size_t i = 0; i < k->n_scopes; i++) {
        const struct scope *s = k->all_scopes[i];
        if (s->removed || (only[0] != 0 && !str_eq(only, s->rec.name))) continue;
        json_array_append_new(list, scope_json(k, s));
    }
    return list;
}

static json_t *accounts_json(struct keyd *k)
{
    LOCK_SCOPE(&k->lock);
    json_t *list = json_array();
    MAP_EACH (&k->accounts, e) {
        const struct account *a = e->value;
        if (!a->removed) json_array_append_new(list, account_json(k, a));
    }
    return list;
}

/* --- what can be proven ----------------------------------------------------------------------- */

static json_t *anchor_json(struct keyd *k)
{
    const struct proof *p = &k->proof;
    char at[TIME_TEXT_MAX] = "not yet";
    LOCK_SCOPE(&k->proof.lock);
    if (p->anchor.ops == NULL) return json_string("none: rollback not detected");
    if (p->anchored_us != 0) time_format_iso(p->anchored_us, at);
    if (p->anchor_problem[0] == 0) return json_sprintf("%s, written %s", p->anchor.name, at);
    return json_sprintf("%s, written %s; cannot be written now: %s", p->anchor.name, at,
                        p->anchor_problem);
}

static json_t *audit_json(struct keyd *k)
{
    const struct proof *p = &k->proof;
    char signer[2 * ED25519_KEY_LEN + 1];
    LOCK_SCOPE(&k->proof.lock);
    hex_encode(bytes_of(p->signer, sizeof p->signer), signer);
    json_t *o = json_object();
    json_object_set_new(o, "sealed", time_or_null(p->sealed_us));
    json_object_set_new(o, "seq", json_integer((json_int_t)p->audit_seq));
    json_object_set_new(o, "signer", json_string(signer));
    json_object_set_new(o, "generation", json_integer((json_int_t)p->root.generation));
    /* Whoever has this file and the log can write the log anew. */
    json_object_set_new(o, "auditorKeyLiesHere",
                        p->auditor_key[0] != 0 ? json_string(p->auditor_key) : json_null());
    json_object_set_new(o, "problem",
                        p->audit_problem[0] != 0 ? json_string(p->audit_problem) : json_null());
    return o;
}

enum err status_json(struct keyd *k, const char *scope, struct buf *out, struct diag *d)
{
    CLEANUP_JSON json_t *o = json_object();
    json_object_set_new(o, "scopes", scopes_json(k, scope));
    json_object_set_new(o, "defaults", resolved_json(k->policy));
    if (scope[0] == 0) {
        json_object_set_new(o, "accounts", accounts_json(k));
        json_object_set_new(o, "anchor", anchor_json(k));
        json_object_set_new(o, "audit", audit_json(k));
        pthread_mutex_lock(&k->lock);
        json_object_set_new(o, "infrastructureKey", iek_status(k));
        pthread_mutex_unlock(&k->lock);
    }
    return json_write(o, out, d);
}
