/* SPDX-License-Identifier: Apache-2.0 */
/* custody/status.c - what `keystead keys status` says of each account */
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

/* No wrap of the whole scope needs it any more. */
static bool is_safe(const struct scope *s, const char *kek_id)
{
    for (size_t i = 0; i < s->n_accounts; i++) {
        if (!s->accounts[i]->removed && wraps_of(s->accounts[i], kek_id) != 0) return false;
    }
    return true;
}

static json_t *version_json(const struct keyd *k, const struct scope *s, const char *kek_id,
                            uint64_t count)
{
    bool needed_by_mk = s->platform && str_eq(k->mk_record.w.kek_id, kek_id);
    json_t *o = json_object();
    json_object_set_new(o, "version", json_string(kek_id));
    json_object_set_new(o, "count", json_integer((json_int_t)count));
    json_object_set_new(o, "lastUsed", time_or_null(last_used(s, kek_id)));
    json_object_set_new(o, "safeToDisable", json_boolean(is_safe(s, kek_id) && !needed_by_mk));
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

static const char *bound_text(struct keyd *k, const struct account *a, char out[96])
{
    if (a->at.state == KEY_STALE) return "not enforced while the vault is unreachable";
    snprintf(out, 96, "%u s", scope_bound_s(k, a->scope));
    return out;
}

static json_t *account_json(struct keyd *k, const struct account *a)
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
    json_object_set_new(o, "rotationOverdue", json_boolean(a->scope->rotation_overdue));
    json_object_set_new(o, "damaged", json_boolean(a->damaged));
    json_object_set_new(o, "wraps", wraps_json(k, a));
    return o;
}

static json_t *all_json(struct keyd *k)
{
    LOCK_SCOPE(&k->lock);
    json_t *list = json_array();
    MAP_EACH (&k->accounts, e) {
        const struct account *a = e->value;
        if (!a->removed) json_array_append_new(list, account_json(k, a));
    }
    return list;
}

enum err status_json(struct keyd *k, struct buf *out, struct diag *d)
{
    CLEANUP_JSON json_t *o = json_object();
    json_object_set_new(o, "accounts", all_json(k));
    json_object_set_new(o, "anchor", json_string("none: rollback not detected"));
    return json_write(o, out, d);
}
