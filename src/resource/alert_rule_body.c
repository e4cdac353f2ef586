/* SPDX-License-Identifier: Apache-2.0 */
/* resource/alert_rule_body.c - what the properties of a scheduled query rule must be */
#include "resource/alert_rule.h"
#include "resource/duration.h"

#define QUERY_ACTION "Microsoft.OperationalInsights/workspaces/query/read"

enum err alert_bad(struct arm_call *c, struct diag *d, const char *what)
{
    return ARM_FAIL(c, d, 400, "BadRequest", "The scheduled query rule is invalid: %s.", what);
}

static bool one_of(const char *s, const char *const *list)
{
    for (; s != NULL && *list != NULL; list++) {
        if (str_eq_nocase(s, *list)) return true;
    }
    return false;
}

bool alert_storage_is_linked(struct arm_call *c, const json_t *scopes)
{
    size_t i;
    json_t *scope;
    json_array_foreach ((json_t *)scopes, i, scope) {
        CLEANUP_FREE char *key =
            str_fmt("%s/linkedstorageaccounts/alerts", json_string_value(scope));
        if (key == NULL) return false;
        str_lower(key);
        CLEANUP_JSON json_t *link = arm_doc(c->arm, key);
        if (link == NULL) return false;
    }
    return json_array_size(scopes) != 0;
}

/* --- the query -------------------------------------------------------------------------------- */

/* The workspace that a scope is, or that a component lies on. false: it is neither. */
static enum err find_workspace(struct arm_call *c, const char *scope, struct workspace *out,
                               bool *found, struct diag *d)
{
    static const char *const words[] = {"/providers/" KIND_WORKSPACE "/",
                                        "/providers/" KIND_COMPONENT "/"};
    char *key = arena_str(c->a, bytes_str(scope));
    if (key == NULL) return arena_full(c->a, d);
    str_lower(key);
    CLEANUP_JSON json_t *doc = arm_doc(c->arm, key);
    const char *on = json_string_value(json_object_get(doc, "workspace")); /* of a component */
    *found = arm_workspace_by_id(c->arm, on != NULL ? on : key, out);
    if (*found || doc != NULL) return OK;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strstr(key, words[i]) == NULL) continue;
        return ARM_FAIL(c, d, 400, "BadRequest",
                        "The scheduled query rule is invalid: the scope '%.300s' was not found.",
                        scope);
    }
    return OK;
}

/* 400 with the compiler's code, as the query API tells it. */
static enum err bad_query(struct arm_call *c, const struct diag *why, struct diag *d)
{
    json_decref(c->details);
    c->details = json_pack("[{s:s, s:s, s:s}]", "code", why->tag[0] != '\0' ? why->tag : "SEM0001",
                           "message", why->text, "target", "properties.criteria.allOf.query");
    return ARM_FAIL(c, d, 400, "BadRequest",
                    "The scheduled query rule is invalid: the query can't be compiled: %s.",
                    why->text);
}

/* *result: the columns of the query's result, in the arena; n = 0: nobody knows them. */
static enum err check_query(struct arm_call *c, const char *scope, const char *text,
                            struct schema *result, struct diag *d)
{
    struct workspace w;
    bool found = false;
    struct diag why = DIAG_INIT;
    *result = (struct schema){0};
    TRY(find_workspace(c, scope, &w, &found, d));
    if (!found || c->arm->c.check_query == NULL) return OK;
    TRY(arm_authorize(c, QUERY_ACTION, w.arm_id, d));
    enum err e =
        c->arm->c.check_query(c->arm->c.event_ctx, c->req, c->caller, &w, text, c->a, result, &why);
    if (e == OK) return OK;
    if (e == ERR_DENIED) {
        return ARM_FAIL(c, d, 403, "AuthorizationFailed",
                        "The scheduled query rule can't be written: %s.", why.text);
    }
    bool is_its = e == ERR_INVALID || e == ERR_UNSUPPORTED || e == ERR_LIMIT;
    return is_its ? bad_query(c, &why, d) : FAIL(d, e, "%s", why.text);
}

/* --- conditions ------------------------------------------------------------------------------- */

static enum err check_column(struct arm_call *c, const json_t *name, const struct schema *s,
                             const char *what, struct diag *d)
{
    const char *column = json_string_value(name);
    if (name == NULL || json_is_null(name) || (column != NULL && column[0] == '\0')) return OK;
    if (column == NULL) return alert_bad(c, d, "a column's name is a text");
    if (s->n == 0 || schema_find(s, column) >= 0) return OK;
    return ARM_FAIL(c, d, 400, "BadRequest",
                    "The scheduled query rule is invalid: the query's result has no column '%.80s' "
                    "(%s).",
                    column, what);
}

static enum err check_dimensions(struct arm_call *c, const json_t *list, const struct schema *s,
                                 struct diag *d)
{
    static const char *const operators[] = {"Include", "Exclude", NULL};
    size_t i;
    json_t *x;
    json_array_foreach ((json_t *)list, i, x) {
        if (json_get_str(x, "name") == NULL || !one_of(json_get_str(x, "operator"), operators) ||
            json_array_size(json_get(x, "values")) == 0) {
            return alert_bad(c, d,
                             "a dimension has a name, an operator (Include or Exclude) and values");
        }
        TRY(check_column(c, json_get(x, "name"), s, "dimensions", d));
    }
    return OK;
}

