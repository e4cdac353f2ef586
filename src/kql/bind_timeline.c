/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_timeline.c - plugins that count ids over a time line: sliding_window_counts and the like
 *
 * All begin with the columns of the id and of the time and take dimensions behind their constants.
 * exec/whole_timeline.c says what each constant is.
 */
#include "kql/bind_evaluate.h"

#include "base/str.h"

#define CONSTS_MAX 6
struct result {
    const char *prefix; /* "" or of the time's name; NULL: no time column */
    const char *name;
    enum type type; /* T_NONE: of the time */
};

static const struct shape {
    const char *plugin;
    enum whole_kind kind;
    const char
        *consts; /* t: of the time's type, s: a span of it, i: whole number, ?: may be left out */
    struct result results[9];
    uint32_t dims_at; /* results before the dimensions */
} shapes[] = {
    {"active_users_count",
     WHOLE_ACTIVE_USERS,
     "ttssis",
     {{"", NULL, T_NONE}, {NULL, "dcount", T_LONG}},
     1},
    {"activity_counts_metrics",
     WHOLE_ACTIVITY_COUNTS,
     "tts",
     {{"", NULL, T_NONE},
      {NULL, "count", T_LONG},
      {NULL, "dcount", T_LONG},
      {NULL, "new_dcount", T_LONG},
      {NULL, "aggregated_dcount", T_LONG}},
     1},
    {"activity_engagement",
     WHOLE_ACTIVITY_ENGAGEMENT,
     "ttss",
     {{"", NULL, T_NONE},
      {NULL, "dcount_activities_inner", T_LONG},
      {NULL, "dcount_activities_outer", T_LONG},
      {NULL, "activity_ratio", T_REAL}},
     1},
    {"activity_metrics",
     WHOLE_ACTIVITY,
     "tts",
     {{"", NULL, T_NONE},
      {NULL, "dcount_values", T_LONG},
      {NULL, "dcount_newvalues", T_LONG},
      {NULL, "retention_rate", T_REAL},
      {NULL, "churn_rate", T_REAL}},
     1},
    {"new_activity_metrics",
     WHOLE_NEW_ACTIVITY,
     "tts?",
     {{"from_", NULL, T_NONE},
      {"to_", NULL, T_NONE},
      {NULL, "dcount_new_values", T_LONG},
      {NULL, "dcount_retained_values", T_LONG},
      {NULL, "dcount_churn_values", T_LONG},
      {NULL, "retention_rate", T_REAL},
      {NULL, "churn_rate", T_REAL}},
     2},
    {"session_count",
     WHOLE_SESSION_COUNT,
     "ttss",
     {{"", NULL, T_NONE}, {NULL, "count_sessions", T_LONG}},
     1},
    {"sliding_window_counts",
     WHOLE_SLIDING_WINDOW,
     "ttss",
     {{"", NULL, T_NONE}, {NULL, "Count", T_LONG}, {NULL, "Dcount", T_LONG}},
     1},
};

struct line {
    struct plugin_cx *p;
    const struct shape *shape;
    const struct schema *in;
    enum type time;
    uint32_t n_consts, n_cols, cols[64]; /* id, time, dimensions */
    struct expr *consts[CONSTS_MAX];
    struct op *lookback;
};

static bool is_dimension(const struct line *l, const struct ast *arg)
{
    return arg->kind == AST_NAME && schema_find(l->in, arg->name) >= 0;
}

static enum err add_const(struct line *l, char kind, const struct ast *arg)
{
    bool date = l->time == T_DATETIME;
    enum type type = kind == 'i' ? T_LONG : kind == 's' && date ? T_TIMESPAN : l->time;
    return plugin_const(l->p, arg, type, &l->consts[l->n_consts++]);
}

static enum err read_consts(struct line *l, uint32_t *at)
{
    const struct ast_list *args = &l->p->call->args;
    for (const char *k = l->shape->consts; *k != '\0'; k++) {
        bool there = *at < args->n;
        if (*k == '?') {
            if (!there || is_dimension(l, args->at[*at])) continue;
            if (is_tabular(l->p->cx->b, *l->p->cx->names, args->at[*at])) continue;
            TRY(add_const(l, 't', args->at[(*at)++]));
            continue;
        }
        if (!there) return plugin_arity(l->p, *at + 1, 64);
        TRY(add_const(l, *k, args->at[(*at)++]));
    }
    return OK;
}

