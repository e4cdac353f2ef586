/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_set.c - options of a query: `set name = value`, and a client's request properties
 *
 * An option does here what it does in the original, or it cannot change what the rows are, or it is
 * refused by name. Source: "Request properties" of Kusto's REST API.
 */
#include "kql/bind.h"

#include "kql/parse.h"

enum option {
    OPTION_HARMLESS, /* where and how a query runs, and what is written down about it */
    OPTION_REFUSED,
    OPTION_ROWS_MAX,
    OPTION_BYTES_MAX,
    OPTION_NO_TRUNCATION,
    OPTION_TAKE_MAX,
    OPTION_COLUMNS_MAX,
    OPTION_NOW,
    OPTION_SCOPE_COLUMN,
    OPTION_SCOPE_FROM,
    OPTION_SCOPE_TO,
    OPTION_BIN_SIZE,
    OPTION_BIN_AT,
    OPTION_BEST_EFFORT,
    OPTION_LANGUAGE,
    OPTION_DATASCOPE,
    OPTION_NO_EXTERNAL,
    OPTION_NO_REMOTE,
    OPTION_SCHEMAS,
};

static const struct {
    const char *name;
    enum option what;
} options[] = {
    {"best_effort", OPTION_BEST_EFFORT},
    {"client_max_redirect_count", OPTION_HARMLESS},
    {"deferpartialqueryfailures", OPTION_HARMLESS},
    {"materialized_view_shuffle", OPTION_HARMLESS},
    {"materialized_view_shuffle_query", OPTION_HARMLESS},
    {"max_memory_consumption_per_query_per_node", OPTION_HARMLESS},
    {"maxmemoryconsumptionperiterator", OPTION_HARMLESS},
    {"maxoutputcolumns", OPTION_COLUMNS_MAX},
    {"norequesttimeout", OPTION_HARMLESS},
    {"notruncation", OPTION_NO_TRUNCATION},
    {"push_selection_through_aggregation", OPTION_HARMLESS},
    {"query_bin_auto_at", OPTION_BIN_AT},
    {"query_bin_auto_size", OPTION_BIN_SIZE},
    {"query_cursor_after_default", OPTION_REFUSED},
    {"query_cursor_before_or_at_default", OPTION_REFUSED},
    {"query_cursor_current", OPTION_REFUSED},
    {"query_cursor_disabled", OPTION_HARMLESS},
    {"query_cursor_scoped_tables", OPTION_REFUSED},
    {"query_datascope", OPTION_DATASCOPE},
    {"query_datetimescope_column", OPTION_SCOPE_COLUMN},
    {"query_datetimescope_from", OPTION_SCOPE_FROM},
    {"query_datetimescope_to", OPTION_SCOPE_TO},
    {"query_distribution_nodes_span", OPTION_HARMLESS},
    {"query_fanout_nodes_percent", OPTION_HARMLESS},
    {"query_fanout_threads_percent", OPTION_HARMLESS},
    {"query_force_row_level_security", OPTION_HARMLESS}, /* there are no such policies */
    {"query_language", OPTION_LANGUAGE},
    {"query_log_query_parameters", OPTION_HARMLESS},
    {"query_max_entities_in_union", OPTION_HARMLESS},
    {"query_now", OPTION_NOW},
    {"query_python_debug", OPTION_REFUSED},
    {"query_results_apply_getschema", OPTION_SCHEMAS},
    {"query_results_cache_force_refresh", OPTION_HARMLESS},
    {"query_results_cache_max_age", OPTION_HARMLESS},
    {"query_results_cache_per_shard", OPTION_HARMLESS},
    {"query_results_progressive_enabled", OPTION_HARMLESS},
    {"query_results_progressive_row_count", OPTION_HARMLESS},
    {"query_results_progressive_update_period", OPTION_HARMLESS},
    {"query_take_max_records", OPTION_TAKE_MAX},
    {"query_weakconsistency_session_id", OPTION_HARMLESS},
    {"queryconsistency", OPTION_HARMLESS},
    {"request_app_name", OPTION_HARMLESS},
    {"request_block_row_level_security", OPTION_HARMLESS},
    {"request_callout_disabled", OPTION_HARMLESS},
    {"request_description", OPTION_HARMLESS},
    {"request_external_data_disabled", OPTION_NO_EXTERNAL},
    {"request_external_table_disabled", OPTION_HARMLESS},
    {"request_impersonation_disabled", OPTION_HARMLESS},
    {"request_readonly", OPTION_HARMLESS},
    {"request_readonly_hardline", OPTION_HARMLESS},
    {"request_remote_entities_disabled", OPTION_NO_REMOTE},
    {"request_sandboxed_execution_disabled", OPTION_HARMLESS},
    {"request_user", OPTION_HARMLESS},
    {"results_error_reporting_placement", OPTION_HARMLESS},
    {"results_progressive_enabled", OPTION_HARMLESS},
    {"results_v2_fragment_primary_tables", OPTION_HARMLESS},
    {"results_v2_newlines_between_frames", OPTION_HARMLESS},
    {"servertimeout", OPTION_HARMLESS},
    {"truncation_max_records", OPTION_ROWS_MAX},
    {"truncation_max_size", OPTION_BYTES_MAX},
    {"truncationmaxrecords", OPTION_ROWS_MAX},
    {"truncationmaxsize", OPTION_BYTES_MAX},
    {"validate_permissions", OPTION_REFUSED},
    {"validatepermissions", OPTION_REFUSED},
};

