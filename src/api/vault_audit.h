/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/vault_audit.h - audit records of vaults as rows of the workspaces that diagnostic settings
 * name
 *
 * The vault's own files are the log; rows are copies.
 * (1) A record goes to each setting of its vault once: a setting goes on behind what the catalogue
 *     says was sent and behind the highest number in the table, whichever is more.
 * (2) A workspace that takes no rows at the moment - its key is withdrawn, it is being made - gets
 *     them later; it keeps neither the vault nor the other workspaces waiting.
 * (3) AzureDiagnostics, or with logAnalyticsDestinationType "Dedicated" AZKVAuditLogs, with the
 *     documented columns and two of ours: Sequence and Hash, which name the record in the chain
 *     (keyvault/audit_log.h). Nobody else can write these tables.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

struct api;
struct store;
struct vault_audit;

enum err vault_audit_start(struct vault_audit **out, struct api *a, struct store *store,
                           struct diag *d);
void vault_audit_stop(struct vault_audit *x); /* frees; NULL is fine */
/* arm_config.vault_log_end; ctx: the struct api */
enum err vault_audit_end(void *ctx, uint64_t *end, struct diag *d);
