/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_evaluate.c - evaluate: plugins by name, their arguments, and the small ones */
#include "kql/bind_evaluate.h"

#include "base/str.h"

/* Sorted as the reference page lists them. */
static const struct {
    const char *name;
    bind_plugin_fn *bind;
} plugins[] = {
    {"active_users_count", plugin_timeline},
    {"activity_counts_metrics", plugin_timeline},
    {"activity_engagement", plugin_timeline},
    {"activity_metrics", plugin_timeline},
    {"autocluster", plugin_autocluster},
    {"bag_unpack", plugin_bag_unpack},
    {"basket", plugin_basket},
    {"dcount_intersect", plugin_dcount_intersect},
    {"diffpatterns", plugin_diffpatterns},
    {"diffpatterns_text", plugin_text_patterns},
    {"estimate_rows_count", plugin_estimate_rows_count},
    {"funnel_sequence", plugin_funnel},
    {"funnel_sequence_completion", plugin_funnel_completion},
    {"geo_line_lookup", plugin_geo_lookup},
    {"geo_polygon_lookup", plugin_geo_lookup},
    {"identity", plugin_identity},
    {"ipv4_lookup", plugin_lookup},
    {"ipv6_lookup", plugin_lookup},
    {"narrow", plugin_narrow},
    {"new_activity_metrics", plugin_timeline},
    {"pivot", plugin_pivot},
    {"preview", plugin_preview},
    {"rolling_percentile", plugin_rolling_percentile},
    {"rows_near", plugin_rows_near},
    {"schema_merge", plugin_schema_merge},
    {"sequence_detect", plugin_sequences},
    {"session_count", plugin_timeline},
    {"sliding_window_counts", plugin_timeline},
};

static const struct {
    const char *name, *why;
} refused[] = {
    {"ai_chat_completion", "it calls another service"},
    {"ai_chat_completion_prompt", "it calls another service"},
    {"ai_embed_text", "it calls another service"},
    {"ai_embeddings", "it calls another service"},
    {"azure_digital_twins_query_request", "it calls another service"},
    {"cosmosdb_sql_request", "it calls another service"},
    {"csharp", "it runs foreign code"},
    {"dax_request", "it calls another service"},
    {"execute_query", "it calls another service"},
    {"execute_show_command", "it calls another service"},
    {"external_datatable", "it reads another service"},
    {"http_request", "it calls another service"},
    {"http_request_post", "it calls another service"},
    {"identity_v3", "it is internal to the original"},
    {"infer_storage_schema", "it reads another service"},
    {"infer_storage_schema_with_suggestions", "it reads another service"},
    {"mysql_request", "it calls another service"},
    {"postgresql_request", "it calls another service"},
    {"python", "it runs foreign code"},
    {"r", "it runs foreign code"},
    {"sql_request", "it calls another service"},
};

const char *plugin_refusal(const char *name)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (strcmp(refused[i].name, name) == 0) return refused[i].why;
    }
    return NULL;
}

const char *plugin_at(uint32_t i)
{
    return i < sizeof plugins / sizeof plugins[0] ? plugins[i].name : NULL;
}

/* --- arguments ------------------------------------------------------------------------------- */

const struct ast *plugin_arg(const struct plugin_cx *p, uint32_t place, const char *name)
{
    for (uint32_t i = 0; i < p->call->args.n; i++) {
        const struct ast *arg = p->call->args.at[i];
        if (arg->kind == AST_NAMED && strcmp(arg->names.at[0]->name, name) == 0) return arg->left;
    }
    bool there = place < p->call->args.n && p->call->args.at[place]->kind != AST_NAMED;
    return there ? p->call->args.at[place] : NULL;
}

enum err plugin_arity(struct plugin_cx *p, uint32_t min, uint32_t max)
{
    return check_arity(p->cx->b, p->call->pos, p->call->name, min, max, p->call->args.n);
}

enum err plugin_column(struct plugin_cx *p, const struct ast *arg, uint32_t *out)
{
    struct scope s = scope_of(p->cx);
    struct expr *e;
    s.where = p->call->name;
    TRY(bind_expr(&s, arg, &e));
    if (e->kind == EXPR_COL) {
        *out = e->col;
        return OK;
    }
    return FAIL_TAG(diag_at(s.b->d, arg->pos), ERR_INVALID, "SEM0100",
                    "the plugin %s wants the name of a column here", p->call->name);
}

