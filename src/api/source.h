/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/source.h - the tables of workspaces, as the binder names them and exec reads them
 *
 * A query has one place of its own and, where it names them, others: each is a struct source_tables
 * with a catalogue of its own. Another place is made when it is first named, after its door has said
 * that the caller may read it; the binder sees no table of it before.
 */
#pragma once

#include "exec/source.h"
#include "kql/kql.h"
#include "resource/arm.h"
#include "storage/store.h"

#define SOURCE_TABLES_MAX 16
#define SOURCE_PLACES_MAX 100 /* workspaces of one query, its own with them: as the original */
#define PLAN_TAG          "E_TABLE_PLAN" /* a failure's, where a table's plan forbids the query */

struct source_tables;

/* Which workspaces there are beside the query's own. */
struct source_door {
    void *ctx;
    /* What workspace("name") means, or app, resource, database, cluster. For the cluster that answers it is OK,
     * and *out is left as it is. ERR_NOT_FOUND, ERR_UNSUPPORTED. */
    enum err (*find)(void *ctx, const char *function, const char *name, struct workspace *out,
                     struct diag *d);
    /* Names of all that the caller may query, in the arena: for database("*"). */
    enum err (*list)(void *ctx, struct arena *a, const char *const **names, uint32_t *n,
                     struct diag *d);
    /* May the caller read it, and is its key there? Asked once of each; fills what only it knows: gone,
     * activity. ERR_DENIED,
     * ERR_KEY_LOCKED, ERR_UNAVAILABLE. */
    enum err (*admit)(void *ctx, const struct workspace *w, struct source_tables *place,
                      struct diag *d);
};

struct source_tables { /* one query's, of one workspace */
    struct store *store;
    struct guid workspace;
    const char *names[3]; /* by which workspace() may call it: name, customer id, ARM id; NULL */
    bool by_database;     /* places are databases: functions of others can be called */
    bool sees_activity;   /* the activity log has a name here too: ... */
    struct guid activity; /* ... and lies there */
    struct arena *a;
    struct arm *arm;                   /* knows the plans of tables; NULL: they are not asked for */
    bool has_functions;                /* they were asked for; */
    struct stored_function *functions; /* the workspace's saved searches that have an alias */
    uint32_t n_functions;
    struct store_gone *gone; /* whose rows are left out */
    uint32_t n_gone;
    uint32_t n_touched;         /* tables that the query has named */
    struct kql_catalog catalog; /* source_catalog()'s */

    /* the query's: of its own place, which all others point to */
    struct source_tables *own, *next; /* next: another place */
    const struct source_door *door;   /* NULL: there are no others */
    uint32_t n_others;
    struct source_name *known; /* what names have meant */
    const char *const *listed; /* of the door, when they were asked for */
    uint32_t n_listed;
    struct kql_catalog cluster;      /* of the cluster that answers: it has databases */
    const struct kql_catalog **also; /* of source_add() */
    bool
        takes_plans; /* the call is /search: a table of another plan than Analytics is its to read */
    const char *cheap, *plan;      /* the first such table, and its plan; NULL */
    uint32_t n_cheap, n_analytics; /* different tables, of the first SOURCE_TABLES_MAX */
    const struct table *seen[SOURCE_TABLES_MAX];
};

/* May the query be run on the tables that it named while it was compiled? ERR_UNSUPPORTED with
 * PLAN_TAG names what a table's plan forbids. */
enum err source_check_plans(const struct source_tables *t, const char *text, struct diag *d);

/* Of the query's own place; lives in t. */
const struct kql_catalog *source_catalog(struct source_tables *t);
/* Names that are not qualified stand for that workspace's tables, too. After source_catalog(). */
enum err source_add(struct source_tables *t, const char *name, struct diag *d);
extern const struct source_ops source_ops_store;

/* source_place.c: kql_catalog.place, over t->own's door. */
const char *source_place_name(void *ctx, uint32_t i);
enum err source_place(void *ctx, const char *function, const char *name,
                      const struct kql_catalog **out, struct diag *d);
void source_fill_catalog(struct source_tables *t); /* source.c */
