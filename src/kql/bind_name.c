/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_name.c - names of columns: those that expressions give, those that collide, those
 * misspelt */
#include "kql/bind.h"

#include "base/str.h"

#include <stdlib.h>

/* --- automatic names -------------------------------------------------------------------------- */

/* Functions whose column is named after their first argument. Sorted by strcmp(): bsearch() relies
 * on it. */
static const char *const named_by_first[] = {
    "abs",
    "acos",
    "asin",
    "atan",
    "atan2",
    "bin",
    "bin_at",
    "bin_auto",
    "binary_and",
    "binary_not",
    "binary_or",
    "binary_shift_left",
    "binary_shift_right",
    "binary_xor",
    "bitset_count_ones",
    "ceiling",
    "cos",
    "erf",
    "erfc",
    "exp",
    "exp10",
    "exp2",
    "floor",
    "format_bytes",
    "format_datetime",
    "format_timespan",
    "gamma",
    "log",
    "log10",
    "log2",
    "loggamma",
    "parse_csv",
    "parse_json",
    "parse_xml",
    "parsejson",
    "pow",
    "rand",
    "round",
    "series_fill_backward",
    "series_fill_const",
    "series_fill_forward",
    "series_fill_linear",
    "series_fir",
    "series_iir",
    "series_outliers",
    "sin",
    "split",
    "sqrt",
    "startofday",
    "tan",
    "tobool",
    "toboolean",
    "todatetime",
    "todecimal",
    "todouble",
    "todynamic",
    "toguid",
    "tohex",
    "toint",
    "tolong",
    "toobject",
    "toreal",
    "tostring",
    "totime",
    "totimespan",
};

/* strlen(s) is strlen_s, gettype(s) is type_s, and strlen("x") strlen_. */
static const struct {
    const char *function, *prefix;
} prefixed[] = {
    {"dcount_hll", "dcount_hll_"},
    {"gettype", "type_"},
    {"percentile_tdigest", "percentile_tdigest_"},
    {"percentiles_array_tdigest", "percentile_tdigest_"},
    {"repeat", "repeat_"},
    {"string_size", "string_size_"},
    {"strlen", "strlen_"},
    {"treepath", "tree_"},
};

static int compare(const void *key, const void *item)
{
    return strcmp(key, *(const char *const *)item);
}

/* Aggregates are named sum_x, but for these; NULL: after the argument alone; "": not at all. */
static const struct {
    const char *aggregate, *prefix;
} aggregates[] = {
    {"arg_max", ""},
    {"arg_min", ""},
    {"argmax", ""},
    {"argmin", ""},
    {"take_any", ""},
    {"binary_all_and", NULL},
    {"binary_all_or", NULL},
    {"binary_all_xor", NULL},
    {"take_anyif", NULL},
    {"passthrough", NULL},
    {"buildschema", "schema"},
    {"make_bag", "bag"},
    {"make_bag_if", "bag"},
    {"make_dictionary", "dictionary"},
    {"make_list", "list"},
    {"make_list_if", "list"},
    {"make_list_with_nulls", "list"},
    {"makelist", "list"},
    {"make_set", "set"},
    {"make_set_if", "set"},
    {"makeset", "set"},
    {"merge_tdigest", "merge_tdigests"},
    {"tdigest_merge", "merge_tdigests"},
    {"percentiles", ""},
    {"percentilesw", ""},
    {"percentiles_array", "percentiles"},
    {"percentilesw_array", "percentiles"},
};

/* percentile_x_99_9; any other share than a literal has no digits. */
const char *percentile_name(struct binder *b, const char *arg, const struct value *share)
{
    struct buf text = {0};
    if (share != NULL && share->type == T_REAL) {
        real_format(share->r, &text);
    } else if (share != NULL) {
        buf_fmt(&text, "%lld", (long long)share->i);
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == '.') text.p[i] = '_';
    }
    const char *name = arena_fmt(b->a, "percentile_%s_%s", arg, buf_cstr(&text));
    buf_release(&text);
    return name;
}

static const char *aggregate_name(struct binder *b, const struct ast *n)
{
    const char *arg = n->args.n > 0 ? auto_name(b, n->args.at[0]) : "";
    const char *prefix = n->name;
    for (size_t i = 0; i < sizeof aggregates / sizeof aggregates[0]; i++) {
        if (strcmp(n->name, aggregates[i].aggregate) == 0) prefix = aggregates[i].prefix;
    }
    if (prefix == NULL) return arg;
    if (strcmp(n->name, "percentile") == 0 || strcmp(n->name, "percentilew") == 0) {
        const struct ast *share = n->args.n > 0 ? n->args.at[n->args.n - 1] : n;
        return percentile_name(b, arg, share->kind == AST_CONST ? &share->value : NULL);
    }
    if (strncmp(n->name, "covariance", 10) == 0 && n->args.n > 1) { /* covariance_x_y */
        return arena_fmt(b->a, "%s_%s_%s", prefix, arg, auto_name(b, n->args.at[1]));
    }
    return prefix[0] != '\0' ? arena_fmt(b->a, "%s_%s", prefix, arg) : "";
}

/* hll_merge(a, b) and tdigest_merge(a, b) are functions: the aggregates take one argument. */
static const char *merge_name(const struct ast *n)
{
    if (n->args.n < 2) return NULL;
    if (strcmp(n->name, "hll_merge") == 0) return "hll_merged_result";
    bool digests = strcmp(n->name, "merge_tdigest") == 0 || strcmp(n->name, "tdigest_merge") == 0;
    return digests ? "tdigests_merge_result" : NULL;
}

