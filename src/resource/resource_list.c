/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/resource_list.c - everything in a subscription or group, and the filters of clients
 *
 * $filter is a list of conditions joined by "and": resourceType, name, location, resourceGroup,
 * tagName, tagValue eq or ne 'x', and substringof('x', name). Others are refused by name.
 */
#include "resource/plane.h"

#define CONDITIONS_MAX 10
#define TOP_MAX        1000000

struct condition {
    enum {
        FILTER_TYPE,
        FILTER_NAME,
        FILTER_LOCATION,
        FILTER_GROUP,
        FILTER_TAG,
        FILTER_TAG_VALUE,
        FILTER_PART,
        N_FILTERS
    } what;
    bool is_not;
    const char *value;
};

struct filter {
    size_t n;
    struct condition v[CONDITIONS_MAX];
    const char *tag; /* of tagValue */
};

static const char *const words[] = {"resourceType",  "name",    "location",
                                    "resourceGroup", "tagName", "tagValue"};

/* --- reading ---------------------------------------------------------------------------------- */

static enum err not_understood(struct arm_call *c, const char *at, struct diag *d)
{
    return ARM_FAIL(c, d, 400, "InvalidFilterInQueryString",
                    "Invalid $filter in the query string at '%.60s'.", at);
}

static const char *blanks(const char *p)
{
    while (*p == ' ')
        p++;
    return p;
}

static const char *quoted(struct arm_call *c, const char *p, const char **value)
{
    const char *end = *p == '\'' ? strchr(p + 1, '\'') : NULL;
    if (end == NULL) return NULL;
    *value = arena_str(c->a, bytes_of(p + 1, (size_t)(end - p - 1)));
    return *value != NULL ? end + 1 : NULL;
}

/* substringof('x', name); NULL: it is not. */
static const char *read_part(struct arm_call *c, const char *p, struct condition *out)
{
    static const char word[] = "substringof(";
    if (!str_starts_nocase(p, word)) return NULL;
    p = quoted(c, blanks(p + sizeof word - 1), &out->value);
    if (p == NULL || *(p = blanks(p)) != ',') return NULL;
    p = blanks(p + 1);
    if (!str_starts_nocase(p, "name")) return NULL;
    p = blanks(p + 4);
    out->what = FILTER_PART;
    return *p == ')' ? p + 1 : NULL;
}

static const char *read_comparison(struct arm_call *c, const char *p, struct condition *out)
{
    size_t n = strcspn(p, " ");
    for (int i = 0; i < FILTER_PART; i++) {
        if (strlen(words[i]) != n || strncasecmp(words[i], p, n) != 0) continue;
        const char *op = blanks(p + n);
        bool eq = str_starts_nocase(op, "eq "), ne = str_starts_nocase(op, "ne ");
        if (!eq && !ne) return NULL;
        out->what = i;
        out->is_not = ne;
        return quoted(c, blanks(op + 3), &out->value);
    }
    return NULL;
}

static enum err read_filter(struct arm_call *c, struct filter *out, struct diag *d)
{
    const char *p = http_query(c->req, "$filter");
    struct filter f = {0};
    for (p = blanks(p != NULL ? p : ""); *p != '\0';) {
        struct condition x = {0};
        const char *next = f.n < CONDITIONS_MAX ? read_part(c, p, &x) : NULL;
        if (next == NULL && f.n < CONDITIONS_MAX) next = read_comparison(c, p, &x);
        if (next == NULL) return not_understood(c, p, d);
        f.v[f.n++] = x;
        if (x.what == FILTER_TAG && !x.is_not) f.tag = x.value;
        p = blanks(next);
        if (*p == '\0') break;
        if (!str_starts_nocase(p, "and ")) return not_understood(c, p, d);
        p = blanks(p + 4);
    }
    *out = f;
    return OK;
}

/* --- choosing --------------------------------------------------------------------------------- */

static bool in_group(const char *id, const char *group)
{
    const char *p = strcasestr(id, "/resourceGroups/");
    size_t n = strlen(group);
    return p != NULL && strncasecmp(p + 16, group, n) == 0 && p[16 + n] == '/';
}

static bool holds(const struct filter *f, const struct condition *x, const json_t *r)
{
    const json_t *tags = json_object_get(r, "tags");
    switch (x->what) {
    case FILTER_TYPE: return str_eq_nocase(doc_str(r, "type"), x->value);
    case FILTER_NAME: return str_eq_nocase(doc_str(r, "name"), x->value);
    case FILTER_LOCATION: return str_eq_nocase(doc_str(r, "location"), x->value);
    case FILTER_GROUP: return in_group(doc_str(r, "id"), x->value);
    case FILTER_TAG: return json_get(tags, x->value) != NULL;
    case FILTER_TAG_VALUE:
        return f->tag != NULL && str_eq(json_string_value(json_get(tags, f->tag)), x->value);
    case FILTER_PART: return strcasestr(doc_str(r, "name"), x->value) != NULL;
    case N_FILTERS: break;
    }
    return false;
}

static bool keeps(const struct filter *f, const json_t *r)
{
    for (size_t i = 0; i < f->n; i++) {
        if (holds(f, &f->v[i], r) == f->v[i].is_not) return false;
    }
    return true;
}

static json_t *entry(const char *type, const json_t *doc)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "id", doc_str(doc, "id"), "name",
                     doc_str(doc, "name"), "type", type, "location", doc_str(doc, "location"),
                     "tags", arm_tags(doc));
}

/* Takes r. */
static void offer(const struct filter *f, uint64_t top, json_t *values, json_t *r)
{
    if (r != NULL && json_array_size(values) < top && keeps(f, r)) json_array_append(values, r);
    json_decref(r);
}

enum err resource_list(struct arm_call *c, struct diag *d)
{
    static const char *const kinds[] = {KIND_CLUSTER,   KIND_WORKSPACE,  KIND_RULE,   KIND_ENDPOINT,
                                        KIND_COMPONENT, KIND_ALERT_RULE, KIND_STORAGE};
    struct filter f = {0};
    TRY(read_filter(c, &f, d));
    const char *top_text = http_query(c->req, "$top");
    uint64_t top = TOP_MAX;
    struct diag why = DIAG_INIT;
    if (top_text != NULL && str_u64(top_text, TOP_MAX, &top, &why) != OK) {
        return ARM_FAIL(c, d, 400, "InvalidTopInQueryString", "Invalid $top in the query string.");
    }
    const char *text = arm_id_key(c->a, c->id);
    const char *prefix = arena_str(c->a, bytes_of(text, strlen(text) - strlen("resources")));
    if (prefix == NULL) return arena_full(c->a, d);
    json_t *values = json_array();
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        CLEANUP_JSON json_t *docs = docs_list(c->arm->docs, DOC_RESOURCE, kinds[k], prefix);
        size_t i;
        json_t *doc;
        json_array_foreach (docs, i, doc)
            offer(&f, top, values, entry(arm_type_find(kinds[k])->type, doc));
    }
    CLEANUP_JSON json_t *others =
        c->arm->c.others != NULL ? c->arm->c.others(c->arm->c.event_ctx, c->req, prefix) : NULL;
    size_t i;
    json_t *doc;
    json_array_foreach (others, i, doc)
        offer(&f, top, values, entry(doc_str(doc, "type"), doc));
    return arm_reply_list(c, values, d);
}
