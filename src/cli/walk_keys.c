/* SPDX-License-Identifier: Apache-2.0 */
/* cli/walk_keys.c - steps 5 and 6: the key is taken away and given back; the key is rotated */
#include "cli/walk.h"

#include "base/rand.h"
#include "base/time.h"
#include "cli/files.h"
#include "cli/gen.h"

#include <inttypes.h>
#include <sys/stat.h>

#define PATIENCE_US  (120 * US_PER_S)
#define PAUSE_US     (100 * 1000)
#define REVOKED_CODE "CustomerManagedKeyUnavailable"

static enum err set_enabled(struct walk *w, bool enabled, struct diag *d)
{
    CLEANUP_FREE char *path = str_fmt("/keys/" WALK_KEY "/%s", w->key_version);
    return walk_vault(w, "PATCH", path, json_pack("{s:{s:b}}", "attributes", "enabled", enabled),
                      NULL, d);
}

static enum err count_rows(struct walk *w, int64_t *out, struct diag *d)
{
    CLEANUP_JSON json_t *table = NULL;
    TRY(session_query(w->s, w->workspace.id, WALK_TABLE " | count", &table, NULL, d));
    *out = json_integer_value(json_array_get(json_array_get(json_get(table, "rows"), 0), 0));
    return OK;
}

/* Asks until the answer is the one wanted: refused for the key, or rows. */
static enum err wait_for(struct walk *w, bool refused, int64_t *rows, char *said, size_t said_size,
                         struct diag *d)
{
    int64_t until = time_mono_us() + PATIENCE_US;
    for (;;) {
        struct diag why = DIAG_INIT;
        enum err e = count_rows(w, rows, &why);
        if (refused && e != OK && str_eq(why.tag, REVOKED_CODE)) {
            snprintf(said, said_size, "%s", why.text);
            return OK;
        }
        if (!refused && e == OK) return OK;
        if (time_mono_us() > until) {
            return FAIL(d, ERR_UNAVAILABLE, "nothing changed within %lld s; last: %s",
                        PATIENCE_US / US_PER_S, e != OK ? why.text : "rows");
        }
        time_sleep_us(PAUSE_US);
    }
}

static enum err send_some(struct walk *w, uint64_t n, struct send_result *out, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_LOG_ROWS struct log_rows r = {0};
    const struct gen_options g = {
        .rows = n, .seed = rand_u64(), .start_us = time_now_us(), .span_us = US_PER_S};
    gen_rows(&g, &text);
    TRY(buf_check(&text, d));
    TRY(log_rows_parse(buf_view(&text), "ndjson", &r, d));
    const struct send_options o = {.workspace = &w->workspace, .table = WALK_TABLE};
    return send_rows(w->s, &r, &o, out, d);
}

enum err walk_revocation(struct walk *w, struct diag *d)
{
    int64_t before = 0, after = 0;
    char said[400] = "";
    walk_step(w, "5. You take the key away");
    TRY(count_rows(w, &before, d));
    TRY(set_enabled(w, false, d));
    TRY(wait_for(w, true, &after, said, sizeof said, d));
    walk_done(w, "key disabled in the vault; a query is refused");
    walk_note(w, "the server says: %s", said);
    struct send_result sent = {0};
    TRY(send_some(w, 1000, &sent, d));
    walk_done(w,
              "%" PRIu64 " rows sent meanwhile: %" PRIu64
              " acknowledged as in the original, %" PRIu64 " dropped and counted",
              sent.rows, sent.acknowledged, sent.dropped);
    if (sent.dropped != sent.rows) return FAIL(d, ERR_CORRUPT, "rows were kept without a key");
    w->step_us = time_mono_us();
    TRY(set_enabled(w, true, d));
    TRY(wait_for(w, false, &after, said, sizeof said, d));
    walk_done(w, "key enabled again; everything works by itself");
    walk_note(w, "%" PRId64 " rows before, %" PRId64 " after", before, after);
    return before == after
               ? OK
               : FAIL(d, ERR_CORRUPT, "%" PRId64 " rows before, %" PRId64 " after", before, after);
}

/* Bytes in data files (segments) that existed before and changed. */
struct inventory {
    json_t *seen; /* path -> modification time; NULL while comparing is off */
    bool compare;
    uint64_t changed_bytes, files;
};