enum err plugin_const(struct plugin_cx *p, const struct ast *arg, enum type type, struct expr **out)
{
    struct scope s = {.b = p->cx->b, .names = *p->cx->names, .where = p->call->name};
    TRY(bind_expr(&s, arg, out));
    return expr_cast(&s, arg->pos, *out, type, true, out);
}

enum err plugin_text(struct plugin_cx *p, const struct ast *arg, const char **out)
{
    struct scope s = {.b = p->cx->b, .names = *p->cx->names, .where = p->call->name};
    struct expr *e;
    TRY(bind_const(&s, arg, &e));
    if (e->type != T_STRING) {
        return FAIL_TAG(diag_at(s.b->d, arg->pos), ERR_INVALID, "SEM0064",
                        "the plugin %s wants a text here, not a %s", p->call->name,
                        type_name(e->type));
    }
    *out = arena_str(s.b->a, e->value.s);
    return *out != NULL ? OK : bind_full(s.b);
}

enum err plugin_whole(struct plugin_cx *p, enum whole_kind kind, const uint32_t *cols, uint32_t n,
                      uint32_t n_consts, struct op **out)
{
    struct binder *b = p->cx->b;
    struct op *in;
    TRY(op_columns(b, p->cx->in, p->call->pos, cols, NULL, n, &in));
    TRY(op_new(b, OP_WHOLE, in, p->call->pos, out));
    (*out)->whole.kind = kind;
    (*out)->whole.n_consts = n_consts;
    (*out)->whole.consts = arena_array(b->a, struct expr *, n_consts + 1);
    return (*out)->whole.consts != NULL ? OK : bind_full(b);
}

enum err plugin_look(struct plugin_cx *p, struct op *part, kql_rows_fn *each, void *ctx)
{
    const struct kql_options *opt = p->cx->b->opt;
    const struct plan plan = {.root = part};
    if (p->cx->b->group_depth > 0) {
        return FAIL(diag_at(p->cx->b->d, p->call->pos), ERR_UNSUPPORTED,
                    "the plugin %s without a schema is not supported in mv-apply and partition: "
                    "its columns would differ from group to group",
                    p->call->name);
    }
    if (opt->run == NULL) return OK;
    struct diag d = DIAG_INIT;
    enum err e = opt->run(opt->run_ctx, &plan, each, ctx, &d);
    if (e == OK) return OK;
    return FAIL_TAG(diag_at(p->cx->b->d, p->call->pos), e, d.tag, "%s", d.text);
}

/* --- small ones ------------------------------------------------------------------------------ */

enum err plugin_identity(struct plugin_cx *p, struct op **out)
{
    TRY(plugin_arity(p, 0, 0));
    *out = p->cx->in;
    return OK;
}

enum err plugin_estimate_rows_count(struct plugin_cx *p, struct op **out)
{
    static const struct column col = {"EstimatedRowsCount", T_LONG};
    TRY(plugin_arity(p, 0, 0));
    TRY(op_new(p->cx->b, OP_COUNT, p->cx->in, p->call->pos, out));
    (*out)->schema = (struct schema){.n = 1, .cols = &col};
    return OK;
}

enum err plugin_narrow(struct plugin_cx *p, struct op **out)
{
    static const struct column cols[] = {
        {"Row", T_LONG}, {"Column", T_STRING}, {"Value", T_STRING}};
    TRY(plugin_arity(p, 0, 0));
    TRY(op_new(p->cx->b, OP_WHOLE, p->cx->in, p->call->pos, out));
    (*out)->whole.kind = WHOLE_NARROW;
    (*out)->schema = (struct schema){.n = 3, .cols = cols};
    return OK;
}

