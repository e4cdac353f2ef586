/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyvault/rotation.c - rotation policies: what they may say, when they fall due, doing it
 *
 * A policy has at most one "rotate" and one "notify". A rotation falls due some time after the
 * latest version was made, or before it ends; the clock of tidy.c asks then. A disabled key is left
 * alone: a new version, enabled, would undo what its owner has said.
 */
#include "keyvault/service.h"

#include "base/log.h"
#include "base/str.h"

#include <ctype.h>
#include <time.h>

#define DAY_S          86400
#define TRIGGER_MIN    7  /* days */
#define EXPIRY_MIN     28 /* days */
#define NUMBER_MAX     100000
#define MONTH_DAYS     28 /* at least: for comparing with the limits */
#define NOTIFY_DEFAULT "P30D"

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadParameter", __VA_ARGS__)

/* --- durations: ISO 8601, dates only --- */

struct duration {
    int64_t months, days;
};

/* "P1Y2M3W4D", at least one part, in this order. */
static bool parse_duration(const char *s, struct duration *out)
{
    static const struct {
        char unit;
        int months, days;
    } units[] = {{'Y', 12, 0}, {'M', 1, 0}, {'W', 0, 7}, {'D', 0, 1}};
    struct duration v = {0};
    size_t next = 0;
    if (s == NULL || toupper((unsigned char)s[0]) != 'P' || s[1] == 0) return false;
    for (s++; *s != 0; s++) {
        int64_t n = 0;
        if (!isdigit((unsigned char)*s)) return false;
        for (; isdigit((unsigned char)*s) && n < NUMBER_MAX; s++)
            n = n * 10 + (*s - '0');
        while (next < 4 && units[next].unit != toupper((unsigned char)*s))
            next++;
        if (next == 4 || n >= NUMBER_MAX) return false;
        v.months += n * units[next].months;
        v.days += n * units[next].days;
        next++;
    }
    *out = v;
    return true;
}

static int64_t least_days(const struct duration *v)
{
    return v->months * MONTH_DAYS + v->days;
}

/* t plus the duration, or minus it; months as the calendar has them. */
static int64_t shift(int64_t t, const struct duration *v, int sign)
{
    time_t at = (time_t)t;
    struct tm tm;
    gmtime_r(&at, &tm);
    tm.tm_mon += (int)(sign * v->months);
    int day = tm.tm_mday;
    time_t moved = timegm(&tm);
    if (tm.tm_mday != day)
        moved -= (time_t)tm.tm_mday * DAY_S; /* 31 March - 1 month: the 28th or 29th */
    return (int64_t)moved + sign * v->days * DAY_S;
}

/* --- what a policy may say --- */

struct action {
    bool there;
    bool before_expiry; /* else after creation */
    struct duration time;
};

struct policy {
    struct action rotate, notify;
    bool expires;
    struct duration expiry;
};

static enum err read_action(const json_t *o, struct policy *p, struct diag *d)
{
    const char *type = json_get_str(json_get(o, "action"), "type");
    const json_t *trigger = json_get(o, "trigger");
    const char *after = json_get_str(trigger, "timeAfterCreate"),
               *before = json_get_str(trigger, "timeBeforeExpiry");
    bool rotate = type != NULL && str_eq_nocase(type, "Rotate");
    if (!rotate && (type == NULL || !str_eq_nocase(type, "Notify"))) {
        return BAD(d, "Property lifetimeActions.action.type has invalid value: Rotate or Notify");
    }
    struct action a = {.there = true, .before_expiry = before != NULL};
    if ((after != NULL) == (before != NULL) ||
        !parse_duration(after != NULL ? after : before, &a.time)) {
        return BAD(d,
                   "Property lifetimeActions.trigger has invalid value: one of timeAfterCreate and "
                   "timeBeforeExpiry, as an ISO 8601 duration in days, months or years");
    }
    if (least_days(&a.time) < TRIGGER_MIN) {
        return BAD(d, "Property lifetimeActions.trigger has invalid value: at least %d days",
                   TRIGGER_MIN);
    }
    struct action *to = rotate ? &p->rotate : &p->notify;
    if (to->there) return BAD(d, "Property lifetimeActions has invalid value: two of one type");
    if (!rotate && !a.before_expiry) {
        return BAD(d,
                   "Property lifetimeActions has invalid value: Notify goes with timeBeforeExpiry");
    }
    *to = a;
    return OK;
}

