/* SPDX-License-Identifier: Apache-2.0 */
/* resource/component.h - a component as those see it who send telemetry to it */
#pragma once

#include "resource/arm.h"

struct component {
    char id[ARM_ID_MAX];
    char app_id[GUID_TEXT_MAX];
    bool has_workspace;
    struct workspace workspace; /* that its rows go to */
    bool needs_token;           /* DisableLocalAuth: the instrumentation key alone is not enough */
    bool private_ingestion;     /* its own word, or its workspace's */
    bool keeps_address;         /* DisableIpMasking */
};

/* By name, AppId or resource id, without case; the first of several. */
bool arm_component_named(struct arm *a, const char *name, struct component *out);
/* By instrumentation key, without case. */
bool arm_component_by_key(struct arm *a, const char *key, struct component *out);