static enum err take_stock(void *ctx, const char *path, uint64_t size, struct diag *d)
{
    struct inventory *v = ctx;
    struct stat st;
    if (!str_ends(path, ".seg") || stat(path, &st) != 0) return OK;
    int64_t stamp = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    v->files++;
    if (!v->compare) return json_put(v->seen, path, json_integer(stamp), d);
    json_t *before = json_object_get(v->seen, path);
    if (before != NULL && json_integer_value(before) != stamp) v->changed_bytes += size;
    return OK;
}

/* How many wraps of the workspace's accounts are on this version of the key. */
static enum err wraps_on(struct walk *w, const char *version, int64_t *out, struct diag *d)
{
    const struct session_call call = {
        .method = "GET", .resource = RESOURCE_ARM, .url = "/admin/keys/status"};
    CLEANUP_JSON json_t *status = NULL;
    TRY(session_json(w->s, &call, NULL, &status, d));
    *out = 0;
    size_t i, k;
    json_t *account, *wrap;
    json_array_foreach (json_get(status, "accounts"), i, account) {
        json_array_foreach (json_get(account, "wraps"), k, wrap) {
            if (str_eq(json_get_str(wrap, "version"), version))
                *out += json_get_int(wrap, "count", 0);
        }
    }
    return OK;
}

static enum err rotate(struct walk *w, char new_version[64], struct diag *d)
{
    CLEANUP_JSON json_t *key = NULL;
    TRY(walk_vault(w, "POST", "/keys/" WALK_KEY "/rotate", NULL, &key, d));
    const char *kid = json_string_value(json_at(key, "key", "kid", NULL));
    if (kid == NULL) return FAIL(d, ERR_CORRUPT, "the vault sent a key without an id");
    snprintf(new_version, 64, "%s", strrchr(kid, '/') + 1);
    CLEANUP_FREE char *vault =
        str_fmt("https://" WALK_VAULT ".%s", session_credentials(w->s)->vault_suffix);
    json_t *body = json_pack("{s:{s:{s:s, s:s, s:s}}}", "properties", "keyVaultProperties",
                             "keyVaultUri", vault, "keyName", WALK_KEY, "keyVersion", new_version);
    return walk_arm(w, "PATCH", "/providers/Microsoft.OperationalInsights/clusters/" WALK_CLUSTER,
                    "2023-09-01", body, NULL, d);
}

enum err walk_rotation(struct walk *w, struct diag *d)
{
    walk_step(w, "6. You rotate the key");
    CLEANUP_JSON json_t *seen = json_object();
    struct inventory stock = {.seen = seen};
    int64_t old_wraps = 0, new_wraps = 0, left = 0, before = 0, after = 0;
    char version[64];
    TRY(count_rows(w, &before, d));
    TRY(files_each(w->data, take_stock, &stock, d));
    TRY(wraps_on(w, w->key_version, &old_wraps, d));
    w->step_us = time_mono_us();
    TRY(rotate(w, version, d));
    walk_done(w, "new version %.8s made in the vault and set on the cluster", version);
    TRY(wraps_on(w, version, &new_wraps, d));
    TRY(wraps_on(w, w->key_version, &left, d));
    stock.compare = true;
    TRY(files_each(w->data, take_stock, &stock, d));
    walk_note(w,
              "%" PRId64 " of %" PRId64 " wraps rewritten, %" PRId64
              " left on version %.8s; bytes of data rewritten: %" PRIu64,
              new_wraps, old_wraps, left, w->key_version, stock.changed_bytes);
    snprintf(w->key_version, sizeof w->key_version, "%s", version);
    struct send_result sent = {0};
    TRY(send_some(w, 1000, &sent, d));
    TRY(count_rows(w, &after, d));
    walk_done(w, "one query over old and new rows: %" PRId64 " + %" PRIu64 " = %" PRId64, before,
              sent.acknowledged, after);
    if (after != before + (int64_t)sent.acknowledged || stock.changed_bytes != 0 || left != 0) {
        return FAIL(d, ERR_CORRUPT, "the rotation did not do what it says");
    }
    return OK;
}
