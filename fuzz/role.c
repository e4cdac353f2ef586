/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/role.c - a role definition that is taken reads the same from the row it is kept as, and
 * grants nothing that its own lists do not
 */
#include "identity/state.h"

#include <assert.h>

static size_t count(const char *const *list)
{
    size_t n = 0;
    while (list != NULL && list[n] != NULL)
        n++;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char id[] = "00000000-0000-4000-8000-000000000001", action[] = "A/b/read";
    struct custom_role *r = NULL, *again = NULL;
    CLEANUP_JSON json_t *j = NULL;
    if (json_read((struct bytes){.p = data, .len = size}, &j, NULL) != OK) return 0;
    if (custom_role_read(id, j, &r, NULL) != OK) return 0;
    const json_t *row = r->row;
    CLEANUP_JSON json_t *kept = json_pack(
        "{s:O, s:O, s:O, s:[{s:O, s:O, s:O, s:O}]}", "roleName", json_object_get(row, "roleName"),
        "description", json_object_get(row, "description"), "assignableScopes",
        json_object_get(row, "assignableScopes"), "permissions", "actions",
        json_object_get(row, "actions"), "notActions", json_object_get(row, "notActions"),
        "dataActions", json_object_get(row, "dataActions"), "notDataActions",
        json_object_get(row, "notDataActions"));
    assert(custom_role_read(id, kept, &again, NULL) == OK);
    assert(json_equal(r->row, again->row));
    assert(count(r->scopes) != 0);
    assert(!role_allows(&r->role, action, false) || count(r->role.actions) != 0);
    assert(!role_allows(&r->role, action, true) || count(r->role.data_actions) != 0);
    custom_role_free(r);
    custom_role_free(again);
    return 0;
}
