/* SPDX-License-Identifier: Apache-2.0 */
/* resource/id.c - a path is cut into segments once; everything else works on those */
#include "resource/id.h"

#define SEGMENTS_MAX (2 * ARM_ID_DEPTH_MAX + 8)

struct segments {
    uint32_t n;
    const char *v[SEGMENTS_MAX];
};

static bool segment_valid(struct bytes s)
{
    if (s.len == 0 || s.len > ARM_ID_SEGMENT_MAX) return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < 0x20 || s.p[i] == 0x7f) return false;
    }
    return true;
}

static enum err cut(struct arena *a, const char *path, struct segments *out, struct diag *d)
{
    size_t len = strlen(path);
    if (len > ARM_ID_TEXT_MAX) {
        return FAIL(d, ERR_LIMIT, "the path is longer than %d bytes", ARM_ID_TEXT_MAX);
    }
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len < 2 || path[0] != '/') return FAIL(d, ERR_INVALID, "the path is not absolute");
    const char *end = path + len;
    for (const char *p = path + 1; p <= end;) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        struct bytes s = bytes_of(p, (size_t)((slash != NULL ? slash : end) - p));
        if (!segment_valid(s)) {
            return FAIL(d, ERR_INVALID,
                        "the path has a segment that is empty or longer than %d bytes",
                        ARM_ID_SEGMENT_MAX);
        }
        if (out->n == SEGMENTS_MAX) return FAIL(d, ERR_LIMIT, "the path has too many segments");
        out->v[out->n] = arena_str(a, s);
        if (out->v[out->n++] == NULL) return arena_full(a, d);
        p += s.len + 1;
    }
    return OK;
}

static enum err set_type(struct arena *a, struct arm_id *id, struct diag *d)
{
    const char *text = id->provider;
    for (uint32_t i = 0; i < id->n && text != NULL; i++) {
        text = arena_fmt(a, "%s/%s", text, id->types[i]);
    }
    id->type = text;
    return text != NULL ? OK : arena_full(a, d);
}

/* Type and name segments in turn, from v[i]. */
static enum err take_pairs(const struct segments *s, uint32_t i, struct arm_id *id, struct diag *d)
{
    for (; i < s->n; i += 2) {
        if (id->n == ARM_ID_DEPTH_MAX) {
            return FAIL(d, ERR_LIMIT, "the path is deeper than %d types", ARM_ID_DEPTH_MAX);
        }
        id->types[id->n] = s->v[i];
        id->names[id->n++] = i + 1 < s->n ? s->v[i + 1] : NULL;
    }
    return OK;
}

static enum err join(struct arena *a, const struct segments *s, uint32_t n, const char **out,
                     struct diag *d)
{
    const char *text = "";
    for (uint32_t i = 0; i < n && text != NULL; i++)
        text = arena_fmt(a, "%s/%s", text, s->v[i]);
    if (text == NULL) return arena_full(a, d);
    *out = text;
    return OK;
}

/* Where the last "providers" stands that has a namespace and a type behind it; n if there is none.
 */
static uint32_t last_providers(const struct segments *s)
{
    uint32_t at = s->n;
    for (uint32_t i = 0; i + 2 < s->n; i++) {
        if (str_eq_nocase(s->v[i], "providers")) at = i;
    }
    /* /subscriptions/{s}/providers/{ns}/register is an action on the namespace, not a type in it.
     */
    bool acts = at + 3 == s->n && (str_eq_nocase(s->v[at + 2], "register") ||
                                   str_eq_nocase(s->v[at + 2], "unregister"));
    return acts ? s->n : at;
}