static enum err read_policy(const json_t *o, struct policy *out, struct diag *d)
{
    struct policy p = {0};
    const json_t *actions = json_get(o, "lifetimeActions");
    const char *expiry = json_get_str(json_get(o, "attributes"), "expiryTime");
    size_t i;
    json_t *a;
    json_array_foreach ((json_t *)actions, i, a)
        TRY(read_action(a, &p, d));
    if (expiry != NULL && expiry[0] != 0) {
        if (!parse_duration(expiry, &p.expiry) || least_days(&p.expiry) < EXPIRY_MIN) {
            return BAD(
                d,
                "Property attributes.expiryTime has invalid value: an ISO 8601 duration of at "
                "least %d days",
                EXPIRY_MIN);
        }
        p.expires = true;
    }
    if (p.rotate.there && p.rotate.before_expiry && !p.expires) {
        return BAD(d,
                   "Property lifetimeActions has invalid value: timeBeforeExpiry needs expiryTime");
    }
    if (p.rotate.there && p.expires &&
        least_days(&p.expiry) - least_days(&p.rotate.time) <
            (p.rotate.before_expiry ? TRIGGER_MIN : 0)) {
        return BAD(
            d,
            "Property lifetimeActions has invalid value: the trigger is not %d days apart from "
            "the ends of expiryTime",
            TRIGGER_MIN);
    }
    *out = p;
    return OK;
}

/* --- get and set --- */

enum err kv_rotation_load(struct keyvault *kv, const struct key_ref *r, json_t **out,
                          struct diag *d)
{
    struct place p;
    kv_place_key(r, &p);
    return kv_doc_get(kv, "rotation", p.key, out, d);
}

static json_t *action_json(const char *trigger, const char *time, const char *type)
{
    return json_pack("{s:{s:s}, s:{s:s}}", "trigger", trigger, time, "action", "type", type);
}

enum err kv_rotation_get(struct keyvault *kv, const struct key_ref *r, json_t **out, struct diag *d)
{
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_find(kv, r, &v, d));
    CLEANUP_JSON json_t *policy = NULL;
    TRY(kv_rotation_load(kv, r, &policy, d));
    if (policy == NULL) {
        policy = json_pack("{s:[o], s:{}}", "lifetimeActions",
                           action_json("timeBeforeExpiry", NOTIFY_DEFAULT, "Notify"), "attributes");
    }
    if (policy == NULL) return kv_out_of_memory(d);
    *out = TAKE(policy);
    return OK;
}

/* The policy in our own words: what was not understood is not stored. */
static enum err plain_policy(const json_t *body, const json_t *old, json_t **out, struct diag *d)
{
    json_int_t now = (json_int_t)now_s();
    CLEANUP_JSON json_t *actions = json_array(), *attributes = json_object();
    size_t i;
    json_t *a;
    json_array_foreach (json_get(body, "lifetimeActions"), i, a) {
        const json_t *trigger = json_get(a, "trigger");
        const char *after = json_get_str(trigger, "timeAfterCreate");
        const char *time = after != NULL ? after : json_get_str(trigger, "timeBeforeExpiry");
        bool rotate = str_eq_nocase(json_get_str(json_get(a, "action"), "type"), "Rotate");
        json_array_append_new(actions,
                              action_json(after != NULL ? "timeAfterCreate" : "timeBeforeExpiry",
                                          time, rotate ? "Rotate" : "Notify"));
    }
    const char *expiry = json_get_str(json_get(body, "attributes"), "expiryTime");
    if (expiry != NULL && expiry[0] != 0)
        TRY(json_put(attributes, "expiryTime", json_string(expiry), d));
    int64_t created = json_get_int(json_get(old, "attributes"), "created", now);
    TRY(json_put(attributes, "created", json_integer(created), d));
    TRY(json_put(attributes, "updated", json_integer(now), d));
    *out = json_pack("{s:O, s:O}", "lifetimeActions", actions, "attributes", attributes);
    return *out != NULL ? OK : kv_out_of_memory(d);
}