/* rows_near(condition, before [, after]): the input's columns, and behind them the condition. */
enum err plugin_rows_near(struct plugin_cx *p, struct op **out)
{
    struct binder *b = p->cx->b;
    struct scope s = scope_of(p->cx);
    const struct schema *in = &p->cx->in->schema;
    struct named_expr *exprs = arena_array(b->a, struct named_expr, in->n + 1);
    struct op *project;
    if (exprs == NULL) return bind_full(b);
    TRY(plugin_arity(p, 2, 3));
    for (uint32_t i = 0; i < in->n; i++) {
        exprs[i].name = in->cols[i].name;
        TRY(expr_col(b, in, i, &exprs[i].expr));
    }
    exprs[in->n].name = "";
    s.where = p->call->name;
    TRY(bind_condition(&s, p->call->args.at[0], &exprs[in->n].expr));
    TRY(op_project(b, p->cx->in, p->call->pos, exprs, in->n + 1, &project));
    TRY(op_new(b, OP_WHOLE, project, p->call->pos, out));
    (*out)->schema = *in;
    (*out)->whole.kind = WHOLE_ROWS_NEAR;
    (*out)->whole.n_consts = 2;
    (*out)->whole.consts = arena_array(b->a, struct expr *, 2);
    if ((*out)->whole.consts == NULL) return bind_full(b);
    uint32_t last = p->call->args.n - 1;
    TRY(plugin_const(p, p->call->args.at[1], T_LONG, &(*out)->whole.consts[0]));
    return plugin_const(p, p->call->args.at[last], T_LONG, &(*out)->whole.consts[1]);
}

/* Over what getschema gives. */
enum err plugin_schema_merge(struct plugin_cx *p, struct op **out)
{
    static const char *const names[] = {"ColumnName", "ColumnOrdinal", "DataType", "ColumnType"};
    uint32_t cols[4];
    TRY(plugin_arity(p, 0, 1));
    for (uint32_t i = 0; i < 4; i++) {
        int at = schema_find(&p->cx->in->schema, names[i]);
        enum type want = i == 1 ? T_LONG : T_STRING;
        if (at < 0 || p->cx->in->schema.cols[at].type != want) {
            return FAIL_TAG(diag_at(p->cx->b->d, p->call->pos), ERR_INVALID, "SEM0100",
                            "the plugin schema_merge wants the columns of getschema");
        }
        cols[i] = (uint32_t)at;
    }
    return plugin_whole(p, WHOLE_SCHEMA_MERGE, cols, 4, 0, out);
}

/* --- evaluate -------------------------------------------------------------------------------- */

static enum err unknown_plugin(struct binder *b, const struct ast *call)
{
    diag_at(b->d, call->pos);
    const char *why = plugin_refusal(call->name);
    if (why != NULL) {
        return FAIL(b->d, ERR_UNSUPPORTED, "the plugin %s is not supported: %s", call->name, why);
    }
    if (known_plugin(call->name))
        return FAIL(b->d, ERR_UNSUPPORTED, "the plugin %s is not supported", call->name);
    struct nearest best = nearest_to(call->name);
    for (size_t i = 0; i < sizeof plugins / sizeof plugins[0]; i++)
        nearest_try(&best, plugins[i].name);
    return FAIL_TAG(b->d, ERR_INVALID, "SEM0260", "there is no plugin '%s'" NEAREST_FMT, call->name,
                    NEAREST_ARGS(best.name));
}

enum err bind_evaluate(struct op_cx *cx, struct op **out)
{
    static const char *const allowed[] = {NULL};
    struct plugin_cx p = {.cx = cx, .call = cx->ast->left, .schema = cx->ast->right};
    TRY(check_params(cx, allowed));
    if (p.call->kind != AST_CALL) {
        return FAIL_TAG(diag_at(cx->b->d, p.call->pos), ERR_INVALID, "SYN0002",
                        "'evaluate' wants the call of a plugin");
    }
    if (cx->in == NULL) {
        diag_at(cx->b->d, p.call->pos);
        if (plugin_refusal(p.call->name) != NULL) return unknown_plugin(cx->b, p.call);
        return FAIL_TAG(cx->b->d, ERR_INVALID, "SEM0174", "the plugin %s needs a table before it",
                        p.call->name);
    }
    for (size_t i = 0; i < sizeof plugins / sizeof plugins[0]; i++) {
        if (strcmp(plugins[i].name, p.call->name) == 0) return plugins[i].bind(&p, out);
    }
    return unknown_plugin(cx->b, p.call);
}
