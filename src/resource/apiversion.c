/* SPDX-License-Identifier: Apache-2.0 */
/* resource/apiversion.c - the tables of dialects, and how a version finds its row */
#include "resource/apiversion.h"

#include "base/str.h"

static bool digits(const char *s, int n, uint32_t *out)
{
    uint32_t v = 0;
    for (int i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') return false;
        v = v * 10 + (uint32_t)(s[i] - '0');
    }
    *out = v;
    return true;
}

static bool suffix_valid(const char *s)
{
    if (str_eq(s, "-preview") || str_eq(s, "-privatepreview") || str_eq(s, "-alpha") ||
        str_eq(s, "-beta")) {
        return true;
    }
    uint32_t n;
    return str_starts(s, "-preview.") && strlen(s) == 10 && digits(s + 9, 1, &n);
}

bool api_version_parse(const char *s, struct api_version *out)
{
    uint32_t year, month, day;
    size_t len = strlen(s);
    if (len < 10 || len > 32 || s[4] != '-' || s[7] != '-') return false;
    if (!digits(s, 4, &year) || !digits(s + 5, 2, &month) || !digits(s + 8, 2, &day)) return false;
    if (year < 2000 || month < 1 || month > 12 || day < 1 || day > 31) return false;
    if (len > 10 && !suffix_valid(s + 10)) return false;
    *out = (struct api_version){year * 10000 + month * 100 + day, len > 10};
    return true;
}

int api_version_cmp(struct api_version a, struct api_version b)
{
    if (a.date != b.date) return a.date < b.date ? -1 : 1;
    return (int)b.is_preview - (int)a.is_preview;
}

bool api_version_at_least(struct api_version v, const char *s)
{
    struct api_version from = {0};
    return api_version_parse(s, &from) && api_version_cmp(v, from) >= 0;
}

static const int32_t capacities_preview[] = {1000, 1100, 1200, 1300, 1400, 1500,
                                             1600, 1700, 1800, 1900, 2000, 0};
static const int32_t capacities_2021[] = {500, 1000, 2000, 5000, 0};
static const int32_t capacities_2022[] = {100,  200,  300,   400,   500,   1000,
                                          2000, 5000, 10000, 25000, 50000, 0};

static const struct cluster_dialect cluster_dialects[] = {
    {.from = "2019-08-01-preview",
     .state_creating = "ProvisioningAccount",
     .state_updating = "ProvisioningAccount",
     .create = CREATE_202,
     .key_reply = KEY_200_BODY,
     .put_without_key_removes = true,
     .sku_is_lower_case = true,
     .is_preview_body = true,
     .shows_display_location = true,
     .capacities = capacities_preview,
     .deletes_at_once = true},
    {.from = "2020-03-01-preview",
     .has_billing = true,
     .state_creating = "ProvisioningAccount",
     .state_updating = "Updating",
     .create = CREATE_200_BODY,
     .key_reply = KEY_200_WRAPPER,
     .key_uri_has_port = true,
     .has_status_words = true,
     .sku_is_lower_case = true,
     .billing_is_lower_case = true,
     .is_preview_body = true,
     .shows_display_location = true,
     .capacities = capacities_preview,
     .deletes_at_once = true},
    {.from = "2020-08-01",
     .has_billing = true,
     .state_creating = "Creating",
     .state_updating = "Updating",
     .create = CREATE_202_LOCATION,
     .key_reply = KEY_200_BODY,
     .sku_is_lower_case = true},
    {.from = "2021-06-01",
     .has_billing = true,
     .state_creating = "Creating",
     .state_updating = "Updating",
     .create = CREATE_202_LOCATION,
     .key_reply = KEY_200_BODY,
     .sku_is_lower_case = true,
     .capacities = capacities_2021},
    {.from = "2022-10-01",
     .has_billing = true,
     .state_creating = "Creating",
     .state_updating = "Updating",
     .create = CREATE_202_LOCATION,
     .key_reply = KEY_202,
     .sku_is_lower_case = true,
     .capacities = capacities_2022},
    {.from = "2025-02-01",
     .has_billing = true,
     .state_creating = "Creating",
     .state_updating = "Updating",
     .create = CREATE_202_LOCATION,
     .key_reply = KEY_202,
     .capacities = capacities_2022},
    {.from = "2025-07-01",
     .has_billing = true,
     .state_creating = "Creating",
     .state_updating = "Updating",
     .create = CREATE_202_LOCATION,
     .key_reply = KEY_202,
     .dates = ARM_DATES_ISO,
     .capacities = capacities_2022},
};

static const struct workspace_dialect workspace_dialects[] = {
    {.from = "2015-03-20", .is_lower_case = true, .has_source = true, .has_definition = true},
    {.from = "2020-03-01-preview", .is_lower_case = true, .has_source = true},
    {.from = "2022-10-01",
     .dates = ARM_DATES_ISO,
     .has_etag = true,
     .has_async_header = true,
     .shows_empty_tags = true},
};

static const struct link_dialect link_dialects[] = {
    {.from = "2015-11-01-preview"},
    {.from = "2022-10-01", .replies_202 = true},
};

/* A row begins with its `from`; requests older than all rows get the first. */
static const void *newest(const void *rows, size_t n, size_t size, struct api_version v)
{
    const char *row = rows, *found = rows;
    for (size_t i = 0; i < n; i++, row += size) {
        const char *from;
        memcpy(&from, row, sizeof from);
        if (api_version_at_least(v, from)) found = row;
    }
    return found;
}

#define NEWEST(rows, v) newest((rows), sizeof(rows) / sizeof(rows)[0], sizeof(rows)[0], (v))

const struct cluster_dialect *cluster_dialect(struct api_version v)
{
    return NEWEST(cluster_dialects, v);
}

const struct workspace_dialect *workspace_dialect(struct api_version v)
{
    return NEWEST(workspace_dialects, v);
}

const struct link_dialect *link_dialect(struct api_version v)
{
    return NEWEST(link_dialects, v);
}
