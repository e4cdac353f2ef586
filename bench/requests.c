/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/requests.c - many requests of one kind at one server: how many a second, and how long the
 * slowest take
 *
 *      bench_requests CA TOKEN-FILE METHOD URL BODY THREADS COUNT
 *
 * %d in the URL is the number of the request. Prints one line of JSON.
 */
#include "base/err.h"
#include "base/os.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "net/http_client.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct run {
    struct http_client *http;
    const char *method, *url, *token;
    struct bytes body;
    uint32_t count;
    _Atomic uint32_t next, failed;
    uint32_t *took_us;
};

static void one(struct run *r, uint32_t i)
{
    char url[1024];
    const char *place = strstr(r->url, "%d");
    if (place != NULL) {
        snprintf(url, sizeof url, "%.*s%u%s", (int)(place - r->url), r->url, i, place + 2);
    } else {
        snprintf(url, sizeof url, "%s", r->url);
    }
    const struct http_call call = {
        .method = r->method, .url = url, .bearer = r->token, .body = r->body};
    CLEANUP_ANSWER struct http_answer answer = {0};
    struct diag d = DIAG_INIT;
    int64_t from = time_mono_us();
    if (http_do(r->http, &call, &answer, &d) != OK || answer.status >= 300) {
        atomic_fetch_add(&r->failed, 1);
    }
    r->took_us[i] = (uint32_t)(time_mono_us() - from);
}

static void *work(void *arg)
{
    struct run *r = arg;
    for (;;) {
        uint32_t i = atomic_fetch_add(&r->next, 1);
        if (i >= r->count) return NULL;
        one(r, i);
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static enum err measure(struct run *r, unsigned n_threads, struct diag *d)
{
    pthread_t threads[64];
    int64_t from = time_mono_us();
    for (unsigned i = 0; i < n_threads; i++)
        TRY(thread_start(&threads[i], work, r, d));
    for (unsigned i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    double seconds = (double)(time_mono_us() - from) / 1e6;
    qsort(r->took_us, r->count, sizeof *r->took_us, by_value);
    printf(
        "{\"requests\": %u, \"failed\": %u, \"perSecond\": %.0f, \"p50us\": %u, \"p99us\": %u}\n",
        r->count, r->failed, r->count / seconds, r->took_us[r->count / 2],
        r->took_us[(size_t)r->count * 99 / 100]);
    return OK;
}

static enum err run(char **argv, struct diag *d)
{
    CLEANUP(http_client_free) struct http_client *http = NULL;
    CLEANUP_BUF struct buf token = {0};
    TRY(http_client_new(&http, argv[1], d));
    TRY(os_read_file(argv[2], 1 << 16, &token, d));
    buf_u8(&token, 0);
    unsigned n_threads = (unsigned)atoi(argv[6]);
    struct run r = {.http = http,
                    .method = argv[3],
                    .url = argv[4],
                    .token = (const char *)token.p,
                    .body = bytes_str(argv[5]),
                    .count = (uint32_t)atoi(argv[7])};
    if (n_threads < 1 || n_threads > 64 || r.count == 0) {
        return FAIL(d, ERR_INVALID, "1 to 64 threads, at least one request");
    }
    r.took_us = calloc(r.count, sizeof *r.took_us);
    if (r.took_us == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    enum err e = measure(&r, n_threads, d);
    free(r.took_us);
    return e;
}

int main(int argc, char **argv)
{
    struct diag d = DIAG_INIT;
    if (argc != 8) {
        fprintf(stderr, "usage: bench_requests CA TOKEN-FILE METHOD URL BODY THREADS COUNT\n");
        return 2;
    }
    if (run(argv, &d) == OK) return 0;
    fprintf(stderr, "%s\n", d.text);
    return 1;
}
