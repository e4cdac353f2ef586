/* SPDX-License-Identifier: Apache-2.0 */
/* cli/gen.c - the generator, and keystead gen */
#include "cli/gen.h"

#include "base/opt.h"
#include "base/time.h"
#include "cli/cli.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))
#define SESSIONS   40 /* traces that go on at the same time */
#define NEEDLE_ROW 49999

static const char *const services[] = {
    "checkout", "cart",     "catalog", "login", "payment", "stock", "search", "mailer",
    "billing",  "shipping", "profile", "edge",  "images",  "fraud", "ledger", "tax"};
static const char *const regions[] = {"westeurope", "northeurope", "eastus", "westus2",
                                      "southeastasia"};
static const char *const methods[] = {"GET", "GET",  "GET",  "GET", "GET",
                                      "GET", "POST", "POST", "PUT", "DELETE"};
static const uint16_t statuses[] = {200, 200, 200, 200, 200, 200, 200, 200, 200,
                                    201, 204, 204, 301, 304, 304, 400, 401, 403,
                                    404, 404, 409, 422, 429, 500, 502, 503};
static const char *const paths[] = {"/api/orders/%u",
                                    "/api/orders/%u/items",
                                    "/api/users/%u",
                                    "/api/cart",
                                    "/products/%u",
                                    "/search",
                                    "/static/app.%u.js",
                                    "/healthz",
                                    "/login",
                                    "/api/payments/%u/capture",
                                    "/img/%u.webp"};
static const char *const agents[] = {
    "Mozilla/5.0 (X11; Linux x86_64; rv:%u.0) Gecko/20100101 Firefox/%u.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/%u.0.0.0", "okhttp/4.%u.0",
    "python-requests/2.%u.0", "curl/8.%u.1"};
static const char *const words[] = {"request",  "cache",      "order",    "session", "token",
                                    "database", "connection", "retry",    "queue",   "worker",
                                    "upstream", "replica",    "leader",   "batch",   "pool",
                                    "payload",  "processed",  "rejected", "expired", "refreshed",
                                    "delayed",  "partition"};

struct session_of { /* one user's trace */
    uint64_t trace[2];
    uint32_t user, ip, agent, agent_version, region;
};

struct gen {
    uint64_t state;
    struct session_of open[SESSIONS];
};

