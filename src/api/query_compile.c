/* SPDX-License-Identifier: Apache-2.0 */
/* api/query_compile.c - a query that is only compiled: of an alert rule, when it is written */
#include "api/query_tables.h"

enum err query_compiles(void *ctx, const struct http_request *req, const struct caller *caller,
                        const struct workspace *w, const char *text, struct arena *a,
                        struct schema *result, struct diag *d)
{
    struct api *api = ctx;
    struct front_call front = {.api = api, .req = req, .caller = *caller};
    struct query_door who = {.front = &front};
    const struct source_door door = {.ctx = &who,
                                     .find = query_find_place,
                                     .list = query_list_places,
                                     .admit = query_admit_reader};
    struct source_tables tables = query_source(api, w, a);
    tables.door = &door;
    if (tables.store == NULL) return FAIL(d, ERR_UNAVAILABLE, "the server is stopping");
    const struct kql_options opt = {.now_ticks = time_now_us() * 10 + TICKS_UNIX};
    struct plan plan = {0};
    TRY(kql_compile(a, bytes_str(text), source_catalog(&tables), &opt, &plan, d));
    *result = plan.root->schema;
    return OK;
}