static enum err read_dimensions(struct line *l, uint32_t at)
{
    struct plugin_cx *p = l->p;
    for (; at < p->call->args.n; at++) {
        const struct ast *arg = p->call->args.at[at];
        bool table = l->shape->kind == WHOLE_NEW_ACTIVITY && !is_dimension(l, arg) &&
                     is_tabular(p->cx->b, *p->cx->names, arg);
        if (table) {
            TRY(bind_table(p->cx->b, *p->cx->names, arg, &l->lookback));
            continue;
        }
        if (l->n_cols == sizeof l->cols / sizeof l->cols[0]) return plugin_arity(p, 1, 64);
        TRY(plugin_column(p, arg, &l->cols[l->n_cols++]));
    }
    return OK;
}

/* activity_engagement(id, time, inner, outer) has no bounds. */
static const struct shape *without_bounds(const struct shape *s, uint32_t n_args)
{
    static const struct shape engagement = {"activity_engagement",
                                            WHOLE_ACTIVITY_ENGAGEMENT,
                                            "ss",
                                            {{"", NULL, T_NONE},
                                             {NULL, "dcount_activities_inner", T_LONG},
                                             {NULL, "dcount_activities_outer", T_LONG},
                                             {NULL, "activity_ratio", T_REAL}},
                                            1};
    return s->kind == WHOLE_ACTIVITY_ENGAGEMENT && n_args == 4 ? &engagement : s;
}

static enum err result_columns(struct line *l, struct op *op)
{
    struct binder *b = l->p->cx->b;
    struct name_set names = name_set_of(b);
    struct column *cols = arena_array(b->a, struct column, 64 + 9);
    const struct result *r = l->shape->results;
    uint32_t n_dims = l->n_cols - 2, n = 0, dim = 0;
    if (cols == NULL) return bind_full(b);
    for (uint32_t i = 0; r[i].prefix != NULL || r[i].name != NULL || dim < n_dims;) {
        bool is_dim = i >= l->shape->dims_at && dim < n_dims;
        const char *name = is_dim ? l->in->cols[l->cols[2 + dim]].name : r[i].name;
        if (!is_dim && name == NULL)
            name = arena_fmt(b->a, "%s%s", r[i].prefix, l->in->cols[l->cols[1]].name);
        if (name == NULL) return bind_full(b);
        TRY(names_add(&names, name, false, 0, &cols[n].name));
        cols[n++].type = is_dim                ? l->in->cols[l->cols[2 + dim]].type
                         : r[i].type == T_NONE ? l->time
                                               : r[i].type;
        if (is_dim)
            dim++;
        else
            i++;
    }
    op->schema = (struct schema){.n = n, .cols = cols};
    return OK;
}

static enum err check_types(struct line *l)
{
    l->time = l->in->cols[l->cols[1]].type;
    bool fine = l->time == T_DATETIME || l->time == T_TIMESPAN || (TM(l->time) & TM_INTS) != 0;
    if (!fine) {
        return FAIL(diag_at(l->p->cx->b->d, l->p->call->pos), ERR_UNSUPPORTED,
                    "the plugin %s over a %s is not supported, only over datetime, timespan and "
                    "whole numbers",
                    l->p->call->name, type_name(l->time));
    }
    return OK;
}

