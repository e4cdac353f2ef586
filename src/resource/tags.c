/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/tags.c - Microsoft.Resources/tags/default: the tags of a resource or group without the
 * rest of it
 */
#include "resource/plane.h"

#define TAGS_MAX 50

/* The document whose tags are meant: the scope's. */
static enum err target(struct arm_call *c, const char **key, json_t **out, struct diag *d)
{
    static const char end[] = "/providers/microsoft.resources/tags";
    char *copy = arena_str(c->a, bytes_str(c->key));
    char *cut = copy != NULL ? strstr(copy, end) : NULL;
    if (copy == NULL) return arena_full(c->a, d);
    if (cut != NULL) *cut = '\0';
    *key = copy;
    json_t *doc = arm_doc(c->arm, copy);
    if (doc == NULL || !str_eq_nocase(arm_id_name(c->id), "default")) {
        json_decref(doc);
        return arm_not_found(c, d);
    }
    *out = doc;
    return OK;
}

static json_t *tags_json(const struct arm_call *c, json_t *tags)
{
    return json_pack("{s:s, s:s, s:s, s:{s:o}}", "id", c->id_text, "name", "default", "type",
                     "Microsoft.Resources/tags", "properties", "tags", tags);
}

enum err tags_get(struct arm_call *c, struct diag *d)
{
    const char *key = NULL;
    CLEANUP_JSON json_t *doc = NULL;
    TRY(target(c, &key, &doc, d));
    return arm_reply(c, 200, tags_json(c, arm_tags(doc)), d);
}

/* Under DOCS_WRITE(). Takes tags. */
static enum err save(struct arm_call *c, const char *key, const json_t *doc, json_t *tags,
                     struct diag *d)
{
    CLEANUP_JSON json_t *kept = tags;
    if (json_object_size(tags) > TAGS_MAX) {
        return ARM_FAIL(c, d, 400, "TagCountExceeded", "A resource has at most %d tags.", TAGS_MAX);
    }
    json_t *next = json_deep_copy(doc);
    json_object_set(next, "tags", tags);
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, key, docs_parent(c->arm->docs, DOC_RESOURCE, key), next);
    TRY(arm_commit(c, &change, d));
    return arm_reply(c, 200, tags_json(c, json_incref(kept)), d);
}

static enum err check_strings(struct arm_call *c, const json_t *tags, struct diag *d)
{
    bool good = json_is_object(tags);
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)tags, name, value)
        good = good && json_is_string(value);
    if (good) return OK;
    return ARM_FAIL(c, d, 400, "InvalidRequestContent",
                    "The request content was invalid and could not be deserialized: "
                    "'properties.tags is not an object of strings'.");
}

static enum err write_tags(struct arm_call *c, const char *operation, struct diag *d)
{
    TRY(arm_need_body(c, d));
    const json_t *given = json_at(c->body, "properties", "tags", NULL);
    TRY(check_strings(c, given, d));
    DOCS_WRITE(c->arm->docs);
    const char *key = NULL;
    CLEANUP_JSON json_t *doc = NULL;
    TRY(target(c, &key, &doc, d));
    json_t *tags = json_object();
    if (!str_eq_nocase(operation, "Replace"))
        json_object_update(tags, json_object_get(doc, "tags"));
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)given, name, value) {
        if (str_eq_nocase(operation, "Delete")) {
            json_object_del(tags, name);
        } else if (json_put(tags, name, json_incref(value), d) != OK) {
            json_decref(tags);
            return ERR_LIMIT;
        }
    }
    return save(c, key, doc, tags, d);
}

enum err tags_put(struct arm_call *c, struct diag *d)
{
    return write_tags(c, "Replace", d);
}

enum err tags_patch(struct arm_call *c, struct diag *d)
{
    const char *operation = json_get_str(c->body, "operation");
    if (operation == NULL ||
        (!str_eq_nocase(operation, "Merge") && !str_eq_nocase(operation, "Replace") &&
         !str_eq_nocase(operation, "Delete"))) {
        return ARM_FAIL(c, d, 400, "InvalidRequestContent",
                        "The request content was invalid and could not be deserialized: "
                        "'operation is none of Merge, Replace and Delete'.");
    }
    return write_tags(c, operation, d);
}

enum err tags_remove(struct arm_call *c, struct diag *d)
{
    DOCS_WRITE(c->arm->docs);
    const char *key = NULL;
    CLEANUP_JSON json_t *doc = NULL;
    TRY(target(c, &key, &doc, d));
    return save(c, key, doc, json_object(), d);
}
