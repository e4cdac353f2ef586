/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/records.h - keyd's records in the catalogue: custody may not see storage, so they meet
 * here
 *
 * The functions of custody_config; ctx is the struct catalog.
 */
#pragma once

#include "custody/client.h"
#include "storage/catalog.h"

enum err records_persist(void *catalog, const struct custody_record *records, size_t n,
                         struct diag *d);
enum err records_load(void *catalog, const char *kind,
                      enum err (*visit)(void *visit_ctx, const struct custody_record *r,
                                        struct diag *d),
                      void *visit_ctx, struct diag *d);
