/* SPDX-License-Identifier: Apache-2.0 */
#include "resource/cluster.h"

#include "test.h"

static const char *const hosts[] = {"vault.localhost:8444", "vault.azure.net", NULL};

/* A call as the plane makes it, without a server around it. */
struct fixture {
    struct arm arm;
    struct arena a;
    struct http_request req;
    struct http_response res;
    struct arm_id id;
    struct arm_call call;
    json_t *body, *old;
};

static void setup(struct fixture *f, const char *version, const char *body)
{
    struct diag d = DIAG_INIT;
    *f = (struct fixture){0};
    arena_init(&f->a, 0);
    f->arm.c.vault_hosts = hosts;
    f->res.a = &f->a;
    REQUIRE_OK(arm_id_parse(
        &f->a,
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.OperationalInsights/clusters/c1",
        &f->id, &d));
    f->call = (struct arm_call){.arm = &f->arm,
                                .a = &f->a,
                                .req = &f->req,
                                .res = &f->res,
                                .id = &f->id,
                                .version_text = version};
    REQUIRE(api_version_parse(version, &f->call.version));
    REQUIRE_OK(json_read(bytes_str(body), &f->body, &d));
    f->call.body = f->body;
}

static void teardown(struct fixture *f)
{
    json_decref(f->body);
    json_decref(f->old);
    buf_release(&f->res.body);
    arena_release(&f->a);
}

static json_t *document(bool with_key)
{
    json_t *doc = json_pack(
        "{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I}", "id",
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.OperationalInsights/clusters/c1",
        "name", "c1", "location", "southcentralus", "capacity", (json_int_t)1100, "billing",
        "Cluster", "type", "LogAnalytics", "identity", "SystemAssigned", "principal", "p", "tenant",
        "t", "clusterId", "g", "state", "Succeeded", "double", 0, "created",
        (json_int_t)1746689780173706, "modified", (json_int_t)1746691286000000, "sized",
        (json_int_t)1746689780173706);
    if (with_key) {
        struct cluster_key k = {
            .uri = "https://kv1.vault.azure.net", .name = "k1", .version = "v1"};
        json_object_set_new(doc, "key", cluster_key_json(&k));
        json_object_set_new(doc, "keyed", json_true());
    }
    return doc;
}

static const char *property(const json_t *j, const char *name)
{
    return json_string_value(json_at(j, "properties", name, NULL));
}

static json_t *shown(const char *version, bool with_key)
{
    struct api_version v;
    REQUIRE(api_version_parse(version, &v));
    json_t *doc = document(with_key);
    json_t *j = cluster_json(doc, cluster_dialect(v), NULL);
    json_decref(doc);
    return j;
}

/* --- writing ---------------------------------------------------------------------------------- */

TEST(cluster, each_dialect_has_its_own_casing_dates_and_members)
{
    json_t *j = shown("2020-03-01-preview", true);
    EXPECT_STR(json_string_value(json_at(j, "sku", "name", NULL)), "capacityreservation");
    EXPECT_STR(json_get_str(json_get(j, "sku"), "lastSkuUpdate"), "Thu, 08 May 2025 07:36:20 GMT");
    EXPECT_STR(property(j, "billingType"), "cluster");
    EXPECT_STR(property(j, "clusterType"), "LogAnalytics");
    EXPECT_STR(json_get_str(j, "location"), "South Central US");
    EXPECT_STR(
        json_string_value(json_at(j, "properties", "keyVaultProperties", "keyVaultUri", NULL)),
        "https://kv1.vault.azure.net:443");
    REQUIRE(json_at(j, "properties", "createdDate", NULL) == NULL);
    json_decref(j);

    j = shown("2025-02-01", true);
    EXPECT_STR(json_string_value(json_at(j, "sku", "name", NULL)), "CapacityReservation");
    EXPECT_STR(property(j, "createdDate"), "Thu, 08 May 2025 07:36:20 GMT");
    EXPECT_STR(property(j, "billingType"), "Cluster");
    EXPECT_STR(json_get_str(j, "location"), "southcentralus");
    EXPECT_STR(
        json_string_value(json_at(j, "properties", "keyVaultProperties", "keyVaultUri", NULL)),
        "https://kv1.vault.azure.net");
    EXPECT_STR(json_string_value(json_at(j, "properties", "capacityReservationProperties",
                                         "revertPeriodEndTime", NULL)),
               "2025-05-08T13:36:20.1737060Z");
    REQUIRE(json_at(j, "properties", "clusterType", NULL) == NULL);
    json_decref(j);

    j = shown("2025-07-01", false);
    EXPECT_STR(property(j, "createdDate"), "2025-05-08T07:36:20.1737060Z");
    REQUIRE(json_at(j, "properties", "keyVaultProperties", NULL) == NULL);
    json_decref(j);

    j = shown("2019-08-01-preview", false);
    REQUIRE(json_at(j, "properties", "billingType", NULL) == NULL);
    json_decref(j);
}