enum err kv_rotation_set(struct keyvault *kv, const struct key_ref *r, const json_t *body,
                         json_t **out, struct diag *d)
{
    struct policy p;
    TRY(read_policy(body, &p, d));
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    CLEANUP_KEY_VERSION struct key_version v = {0};
    CLEANUP_JSON json_t *old = NULL, *policy = NULL;
    TRY(kvstore_begin(kv->store, &t, d));
    TRY(kv_vault_check_live(kv, r, d));
    TRY(kv_key_find(kv, r, &v, d));
    TRY(kv_rotation_load(kv, r, &old, d));
    TRY(plain_policy(body, old, &policy, d));
    struct place place;
    kv_place_key(r, &place);
    TRY(kv_doc_put(kv, "rotation", place.key, policy, d));
    TRY(kvstore_commit(&t, d));
    LOG(INFO, "key.rotation_policy_set", F_STR("vault", r->vault_name), F_STR("key", r->name));
    *out = TAKE(policy);
    return OK;
}

enum err kv_rotation_stamp(const json_t *policy, json_t *doc, struct diag *d)
{
    struct policy p = {0};
    if (policy != NULL) TRY(read_policy(policy, &p, d));
    if (!p.expires) return OK;
    int64_t end = shift(json_get_int(doc, "created", 0), &p.expiry, 1);
    return json_put(doc, "exp", json_integer((json_int_t)end), d);
}

/* --- the clock --- */

/* When the action falls due for this version; INT64_MAX: never. */
static int64_t due_at(const struct action *a, const json_t *doc)
{
    if (!a->there || !json_get_bool(doc, "enabled", true)) return INT64_MAX;
    if (!a->before_expiry) return shift(json_get_int(doc, "created", 0), &a->time, 1);
    int64_t end = json_get_int(doc, "exp", INT64_MAX);
    return end == INT64_MAX ? INT64_MAX : shift(end, &a->time, -1);
}

/* When the clock has to look at this key next. */
static enum err next_due(struct keyvault *kv, const struct key_ref *r, const json_t *policy,
                         int64_t *rotate, int64_t *notify, struct diag *d)
{
    *rotate = *notify = INT64_MAX;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    struct diag why = DIAG_INIT;
    enum err e = kv_key_find(kv, r, &v, &why);
    if (e == ERR_NOT_FOUND) return OK; /* deleted: recovery asks again */
    if (e != OK) return FAIL(d, e, "%s", why.text);
    struct policy p = {0};
    TRY(read_policy(policy, &p, d));
    *rotate = due_at(&p.rotate, v.doc);
    if (json_get(v.doc, "notified") == NULL) *notify = due_at(&p.notify, v.doc);
    return OK;
}

void kv_rotation_changed(struct keyvault *kv, const struct key_ref *r)
{
    struct diag d = DIAG_INIT;
    CLEANUP_JSON json_t *policy = NULL;
    struct key_ref latest = *r;
    latest.version = "";
    int64_t rotate = INT64_MAX, notify = INT64_MAX;
    enum err e = kv_rotation_load(kv, r, &policy, &d);
    if (e == OK && policy != NULL) e = next_due(kv, &latest, policy, &rotate, &notify, &d);
    if (e != OK) LOG(ERROR, "key.rotation_unclear", F_STR("key", r->name), F_ERR(&d));
    kv_tidy_at(kv->tidy, rotate < notify ? rotate : notify);
}

struct sweep {
    struct keyvault *kv;
    int64_t next;
    struct buf due; /* blobs: places of keys that fall due now */
};

/* "vault/key" to a reference that lives in `to`. */
static bool ref_of(const char *place, char to[VAULT_NAME_MAX], struct key_ref *r)
{
    const char *slash = strchr(place, '/');
    size_t n = slash != NULL ? (size_t)(slash - place) : VAULT_NAME_MAX;
    if (n >= VAULT_NAME_MAX) return false;
    memcpy(to, place, n);
    to[n] = 0;
    *r = (struct key_ref){.vault_name = to, .name = slash + 1, .version = ""};
    return true;
}