/* --- values ----------------------------------------------------------------------------------- */

static enum err bad_value(struct binder *b, const struct ast *n, const char *wanted)
{
    return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0100", "the option '%s' wants %s",
                    n->name, wanted);
}

static enum err value_of(struct binder *b, const struct ast *n, struct expr **out)
{
    struct scope s = {.b = b, .where = "set"};
    *out = NULL;
    if (n->left == NULL) return OK;
    if (n->left->kind == AST_NAME) return expr_string(b, n->left->name, out); /* = all */
    return bind_const(&s, n->left, out);
}

/* Without a value it is on; 0 and 1 are what clients write for a flag. */
static enum err read_flag(struct binder *b, const struct ast *n, bool *out)
{
    struct expr *e;
    TRY(value_of(b, n, &e));
    if (e == NULL) {
        *out = true;
    } else if (e->type == T_BOOL) {
        *out = e->value.b && !e->value.is_null;
    } else if (e->type == T_LONG) {
        *out = e->value.i != 0;
    } else {
        return bad_value(b, n, "true or false");
    }
    return OK;
}

static enum err read_count(struct binder *b, const struct ast *n, uint64_t *out)
{
    struct expr *e;
    TRY(value_of(b, n, &e));
    bool whole = e != NULL && (TM(e->type) & TM_INTS) != 0 && !e->value.is_null && e->value.i > 0;
    if (!whole) return bad_value(b, n, "a positive whole number");
    *out = (uint64_t)e->value.i;
    return OK;
}

static enum err read_time(struct binder *b, const struct ast *n, int64_t *out)
{
    struct expr *e;
    struct scope s = {.b = b, .where = "set"};
    TRY(value_of(b, n, &e));
    if (e != NULL && e->type == T_STRING) TRY(expr_cast(&s, n->pos, e, T_DATETIME, true, &e));
    bool is_time = e != NULL && e->kind == EXPR_CONST && e->type == T_DATETIME && !e->value.is_null;
    if (!is_time) return bad_value(b, n, "a datetime");
    *out = e->value.i;
    return OK;
}

static enum err read_text(struct binder *b, const struct ast *n, const char **out)
{
    struct expr *e;
    TRY(value_of(b, n, &e));
    if (e == NULL || e->type != T_STRING) return bad_value(b, n, "a string");
    *out = arena_str(b->a, e->value.s);
    return *out != NULL ? OK : bind_full(b);
}