/* SplitMix64: a stream that is the same everywhere; randomness for keys comes from base/rand.h. */
static uint64_t next(struct gen *g)
{
    uint64_t z = (g->state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}
static uint32_t below(struct gen *g, uint32_t n)
{
    return (uint32_t)((next(g) >> 32) * n >> 32);
}
static double unit(struct gen *g)
{
    return (double)(next(g) >> 11) * 0x1p-53;
}

static void session_begin(struct gen *g, struct session_of *s)
{
    double u = unit(g);
    *s = (struct session_of){.trace = {next(g), next(g)},
                             .user = (uint32_t)(250000 * u * u * u) +
                                     1, /* few users, most of the traffic */
                             .ip = (uint32_t)next(g),
                             .agent = below(g, COUNT(agents)),
                             .agent_version = 90 + below(g, 40),
                             .region = below(g, COUNT(regions))};
}

static void put_message(struct gen *g, struct buf *out, unsigned status, double ms,
                        const struct session_of *s, const char *method, const char *path)
{
    uint32_t kind = below(g, 100);
    if (status >= 500 && kind < 60) {
        buf_fmt(out, "upstream call to %s timed out after %u ms (attempt %u of 3) on shard-%u",
                services[below(g, COUNT(services))], 300 + below(g, 4000), 1 + below(g, 3),
                below(g, 64));
    } else if (kind < 40) {
        buf_fmt(out, "%s %s completed with status %u in %.3f ms", method, path, status, ms);
    } else if (kind < 55) {
        buf_fmt(out, "cache %s for key user:%u ttl=%us", kind < 50 ? "hit" : "miss", s->user,
                below(g, 3600));
    } else if (kind < 70) {
        buf_fmt(out, "user %u authenticated, session %016" PRIx64 " expires in %u minutes", s->user,
                next(g), 15 * (1 + below(g, 16)));
    } else if (kind < 80) {
        buf_fmt(out, "order %u for customer %u total=%.2f EUR", 10000000 + below(g, 90000000),
                s->user, unit(g) * 400);
    } else {
        for (uint32_t n = 5 + below(g, 12); n > 0; n--) {
            buf_fmt(out, "%s%s", words[below(g, COUNT(words))], n > 1 ? " " : "");
        }
    }
}

static void put_row(struct gen *g, uint64_t i, int64_t us, struct buf *out)
{
    struct session_of *s = &g->open[below(g, SESSIONS)];
    if (s->user == 0 || below(g, 100) < 28) session_begin(g, s);
    uint32_t service = below(g, COUNT(services)), host = below(g, 8);
    unsigned status = statuses[below(g, COUNT(statuses))];
    const char *method = methods[below(g, COUNT(methods))];
    double ms = 2.0 - 18.0 * log(1.0 - unit(g));
    if (below(g, 100) < 3) ms *= 10 + 40 * unit(g);
    if (status >= 500) ms *= 6;
    const char *level = status >= 500        ? "ERROR"
                        : status >= 400      ? "WARN"
                        : below(g, 100) < 18 ? "DEBUG"
                                             : "INFO";
    char path[80], agent[120], when[TIME_TEXT_MAX];
    snprintf(path, sizeof path, paths[below(g, COUNT(paths))], below(g, 400000));
    snprintf(agent, sizeof agent, agents[s->agent], s->agent_version, s->agent_version);
    time_format_iso(us, when);

    buf_fmt(
        out,
        "{\"TimeGenerated\":\"%s\",\"Level\":\"%s\",\"Service\":\"%s\",\"Host\":\"ip-10-0-%u-%u\",",
        when, level, services[service], service, host);
    buf_fmt(out,
            "\"Pod\":\"%s-%05x\",\"Region\":\"%s\",\"TraceId\":\"%016" PRIx64 "%016" PRIx64 "\",",
            services[service], service * 4096 + host, regions[s->region], s->trace[0], s->trace[1]);
    buf_fmt(out, "\"SpanId\":\"%016" PRIx64 "\",\"UserId\":\"u%u\",\"ClientIp\":\"%u.%u.%u.%u\",",
            next(g), s->user, 20 + (s->ip >> 24) % 180, s->ip >> 16 & 255, s->ip >> 8 & 255,
            1 + (s->ip & 255) % 254);
    buf_fmt(out,
            "\"Method\":\"%s\",\"Path\":\"%s\",\"Status\":%u,\"DurationMs\":%.3f,\"Bytes\":%u,",
            method, path, status, ms, (unsigned)exp(5 + 4.4 * unit(g)));
    buf_fmt(out, "\"UserAgent\":\"%s\",\"Message\":\"", agent);
    put_message(g, out, status, ms, s, method, path);
    if (i % (NEEDLE_ROW + 1) == NEEDLE_ROW) buf_str(out, " shard=" GEN_NEEDLE);
    buf_str(out, "\"}\n");
}

void gen_rows(const struct gen_options *o, struct buf *out)
{
    struct gen g = {.state = o->seed};
    for (uint64_t i = 0; i < o->rows; i++) {
        put_row(&g, i, o->start_us + (int64_t)((double)o->span_us * (double)i / (double)o->rows),
                out);
    }
}

#define CHUNK_ROWS 10000

int cli_gen(int argc, char **argv, struct diag *d)
{
    uint64_t rows = 200000, seed = 42;
    const struct opt opts[] = {
        {.name = "rows",
         .value = "N",
         .help = "how many (200000)",
         .number = &rows,
         .max = 1000000000},
        {.name = "seed",
         .value = "N",
         .help = "the same seed gives the same rows (42)",
         .number = &seed,
         .max = UINT64_MAX},
    };
    const struct opt_command c = {
        .usage = "keystead gen [--rows N] [--seed N]",
        .about = "Writes generated web logs of 2026-03-01 as NDJSON to standard output.",
        .opts = opts,
        .n_opts = 2};
    uint32_t n;
    bool helped;
    if (opt_parse(&c, argc, argv, &n, &helped, d) != OK) return EXIT_USAGE;
    if (helped) return EXIT_OK;
    const int64_t day_us = 86400 * US_PER_S, start_us = 1772323200 * US_PER_S;
    for (uint64_t done = 0; done < rows; done += CHUNK_ROWS) {
        uint64_t k = rows - done < CHUNK_ROWS ? rows - done : CHUNK_ROWS;
        CLEANUP_BUF struct buf text = {0};
        const struct gen_options o = {
            .rows = k,
            .seed = seed + done,
            .start_us = start_us + (int64_t)((double)day_us * (double)done / (double)rows),
            .span_us = (int64_t)((double)day_us * (double)k / (double)rows)};
        gen_rows(&o, &text);
        if (buf_check(&text, d) != OK || fwrite(text.p, 1, text.len, stdout) != text.len)
            return EXIT_FAILED;
    }
    return EXIT_OK;
}
