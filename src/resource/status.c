/* SPDX-License-Identifier: Apache-2.0 */
/* resource/status.c - locations/operationStatuses and clusters/operationresults: how an operation
 * goes */
#include "resource/plane.h"

#define SETTLE_WAIT_MS 2000 /* an operation that is marked done has its effects within this */

static enum err find(struct arm_call *c, json_t **out, struct diag *d)
{
    const char *id = arm_id_name(c->id);
    char *key = arena_str(c->a, bytes_str(id));
    if (key == NULL) return arena_full(c->a, d);
    str_lower(key);
    json_t *op = docs_get(c->arm->docs, DOC_OPERATION, key);
    if (op == NULL) {
        return ARM_FAIL(c, d, 404, "ResourceNotFound", "The operation '%s' could not be found.",
                        id);
    }
    if (!operation_ended(op)) {
        http_set(c->res, "Retry-After", "1");
    } else {
        (void)operations_wait(c->arm->operations, key, SETTLE_WAIT_MS);
    }
    *out = op;
    return OK;
}

enum err status_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *op = NULL;
    TRY(find(c, &op, d));
    return arm_reply(c, 200, operation_json(op), d);
}

/* 202 while it runs; then 200 with the resource, or what went wrong. */
enum err result_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *op = NULL;
    TRY(find(c, &op, d));
    const char *status = doc_str(op, "status");
    const json_t *error = json_object_get(op, "error");
    if (!operation_ended(op)) {
        http_setf(c->res, "Location", "%s%s?api-version=%s", c->arm->c.endpoint, c->id_text,
                  c->version_text);
        c->res->status = 202;
        return OK;
    }
    if (str_eq(status, "Failed")) {
        return ARM_FAIL(c, d, 400, doc_str(error, "code"), "%s", doc_str(error, "message"));
    }
    const struct arm_id *cluster = arm_id_parent(c->a, c->id);
    CLEANUP_JSON json_t *doc = arm_doc(c->arm, arm_id_key(c->a, cluster));
    if (doc == NULL) {
        c->res->status = 204;
        return OK;
    }
    struct arm_call of_cluster = *c;
    of_cluster.id = cluster;
    of_cluster.type = arm_type_find(cluster->type);
    of_cluster.id_text = arm_id_format(c->a, cluster, of_cluster.type->type);
    of_cluster.key = arm_id_key(c->a, cluster);
    of_cluster.reply = NULL;
    TRY(cluster_get(&of_cluster, d));
    c->reply = of_cluster.reply;
    return OK;
}

/* Of the deletion of a group: 202 while it goes, then 200. */
enum err subscription_result_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *op = NULL;
    TRY(find(c, &op, d));
    const json_t *error = json_object_get(op, "error");
    if (error != NULL) {
        return ARM_FAIL(c, d, 409, doc_str(error, "code"), "%s", doc_str(error, "message"));
    }
    if (!operation_ended(op)) {
        http_setf(c->res, "Location", "%s%s?api-version=%s", c->arm->c.endpoint, c->id_text,
                  c->version_text);
    }
    c->res->status = operation_ended(op) ? 200 : 202;
    return OK;
}
