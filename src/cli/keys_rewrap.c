/* SPDX-License-Identifier: Apache-2.0 */
/* cli/keys_rewrap.c - keystead keys rewrap and rotate-aek: orders to a running server, and how far
 * it is */
#include "cli/keys.h"

#include "base/time.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define BAR_WIDTH 30
#define POLL_US   (500 * 1000)

static const json_t *job_of(const json_t *answer, const char *cluster)
{
    size_t i;
    json_t *job;
    json_array_foreach (json_get(answer, "rewraps"), i, job) {
        if (str_eq_nocase(json_get_str(job, "cluster"), cluster)) return job;
    }
    return NULL;
}

static void draw(const json_t *job)
{
    if (!isatty(STDERR_FILENO)) return;
    int64_t moved = json_get_int(job, "bytesMoved", 0), left = json_get_int(job, "bytesLeft", 0);
    int full = moved + left > 0 ? (int)(moved * BAR_WIDTH / (moved + left)) : BAR_WIDTH;
    char bar[BAR_WIDTH + 1];
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < full ? '=' : ' ';
    bar[BAR_WIDTH] = 0;
    const char *waits = json_get_str(job, "waits");
    fprintf(stderr, "\r\033[Krewrap [%s] %" PRId64 "/%" PRId64 " bytes%s%.100s", bar, moved,
            moved + left, waits != NULL ? ", waits: " : "", waits != NULL ? waits : "");
}

static void print_end(const json_t *job)
{
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    printf("%" PRId64 " segments, %" PRId64 " bytes re-encrypted; %" PRId64 " old keys dropped\n",
           (int64_t)json_get_int(job, "segmentsMoved", 0),
           (int64_t)json_get_int(job, "bytesMoved", 0),
           (int64_t)json_get_int(job, "keysDropped", 0));
    if (!str_eq(json_get_str(job, "state"), "Succeeded"))
        printf("the server goes on by itself: %s\n", json_get_str(job, "waits"));
}

/* Until all segments are moved; logs under old keys go minutes later, by themselves. */
static bool is_over(const json_t *job)
{
    if (job == NULL || str_eq(json_get_str(job, "state"), "Succeeded")) return true;
    return json_get(job, "segmentsLeft") != NULL && json_get_int(job, "segmentsLeft", 1) == 0 &&
           json_get_int(job, "logsLeft", 0) != 0 && json_get_str(job, "waits") != NULL;
}

static enum err follow(struct session *s, const char *cluster, struct diag *d)
{
    for (;;) {
        CLEANUP_JSON json_t *answer = NULL;
        const struct session_call call = {
            .method = "GET", .resource = RESOURCE_ARM, .url = "/admin/keys/rewrap"};
        TRY(session_json(s, &call, NULL, &answer, d));
        const json_t *job = job_of(answer, cluster);
        if (is_over(job)) {
            if (job != NULL) print_end(job);
            return OK;
        }
        draw(job);
        time_sleep_us(POLL_US);
    }
}

enum err keys_rewrap(const char *data, const char *cluster, bool data_too, bool wait,
                     struct diag *d)
{
    CLEANUP(session_close) struct session *s = NULL;
    TRY(session_open(&s, data, d));
    CLEANUP_JSON json_t *body =
        json_pack("{s:s, s:b}", "cluster", cluster, "dataToo", (int)data_too);
    CLEANUP_JSON json_t *answer = NULL;
    const struct session_call call = {
        .method = "POST", .resource = RESOURCE_ARM, .url = "/admin/keys/rewrap", .json = body};
    TRY(session_json(s, &call, NULL, &answer, d));
    printf("%" PRId64 " account keys wrapped under the present version of the key\n",
           (int64_t)json_get_int(answer, "wraps", 0));
    fflush(stdout);
    if (!data_too || !wait) return OK;
    const char *id = json_get_str(answer, "cluster");
    return follow(s, id != NULL ? id : cluster, d);
}

enum err keys_rotate(const char *data, const char *cluster, const char *workspace, struct diag *d)
{
    CLEANUP(session_close) struct session *s = NULL;
    TRY(session_open(&s, data, d));
    CLEANUP_JSON json_t *body = json_object(), *answer = NULL;
    if (cluster != NULL) TRY(json_put(body, "cluster", json_string(cluster), d));
    if (workspace != NULL) TRY(json_put(body, "workspace", json_string(workspace), d));
    const struct session_call call = {
        .method = "POST", .resource = RESOURCE_ARM, .url = "/admin/keys/rotate-aek", .json = body};
    TRY(session_json(s, &call, NULL, &answer, d));
    size_t i;
    json_t *a;
    json_array_foreach (json_get(answer, "accounts"), i, a) {
        printf("account %.8s: generation %" PRId64 " seals new files\n", json_get_str(a, "account"),
               (int64_t)json_get_int(a, "generation", 0));
    }
    if (json_array_size(json_get(answer, "accounts")) == 0) puts("no account has a key yet");
    return OK;
}
