/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/walk.h - the walk: the main job on a running server, by public REST calls only, told in plain
 * words
 *
 * walk.c tells the story; walk_resources.c makes vault, key, cluster, workspace; walk_logs.c sends
 * logs and asks; walk_keys.c revokes, restores, rotates; walk_proof.c looks at the bytes on the
 * disk.
 */
#pragma once

#include "cli/rows.h"
#include "cli/send.h"
#include "cli/session.h"
#include "cli/table.h"

#define WALK_GROUP     "demo"
#define WALK_VAULT     "demo-kv"
#define WALK_KEY       "logs-kek"
#define WALK_CLUSTER   "demo-cluster"
#define WALK_WORKSPACE "demo-logs"
#define WALK_REGION    "westeurope"
#define WALK_TABLE     "WebLogs_CL"
#define WALK_WORDS     8 /* words that are searched for on the disk */

struct walk {
    struct session *s;
    const char *data;
    bool colour;
    int64_t began_us, step_us;
    char principal_id[64]; /* of the cluster's identity */
    char key_version[64];  /* the one in use */
    char kek_uri[300];
    char cluster_id[400];
    struct workspace workspace;
    uint64_t rows_sent;
    const char
        *real_table; /* the table with the most real rows, for a query; NULL = none was found */
    char words[WALK_WORDS][80];
    unsigned n_words;
};

void walk_step(struct walk *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void walk_done(struct walk *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3))); /* with the time taken */
void walk_note(struct walk *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void walk_add_word(struct walk *w, struct bytes word);

/* One ARM call on a resource path under the subscription; follows the operation. body is taken. */
enum err walk_arm(struct walk *w, const char *method, const char *path, const char *api_version,
                  json_t *body, json_t **out, struct diag *d);
enum err walk_vault(struct walk *w, const char *method, const char *path, json_t *body,
                    json_t **out, struct diag *d);

enum err walk_resources(struct walk *w, struct diag *d);  /* step 1 */
enum err walk_logs(struct walk *w, struct diag *d);       /* step 2 */
enum err walk_queries(struct walk *w, struct diag *d);    /* step 3 */
enum err walk_opacity(struct walk *w, struct diag *d);    /* step 4 */
enum err walk_revocation(struct walk *w, struct diag *d); /* step 5 */
enum err walk_rotation(struct walk *w, struct diag *d);   /* step 6 */
enum err walk_verify(struct walk *w, struct diag *d);     /* step 7 */