/* Another word means another query. */
static enum err read_word(struct binder *b, const struct ast *n, const char *const *words,
                          const char *wanted)
{
    const char *text;
    TRY(read_text(b, n, &text));
    for (; *words != NULL; words++) {
        if (strcmp(*words, text) == 0) return OK;
    }
    return FAIL(diag_at(b->d, n->pos), ERR_UNSUPPORTED, "the option '%s' can be %s only", n->name,
                wanted);
}

/* --- options ---------------------------------------------------------------------------------- */

static enum err set_literal(struct binder *b, const struct ast *n, const struct ast **out)
{
    if (n->left == NULL) return bad_value(b, n, "a literal");
    *out = n->left;
    return OK;
}

static enum err apply(struct binder *b, const struct ast *n, enum option what)
{
    static const char *const languages[] = {"csl", "kql", NULL};
    static const char *const datascopes[] = {"default", "all", NULL}; /* nothing is cold here */
    struct plan_limits *limits = &b->plan->limits;
    switch (what) {
    case OPTION_HARMLESS: return OK;
    case OPTION_ROWS_MAX: return read_count(b, n, &limits->rows_max);
    case OPTION_BYTES_MAX: return read_count(b, n, &limits->bytes_max);
    case OPTION_NO_TRUNCATION: return read_flag(b, n, &limits->none);
    case OPTION_TAKE_MAX: return read_count(b, n, &b->take_max);
    case OPTION_COLUMNS_MAX: return read_count(b, n, &b->columns_max);
    case OPTION_NOW: return read_time(b, n, &b->now_ticks);
    case OPTION_SCOPE_COLUMN: return read_text(b, n, &b->time.column);
    case OPTION_SCOPE_FROM: return read_time(b, n, &b->time.from);
    case OPTION_SCOPE_TO: return read_time(b, n, &b->time.to);
    case OPTION_BIN_SIZE: return set_literal(b, n, &b->bin_auto_size);
    case OPTION_BIN_AT: return set_literal(b, n, &b->bin_auto_at);
    case OPTION_BEST_EFFORT: return read_flag(b, n, &b->best_effort);
    case OPTION_LANGUAGE: return read_word(b, n, languages, "'csl' or 'kql'");
    case OPTION_DATASCOPE: return read_word(b, n, datascopes, "'default' or 'all'");
    case OPTION_NO_EXTERNAL: return read_flag(b, n, &b->no_external);
    case OPTION_NO_REMOTE: return read_flag(b, n, &b->no_remote);
    case OPTION_SCHEMAS: return read_flag(b, n, &b->only_schemas);
    case OPTION_REFUSED: break;
    }
    return FAIL(diag_at(b->d, n->pos), ERR_UNSUPPORTED, "the option '%s' is not supported",
                n->name);
}

enum err bind_set(struct binder *b, const struct ast *n)
{
    struct nearest best = nearest_to(n->name);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(n->name, options[i].name) == 0) return apply(b, n, options[i].what);
        nearest_try(&best, options[i].name);
    }
    return FAIL(diag_at(b->d, n->pos), ERR_UNSUPPORTED, "there is no option '%s'" NEAREST_FMT,
                n->name, NEAREST_ARGS(best.name));
}

bool kql_has_option(const char *name)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(name, options[i].name) == 0) return true;
    }
    return false;
}

/* A request property is a statement before the query's own. */
enum err bind_request_options(struct binder *b)
{
    for (uint32_t i = 0; i < b->opt->n_options; i++) {
        const struct kql_parameter *o = &b->opt->options[i];
        struct diag why = DIAG_INIT;
        struct ast *value = NULL;
        if (!kql_has_option(o->name)) continue; /* as the original: clients send their own */
        if (kql_parse_literal(b->a, bytes_str(o->text), &value, &why) != OK) {
            value = arena_new(b->a, struct ast);
            if (value == NULL) return bind_full(b);
            *value = (struct ast){.kind = AST_CONST,
                                  .value = {.type = T_STRING, .s = bytes_str(o->text)}};
        }
        const struct ast set = {.kind = AST_OPERATOR, .name = o->name, .left = value};
        TRY(bind_set(b, &set));
    }
    return OK;
}
