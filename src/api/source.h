/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/source.h - the tables of a workspace, as the binder names them and exec reads them
 */
#pragma once

#include "exec/source.h"
#include "kql/kql.h"
#include "resource/arm.h"
#include "storage/store.h"

#define SOURCE_TABLES_MAX 16
#define PLAN_TAG          "E_TABLE_PLAN" /* a failure's, where a table's plan forbids the query */

struct source_tables { /* one query's */
    struct store *store;
    struct guid workspace;
    const char *names[3]; /* by which workspace() may call it: name, customer id, ARM id; NULL */
    bool by_database;     /* database() may call it so, too */
    bool sees_activity;   /* the activity log has a name here too: ... */
    struct guid activity; /* ... and lies there */
    struct arena *a;
    struct arm *arm; /* knows the plans of tables; NULL: they are not asked for */
    bool
        takes_plans; /* the call is /search: a table of another plan than Analytics is its to read */
    const char *cheap, *plan;      /* the first such table, and its plan; NULL */
    uint32_t n_cheap, n_analytics; /* different tables, of the first SOURCE_TABLES_MAX */
    const struct table *seen[SOURCE_TABLES_MAX];
    uint32_t n_touched;                /* tables that the query has named */
    bool has_functions;                /* they were asked for; */
    struct stored_function *functions; /* the workspace's saved searches that have an alias */
    uint32_t n_functions;
    struct store_gone *gone; /* whose rows are left out */
    uint32_t n_gone;
};

/* May the query be run on the tables that it named while it was compiled? ERR_UNSUPPORTED with
 * PLAN_TAG names what a table's plan forbids. */
enum err source_check_plans(const struct source_tables *t, const char *text, struct diag *d);

struct kql_catalog source_catalog(struct source_tables *t); /* borrows t */
extern const struct source_ops source_ops_store;
