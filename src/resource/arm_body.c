/* SPDX-License-Identifier: Apache-2.0 */
/* resource/arm_body.c - what the bodies and conditions of all types have in common */
#include "resource/plane.h"

enum err arm_need_body(struct arm_call *c, struct diag *d)
{
    if (json_is_object(c->body)) return OK;
    return ARM_FAIL(c, d, 400, "InvalidRequestContent",
                    "The request content was invalid and could not be deserialized: 'a JSON object "
                    "is expected'.");
}

enum err arm_read_location(struct arm_call *c, const json_t *old, const char **out, struct diag *d)
{
    const char *given = json_get_str(c->body, "location");
    const char *was = json_string_value(json_object_get(old, "location"));
    if (given == NULL || given[0] == '\0') {
        if (was == NULL) {
            return ARM_FAIL(c, d, 400, "LocationRequired",
                            "The location property is required for this definition.");
        }
        *out = arena_str(c->a, bytes_str(was));
        return OK;
    }
    const char *canonical = location_canonical(c->a, given);
    if (was != NULL && !str_eq(was, canonical)) {
        return ARM_FAIL(c, d, 409, "InvalidResourceLocation",
                        "The resource '%s' already exists in location '%s' in resource group '%s'. "
                        "A resource with the same name cannot be created in location '%s'. Please "
                        "select a new resource name.",
                        arm_id_name(c->id), was, c->id->group, canonical);
    }
    *out = canonical;
    return OK;
}

enum err arm_read_tags(struct arm_call *c, json_t **tags, struct diag *d)
{
    json_t *given = json_get(c->body, "tags");
    if (given == NULL || json_is_null(given)) return OK;
    bool good = json_is_object(given);
    const char *name;
    json_t *value;
    json_object_foreach (given, name, value) {
        good = good && (json_is_string(value) || json_is_null(value));
    }
    if (!good) {
        return ARM_FAIL(c, d, 400, "InvalidRequestContent",
                        "The request content was invalid and could not be deserialized: 'tags is "
                        "not an object of strings'.");
    }
    json_decref(*tags);
    *tags = json_deep_copy(given);
    return *tags != NULL ? OK : FAIL(d, ERR_LIMIT, "out of memory");
}

static bool matches(const char *wanted, const char *etag)
{
    if (str_eq(wanted, "*")) return etag != NULL;
    if (etag == NULL) return false;
    size_t n = strlen(etag);
    for (const char *p = strstr(wanted, etag); p != NULL; p = strstr(p + 1, etag)) {
        char before = p == wanted ? ',' : p[-1], after = p[n];
        if ((before == ',' || before == ' ') && (after == '\0' || after == ',' || after == ' '))
            return true;
    }
    return false;
}

enum err arm_check_match(struct arm_call *c, const char *etag, struct diag *d)
{
    const char *must = http_header(c->req, "If-Match");
    const char *must_not = http_header(c->req, "If-None-Match");
    bool good =
        (must == NULL || matches(must, etag)) && (must_not == NULL || !matches(must_not, etag));
    if (good) return OK;
    return ARM_FAIL(c, d, 412, "PreconditionFailed",
                    "The condition specified using HTTP conditional header(s) is not met.");
}
