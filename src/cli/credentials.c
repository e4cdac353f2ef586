/* SPDX-License-Identifier: Apache-2.0 */
/* cli/credentials.c - credentials.json, read and written from one table of fields */
#include "cli/credentials.h"

#include "base/os.h"
#include "json/json.h"

#define FIELD(json, member)                                                                    \
    {                                                                                          \
        json, offsetof(struct credentials, member), sizeof((struct credentials *)NULL)->member \
    }
static const struct {
    const char *name;
    size_t at, size;
} fields[] = {
    FIELD("tenantId", tenant_id),
    FIELD("clientId", client_id),
    FIELD("clientSecret", client_secret),
    FIELD("objectId", object_id),
    FIELD("subscriptionId", subscription_id),
    FIELD("platformObjectId", platform_object_id),
    FIELD("endpoint", endpoint),
    FIELD("vaultSuffix", vault_suffix),
    FIELD("caFile", ca_file),
};
#define N_FIELDS (sizeof fields / sizeof fields[0])

enum err credentials_write(const char *path, const struct credentials *c, struct diag *d)
{
    CLEANUP_JSON json_t *j = json_object();
    for (size_t i = 0; i < N_FIELDS; i++) {
        TRY(json_put(j, fields[i].name, json_string((const char *)c + fields[i].at), d));
    }
    CLEANUP_BUF struct buf text = {0};
    TRY(json_write(j, &text, d));
    buf_u8(&text, '\n');
    TRY(buf_check(&text, d));
    return os_replace(path, buf_view(&text), d);
}

enum err credentials_read(const char *path, struct credentials *out, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    TRY(os_read_file(path, 64 << 10, &text, d));
    CLEANUP_JSON json_t *j = NULL;
    TRY(json_read(buf_view(&text), &j, d));
    struct credentials c = {0};
    for (size_t i = 0; i < N_FIELDS; i++) {
        const char *v = json_get_str(j, fields[i].name);
        if (v == NULL || strlen(v) >= fields[i].size) {
            return FAIL(d, ERR_CORRUPT, "%s: %s is missing or too long", path, fields[i].name);
        }
        memcpy((char *)&c + fields[i].at, v, strlen(v) + 1);
    }
    *out = c;
    return OK;
}