enum err arm_id_parse(struct arena *a, const char *path, struct arm_id *out, struct diag *d)
{
    struct segments s = {0};
    TRY(cut(a, path, &s, d));
    struct arm_id id = {.scope = ""};
    uint32_t i = 0;
    if (s.n >= 2 && str_eq_nocase(s.v[0], "subscriptions")) {
        id.subscription = s.v[1];
        i = 2;
    }
    if (i == 2 && s.n >= 4 && str_eq_nocase(s.v[2], "resourceGroups")) {
        id.group = s.v[3];
        i = 4;
    }
    uint32_t providers = last_providers(&s);
    if (providers < s.n) {
        if (providers > i) TRY(join(a, &s, providers, &id.scope, d));
        if (providers < i) return FAIL(d, ERR_INVALID, "the path has no resource type");
        id.provider = s.v[providers + 1];
        TRY(take_pairs(&s, providers + 2, &id, d));
    } else { /* /subscriptions/{s}/resourceGroups/{rg}, /tenants, /subscriptions/{s}/providers/{ns}
              */
        if (!str_eq_nocase(s.v[0], "subscriptions") && !str_eq_nocase(s.v[0], "tenants") &&
            !str_eq_nocase(s.v[0], "providers")) {
            return FAIL(d, ERR_INVALID, "the path has no resource type");
        }
        id.provider = "Microsoft.Resources";
        id.group = NULL;
        TRY(take_pairs(&s, 0, &id, d));
    }
    TRY(set_type(a, &id, d));
    *out = id;
    return OK;
}

/* The i-th segment after the provider in the casing of the canonical type. */
static const char *cased(struct arena *a, const char *type, uint32_t i)
{
    const char *p = type;
    for (uint32_t k = 0; k < i; k++) {
        p = strchr(p, '/');
        if (p == NULL) return "";
        p++;
    }
    const char *end = strchr(p, '/');
    return arena_str(a, bytes_of(p, end != NULL ? (size_t)(end - p) : strlen(p)));
}

const char *arm_id_format(struct arena *a, const struct arm_id *id, const char *type)
{
    if (type == NULL) type = id->type;
    bool own =
        str_eq_nocase(id->provider, "Microsoft.Resources") && id->scope[0] == '\0' && id->n != 0 &&
        (str_eq_nocase(id->types[0], "subscriptions") || str_eq_nocase(id->types[0], "tenants"));
    const char *text = id->scope;
    if (!own) {
        if (text[0] == '\0' && id->subscription != NULL) {
            text = arena_fmt(a, "/subscriptions/%s", id->subscription);
            if (id->group != NULL) text = arena_fmt(a, "%s/resourceGroups/%s", text, id->group);
        }
        text = arena_fmt(a, "%s/providers/%s", text, cased(a, type, 0));
    }
    for (uint32_t i = 0; i < id->n && text != NULL; i++) {
        text = arena_fmt(a, "%s/%s", text, cased(a, type, i + 1));
        if (id->names[i] != NULL) text = arena_fmt(a, "%s/%s", text, id->names[i]);
    }
    return text != NULL ? text : "";
}

const char *arm_id_key(struct arena *a, const struct arm_id *id)
{
    char *text = arena_str(a, bytes_str(arm_id_format(a, id, NULL)));
    if (text == NULL) return "";
    str_lower(text);
    return text;
}

const struct arm_id *arm_id_parent(struct arena *a, const struct arm_id *id)
{
    if (id->n < 2) return NULL;
    struct arm_id *p = arena_new(a, struct arm_id);
    if (p == NULL) return NULL;
    *p = *id;
    p->n--;
    const char *cut_at = strrchr(id->type, '/');
    p->type = arena_str(a, bytes_of(id->type, (size_t)(cut_at - id->type)));
    return p->type != NULL ? p : NULL;
}

const char *arm_id_label(struct arena *a, const struct arm_id *id, const char *type)
{
    const char *text = cased(a, type != NULL ? type : id->type, 0);
    for (uint32_t i = 0; i < id->n && text != NULL; i++) {
        text = arena_fmt(a, "%s/%s", text, cased(a, type != NULL ? type : id->type, i + 1));
        if (id->names[i] != NULL) text = arena_fmt(a, "%s/%s", text, id->names[i]);
    }
    return text != NULL ? text : "";
}

bool arm_name_valid(const char *name, size_t min, size_t max)
{
    size_t n = strlen(name);
    if (n < min || n > max || name[0] == '-' || name[n - 1] == '-') return false;
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        bool good =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
        if (!good) return false;
    }
    return true;
}