TEST(cluster, a_port_that_is_there_is_not_doubled)
{
    json_t *doc = document(false);
    struct cluster_key k = {.uri = "https://kv1.vault.localhost:8444", .name = "k1"};
    struct api_version v;
    REQUIRE(api_version_parse("2020-03-01-preview", &v));
    json_object_set_new(doc, "key", cluster_key_json(&k));
    json_t *j = cluster_json(doc, cluster_dialect(v), NULL);
    EXPECT_STR(
        json_string_value(json_at(j, "properties", "keyVaultProperties", "keyVaultUri", NULL)),
        "https://kv1.vault.localhost:8444");
    json_decref(j);
    json_decref(doc);
}

/* --- the key's address ------------------------------------------------------------------------ */

TEST(cluster, a_key_uri_names_a_host_on_the_list_and_nothing_else)
{
    char out[256];
    REQUIRE(cluster_key_uri("https://KV1.vault.azure.net:443/", hosts, out, sizeof out));
    EXPECT_STR(out, "https://kv1.vault.azure.net");
    REQUIRE(cluster_key_uri("https://kv1.vault.localhost:8444", hosts, out, sizeof out));
    EXPECT_STR(out, "https://kv1.vault.localhost:8444");
    static const char *const bad[] = {
        "",
        "https://",
        "http://kv1.vault.azure.net",
        "https://vault.azure.net",
        "https://.vault.azure.net",
        "https://evilvault.azure.net",
        "https://kv1.vault.azure.net.evil.example",
        "https://kv1.vault.azure.net@evil.example",
        "https://user@kv1.vault.azure.net",
        "https://evil.example/kv1.vault.azure.net",
        "https://evil.example?kv1.vault.azure.net",
        "https://evil.example#.vault.azure.net",
        "https://kv1.vault.azure.net:8443",
        "https://kv1.vault.azure.net/keys",
        "https://127.0.0.1:8444",
        "https://kv1.vault.localhost",
        "https://kv1.vault.localhost:84440",
        "//kv1.vault.azure.net",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (cluster_key_uri(bad[i], hosts, out, sizeof out)) fail_msg("accepted: %s", bad[i]);
    }
    REQUIRE(!cluster_key_uri("https://kv1.vault.azure.net", hosts, out, 12));
    REQUIRE(!cluster_key_uri("https://kv1.vault.azure.net", NULL, out, sizeof out));
}

/* --- reading ---------------------------------------------------------------------------------- */

#define BODY(properties)                                                 \
    "{\"location\":\"South Central "                                     \
    "US\",\"identity\":{\"type\":\"systemAssigned\"},\"sku\":{\"Name\":" \
    "\"capacityReservation\",\"Capacity\":1100},\"properties\":{" properties "}}"
#define KEY(uri, name, version)                                               \
    "\"KeyVaultProperties\":{\"KeyVaultUri\":\"" uri "\",\"KeyName\":\"" name \
    "\",\"KeyVersion\":\"" version "\"}"

static enum err read_cluster(const char *version, const char *body, bool is_put, bool has_old,
                             bool old_has_key, struct cluster_wish *out, char code[64], int *status)
{
    struct fixture f;
    setup(&f, version, body);
    if (has_old) f.old = document(old_has_key);
    struct diag d = DIAG_INIT;
    enum err e = cluster_read(&f.call, f.old, is_put, out, &d);
    snprintf(code, 64, "%s", d.tag);
    *status = f.res.status;
    teardown(&f);
    return e;
}

TEST(cluster, names_of_members_are_read_without_case)
{
    struct cluster_wish w = {0};
    char code[64];
    int status;
    EXPECT_EQ(read_cluster("2020-03-01-preview", BODY("\"billingType\":\"workspaces\""), true,
                           false, false, &w, code, &status),
              OK);
    EXPECT_EQ(w.capacity, 1100);
    EXPECT_STR(w.billing, "Workspaces");
    EXPECT_STR(w.identity, "SystemAssigned");
    cluster_wish_release(&w);
}

