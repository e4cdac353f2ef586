/* SPDX-License-Identifier: Apache-2.0 */
/* api/health.c - /healthz, /readyz, /metrics: without a token */
#include "api/front.h"

#include "net/tls.h"

#include <inttypes.h>
#include <stdlib.h>

void health_live(struct front_call *c)
{
    CLEANUP_JSON json_t *j = json_pack("{s:s}", "status", "ok");
    front_json(c->res, 200, j);
}

/* One customer's revocation must not take a node out of service: it is listed, and the status stays
 * 200. */
void health_ready(struct front_call *c)
{
    bool ready = atomic_load(&c->api->store) != NULL && !atomic_load(&c->api->stopping);
    CLEANUP_JSON json_t *j =
        json_pack("{s:s, s:o}", "status", ready ? "ready" : "starting", "sealed",
                  ready ? arm_sealed_clusters(c->api->arm) : json_array());
    front_json(c->res, ready ? 200 : 503, j);
    if (!ready) http_set(c->res, "Retry-After", "1");
}

/* --- metrics: Prometheus text, version 0.0.4 -------------------------------------------------- */

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_fmt(out, "# HELP keystead_%s %s\n# TYPE keystead_%s %s\n", name, help, name, type);
}

static void one(struct buf *out, const char *name, const char *type, const char *help, uint64_t v)
{
    head(out, name, type, help);
    buf_fmt(out, "keystead_%s %" PRIu64 "\n", name, v);
}

static void requests(struct buf *out, const struct metrics *m)
{
    head(out, "requests_total", "counter", "HTTP requests answered, by class of status.");
    for (unsigned i = 1; i < 6; i++) {
        buf_fmt(out, "keystead_requests_total{class=\"%uxx\"} %" PRIu64 "\n", i,
                atomic_load(&m->requests[i]));
    }
}

static void accounts(struct buf *out, struct api *a)
{
    uint64_t n[KEY_STATES] = {0};
    CLEANUP_JSON json_t *all = docs_list(arm_docs(a->arm), DOC_ACCOUNT, NULL, NULL);
    size_t i;
    json_t *doc;
    json_array_foreach (all, i, doc) {
        uint8_t id[16];
        const char *hex = json_get_str(doc, "id");
        if (hex == NULL || hex_decode(bytes_str(hex), id, sizeof id, NULL) != OK) continue;
        n[custody_account_state(a->c.custody, id)]++;
    }
    head(out, "accounts", "gauge", "Storage accounts, by the state of their key.");
    for (int s = 0; s < KEY_STATES; s++) {
        buf_fmt(out, "keystead_accounts{state=\"%s\"} %" PRIu64 "\n",
                key_state_name((enum key_state)s), n[s]);
    }
}

/* Of scopes - the platform and each cluster - whose vault does not behave. Without names: this page
 * needs no token. */
static void vaults(struct buf *out, struct api *a)
{
    CLEANUP_JSON json_t *status = NULL;
    struct diag d = DIAG_INIT;
    if (custody_status(a->c.custody, &status, &d) != OK) return;
    uint64_t alarms = 0, overdue = 0, silent = 0, unenforced = 0, longest_s = 0;
    size_t i;
    json_t *s;
    json_array_foreach (json_get(status, "scopes"), i, s) {
        alarms += json_is_object(json_get(s, "alarm"));
        overdue += json_is_string(json_get(s, "rotationOverdue"));
        unenforced += json_is_string(json_get(s, "notEnforced"));
        if (!str_eq(json_get_str(s, "state"), "STALE")) continue;
        silent++;
        int64_t last;
        const char *text = json_get_str(s, "lastUnwrap");
        if (text == NULL || !time_parse_iso(text, &last) || last > time_now_us()) continue;
        uint64_t s_ago = (uint64_t)((time_now_us() - last) / US_PER_S);
        if (s_ago > longest_s) longest_s = s_ago;
    }
    one(out, "vaults_silent", "gauge", "Scopes whose vault does not answer; their keys serve.",
        silent);
    one(out, "vaults_silent_seconds", "gauge",
        "Longest time since a silent vault's last good unwrap.", longest_s);
    one(out, "revocation_not_enforced", "gauge",
        "Scopes whose revocation would not be enforced now: the vault is silent, retain has no "
        "end.",
        unenforced);
    one(out, "key_alarms", "gauge",
        "Scopes with an alarm: firewall, refused token, wrong key, vault gone.", alarms);
    one(out, "rotations_overdue", "gauge", "Scopes whose key still unwraps and does not wrap.",
        overdue);
}

/* Durable counters of the catalogue, over all accounts of a table. By the table's id: its name is
 * its owner's, and this page asks nobody for a token. */
