/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/workspace_keys.c - the two keys that agents sign with: made when they are first asked
 * for, sealed in the catalogue
 */
#include "resource/plane.h"

#include "base/rand.h"

#define SHARED_KEY_LEN 64 /* bytes */

static enum err add_key(json_t *keys, const char *name, struct diag *d)
{
    uint8_t key[SHARED_KEY_LEN];
    CLEANUP_BUF struct buf text = {0};
    rand_bytes(key, sizeof key);
    base64_encode(&text, BYTES_OF(key));
    explicit_bzero(key, sizeof key);
    TRY(buf_check(&text, d));
    return json_put(keys, name, json_stringn((const char *)text.p, text.len), d);
}

static enum err save(struct arm_call *c, const char *key, const json_t *keys, struct diag *d)
{
    CLEANUP_JSON json_t *doc = json_object();
    TRY(arm_seal(c->arm, key, keys, doc, d));
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, key, KIND_KEYS, json_incref(doc));
    return arm_commit(c, &change, d);
}

/* fresh: the names of keys that are to be made anew, up to a NULL. */
static enum err keys_of(struct arm_call *c, const char *workspace_key, const char *const *fresh,
                        struct diag *d)
{
    const char *key = arena_fmt(c->a, "%s/sharedkeys/keys", workspace_key);
    if (key == NULL) return arena_full(c->a, d);
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *doc = arm_doc(c->arm, key);
    CLEANUP_JSON json_t *keys = NULL;
    if (doc != NULL) {
        TRY(arm_unseal(c->arm, key, doc, &keys, d));
    } else {
        keys = json_object();
        TRY(add_key(keys, "primarySharedKey", d));
        TRY(add_key(keys, "secondarySharedKey", d));
    }
    bool changed = doc == NULL || *fresh != NULL;
    for (; *fresh != NULL; fresh++)
        TRY(add_key(keys, *fresh, d));
    if (changed) TRY(save(c, key, keys, d));
    return arm_reply(c, 200, TAKE(keys), d);
}

static const char *const none[] = {NULL};

static enum err show_keys(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *workspace = NULL;
    TRY(arm_need_doc(c, &workspace, d));
    return keys_of(c, c->key, none, d);
}

/* GET .../sharedKeys of old clients: what it answers is worth more than a right to read. */
enum err shared_keys_list(struct arm_call *c, struct diag *d)
{
    const struct arm_id *workspace = arm_id_parent(c->a, c->id);
    const char *text = arm_id_format(c->a, workspace, "Microsoft.OperationalInsights/workspaces");
    TRY(arm_authorize(c, "Microsoft.OperationalInsights/workspaces/sharedKeys/action", text, d));
    return keys_of(c, arm_id_key(c->a, workspace), none, d);
}

static enum err regenerate(struct arm_call *c, struct diag *d)
{
    static const char *const both[] = {"primarySharedKey", "secondarySharedKey", NULL};
    static const char *const first[] = {"primarySharedKey", NULL};
    static const char *const second[] = {"secondarySharedKey", NULL};
    CLEANUP_JSON json_t *workspace = NULL;
    TRY(arm_need_doc(c, &workspace, d));
    const char *which = json_get_str(c->body, "keyType");
    if (which == NULL) return keys_of(c, c->key, both, d);
    if (str_eq_nocase(which, "primary")) return keys_of(c, c->key, first, d);
    if (str_eq_nocase(which, "secondary")) return keys_of(c, c->key, second, d);
    return ARM_FAIL(c, d, 400, "InvalidParameter",
                    "keyType is invalid. Set it to Primary or Secondary, or leave it out.");
}

static enum err schema(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *workspace = NULL;
    TRY(arm_need_doc(c, &workspace, d));
    json_t *value = tables_schema(c->arm, workspace);
    json_t *metadata = json_pack("{s:s, s:s, s:i}", "resultType", "schema", "requestId",
                                 c->correlation, "total", (int)json_array_size(value));
    return arm_reply(c, 200, json_pack("{s:o, s:o}", "metadata", metadata, "value", value), d);
}

const struct arm_action workspace_actions[] = {
    {"sharedKeys", show_keys},
    {"listKeys", show_keys},
    {"regenerateSharedKey", regenerate},
    {"schema", schema},
    {NULL, NULL},
};
