/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/vaultbody.c - bodies of every route of the data plane and of vaults: an answer is whole and
 * never our own fault, and a key that was not named stays as it is
 *
 * First byte: the route; the rest is the body.
 */
#include "vault_fuzz.h"

static const struct {
    const char *method, *path;
} routes[] = {
    {"POST", "/keys/k/create"},
    {"PUT", "/keys/i"},
    {"PATCH", "/keys/k"},
    {"POST", "/keys/restore"},
    {"POST", "/keys/k/rotate"},
    {"PUT", "/keys/k/rotationpolicy"},
    {"POST", "/keys/k/wrapkey"},
    {"POST", "/keys/k/decrypt"},
    {"POST", "/keys/kept/unwrapkey"},
    {"POST", "/keys/k/encrypt"},
    {"POST", "/keys/k/sign"},
    {"POST", "/keys/k/verify"},
    {"POST", "/keys/k/release"},
    {"POST", "/rng"},
    {"PUT", VAULT "2"},
    {"PATCH", VAULT},
    {"PUT", VAULT "/accessPolicies/add"},
    {"PUT", VAULT "2/accessPolicies/replace"},
};

static void look(struct keyvault *kv, struct buf *out)
{
    int status = fuzz_handle(kv, OWNER, "GET", HOST, "/keys/kept", "7.4", (struct bytes){0}, out);
    if (status != 200) abort();
}

static void restore_policy(struct keyvault *kv)
{
    static const char tags[] =
        "{\"properties\":{\"networkAcls\":{\"defaultAction\":\"Allow\"},"
        "\"publicNetworkAccess\":\"Enabled\",\"enableRbacAuthorization\":"
        "false,\"accessPolicies\":[{\"tenantId\":\"" TENANT "\",\"objectId\":\"" OWNER
        "\",\"permissions\":{\"keys\":[\"all\"]}}]}}";
    if (fuzz_handle(kv, OWNER, "PATCH", "localhost", VAULT, "2022-07-01", bytes_str(tags), NULL) !=
        200)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct keyvault *kv = fuzz_vault();
    if (size < 1) return 0;
    size_t r = data[0] % (sizeof routes / sizeof routes[0]);
    bool arm = routes[r].path[1] == 's';
    CLEANUP_BUF struct buf before = {0}, after = {0}, answer = {0};
    look(kv, &before);
    int status = fuzz_handle(kv, OWNER, routes[r].method, arm ? "localhost" : HOST, routes[r].path,
                             arm ? "2022-07-01" : "7.4", bytes_of(data + 1, size - 1), &answer);
    assert(status >= 200 && status < 600 && status != 500 && status != 503);
    CLEANUP_JSON json_t *j = NULL;
    if (answer.len != 0) assert(json_read(buf_view(&answer), &j, NULL) == OK && json_is_object(j));
    if (status >= 400) {
        const json_t *e = json_get(j, "error");
        assert(json_get_str(e, "code") != NULL && json_get_str(e, "message") != NULL);
    }
    if (arm && status < 300) restore_policy(kv);
    look(kv, &after);
    assert(after.len == before.len && memcmp(after.p, before.p, after.len) == 0);
    return 0;
}
