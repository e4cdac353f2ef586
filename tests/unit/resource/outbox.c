/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is changed and what is told of it: the activity log is played here and dies, forgets or is
 * slow where a crash would make it so.
 */
#include "resource/plane.h"

#include "played.h"
#include "test.h"

#define SUB      "11111111-1111-1111-1111-111111111111"
#define ROWS_MAX 64

static struct catalog *catalog;
static struct arm *arm;
static const struct caller caller = {.object_id = "me", .app_id = "app"};

static struct {
    bool is_dead; /* nothing is written any more, as after a crash */
    uint32_t n, n_again;
    struct {
        char id[GUID_TEXT_MAX], action[128], resource[256], status[16];
    } rows[ROWS_MAX];
} activity_log;

static bool is_there(const char *id)
{
    for (uint32_t i = 0; i < activity_log.n; i++) {
        if (str_eq(activity_log.rows[i].id, id)) return true;
    }
    return false;
}

static bool record(void *ctx, const struct arm_event *e)
{
    (void)ctx;
    if (activity_log.is_dead) return false;
    activity_log.n_again += e->again;
    if (e->again && is_there(e->id)) return true;
    REQUIRE(activity_log.n < ROWS_MAX);
    REQUIRE(!is_there(e->id));
    uint32_t i = activity_log.n++;
    snprintf(activity_log.rows[i].id, sizeof activity_log.rows[i].id, "%s", e->id);
    snprintf(activity_log.rows[i].action, sizeof activity_log.rows[i].action, "%s", e->action);
    snprintf(activity_log.rows[i].resource, sizeof activity_log.rows[i].resource, "%s",
             e->resource);
    snprintf(activity_log.rows[i].status, sizeof activity_log.rows[i].status, "%s", e->status);
    return true;
}

static void open_plane(const char *name)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *path = os_path(test_dir(), name);
    REQUIRE_OK(catalog_open_sqlite(&catalog, path, &d));
    const struct arm_config config = {.event = record,
                                      .catalog = catalog,
                                      .endpoint = "https://localhost",
                                      .vault_suffix = "vault.localhost",
                                      .tenant_id = "tenant",
                                      .subscription_id = SUB,
                                      .owner_object_id = "me"};
    REQUIRE_OK(arm_open(&arm, &config, &d));
    outbox_replay(arm);
}

static void close_plane(void)
{
    arm_close(arm);
    catalog->ops->close(catalog);
}

static void begin(const char *name)
{
    memset(&activity_log, 0, sizeof activity_log);
    open_plane(name);
}

static void start_again(const char *name)
{
    close_plane();
    activity_log.is_dead = false;
    open_plane(name);
}

static int call(const char *method, const char *path, const char *body)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    const struct http_field query[] = {{"api-version", "2022-10-01"}};
    const struct http_request req = {.a = &a,
                                     .method = method,
                                     .path = path,
                                     .target = path,
                                     .peer = "127.0.0.1",
                                     .body = bytes_str(body),
                                     .n_query = 1,
                                     .query = query};
    struct http_response res = {.a = &a};
    arm_handle(arm, &req, &caller, &res);
    buf_release(&res.body);
    return res.status;
}

static uint32_t rows_of(const char *tail, const char *status)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < activity_log.n; i++) {
        n += str_ends_nocase(activity_log.rows[i].resource, tail) &&
             str_eq(activity_log.rows[i].status, status);
    }
    return n;
}

#define GROUP   "/subscriptions/" SUB "/resourceGroups/rg"
#define STORAGE GROUP "/providers/Microsoft.Storage/storageAccounts/"
#define CLUSTER GROUP "/providers/Microsoft.OperationalInsights/clusters/cluster1"
#define HERE    "{\"location\": \"westeurope\"}"

TEST(outbox, a_row_that_a_crash_kept_back_is_told_at_the_next_start)
{
    begin("late.db");
    EXPECT_EQ(call("PUT", GROUP, HERE), 201);
    EXPECT_EQ(call("PUT", STORAGE "told", HERE), 200);
    activity_log.is_dead = true; /* between the change and its row */
    EXPECT_EQ(call("PUT", STORAGE "late", HERE), 200);
    EXPECT_EQ(call("DELETE", STORAGE "told", ""), 200);
    start_again("late.db");
    EXPECT_EQ(rows_of("/late", "Succeeded"), 1);
    EXPECT_EQ(rows_of("/told", "Succeeded"), 2);
    start_again("late.db");
    start_again("late.db");
    EXPECT_EQ(activity_log.n, 4);
    close_plane();
}

TEST(outbox, a_row_that_was_told_before_the_crash_is_not_told_again)
{
    begin("once.db");
    EXPECT_EQ(call("PUT", GROUP, HERE), 201);
    EXPECT_EQ(call("PUT", STORAGE "one", HERE), 200);
    start_again("once.db"); /* the outbox still has them: nothing was changed since */
    EXPECT_EQ(activity_log.n, 2);
    EXPECT_EQ(activity_log.n_again, 1); /* asked for, and found */
    close_plane();
}

TEST(outbox, what_was_told_leaves_with_the_next_change)
{
    begin("leaves.db");
    EXPECT_EQ(call("PUT", GROUP, HERE), 201);
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(call("PUT", STORAGE "same", HERE), 200);
    CLEANUP_JSON json_t *left = docs_ids(arm->docs, DOC_OUTBOX);
    EXPECT_EQ(json_array_size(left), 1);
    close_plane();
}

TEST(outbox, an_operation_tells_of_its_beginning_and_of_its_end_once_each)
{
    begin("operation.db");
    EXPECT_EQ(call("PUT", GROUP, HERE), 201);
    activity_log.is_dead = true;
    EXPECT_EQ(call("PUT", CLUSTER,
                   "{\"location\": \"westeurope\", \"sku\": {\"name\": \"CapacityReservation\", "
                   "\"capacity\": 500}}"),
              202);
    CLEANUP_JSON json_t *op = docs_ids(arm->docs, DOC_OPERATION);
    REQUIRE(operations_wait(arm->operations, json_string_value(json_array_get(op, 0)), 60000));
    start_again("operation.db");
    EXPECT_EQ(rows_of("/cluster1", "Accepted"), 1);
    EXPECT_EQ(rows_of("/cluster1", "Succeeded"), 1);
    close_plane();
}

TEST(outbox, a_refusal_is_told_and_waits_for_nobody)
{
    begin("refusal.db");
    EXPECT_EQ(call("PUT", STORAGE "nowhere", HERE), 404);
    EXPECT_EQ(rows_of("/nowhere", "Failed"), 1);
    activity_log.is_dead = true;
    EXPECT_EQ(call("PUT", STORAGE "nowhere", HERE), 404);
    CLEANUP_JSON json_t *left = docs_ids(arm->docs, DOC_OUTBOX);
    EXPECT_EQ(json_array_size(left), 0);
    close_plane();
}

TEST(outbox, what_a_full_disk_kept_back_is_told_with_the_next_housekeeping)
{
    begin("full.db");
    EXPECT_EQ(call("PUT", GROUP, HERE), 201);
    activity_log.is_dead = true;
    EXPECT_EQ(call("PUT", STORAGE "full", HERE), 200);
    outbox_tidy(arm);
    EXPECT_EQ(rows_of("/full", "Succeeded"), 0);
    activity_log.is_dead = false;
    outbox_tidy(arm);
    outbox_tidy(arm);
    EXPECT_EQ(rows_of("/full", "Succeeded"), 1);
    close_plane();
}
