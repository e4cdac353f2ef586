/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_external.c - externaldata (a:long, b:string) [ uri, ... ] with (format=csv, ...)
 *
 * The executor cuts what lies there into records of texts (delimited formats) or of dynamics (JSON);
 * a projection over it converts them to the columns' types, as the conversion functions do. The rows
 * are read once for all who name them.
 */
#include "kql/bind.h"

#include "base/str.h"
#include "json/json.h"

#include <strings.h>

static const struct {
    const char *name;
    enum external_format format;
    char delimiter;
} formats[] = {
    {"csv", EXTERNAL_DELIMITED, ','},
    {"tsv", EXTERNAL_DELIMITED, '\t'},
    {"psv", EXTERNAL_DELIMITED, '|'},
    {"scsv", EXTERNAL_DELIMITED, ';'},
    {"sohsv", EXTERNAL_DELIMITED, 0x01},
    {"txt", EXTERNAL_LINES, 0},
    {"raw", EXTERNAL_RAW, 0},
    {"json", EXTERNAL_JSON, 0},
    {"multijson", EXTERNAL_JSON, 0},
};

static bool set_format(struct op *op, const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcasecmp(formats[i].name, name) != 0) continue;
        op->external.format = formats[i].format;
        op->external.delimiter = formats[i].delimiter;
        return true;
    }
    return false;
}

/* Without a format the first file's extension says it, and csv is the default. */
static enum err format_of_uri(struct binder *b, struct op *op, const char *uri, bool given)
{
    size_t end = strcspn(uri, "?#");
    const char *dot = memrchr(uri, '.', end);
    char extension[16] = "";
    if (dot != NULL && (size_t)(uri + end - dot) < sizeof extension)
        memcpy(extension, dot + 1, (size_t)(uri + end - dot) - 1);
    if (strcasecmp(extension, "gz") == 0 || strcasecmp(extension, "zip") == 0) {
        return FAIL(diag_at(b->d, op->pos), ERR_UNSUPPORTED,
                    "externaldata: compressed files are not supported");
    }
    if (!given && !set_format(op, extension)) (void)set_format(op, "csv");
    return OK;
}

static enum err read_uris(struct binder *b, struct binding *names, const struct ast *n,
                          struct op *op)
{
    struct scope s = {.b = b, .names = names, .where = "externaldata"};
    op->external.uris = arena_array(b->a, const char *, n->args.n + 1);
    if (op->external.uris == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n->args.n; i++) {
        struct expr *uri;
        TRY(bind_const(&s, n->args.at[i], &uri));
        if (uri->type != T_STRING) {
            return FAIL_TAG(diag_at(b->d, n->args.at[i]->pos), ERR_INVALID, "SEM0064",
                            "externaldata wants its places as strings");
        }
        op->external.uris[i] = arena_str(b->a, uri->value.s);
        if (op->external.uris[i] == NULL) return bind_full(b);
    }
    op->external.n_uris = n->args.n;
    return OK;
}

static const char *word_of(struct binder *b, const struct ast *n)
{
    if (n->kind == AST_NAME) return n->name;
    if (n->kind != AST_CONST) return "";
    if (n->value.type == T_BOOL) return n->value.b ? "true" : "false";
    return n->value.type == T_STRING ? arena_str(b->a, n->value.s) : "";
}

/* --- ingestionMapping: [{"Column":"a", "Properties":{"Path":"$.b.c"}}] -------------------------- */

#define STEPS_MAX 32

static enum err bad_mapping(struct binder *b, const struct ast *p, const char *what)
{
    return FAIL(diag_at(b->d, p->pos), ERR_UNSUPPORTED,
                "externaldata: an ingestionMapping is a list of columns with paths such as $.a.b, "
                "for JSON; %s",
                what);
}

/* The next member of a path: .name or ['name']. */
static bool next_step(const char **at, struct bytes *name)
{
    const char *s = *at, *end;
    if (s[0] == '[' && s[1] == '\'') {
        end = strstr(s + 2, "']");
        if (end == NULL) return false;
        *name = bytes_of(s + 2, (size_t)(end - s - 2));
        *at = end + 2;
        return true;
    }
    if (s[0] != '.') return false;
    size_t n = strcspn(s + 1, ".[");
    *name = bytes_of(s + 1, n);
    *at = s + 1 + n;
    return n > 0;
}

static enum err read_path(struct binder *b, const struct ast *p, const char *text,
                          struct external_path *out)
{
    text = arena_str(b->a, bytes_str(text));
    out->names = arena_array(b->a, struct bytes, STEPS_MAX);
    if (text == NULL || out->names == NULL) return bind_full(b);
    if (*text++ != '$') return bad_mapping(b, p, "a path begins with $");
    while (*text != '\0') {
        if (out->n == STEPS_MAX || !next_step(&text, &out->names[out->n++]))
            return bad_mapping(b, p, "this path has a part that is no member");
    }
    return OK;
}