enum err plugin_timeline(struct plugin_cx *p, struct op **out)
{
    struct binder *b = p->cx->b;
    struct line l = {.p = p, .in = &p->cx->in->schema};
    uint32_t at = 2;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (strcmp(shapes[i].plugin, p->call->name) == 0) l.shape = &shapes[i];
    }
    l.shape = without_bounds(l.shape, p->call->args.n);
    TRY(plugin_arity(p, 4, 64));
    for (uint32_t i = 0; i < 2; i++)
        TRY(plugin_column(p, p->call->args.at[i], &l.cols[l.n_cols++]));
    TRY(check_types(&l));
    TRY(read_consts(&l, &at));
    TRY(read_dimensions(&l, at));
    TRY(plugin_whole(p, l.shape->kind, l.cols, l.n_cols, l.n_consts, out));
    memcpy((*out)->whole.consts, l.consts, l.n_consts * sizeof *l.consts);
    struct timeline *more = arena_new(b->a, struct timeline);
    if (more == NULL) return bind_full(b);
    more->n_dims = l.n_cols - 2;
    more->has_cohort = l.shape->kind == WHOLE_NEW_ACTIVITY && l.n_consts == 4;
    (*out)->whole.more = more;
    if (l.lookback != NULL) {
        int id = schema_find(&l.lookback->schema, l.in->cols[l.cols[0]].name);
        uint32_t col = (uint32_t)id;
        if (id < 0 || l.lookback->schema.cols[id].type != l.in->cols[l.cols[0]].type) {
            return FAIL_TAG(diag_at(b->d, p->call->pos), ERR_INVALID, "SEM0100",
                            "the lookback table of new_activity_metrics has no column '%s' of the "
                            "id's type",
                            l.in->cols[l.cols[0]].name);
        }
        TRY(op_columns(b, l.lookback, p->call->pos, &col, NULL, 1, &(*out)->whole.second));
        TRY(op_second_input(b, *out, (*out)->whole.second));
    }
    return result_columns(&l, *out);
}

/* --- rolling_percentile ----------------------------------------------------------------------- */

/* rolling_percentile(value, percentile, index, bin, bins, dimensions): columns value, index,
 * dimensions; consts percentile, bin, bins. */
enum err plugin_rolling_percentile(struct plugin_cx *p, struct op **out)
{
    struct binder *b = p->cx->b;
    const struct schema *in = &p->cx->in->schema;
    const struct ast_list *args = &p->call->args;
    struct scope s = {.b = b, .names = *p->cx->names, .where = p->call->name};
    uint32_t cols[64], n = 2;
    struct expr *bins, *percentile;
    TRY(plugin_arity(p, 5, 60));
    TRY(plugin_column(p, args->at[0], &cols[0]));
    TRY(plugin_column(p, args->at[2], &cols[1]));
    for (uint32_t i = 5; i < args->n; i++)
        TRY(plugin_column(p, args->at[i], &cols[n++]));
    enum type value = in->cols[cols[0]].type, index = in->cols[cols[1]].type;
    bool fine = (TM(value) & (TM_INTS | TM(T_REAL) | TM(T_DATETIME) | TM(T_TIMESPAN))) != 0 &&
                (TM(index) & (TM_INTS | TM(T_DATETIME) | TM(T_TIMESPAN))) != 0;
    if (!fine) {
        return FAIL(diag_at(b->d, p->call->pos), ERR_UNSUPPORTED,
                    "rolling_percentile of a %s over a %s is not supported", type_name(value),
                    type_name(index));
    }
    TRY(plugin_whole(p, WHOLE_ROLLING_PERCENTILE, cols, n, 3, out));
    struct expr **consts = (*out)->whole.consts;
    TRY(bind_const(&s, args->at[1], &percentile));
    TRY(bind_const(&s, args->at[4], &bins));
    TRY(plugin_const(p, args->at[1], T_REAL, &consts[0]));
    TRY(plugin_const(p, args->at[3], index == T_DATETIME ? T_TIMESPAN : index, &consts[1]));
    TRY(plugin_const(p, args->at[4], T_LONG, &consts[2]));

    struct column *result = arena_array(b->a, struct column, n);
    if (result == NULL) return bind_full(b);
    for (uint32_t i = 1; i < n; i++)
        result[i - 1] = in->cols[cols[i]];
    CLEANUP_BUF struct buf text = {0};
    buf_fmt(&text, "rolling_%lld_percentile_%s_", (long long)bins->value.i, in->cols[cols[0]].name);
    if (percentile->type == T_REAL)
        real_format(percentile->value.r, &text);
    else
        buf_fmt(&text, "%lld", (long long)percentile->value.i);
    result[n - 1] = (struct column){.name = arena_str(b->a, buf_view(&text)),
                                    .type = value == T_INT ? T_LONG : value};
    if (result[n - 1].name == NULL) return bind_full(b);
    (*out)->schema = (struct schema){.n = n, .cols = result};
    return OK;
}
