/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/alert_rule.h - what the properties of a scheduled query rule must be
 *
 * (1) Its queries are compiled when it is written, against the tables of the workspace that its scope
 *     names or a component lies on: what the rule would run into, its author is told. Who writes it
 *     must be allowed to query there. skipQueryValidation leaves that out.
 * (2) checkWorkspaceAlertsStorageConfigured: the workspace must have a storage account linked for
 *     alerts.
 */
#pragma once

#include "resource/plane.h"

/* 400 BadRequest. */
enum err alert_bad(struct arm_call *c, struct diag *d, const char *what);
/* measures: of kind LogToMetric, which has no threshold. Asks for rights: not under DOCS_WRITE(). */
enum err alert_check(struct arm_call *c, const json_t *p, bool measures, struct diag *d);
/* The shape of 2018-04-16: source, schedule, action. */
enum err alert_check_legacy(struct arm_call *c, const json_t *p, struct diag *d);
/* Does every workspace of the scopes keep its alerts in a storage account? */
bool alert_storage_is_linked(struct arm_call *c, const json_t *scopes);