static enum err check_threshold(struct arm_call *c, const json_t *x, struct diag *d)
{
    static const char *const operators[] = {"Equals",   "GreaterThan",     "GreaterThanOrEqual",
                                            "LessThan", "LessThanOrEqual", NULL};
    if (!one_of(json_get_str(x, "operator"), operators)) {
        return alert_bad(c, d,
                         "operator is Equals, GreaterThan, GreaterThanOrEqual, LessThan or "
                         "LessThanOrEqual");
    }
    if (!json_is_number(json_get(x, "threshold"))) return alert_bad(c, d, "threshold is a number");
    const json_t *periods = json_get(x, "failingPeriods");
    int64_t all = json_get_int(periods, "numberOfEvaluationPeriods", 1),
            failing = json_get_int(periods, "minFailingPeriodsToAlert", 1);
    if (all >= 1 && failing >= 1 && failing <= all) return OK;
    return alert_bad(c, d, "minFailingPeriodsToAlert is from 1 to numberOfEvaluationPeriods");
}

static enum err check_condition(struct arm_call *c, const json_t *x, const char *scope,
                                bool measures, struct diag *d)
{
    static const char *const aggregations[] = {"Count",   "Average", "Minimum",
                                               "Maximum", "Total",   NULL};
    const char *query = json_get_str(x, "query");
    struct schema s = {0};
    if (query == NULL || query[0] == '\0') return alert_bad(c, d, "a condition needs a query");
    if (!measures || json_get(x, "timeAggregation") != NULL) {
        if (!one_of(json_get_str(x, "timeAggregation"), aggregations)) {
            return alert_bad(c, d, "timeAggregation is Count, Average, Minimum, Maximum or Total");
        }
    }
    if (!measures) TRY(check_threshold(c, x, d));
    if (measures && json_get_str(x, "metricName") == NULL) {
        return alert_bad(c, d, "a condition of LogToMetric needs a metricName");
    }
    if (scope != NULL) TRY(check_query(c, scope, query, &s, d));
    TRY(check_column(c, json_get(x, "metricMeasureColumn"), &s, "metricMeasureColumn", d));
    TRY(check_column(c, json_get(x, "resourceIdColumn"), &s, "resourceIdColumn", d));
    return check_dimensions(c, json_get(x, "dimensions"), &s, d);
}

/* --- the whole -------------------------------------------------------------------------------- */

static enum err check_durations(struct arm_call *c, const json_t *p, struct diag *d)
{
    static const char *const names[] = {"evaluationFrequency", "windowSize",
                                        "overrideQueryTimeRange", "muteActionsDuration"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *v = json_get(p, names[i]);
        const char *text = json_string_value(v);
        uint32_t seconds = 0;
        if (v == NULL || json_is_null(v)) continue;
        if (text != NULL && duration_parse(text, &seconds) && seconds >= 60) continue;
        return ARM_FAIL(c, d, 400, "BadRequest",
                        "The scheduled query rule is invalid: %s is an ISO 8601 duration of a "
                        "minute or more, as PT5M.",
                        names[i]);
    }
    return OK;
}

static enum err check_scopes(struct arm_call *c, const json_t *scopes, struct diag *d)
{
    size_t i;
    json_t *x;
    if (json_array_size(scopes) == 0) return alert_bad(c, d, "scopes name no resource");
    json_array_foreach ((json_t *)scopes, i, x) {
        if (!json_is_string(x)) return alert_bad(c, d, "scopes are resource ids");
    }
    return OK;
}

enum err alert_check(struct arm_call *c, const json_t *p, bool measures, struct diag *d)
{
    const json_t *severity = json_get(p, "severity"), *scopes = json_get(p, "scopes");
    const json_t *all = json_at(p, "criteria", "allOf", NULL);
    size_t i;
    json_t *x;
    if (severity != NULL && !json_is_null(severity) &&
        (!json_is_integer(severity) || json_integer_value(severity) < 0 ||
         json_integer_value(severity) > 4)) {
        return alert_bad(c, d, "severity is a whole number from 0 to 4");
    }
    const json_t *enabled = json_get(p, "enabled");
    if (enabled != NULL && !json_is_boolean(enabled)) {
        return alert_bad(c, d, "enabled is true or false");
    }
    TRY(check_scopes(c, scopes, d));
    TRY(check_durations(c, p, d));
    if (json_array_size(all) == 0) return alert_bad(c, d, "criteria.allOf has no condition");
    const char *scope = json_string_value(json_array_get(scopes, 0));
    if (json_get_bool(p, "skipQueryValidation", false)) scope = NULL;
    json_array_foreach (all, i, x)
        TRY(check_condition(c, x, scope, measures, d));
    if (!json_get_bool(p, "checkWorkspaceAlertsStorageConfigured", false) ||
        alert_storage_is_linked(c, scopes)) {
        return OK;
    }
    return alert_bad(c, d,
                     "checkWorkspaceAlertsStorageConfigured is set, and the workspace has no "
                     "storage account linked for alerts");
}

enum err alert_check_legacy(struct arm_call *c, const json_t *p, struct diag *d)
{
    const char *on = json_string_value(json_at(p, "source", "dataSourceId", NULL));
    const char *query = json_string_value(json_at(p, "source", "query", NULL));
    struct schema s;
    if (on == NULL) return alert_bad(c, d, "source.dataSourceId is missing");
    if (!json_is_object(json_get(p, "action"))) return alert_bad(c, d, "action is missing");
    return query != NULL ? check_query(c, on, query, &s, d) : OK;
}
