/* SPDX-License-Identifier: Apache-2.0 */
/* identity/route.c - paths of tokens, discovery, role assignments and the little of Graph that az
 * needs */
#include "identity/route.h"

#include "base/str.h"

#include <stdio.h>

/* In a pattern '*' is one segment, the tenant. The first that matches holds. */
static const struct {
    const char *pattern;
    enum route route;
} login_paths[] = {
    {"/adfs/oauth2/token", ROUTE_TOKEN_ADFS},
    {"/adfs/.well-known/openid-configuration", ROUTE_DISCOVERY_ADFS},
    {"/adfs/v2.0/.well-known/openid-configuration", ROUTE_DISCOVERY_ADFS},
    {"/adfs/discovery/keys", ROUTE_KEY_SET},
    {"/*/oauth2/v2.0/token", ROUTE_TOKEN_V2},
    {"/*/oauth2/token", ROUTE_TOKEN_V1},
    {"/*/v2.0/.well-known/openid-configuration", ROUTE_DISCOVERY_V2},
    {"/*/.well-known/openid-configuration", ROUTE_DISCOVERY_V1},
    {"/*/discovery/v2.0/keys", ROUTE_KEY_SET},
    {"/*/discovery/keys", ROUTE_KEY_SET},
    {"/*/discovery/instance", ROUTE_INSTANCE},
    {"/adfs/oauth2/authorize", ROUTE_AUTHORIZE},
    {"/adfs/oauth2/devicecode", ROUTE_DEVICE_START},
    {"/*/oauth2/v2.0/authorize", ROUTE_AUTHORIZE},
    {"/*/oauth2/authorize", ROUTE_AUTHORIZE},
    {"/*/oauth2/v2.0/devicecode", ROUTE_DEVICE_START},
    {"/*/oauth2/devicecode", ROUTE_DEVICE_START},
    {"/device", ROUTE_DEVICE_PAGE},
    {"/admin/signing-keys", ROUTE_SIGNING_KEYS},
    {"/v1.0/me", ROUTE_GRAPH_ME},
    {"/v1.0/servicePrincipals", ROUTE_GRAPH_PRINCIPALS},
    {"/v1.0/directoryObjects/getByIds", ROUTE_GRAPH_BY_IDS},
};

static bool same_segment(const char *a, size_t a_len, const char *b, size_t b_len)
{
    return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

static bool match_login(const char *pattern, const char *path, char tenant[64])
{
    tenant[0] = 0;
    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;
        size_t n = strcspn(pattern, "/"), k = strcspn(path, "/");
        if (n == 1 && *pattern == '*') {
            if (k == 0 || k >= 64) return false;
            snprintf(tenant, 64, "%.*s", (int)k, path);
        } else if (!same_segment(pattern, n, path, k)) {
            return false;
        }
        pattern += n;
        path += k;
    }
    return *pattern == 0 && (*path == 0 || str_eq(path, "/"));
}

static bool find_login(const char *path, struct route_match *m)
{
    for (size_t i = 0; i < sizeof login_paths / sizeof *login_paths; i++) {
        if (!match_login(login_paths[i].pattern, path, m->tenant)) continue;
        m->route = login_paths[i].route;
        return true;
    }
    return false;
}

/* The last one: a role assignment may stand below any resource, whatever its provider. */
static const char *find_last(const char *path, const char *part)
{
    const char *last = NULL;
    for (const char *p = strcasestr(path, part); p != NULL; p = strcasestr(p + 1, part))
        last = p;
    return last;
}

static bool find_arm(const char *path, struct route_match *m)
{
    static const char provider[] = "/providers/Microsoft.Authorization/";
    const char *at = find_last(path, provider);
    if (at == NULL) return false;
    const char *type = at + sizeof provider - 1;
    size_t n = strcspn(type, "/");
    m->route = same_segment(type, n, "roleAssignments", 15)   ? ROUTE_ASSIGNMENTS
               : same_segment(type, n, "roleDefinitions", 15) ? ROUTE_DEFINITIONS
                                                              : ROUTE_NONE;
    const char *name = type + n + (type[n] == '/');
    size_t k = strcspn(name, "/");
    bool ends = name[k] == 0 || str_eq(name + k, "/");
    if (m->route == ROUTE_NONE || !ends || k >= sizeof m->name) return false;
    snprintf(m->name, sizeof m->name, "%.*s", (int)k, name);
    m->scope = path;
    m->scope_len = (size_t)(at - path);
    return true;
}

