/* SPDX-License-Identifier: Apache-2.0 */
#include "resource/plane.h"

#include "test.h"

TEST(types, each_row_is_whole_and_found_without_case)
{
    for (uint32_t i = 0; arm_type_at(i) != NULL; i++) {
        const struct arm_type *t = arm_type_at(i);
        struct api_version v;
        REQUIRE(strchr(t->type, '/') != NULL);
        REQUIRE(api_version_parse(t->version_min, &v));
        REQUIRE(t->list != NULL || t->get != NULL || t->post != NULL);
        char upper[128];
        size_t n = strlen(t->type);
        REQUIRE(n < sizeof upper);
        for (size_t k = 0; k <= n; k++) {
            upper[k] =
                t->type[k] >= 'a' && t->type[k] <= 'z' ? (char)(t->type[k] - 32) : t->type[k];
        }
        REQUIRE(arm_type_find(upper) == t);
    }
    REQUIRE(arm_type_find("Microsoft.OperationalInsights/nothing") == NULL);
}

/* az asks for the first version that is not a preview. */
TEST(types, the_versions_of_a_type_are_well_formed_and_plain_ones_come_first)
{
    for (uint32_t i = 0; arm_type_at(i) != NULL; i++) {
        bool seen_preview = false;
        for (const char *p = arm_type_at(i)->versions; *p != '\0';) {
            char text[40];
            struct api_version v;
            size_t n = strcspn(p, ",");
            REQUIRE(n < sizeof text);
            memcpy(text, p, n);
            text[n] = '\0';
            REQUIRE(api_version_parse(text, &v));
            REQUIRE(!(seen_preview && !v.is_preview) || strstr(text, "2015-03-20") != NULL);
            seen_preview = seen_preview || v.is_preview;
            for (p += n; *p == ',' || *p == ' '; p++) {
            }
        }
    }
}

TEST(types, every_kind_of_operation_can_be_resumed_by_its_name)
{
    static const char *const names[] = {"cluster.create",  "cluster.update",   "cluster.delete",
                                        "cluster.recover", "workspace.create", "link.put",
                                        "link.delete"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct operation_kind *k = operation_kind_find(names[i]);
        REQUIRE(k != NULL && k->work != NULL && k->settle != NULL);
    }
    REQUIRE(operation_kind_find("nothing") == NULL);
}

TEST(types, the_status_of_an_operation_is_flat_and_always_has_properties_at_its_end)
{
    json_t *op =
        json_pack("{s:s, s:s, s:s, s:s, s:I}", "id", "o1", "subscription", "s", "location",
                  "westeurope", "status", "InProgress", "start", (json_int_t)1746689780173706);
    json_t *j = operation_json(op);
    EXPECT_STR(json_get_str(j, "id"), "/subscriptions/s/providers/Microsoft.OperationalInsights/"
                                      "locations/westeurope/operationstatuses/o1");
    EXPECT_STR(json_get_str(j, "startTime"), "2025-05-08T07:36:20.1737060Z");
    REQUIRE(json_get(j, "endTime") == NULL && json_get(j, "properties") == NULL);
    json_decref(j);
    json_object_set_new(op, "status", json_string("Failed"));
    json_object_set_new(op, "end", json_integer(1746691286000000));
    json_object_set_new(op, "error", json_pack("{s:s, s:s}", "code", "C", "message", "M"));
    json_object_set_new(op, "legacy", json_true());
    j = operation_json(op);
    EXPECT_STR(json_get_str(j, "endTime"), "Thu, 08 May 2025 08:01:26 GMT");
    EXPECT_STR(json_get_str(json_get(j, "error"), "code"), "C");
    REQUIRE(json_is_object(json_get(j, "properties")));
    json_decref(j);
    json_decref(op);
}