static const char *call_name(struct binder *b, const struct ast *n)
{
    if (merge_name(n) != NULL) return merge_name(n);
    if (agg_find(n->name) != NULL) return aggregate_name(b, n);
    if (strcmp(n->name, "column_ifexists") == 0 || strcmp(n->name, "columnifexists") == 0) {
        bool text = n->args.n > 0 && n->args.at[0]->kind == AST_CONST &&
                    n->args.at[0]->value.type == T_STRING;
        return text ? arena_str(b->a, n->args.at[0]->value.s) : "";
    }
    if (n->args.n == 0) return strcmp(n->name, "ingestion_time") == 0 ? "$IngestionTime" : "";
    const char *first = auto_name(b, n->args.at[0]);
    bool sorts = strcmp(n->name, "array_sort_asc") == 0 || strcmp(n->name, "array_sort_desc") == 0;
    if (sorts) return first[0] != '\0' ? arena_fmt(b->a, "%s_sorted", first) : "";
    if (strcmp(n->name, "make_datetime") == 0 || strcmp(n->name, "make_timespan") == 0)
        return n->args.n == 1 ? first : "";
    bool by_first =
        bsearch(n->name, named_by_first, sizeof named_by_first / sizeof named_by_first[0],
                sizeof named_by_first[0], compare) != NULL;
    if (by_first) return first;
    for (size_t i = 0; i < sizeof prefixed / sizeof prefixed[0]; i++) {
        if (strcmp(n->name, prefixed[i].function) != 0) continue;
        return arena_fmt(b->a, "%s%s", prefixed[i].prefix, first);
    }
    return "";
}

static const char *index_name(struct binder *b, const struct ast *index)
{
    if (index->kind != AST_CONST) return "";
    if (index->value.type == T_STRING) return arena_str(b->a, index->value.s);
    if (index->value.type == T_LONG) return arena_fmt(b->a, "%lld", (long long)index->value.i);
    return "";
}

static const char *joined(struct binder *b, const char *base, const char *member)
{
    if (base == NULL || member == NULL) return "";
    return base[0] != '\0' ? arena_fmt(b->a, "%s_%s", base, member) : member;
}

const char *auto_name(struct binder *b, const struct ast *n)
{
    const char *name = "";
    switch (n->kind) {
    case AST_NAME: name = n->name; break;
    case AST_PATH: name = joined(b, auto_name(b, n->args.at[0]), n->name); break;
    case AST_INDEX:
        name = joined(b, auto_name(b, n->args.at[0]), index_name(b, n->args.at[1]));
        break;
    case AST_CALL: name = call_name(b, n); break;
    case AST_NAMED: name = n->names.at[0]->name; break;
    default: break;
    }
    return name != NULL ? name : "";
}

const char *bound_name(struct binder *b, const struct ast *n, const struct expr *e)
{
    bool asks = n->kind == AST_CALL &&
                (strcmp(n->name, "column_ifexists") == 0 || strcmp(n->name, "columnifexists") == 0);
    return asks && e->kind != EXPR_COL ? "" : auto_name(b, n);
}

bool names_itself(const struct ast *n)
{
    return n->kind == AST_NAME && !n->in_parens;
}

/* --- collisions ------------------------------------------------------------------------------- */

struct name_set name_set_of(struct binder *b)
{
    struct name_set s = {.b = b};
    name_index_init(&s.index, b->a);
    return s;
}

bool names_has(const struct name_set *s, const char *name)
{
    return name_index_get(&s->index, name) != NULL;
}

/* x1, x2 ...: the first that is new. Where the last search for x ended, the next one goes on. */
static enum err numbered(struct name_set *s, const char *name, const char **out)
{
    uint32_t *last = name_index_get(&s->index, name);
    do {
        *out = arena_fmt(s->b->a, "%s%u", name, (++*last) & ~NAME_GIVEN);
        if (*out == NULL) return bind_full(s->b);
    } while (names_has(s, *out));
    return OK;
}

enum err names_add(struct name_set *s, const char *name, bool given, uint32_t pos, const char **out)
{
    const char *unique = name;
    uint32_t *there = name_index_get(&s->index, name);
    if (there != NULL && given && (*there & NAME_GIVEN) != 0) {
        return FAIL_TAG(diag_at(s->b->d, pos), ERR_INVALID, "SEM0171",
                        "a column named '%s' is there already", name);
    }
    if (there != NULL) TRY(numbered(s, name, &unique));
    if (!name_index_put(&s->index, unique, given ? NAME_GIVEN : 0)) return bind_full(s->b);
    *out = unique;
    return OK;
}

enum err names_unnamed(struct name_set *s, const char **out)
{
    *out = arena_fmt(s->b->a, "Column%u", ++s->b->n_unnamed);
    return *out != NULL ? OK : bind_full(s->b);
}

/* --- what is not there ------------------------------------------------------------------------ */

enum err no_column(struct scope *s, const char *name, uint32_t pos)
{
    struct nearest best = nearest_to(name);
    for (uint32_t i = 0; s->row != NULL && i < s->row->n; i++)
        nearest_try(&best, s->row->cols[i].name);
    for (struct binding *n = s->names; n != NULL; n = n->up)
        nearest_try(&best, n->name);
    return FAIL_TAG(diag_at(s->b->d, pos), ERR_INVALID, "SEM0100",
                    "'%s' finds no column or value named '%s'" NEAREST_FMT, s->where, name,
                    NEAREST_ARGS(best.name));
}

bool wildcard_match(const char *pattern, const char *name)
{
    const char *star = NULL, *from = NULL; /* where to go on when a guess was too short */
    while (*name != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            from = name;
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star + 1;
            name = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}
