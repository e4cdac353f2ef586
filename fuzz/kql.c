/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/kql.c - any text compiles or is refused with a sentence and a position inside it */
#include "kql/kql.h"

#include <assert.h>
#include <string.h>

static const struct column columns[] = {
    {"TimeGenerated", T_DATETIME}, {"Level", T_STRING}, {"Status", T_LONG},
    {"Duration", T_REAL},          {"Ok", T_BOOL},      {"Data", T_DYNAMIC}};
static const struct schema schema = {sizeof columns / sizeof columns[0], columns};

static enum err table(void *ctx, const char *name, const struct schema **out, void **t,
                      struct diag *d)
{
    (void)ctx;
    if (strcmp(name, "T") != 0) return FAIL(d, ERR_NOT_FOUND, "no table %.40s", name);
    *out = &schema;
    *t = NULL;
    return OK;
}

static const char *table_name(void *ctx, uint32_t i)
{
    (void)ctx;
    return i == 0 ? "T" : NULL;
}

static enum err function(void *ctx, const char *name, struct kql_function *out, struct diag *d)
{
    (void)ctx;
    if (strcmp(name, "F") != 0) return FAIL(d, ERR_NOT_FOUND, "no function %.40s", name);
    *out = (struct kql_function){"n:long = 1",
                                 "T | where Status > n | extend whose = current_database()"};
    return OK;
}

/* Any name is a place; what begins with x is none, with y not for the caller. */
static enum err place(void *ctx, const char *kind, const char *name, const struct kql_catalog **out,
                      struct diag *d);
static const struct kql_catalog places[] = {
    {.name = "own",
     .label = "workspace('own')",
     .table = table,
     .table_name = table_name,
     .function = function,
     .place = place},
    {.name = "other",
     .label = "workspace('other')",
     .table = table,
     .table_name = table_name,
     .place = place},
};

static enum err place(void *ctx, const char *kind, const char *name, const struct kql_catalog **out,
                      struct diag *d)
{
    (void)ctx;
    if (name[0] == 'x') return FAIL(d, ERR_NOT_FOUND, "no %.40s %.40s", kind, name);
    if (name[0] == 'y') return FAIL(d, ERR_DENIED, "%.40s is closed", name);
    *out = &places[name[0] == 'o' ? 0 : 1];
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct kql_options options = {.now_ticks = TICKS_UNIX};
    struct diag d = DIAG_INIT;
    struct plan plan;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)16 << 20);
    enum err e = kql_compile(&a, bytes_of(data, size), &places[0], &options, &plan, &d);
    assert(e == OK || (d.text[0] != 0 && d.pos <= (int32_t)size));
    assert(e != OK || plan.root != NULL);
    return 0;
}