static enum err read_mapping(struct binder *b, const struct ast *p, const struct schema *want,
                             struct op *op)
{
    CLEANUP_JSON json_t *list = NULL;
    const char *text = word_of(b, p->left);
    json_t *item;
    size_t i;
    if (text == NULL) return bind_full(b);
    if (op->external.format != EXTERNAL_JSON) return bad_mapping(b, p, "the format is another");
    if (json_read(bytes_str(text), &list, NULL) != OK || !json_is_array(list))
        return bad_mapping(b, p, "this is none");
    op->external.paths = arena_array(b->a, struct external_path, want->n + 1);
    if (op->external.paths == NULL) return bind_full(b);
    json_array_foreach (list, i, item) {
        const char *column = json_get_str(item, "Column");
        const char *path = json_get_str(json_object_get(item, "Properties"), "Path");
        int at = column != NULL ? schema_find(want, column) : -1;
        if (at < 0 || path == NULL) return bad_mapping(b, p, "a column or a path is missing");
        TRY(read_path(b, p, path, &op->external.paths[at]));
    }
    for (uint32_t c = 0; c < want->n; c++) {
        if (op->external.paths[c].names == NULL) return bad_mapping(b, p, "a column has no path");
    }
    return OK;
}

static bool is_mapping(const struct ast *p)
{
    return strcasecmp(p->name, "ingestionMapping") == 0;
}

/* --- the other properties -------------------------------------------------------------------- */

static enum err read_property(struct binder *b, const struct ast *p, struct op *op)
{
    const char *word = word_of(b, p->left);
    if (word == NULL) return bind_full(b);
    if (is_mapping(p)) return OK; /* when the format is known */
    if (strcasecmp(p->name, "ignoreFirstRecord") == 0) {
        op->external.skip_first = strcasecmp(word, "true") == 0;
        return OK;
    }
    if (strcasecmp(p->name, "format") != 0) {
        return FAIL(diag_at(b->d, p->pos), ERR_UNSUPPORTED,
                    "externaldata: the property '%s' is not supported", p->name);
    }
    if (set_format(op, word)) return OK;
    return FAIL(diag_at(b->d, p->pos), ERR_UNSUPPORTED,
                "externaldata: the format '%s' is not supported", word);
}

/* As the executor gives them: texts, or dynamics. */
static enum err raw_schema(struct binder *b, const struct schema *want, struct op *op)
{
    struct column *cols = arena_array(b->a, struct column, want->n + 1);
    if (cols == NULL) return bind_full(b);
    for (uint32_t i = 0; i < want->n; i++) {
        cols[i].name = want->cols[i].name;
        cols[i].type = op->external.format == EXTERNAL_JSON ? T_DYNAMIC : T_STRING;
    }
    op->schema = (struct schema){.n = want->n, .cols = cols};
    return OK;
}

static enum err converted(struct binder *b, struct op *raw, const struct schema *want,
                          struct op **out)
{
    struct scope s = {.b = b, .row = &raw->schema, .base = &raw->schema, .where = "externaldata"};
    struct named_expr *exprs = arena_array(b->a, struct named_expr, want->n + 1);
    struct op *rows;
    if (exprs == NULL) return bind_full(b);
    for (uint32_t i = 0; i < want->n; i++) {
        exprs[i].name = want->cols[i].name;
        TRY(expr_col(b, &raw->schema, i, &exprs[i].expr));
        TRY(expr_cast(&s, raw->pos, exprs[i].expr, want->cols[i].type, true, &exprs[i].expr));
    }
    TRY(op_project(b, raw, raw->pos, exprs, want->n, &rows));
    return op_new(b, OP_MATERIALIZE, rows, raw->pos, out);
}

enum err bind_external(struct binder *b, struct binding *names, const struct ast *n,
                       struct op **out)
{
    struct schema want;
    struct op *raw;
    if (b->no_external) {
        return FAIL(diag_at(b->d, n->pos), ERR_UNSUPPORTED,
                    "externaldata: the option 'request_external_data_disabled' forbids it");
    }
    TRY(op_new(b, OP_EXTERNAL, NULL, n->pos, &raw));
    TRY(schema_of(b, n->left, &want));
    TRY(read_uris(b, names, n, raw));
    bool given = false;
    for (uint32_t i = 0; i < n->params.n; i++) {
        given |= strcasecmp(n->params.at[i]->name, "format") == 0;
        TRY(read_property(b, n->params.at[i], raw));
    }
    for (uint32_t i = 0; i < raw->external.n_uris; i++)
        TRY(format_of_uri(b, raw, raw->external.uris[i], given || i > 0));
    for (uint32_t i = 0; i < n->params.n; i++) {
        if (is_mapping(n->params.at[i])) TRY(read_mapping(b, n->params.at[i], &want, raw));
    }
    TRY(raw_schema(b, &want, raw));
    return converted(b, raw, &want, out);
}