static enum err look_at(void *ctx, const char *place, json_t *policy, struct diag *d)
{
    struct sweep *s = ctx;
    char vault[VAULT_NAME_MAX];
    struct key_ref r;
    int64_t rotate, notify;
    if (!ref_of(place, vault, &r)) return OK; /* no row of ours */
    TRY(next_due(s->kv, &r, policy, &rotate, &notify, d));
    int64_t next = rotate < notify ? rotate : notify;
    if (next <= now_s()) {
        buf_blob(&s->due, bytes_of(place, strlen(place) + 1));
    } else if (next < s->next) {
        s->next = next;
    }
    return OK;
}

/* "KeyRotateIfDue" and the like, in the audit of the key's vault. */
static void audit(struct keyvault *kv, const char *operation, const struct key_ref *r,
                  const struct key_version *v, const struct diag *failure)
{
    struct diag d = DIAG_INIT;
    CLEANUP_JSON json_t *vault = NULL;
    enum err e = kv_vault_find(kv, r->vault_name, &vault, &d);
    const char *id = e == OK ? json_get_str(vault, "id") : NULL;
    CLEANUP_FREE char *object = kv_object_url(kv, r, v != NULL ? v->version : "");
    kv_audit_clock(kv, operation, id, object != NULL ? object : "", failure);
}

static enum err notify_once(struct keyvault *kv, const struct key_ref *r, struct diag *d)
{
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kvstore_begin(kv->store, &t, d));
    TRY(kv_key_find(kv, r, &v, d));
    TRY(json_put(v.doc, "notified", json_true(), d));
    struct place p;
    kv_place_version(r, v.version, &p);
    TRY(kv_doc_put(kv, "version", p.version, v.doc, d));
    TRY(kvstore_commit(&t, d));
    audit(kv, "KeyNearExpiryEventGridNotification", r, &v, NULL);
    LOG(WARN, "key.near_expiry", F_STR("vault", r->vault_name), F_STR("key", r->name),
        F_STR("version", v.version), F_I64("exp", json_get_int(v.doc, "exp", 0)));
    return OK;
}

/* A vault in soft deletion sleeps with its keys. */
static enum err do_due(struct keyvault *kv, const struct key_ref *r, struct diag *d)
{
    struct diag why = DIAG_INIT;
    if (kv_vault_check_live(kv, r, &why) != OK) return OK;
    CLEANUP_JSON json_t *policy = NULL;
    int64_t rotate = INT64_MAX, notify = INT64_MAX, now = now_s();
    TRY(kv_rotation_load(kv, r, &policy, d));
    if (policy != NULL) TRY(next_due(kv, r, policy, &rotate, &notify, d));
    if (notify <= now && rotate > now) return notify_once(kv, r, d);
    if (rotate > now) return OK;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_rotate(kv, r, &v, d));
    audit(kv, "KeyRotateIfDue", r, &v, NULL);
    kv_rotation_changed(kv, r);
    return OK;
}

/* Keys are made outside the walk: it holds the store, and an RSA key takes its time. */
enum err kv_rotation_sweep(struct keyvault *kv, int64_t *next, struct diag *d)
{
    struct sweep s = {.kv = kv, .next = INT64_MAX};
    enum err e = kv_doc_each(kv, "rotation", "", look_at, &s, d);
    struct rd rd = {0};
    if (s.due.len != 0) rd = rd_from(buf_view(&s.due));
    while (e == OK && rd_left(&rd) != 0) {
        char vault[VAULT_NAME_MAX];
        struct key_ref r;
        struct diag why = DIAG_INIT;
        if (!ref_of((const char *)rd_blob(&rd).p, vault, &r)) continue;
        if (do_due(kv, &r, &why) == OK) continue;
        audit(kv, "KeyRotateIfDue", &r, NULL, &why);
        LOG(ERROR, "key.rotation_failed", F_STR("vault", vault), F_STR("key", r.name), F_ERR(&why));
    }
    buf_release(&s.due);
    *next = s.next;
    return e;
}
