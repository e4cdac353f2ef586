/* SPDX-License-Identifier: Apache-2.0 */
/* resource/location.c - names of regions */
#include "resource/location.h"

#include "base/str.h"

static const struct location locations[] = {
    {"australiacentral", "Australia Central"},
    {"australiaeast", "Australia East"},
    {"australiasoutheast", "Australia Southeast"},
    {"austriaeast", "Austria East"},
    {"brazilsouth", "Brazil South"},
    {"canadacentral", "Canada Central"},
    {"canadaeast", "Canada East"},
    {"centralindia", "Central India"},
    {"centralus", "Central US"},
    {"eastasia", "East Asia"},
    {"eastus", "East US"},
    {"eastus2", "East US 2"},
    {"francecentral", "France Central"},
    {"francesouth", "France South"},
    {"germanynorth", "Germany North"},
    {"germanywestcentral", "Germany West Central"},
    {"israelcentral", "Israel Central"},
    {"italynorth", "Italy North"},
    {"japaneast", "Japan East"},
    {"japanwest", "Japan West"},
    {"koreacentral", "Korea Central"},
    {"koreasouth", "Korea South"},
    {"mexicocentral", "Mexico Central"},
    {"newzealandnorth", "New Zealand North"},
    {"northcentralus", "North Central US"},
    {"northeurope", "North Europe"},
    {"norwayeast", "Norway East"},
    {"norwaywest", "Norway West"},
    {"polandcentral", "Poland Central"},
    {"qatarcentral", "Qatar Central"},
    {"southafricanorth", "South Africa North"},
    {"southcentralus", "South Central US"},
    {"southeastasia", "Southeast Asia"},
    {"southindia", "South India"},
    {"spaincentral", "Spain Central"},
    {"swedencentral", "Sweden Central"},
    {"switzerlandnorth", "Switzerland North"},
    {"switzerlandwest", "Switzerland West"},
    {"uaenorth", "UAE North"},
    {"uksouth", "UK South"},
    {"ukwest", "UK West"},
    {"westcentralus", "West Central US"},
    {"westeurope", "West Europe"},
    {"westindia", "West India"},
    {"westus", "West US"},
    {"westus2", "West US 2"},
    {"westus3", "West US 3"},
};

const char *location_canonical(struct arena *a, const char *s)
{
    char *out = arena_str(a, bytes_str(s));
    if (out == NULL) return "";
    size_t n = 0;
    for (const char *p = s; *p != '\0'; p++) {
        if (*p != ' ') out[n++] = *p;
    }
    out[n] = '\0';
    str_lower(out);
    return out;
}

const struct location *location_at(uint32_t i)
{
    return i < sizeof locations / sizeof locations[0] ? &locations[i] : NULL;
}

const char *location_display(const char *canonical)
{
    for (uint32_t i = 0; location_at(i) != NULL; i++) {
        if (str_eq(location_at(i)->name, canonical)) return location_at(i)->display;
    }
    return canonical;
}