static void dropped(struct buf *out, struct api *a)
{
    head(out, "rows_dropped_total", "counter",
         "Rows acknowledged and dropped, by table and reason.");
    CLEANUP_JSON json_t *list = dropped_all(a->dropped);
    CLEANUP_JSON json_t *sums = json_object();
    size_t i;
    json_t *j;
    json_array_foreach (list, i, j) {
        CLEANUP_FREE char *key = str_fmt("table=\"%s\",reason=\"%s\"", json_get_str(j, "table"),
                                         json_get_str(j, "reason"));
        if (key == NULL) continue;
        json_int_t sum =
            json_integer_value(json_object_get(sums, key)) + json_get_int(j, "rows", 0);
        json_object_set_new(sums, key, json_integer(sum));
    }
    const char *labels;
    json_object_foreach (sums, labels, j) {
        buf_fmt(out, "keystead_rows_dropped_total{%s} %lld\n", labels,
                (long long)json_integer_value(j));
    }
}

static void store(struct buf *out, struct store *s)
{
    struct store_stats st = {0};
    store_stats(s, &st);
    one(out, "rows", "gauge", "Rows that are readable or sealed.", st.rows);
    one(out, "memtable_rows", "gauge", "Rows that are not in a segment yet.", st.memtable_rows);
    one(out, "segments", "gauge", "Segments.", st.segments);
    one(out, "segment_bytes", "gauge", "Bytes of all segments.", st.segment_bytes);
    one(out, "wal_bytes", "gauge", "Bytes of all write-ahead logs.", st.wal_bytes);
}

/* A name within a label: quotes and backslashes escaped. */
static void label(struct buf *out, const char *s)
{
    for (; s != NULL && *s != 0; s++) {
        if (*s == '"' || *s == '\\') buf_u8(out, '\\');
        buf_u8(out, (uint8_t)*s);
    }
}

/* Negative when it has ended. */
static void credentials(struct buf *out, struct api *a)
{
    CLEANUP_JSON json_t *list = NULL;
    size_t i;
    json_t *one;
    if (identity_ending(a->c.identity, &list, NULL) != OK) return;
    head(out, "credential_expiry_seconds", "gauge",
         "Seconds until a secret or certificate ends: those of the next 30 days.");
    json_array_foreach (list, i, one) {
        buf_str(out, "keystead_credential_expiry_seconds{identity=\"");
        label(out, json_get_str(one, "name"));
        buf_fmt(out, "\",kind=\"%s\",id=\"%s\"} %lld\n", json_get_str(one, "kind"),
                json_get_str(one, "id"),
                (long long)((json_get_int(one, "expiresUs", 0) - time_now_us()) / US_PER_S));
    }
}

static void certificate(struct buf *out, struct api *a)
{
    int64_t end_us = 0;
    if (tls_certificate_end(a->c.cert_file, &end_us, NULL) != OK) return;
    head(out, "certificate_expiry_seconds", "gauge",
         "Seconds until the server's certificate ends.");
    buf_fmt(out, "keystead_certificate_expiry_seconds %lld\n",
            (long long)((end_us - time_kernel_us()) / US_PER_S));
}

void health_metrics(struct front_call *c)
{
    struct api *a = c->api;
    struct buf *out = &c->res->body;
    const struct metrics *m = &a->metrics;
    requests(out, m);
    one(out, "ingested_rows_total", "counter", "Rows acknowledged and kept.",
        atomic_load(&m->rows_ingested));
    one(out, "ingested_bytes_total", "counter", "Bytes of request bodies with rows, unpacked.",
        atomic_load(&m->bytes_ingested));
    dropped(out, a);
    one(out, "spooled_rows_total", "counter", "Rows acknowledged while their key was suspended.",
        atomic_load(&m->rows_spooled));
    one(out, "refused_rows_total", "counter", "Rows answered with 503: the sender tries again.",
        atomic_load(&m->rows_refused));
    one(out, "queries_running", "gauge", "Queries that run now.", atomic_load(&m->queries_running));
    one(out, "queries_total", "counter", "Queries run.", atomic_load(&m->queries));
    one(out, "queries_failed_total", "counter", "Queries that failed.",
        atomic_load(&m->queries_failed));
    one(out, "query_microseconds_total", "counter", "Time spent in queries.",
        atomic_load(&m->query_us));
    one(out, "query_rows_scanned_total", "counter", "Rows that queries read.",
        atomic_load(&m->rows_scanned));
    accounts(out, a);
    credentials(out, a);
    certificate(out, a);
    vaults(out, a);
    if (atomic_load(&a->store) != NULL) store(out, atomic_load(&a->store));
    c->res->status = 200;
    http_set(c->res, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
}