/* .../userAssignedIdentities/NAME/federatedIdentityCredentials[/NAME] */
static bool find_federation(const char *path, struct route_match *m)
{
    static const char parent[] = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/",
                      type[] = "/federatedIdentityCredentials";
    const char *at = find_last(path, parent);
    if (at == NULL) return false;
    const char *own = at + sizeof parent - 1, *end = own + strcspn(own, "/");
    if (end == own || strncasecmp(end, type, sizeof type - 1) != 0) return false;
    const char *name = end + sizeof type - 1;
    if (*name != 0 && *name != '/') return false;
    name += *name == '/';
    size_t k = strcspn(name, "/");
    if ((name[k] != 0 && !str_eq(name + k, "/")) || k >= sizeof m->name) return false;
    snprintf(m->name, sizeof m->name, "%.*s", (int)k, name);
    m->route = ROUTE_FEDERATION;
    m->scope = path;
    m->scope_len = (size_t)(end - path);
    return true;
}

static bool take_segment(const char **path, char *out, size_t size)
{
    size_t n = strcspn(*path, "/");
    if (n >= size) return false;
    snprintf(out, size, "%.*s", (int)n, *path);
    *path += n + ((*path)[n] == '/');
    return true;
}

static bool find_admin(const char *path, struct route_match *m)
{
    static const char root[] = "/admin/identities";
    size_t n = sizeof root - 1;
    if (strncasecmp(path, root, n) != 0 || (path[n] != 0 && path[n] != '/')) return false;
    path += n + (path[n] == '/');
    m->route = ROUTE_IDENTITIES;
    return take_segment(&path, m->word, sizeof m->word) &&
           take_segment(&path, m->part, sizeof m->part) &&
           take_segment(&path, m->item, sizeof m->item) && *path == 0;
}

const char *route_at(size_t i, enum route *route)
{
    static const struct {
        const char *path;
        enum route route;
    } others[] = {
        {"/admin/identities", ROUTE_IDENTITIES},
        {"/admin/identities/*", ROUTE_IDENTITIES},
        {"/admin/identities/*/secrets", ROUTE_IDENTITIES},
        {"/admin/identities/*/certificates", ROUTE_IDENTITIES},
        {"/admin/identities/*/credentials/*", ROUTE_IDENTITIES},
        {"/subscriptions/*/providers/Microsoft.Authorization/roleAssignments", ROUTE_ASSIGNMENTS},
        {"/subscriptions/*/providers/Microsoft.Authorization/roleAssignments/*", ROUTE_ASSIGNMENTS},
        {"/subscriptions/*/providers/Microsoft.Authorization/roleDefinitions", ROUTE_DEFINITIONS},
        {"/subscriptions/*/providers/Microsoft.Authorization/roleDefinitions/*", ROUTE_DEFINITIONS},
        {"/subscriptions/*/resourceGroups/*/providers/Microsoft.ManagedIdentity/"
         "userAssignedIdentities/*/federatedIdentityCredentials",
         ROUTE_FEDERATION},
        {"/subscriptions/*/resourceGroups/*/providers/Microsoft.ManagedIdentity/"
         "userAssignedIdentities/*/federatedIdentityCredentials/*",
         ROUTE_FEDERATION},
    };
    const size_t n = sizeof login_paths / sizeof *login_paths, m = sizeof others / sizeof *others;
    if (i >= n + m) return NULL;
    *route = i < n ? login_paths[i].route : others[i - n].route;
    return i < n ? login_paths[i].pattern : others[i - n].path;
}

bool route_find(const char *path, struct route_match *out)
{
    struct route_match m = {0};
    if (!find_login(path, &m) && !find_admin(path, &m) && !find_arm(path, &m) &&
        !find_federation(path, &m)) {
        return false;
    }
    *out = m;
    return true;
}