/* Decision 5, row by row. */
TEST(cluster, what_an_omitted_an_empty_and_a_half_key_mean_depends_on_the_version)
{
    static const struct {
        const char *version, *body;
        bool is_put, old_has_key;
        int key; /* -1: refused */
    } cases[] = {
        {"2019-08-01-preview", BODY(""), true, true, KEY_REMOVE},
        {"2019-08-01-preview", BODY(""), false, true, KEY_KEEP},
        {"2020-03-01-preview", BODY(""), true, true, KEY_KEEP},
        {"2020-03-01-preview", BODY("\"keyVaultProperties\":null"), true, true, KEY_KEEP},
        {"2020-03-01-preview", BODY("\"keyVaultProperties\":{}"), true, true, KEY_KEEP},
        {"2020-03-01-preview", BODY(KEY("", "", "")), true, true, KEY_REMOVE},
        {"2020-03-01-preview", BODY(KEY("", "", "")), true, false, KEY_KEEP},
        {"2020-03-01-preview", BODY(KEY("https://kv1.vault.azure.net", "", "")), true, true, -1},
        {"2020-03-01-preview", BODY(KEY("", "k1", "v1")), true, true, -1},
        {"2020-03-01-preview", BODY("\"keyVaultProperties\":{\"keyName\":\"k1\"}"), false, true,
         -1},
        {"2020-03-01-preview", BODY("\"keyVaultProperties\":5"), false, true, -1},
        {"2020-03-01-preview", BODY(KEY("https://kv1.vault.azure.net:443/", "k1", "v1")), false,
         true, KEY_KEEP},
        {"2020-03-01-preview", BODY(KEY("https://kv1.vault.azure.net", "k1", "v2")), false, true,
         KEY_SET},
        {"2020-03-01-preview", BODY(KEY("https://kv1.vault.azure.net", "k1", "")), false, true,
         KEY_SET},
        {"2020-03-01-preview", BODY(KEY("https://evil.example", "k1", "v2")), false, true, -1},
        {"2020-03-01-preview", BODY(KEY("https://kv1.vault.azure.net", "k/1", "v2")), false, true,
         -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cluster_wish w = {0};
        char code[64];
        int status;
        enum err e = read_cluster(cases[i].version, cases[i].body, cases[i].is_put, true,
                                  cases[i].old_has_key, &w, code, &status);
        if (cases[i].key < 0) {
            EXPECT_EQ(e, ERR_INVALID);
            EXPECT_EQ(status, 400);
            EXPECT_STR(code, "InvalidParameter");
        } else {
            EXPECT_EQ(e, OK);
            if ((int)w.key != cases[i].key) fail_msg("case %zu: %d", i, (int)w.key);
        }
        cluster_wish_release(&w);
    }
}

TEST(cluster, identity_and_key_do_not_change_together)
{
    struct cluster_wish w = {0};
    char code[64];
    int status;
    const char *none = "{\"identity\":{\"type\":\"None\"},\"properties\":{" KEY(
        "https://kv1.vault.azure.net", "k", "v") "}}";
    EXPECT_EQ(read_cluster("2021-06-01", none, false, true, false, &w, code, &status), ERR_INVALID);
    const char *both = "{\"identity\":{\"type\":\"SystemAssigned,UserAssigned\"}}";
    EXPECT_EQ(read_cluster("2022-10-01", both, false, true, false, &w, code, &status), ERR_INVALID);
}

static bool default_of(const char *version)
{
    struct fixture f;
    struct cluster_wish w = {0};
    struct diag d = DIAG_INIT;
    setup(&f, version,
          "{\"location\":\"westeurope\",\"identity\":{\"type\":\"SystemAssigned\"},\"sku\":{"
          "\"name\":\"CapacityReservation\",\"capacity\":1000}}");
    REQUIRE_OK(cluster_read(&f.call, NULL, true, &w, &d));
    teardown(&f);
    cluster_wish_release(&w);
    return w.is_double;
}

TEST(cluster, double_encryption_is_the_default_of_the_versions_that_know_it)
{
    EXPECT_EQ(default_of("2020-10-01"), true);
    EXPECT_EQ(default_of("2022-10-01"), true);
    EXPECT_EQ(default_of("2020-03-01-preview"), false);
}
