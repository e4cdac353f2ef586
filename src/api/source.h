/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/source.h - the tables of a workspace, as the binder names them and exec reads them
 */
#pragma once

#include "exec/source.h"
#include "kql/kql.h"
#include "storage/store.h"

struct source_tables { /* one query's */
    struct store *store;
    struct guid workspace;
    const char *names[3]; /* by which workspace() may call it: name, customer id, ARM id; NULL */
    bool by_database;     /* database() may call it so, too */
    bool sees_activity;   /* the activity log has a name here too */
    struct arena *a;
    uint32_t n_touched;      /* tables that the query has named */
    struct store_gone *gone; /* whose rows are left out */
    uint32_t n_gone;
};

struct kql_catalog source_catalog(struct source_tables *t); /* borrows t */
extern const struct source_ops source_ops_store;
