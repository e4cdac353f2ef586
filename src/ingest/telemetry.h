/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest/telemetry.h - envelopes of Application Insights SDKs become rows of the standard tables; pure
 *
 * An envelope: name, time, iKey, sampleRate, tags {"ai.operation.id": ...}, data {baseType, baseData}.
 * Source: the schemas of Application Insights (EndpointSpecs/Schemas) and the tables' reference pages.
 */
#pragma once

#include "json/json.h"

struct telemetry_origin { /* what every row of a component says */
    const char *workspace, *app_id, *resource_id;
    const char *peer; /* the sender's address; NULL: it is not kept */
};

/* *table is the table's name, *rows an array of its rows: a metric may have several values, an
 * exception is one row. ERR_INVALID with a sentence: it is no envelope, or of a type that is not
 * known. */
enum err telemetry_rows(const json_t *envelope, const struct telemetry_origin *from,
                        const char **table, json_t **rows, struct diag *d);
