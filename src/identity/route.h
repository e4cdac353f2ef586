/* SPDX-License-Identifier: Apache-2.0 */
/* identity/route.h - which paths are identity's; inside identity/ only */
#pragma once

#include "base/err.h"

enum route {
    ROUTE_NONE,
    ROUTE_TOKEN_V1,
    ROUTE_TOKEN_V2,
    ROUTE_TOKEN_ADFS,
    ROUTE_DISCOVERY_V1,
    ROUTE_DISCOVERY_V2,
    ROUTE_DISCOVERY_ADFS,
    ROUTE_INSTANCE,
    ROUTE_KEY_SET,
    ROUTE_ASSIGNMENTS,
    ROUTE_DEFINITIONS,
    ROUTE_FEDERATION,
    ROUTE_GRAPH_ME,
    ROUTE_GRAPH_PRINCIPALS,
    ROUTE_GRAPH_BY_IDS,
    ROUTE_AUTHORIZE,
    ROUTE_DEVICE_START,
    ROUTE_DEVICE_PAGE,
    ROUTE_IDENTITIES,
    ROUTE_SIGNING_KEYS,
    ROUTES
};

struct route_match {
    enum route route;
    char tenant[64];   /* as written; "" where the path has none */
    const char *scope; /* of ARM paths: the part before "/providers/Microsoft.Authorization" or
                        * "/federatedIdentityCredentials" */
    size_t scope_len;
    char name[128];                     /* last segment of ARM paths; "" for a list */
    char word[160], part[32], item[64]; /* /admin/identities/{word}/{part}/{item} */
};

/* The i-th route as a table shows it; NULL after the last. */
const char *route_at(size_t i, enum route *route);

/* Words without case, a slash at the end is fine. False: not ours. */
bool route_find(const char *path, struct route_match *out);
