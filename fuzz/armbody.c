/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/armbody.c - bodies of PUT and PATCH of a cluster: what is taken is within every rule
 *
 * First byte: which api-version, and whether the cluster is there already; the rest is the body.
 */
#include "resource/cluster.h"

#include <assert.h>
#include <stdlib.h>

static const char *const versions[] = {"2019-08-01-preview", "2020-03-01-preview", "2020-10-01",
                                       "2021-06-01",         "2022-10-01",         "2025-02-01",
                                       "2025-07-01",         "2031-01-01"};

static json_t *old_cluster(void)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:{s:s, s:s, s:s, s:i}}", "id", "/c",
                     "name", "c1", "location", "westeurope", "capacity", 1000, "billing", "Cluster",
                     "identity", "SystemAssigned", "state", "Succeeded", "key", "uri",
                     "https://kv1.vault.localhost", "name", "k1", "version", "", "rsa", 0);
}

static void check(const struct cluster_wish *w, const json_t *old)
{
    assert(w->capacity >= 0 && (old != NULL || w->capacity > 0));
    assert(w->billing == NULL || str_eq(w->billing, "Cluster") || str_eq(w->billing, "Workspaces"));
    assert(w->location != NULL && w->location[0] != '\0');
    if (w->key == KEY_SET) {
        const struct cluster_key *k = &w->key_to_set;
        assert(str_starts(k->uri, "https://") && strchr(k->uri + 8, '/') == NULL);
        assert(strchr(k->uri, '@') == NULL && strstr(k->uri, "vault.localhost") != NULL);
        assert(k->name[0] != '\0');
    }
    assert(w->key != KEY_REMOVE || old != NULL);
    assert(w->tags == NULL || json_is_object(w->tags));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const hosts[] = {"vault.localhost", NULL};
    if (size < 1) return 0;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)16 << 20);
    CLEANUP_JSON json_t *body = NULL;
    CLEANUP_JSON json_t *old = (data[0] & 8) != 0 ? old_cluster() : NULL;
    struct diag d = DIAG_INIT;
    if (json_read(bytes_of(data + 1, size - 1), &body, &d) != OK) return 0;
    struct arm arm = {.c = {.vault_hosts = hosts}};
    struct http_request req = {.a = &a, .method = "PUT", .path = "", .target = ""};
    struct http_response res = {.a = &a};
    struct arm_id id;
    if (arm_id_parse(&a, "/subscriptions/s/resourceGroups/g/providers/m/clusters/c1", &id, &d) !=
        OK)
        return 0;
    struct arm_call c = {.arm = &arm,
                         .a = &a,
                         .req = &req,
                         .res = &res,
                         .id = &id,
                         .version_text = versions[data[0] & 7],
                         .body = body};
    assert(api_version_parse(c.version_text, &c.version));
    __attribute__((cleanup(cluster_wish_release))) struct cluster_wish w = {0};
    enum err e = cluster_read(&c, old, (data[0] & 16) != 0, &w, &d);
    if (e == OK) {
        check(&w, old);
    } else {
        assert(res.status >= 400 && res.status < 500 && d.text[0] != '\0' && d.tag[0] != '\0');
    }
    buf_release(&res.body);
    return 0;
}
