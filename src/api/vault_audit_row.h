/* SPDX-License-Identifier: Apache-2.0 */
/* api/vault_audit_row.h - a record of the vault's audit log as a row of one of two tables */
#pragma once

#include "column/vec.h"
#include "json/json.h"

#define VAULT_ROW_SEQUENCE "Sequence"

const char *vault_row_table(bool dedicated); /* "AZKVAuditLogs", "AzureDiagnostics" */
struct schema vault_row_schema(bool dedicated);
/* Is the record about this resource or a part of it? scope: its ARM id in lower case. */
bool vault_row_is_of(const json_t *record, const char *scope);
/* workspace: its customer id. */
json_t *vault_row(const json_t *record, const char *scope, const char *workspace, bool dedicated);
