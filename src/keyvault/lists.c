/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/lists.c - lists of keys and versions, page by page */
#include "keyvault/service.h"

#include "base/str.h"

#include <ctype.h>
#include <stdio.h>

#define PAGE_MAX 25

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadParameter", __VA_ARGS__)

/*
 * A page goes on behind the name that the $skiptoken carries (base64url), so that neither a key
 * that was made nor one that was deleted between two pages hides another.
 */
struct page {
    struct call *c;
    const struct key_ref *r;
    bool deleted;
    size_t max;
    char after[KEY_NAME_MAX]; /* "" = from the start */
    char last[KEY_NAME_MAX];  /* the last one that is on this page */
    bool more;
    json_t *items;
};

bool kv_skip_read(const struct http_request *req, char *out, size_t size)
{
    const char *skip = http_query(req, "$skiptoken");
    CLEANUP_BUF struct buf name = {0};
    out[0] = 0;
    if (skip == NULL) return true;
    if (base64_decode(&name, bytes_str(skip), NULL) != OK || name.bad || name.len == 0 ||
        name.len >= size) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (!isalnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '.') return false;
    }
    snprintf(out, size, "%s", buf_cstr(&name));
    return true;
}

static void page_release(struct page *g)
{
    json_decref(g->items);
}
#define CLEANUP_PAGE __attribute__((cleanup(page_release)))

static enum err page_start(struct page *g, struct diag *d)
{
    const char *max = http_query(g->c->req, "maxresults");
    uint64_t n = PAGE_MAX;
    if (max != NULL && (str_u64(max, PAGE_MAX, &n, NULL) != OK || n == 0)) {
        return BAD(d, "Invalid value for maxresults: 1 to %d are allowed", PAGE_MAX);
    }
    if (!kv_skip_read(g->c->req, g->after, sizeof g->after)) return BAD(d, "Invalid $skiptoken");
    g->max = (size_t)n;
    g->items = json_array();
    return g->items != NULL ? OK : kv_out_of_memory(d);
}

/* False: the page is full. */
static bool page_takes(struct page *g, const char *name)
{
    if (json_array_size(g->items) == g->max) {
        g->more = true;
        return false;
    }
    snprintf(g->last, sizeof g->last, "%s", name);
    return true;
}

static void page_reply(struct page *g)
{
    json_t *next = json_null();
    if (g->more) {
        const struct http_request *req = g->c->req;
        CLEANUP_BUF struct buf token = {0};
        base64url_encode(&token, bytes_str(g->last));
        CLEANUP_FREE char *url =
            str_fmt("https://%s%s?api-version=%s&$skiptoken=%s&maxresults=%zu", req->authority,
                    req->path, http_query(req, "api-version"), buf_cstr(&token), g->max);
        if (url != NULL) next = json_string(url);
    }
    CLEANUP_JSON json_t *j = json_pack("{s:O, s:o}", "value", g->items, "nextLink", next);
    kv_reply_json(g->c->res, 200, j);
}

/* ERR_CANCELLED: the page is full; not a failure. */
static enum err list_one(void *ctx, const char *place, json_t *key, struct diag *d)
{
    struct page *g = ctx;
    const char *name = json_get_str(key, "name");
    if (name == NULL) return FAIL(d, ERR_CORRUPT, "the key at %s has no name", place);
    if (kv_is_due(key) || (json_get(key, "deleted") != NULL) != g->deleted) return OK;
    if (!page_takes(g, strchr(place, '/') + 1)) return ERR_CANCELLED;
    struct key_ref r = {
        .vault = g->r->vault, .vault_name = g->r->vault_name, .name = name, .version = ""};
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(g->deleted ? kv_key_find_deleted(g->c->kv, &r, &v, d) : kv_key_find(g->c->kv, &r, &v, d));
    json_array_append_new(g->items, kv_show_item(g->c, g->r, &v, ""));
    return OK;
}

enum err kv_list_keys(struct call *c, const struct key_ref *r, bool deleted, struct diag *d)
{
    CLEANUP_PAGE struct page g = {.c = c, .r = r, .deleted = deleted};
    TRY(page_start(&g, d));
    CLEANUP_FREE char *prefix = str_fmt("%s/", r->vault_name);
    CLEANUP_FREE char *after = str_fmt("%s/%s", r->vault_name, g.after);
    if (prefix == NULL || after == NULL) return kv_out_of_memory(d);
    enum err e = kv_doc_each_after(c->kv, "key", prefix, after, list_one, &g, d);
    if (e != OK && e != ERR_CANCELLED) return e;
    page_reply(&g);
    return OK;
}

/* Versions only grow at the end: behind the token's one is behind it in the list. */
static size_t first_version(const json_t *versions, const char *after)
{
    size_t i;
    json_t *version;
    json_array_foreach ((json_t *)versions, i, version) {
        if (str_eq(json_string_value(version), after)) return i + 1;
    }
    return 0;
}

enum err kv_list_versions(struct call *c, const struct key_ref *r, struct diag *d)
{
    CLEANUP_PAGE struct page g = {.c = c, .r = r};
    CLEANUP_KEY_VERSION struct key_version any = {0};
    TRY(kv_key_find(c->kv, r, &any, d));
    TRY(page_start(&g, d));
    const json_t *versions = json_get(any.key, "versions");
    size_t i = first_version(versions, g.after);
    if (g.after[0] != 0 && i == 0) return BAD(d, "Invalid $skiptoken");
    for (; i < json_array_size(versions); i++) {
        struct key_ref one = *r;
        one.version = json_string_value(json_array_get(versions, i));
        if (!page_takes(&g, one.version)) break;
        CLEANUP_KEY_VERSION struct key_version v = {0};
        TRY(kv_key_find(c->kv, &one, &v, d));
        json_array_append_new(g.items, kv_show_item(c, r, &v, v.version));
    }
    page_reply(&g);
    return OK;
}
