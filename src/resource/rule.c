/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/rule.c - Microsoft.Insights/dataCollectionRules: the default rule that each workspace is
 * born with
 *
 * A document: id name location workspaceId customerId. It takes any stream Custom-<T>_CL into the
 * table T_CL.
 */
#include "resource/plane.h"

json_t *rule_doc(const json_t *workspace)
{
    const char *id = doc_str(workspace, "rule"), *name = strrchr(id, '/');
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", id, "name", name != NULL ? name + 1 : id,
                     "location", doc_str(workspace, "location"), "workspaceId",
                     doc_str(workspace, "id"), "customerId", doc_str(workspace, "customerId"));
}

static json_t *rule_json(const struct arm *a, const json_t *doc)
{
    json_t *destination =
        json_pack("{s:s, s:s, s:s}", "workspaceResourceId", doc_str(doc, "workspaceId"),
                  "workspaceId", doc_str(doc, "customerId"), "name", "workspace");
    json_t *p = json_pack("{s:s, s:s, s:{}, s:{s:[o]}, s:[], s:{s:s}, s:s}", "description",
                          "Takes any custom stream into the table of its name.", "immutableId",
                          doc_str(doc, "name"), "streamDeclarations", "destinations",
                          "logAnalytics", destination, "dataFlows", "endpoints", "logsIngestion",
                          a->c.endpoint, "provisioningState", "Succeeded");
    return json_pack("{s:o, s:s, s:s, s:o, s:s, s:s, s:s}", "properties", p, "location",
                     doc_str(doc, "location"), "kind", "Direct", "tags", arm_tags(doc), "id",
                     doc_str(doc, "id"), "name", doc_str(doc, "name"), "type",
                     "Microsoft.Insights/dataCollectionRules");
}

enum err rule_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    TRY(arm_need_doc(c, &doc, d));
    return arm_reply(c, 200, rule_json(c->arm, doc), d);
}

enum err rule_list(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *docs = arm_list_docs(c, KIND_RULE);
    json_t *values = json_array(), *doc;
    size_t i;
    json_array_foreach (docs, i, doc)
        json_array_append_new(values, rule_json(c->arm, doc));
    return arm_reply_list(c, values, d);
}
