/* SPDX-License-Identifier: Apache-2.0 */
/* api/query_hold.h - one running query, as query_run.c and the list know it: in the api's list until
 * its last row is sent */
#pragma once

#include "api/answer.h"
#include "api/query.h"

struct query_run {
    struct http_recall recall;
    struct api *api;
    struct query_run *next, *previous;
    _Atomic bool cancel;
    struct spill_file *rows; /* those that do not fit into memory; NULL: they must */
    struct answer answer;
    size_t n_workspaces;               /* under the api's lock, as what follows */
    char (*workspaces)[GUID_TEXT_MAX]; /* customer ids, lower case */
};

void query_run_end(struct query_run *r);
