/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/apiversion.h - the api-version of a request selects the dialect it is answered in
 *
 * A version is a date with an optional suffix; 2020-03-01-preview comes before 2020-03-01. Each
 * type has a table of dialects, oldest first: the last row that is not newer than the request's
 * version holds, so that a version nobody has heard of yet is answered like the newest known one. A
 * new dialect is one row.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>

struct api_version {
    uint32_t date;   /* 20200301 */
    bool is_preview; /* any suffix */
};

/* A calendar date, optionally followed by -preview, -privatepreview, -alpha, -beta or -preview.N.
 */
bool api_version_parse(const char *s, struct api_version *out);
int api_version_cmp(struct api_version a, struct api_version b);
bool api_version_at_least(struct api_version v, const char *s); /* s is a literal, well-formed */

enum arm_dates { ARM_DATES_RFC1123, ARM_DATES_ISO };

struct cluster_dialect {
    const char *from;
    const char *state_creating; /* decision 2 */
    const char *state_updating; /* what 2019-08-01-preview has no word for */
    enum { CREATE_202, CREATE_200_BODY, CREATE_202_LOCATION } create; /* decision 1 */
    enum { KEY_200_WRAPPER, KEY_200_BODY, KEY_202 } key_reply;        /* decision 3 */
    bool put_without_key_removes;                                     /* decision 5 */
    bool key_uri_has_port;                                            /* decision 7 */
    bool sku_is_lower_case;                                           /* decision 8 */
    bool has_billing;                                                 /* since 2020-03-01-preview */
    bool billing_is_lower_case;                                       /* decision 9 */
    enum arm_dates dates;                                             /* decision 10 */
    bool is_preview_body;        /* sku.lastSkuUpdate, clusterType; nothing of 2020-10-01 */
    bool shows_display_location; /* "South Central US" */
    const int32_t *capacities;   /* allowed, 0-terminated; NULL = any (decision 12) */
    bool deletes_at_once;        /* decision 16: 200 instead of 202 */
    bool has_status_words;       /* operations are "Updating" and "Deleting" too (decision 14) */
};
const struct cluster_dialect *cluster_dialect(struct api_version v);

struct workspace_dialect {
    const char *from;
    bool is_lower_case;   /* id and sku */
    enum arm_dates dates; /* decision 10 */
    bool has_source;      /* "source": "Azure" */
    bool has_definition;  /* features.clusterDefinitionId, the first article's association */
    bool has_etag;
    bool has_async_header; /* on PUT */
    bool shows_empty_tags;
};
const struct workspace_dialect *workspace_dialect(struct api_version v);

struct link_dialect {
    const char *from;
    bool replies_202; /* decision 18 */
};
const struct link_dialect *link_dialect(struct api_version v);
