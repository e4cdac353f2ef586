/* SPDX-License-Identifier: Apache-2.0 */
/* resource/settings.c - the table of settings, and the document that keeps what was changed */
#include "resource/settings.h"

#include "resource/plane.h"

#define SETTINGS_ID "settings" /* of its document: no ARM id begins without a slash */

enum setting_kind { SETTING_NUMBER, SETTING_SWITCH };

static const struct setting {
    const char *name;
    enum setting_kind kind;
    size_t at; /* offset in struct settings */
    int64_t otherwise, max;
} table[] = {
#define NUMBER(name, field, otherwise, max)                                    \
    {                                                                          \
        name, SETTING_NUMBER, offsetof(struct settings, field), otherwise, max \
    }
#define SWITCH(name, field, otherwise)                                       \
    {                                                                        \
        name, SETTING_SWITCH, offsetof(struct settings, field), otherwise, 1 \
    }
    NUMBER("clustersActiveMax", clusters_active_max, 5, 1000000),
    NUMBER("clustersReservedMax", clusters_reserved_max, 7, 1000000),
    NUMBER("clusterWorkspacesMax", cluster_workspaces_max, 1000, 1000000),
    NUMBER("linkOperationsMax", link_operations_max, 2, 1000),
    NUMBER("linkWindowDays", link_window_days, 30, 3650),
    NUMBER("capacityLockDays", capacity_lock_days, 31, 3650),
    NUMBER("tablePlanDays", table_plan_days, 7, 3650),
    NUMBER("softDeleteDays", soft_delete_days, 14, 3650),
    NUMBER("clusterCreateSeconds", duration_s[LASTS_CLUSTER_CREATE], 0, 86400),
    NUMBER("keyUpdateSeconds", duration_s[LASTS_KEY_UPDATE], 0, 86400),
    NUMBER("clusterDeleteSeconds", duration_s[LASTS_CLUSTER_DELETE], 0, 86400),
    NUMBER("linkSeconds", duration_s[LASTS_LINK], 0, 86400),
    NUMBER("unlinkSeconds", duration_s[LASTS_UNLINK], 0, 86400),
    NUMBER("workspaceCreateSeconds", duration_s[LASTS_WORKSPACE_CREATE], 0, 86400),
    NUMBER("groupDeleteSeconds", duration_s[LASTS_GROUP_DELETE], 0, 86400),
    NUMBER("accountKeyMaxAgeDays", account_key_max_age_days, 0, 36500),
    SWITCH("legacyDeleteFails", legacy_delete_fails, 0),
    SWITCH("legacyPutRecovers", legacy_put_recovers, 0),
    SWITCH("whileRevokedRejects", while_revoked_rejects, 0),
    SWITCH("lockboxEnabled", lockbox_enabled, 1),
    SWITCH("activityInWorkspaces", activity_in_workspaces, 1),
    SWITCH("subscriptionAllowed", subscription_allowed, 1),
};

#define N_SETTINGS (sizeof table / sizeof table[0])

static const struct setting *find(const char *name)
{
    for (size_t i = 0; i < N_SETTINGS; i++) {
        if (str_eq_nocase(table[i].name, name)) return &table[i];
    }
    return NULL;
}

/* --- reading ---------------------------------------------------------------------------------- */

static int64_t value_of(const json_t *doc, const struct setting *s)
{
    const json_t *v = json_object_get(doc, s->name);
    if (json_is_boolean(v)) return json_is_true(v);
    return json_is_integer(v) ? json_integer_value(v) : s->otherwise;
}

/* A plane without documents (a test's) has the defaults. */
json_t *settings_document(struct arm *a)
{
    return a->docs != NULL ? arm_doc(a, SETTINGS_ID) : NULL;
}

struct settings settings_of(struct arm *a)
{
    CLEANUP_JSON json_t *doc = settings_document(a);
    struct settings out = {0};
    for (size_t i = 0; i < N_SETTINGS; i++) {
        int64_t v = value_of(doc, &table[i]);
        char *field = (char *)&out + table[i].at;
        if (table[i].kind == SETTING_NUMBER) {
            memcpy(field, &v, sizeof v);
        } else {
            bool b = v != 0;
            memcpy(field, &b, sizeof b);
        }
    }
    return out;
}

json_t *settings_json(struct arm *a)
{
    CLEANUP_JSON json_t *doc = settings_document(a);
    json_t *out = json_object();
    for (size_t i = 0; i < N_SETTINGS; i++) {
        int64_t v = value_of(doc, &table[i]);
        json_object_set_new(out, table[i].name,
                            table[i].kind == SETTING_NUMBER ? json_integer(v) : json_boolean(v));
    }
    settings_lists_json(doc, out);
    return out;
}

/* --- changing --------------------------------------------------------------------------------- */

static enum err change_one(json_t *doc, const char *name, json_t *v, struct diag *d)
{
    if (settings_is_list(name)) return settings_change_list(doc, name, v, d);
    const struct setting *s = find(name);
    if (s == NULL) return FAIL(d, ERR_INVALID, "there is no setting '%.60s'", name);
    if (json_is_null(v)) {
        json_object_del(doc, s->name);
        return OK;
    }
    bool fits = s->kind == SETTING_SWITCH ? json_is_boolean(v)
                                          : json_is_integer(v) && json_integer_value(v) >= 0 &&
                                                json_integer_value(v) <= s->max;
    if (!fits && s->kind == SETTING_SWITCH) {
        return FAIL(d, ERR_INVALID, "%s is either true or false", s->name);
    }
    if (!fits) {
        return FAIL(d, ERR_INVALID, "%s is a whole number from 0 to %lld", s->name,
                    (long long)s->max);
    }
    return json_object_set(doc, s->name, v) == 0 ? OK : FAIL(d, ERR_LIMIT, "out of memory");
}

enum err settings_change(struct arm *a, const json_t *changes, const struct arm_event *e,
                         struct diag *d)
{
    if (!json_is_object(changes)) return FAIL(d, ERR_INVALID, "a JSON object is expected");
    DOCS_WRITE(a->docs);
    CLEANUP_JSON json_t *old = arm_doc(a, SETTINGS_ID);
    CLEANUP_JSON json_t *doc = old != NULL ? json_deep_copy(old) : json_object();
    const char *name;
    json_t *v;
    json_object_foreach ((json_t *)changes, name, v)
        TRY(change_one(doc, name, v, d));
    TRY(settings_check_subscriptions(a, doc, d));
    CLEANUP_CHANGE struct change c = {0};
    change_put(&c, DOC_RESOURCE, SETTINGS_ID, SETTINGS_ID, json_incref(doc));
    if (e != NULL) outbox_put(a, &c, e);
    return docs_commit(a->docs, &c, d);
}
