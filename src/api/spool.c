/* SPDX-License-Identifier: Apache-2.0 */
/* api/spool.c - what the store says of a spool becomes counters that outlive it */
#include "api/front.h"

#include "base/log.h"

#include <stdlib.h>

enum err api_spool_counted(void *ctx, const uint8_t account[16], const struct guid *table,
                           uint64_t rows, struct diag *d)
{
    struct api *a = ctx;
    char name[GUID_TEXT_MAX];
    guid_format(table, name);
    TRY(dropped_add(a->dropped, account, name, COUNT_SPOOLED, rows, d));
    atomic_fetch_add(&a->metrics.rows_spooled, rows);
    return OK;
}

static void report(struct api *a, const uint8_t account[16], uint64_t before)
{
    char hex[33];
    hex_encode(bytes_of(account, 16), hex);
    uint64_t lost = dropped_total(a->dropped, account) - before;
    if (lost != 0) LOG(ERROR, "spool.rows_lost", F_STR("account", hex), F_U64("rows", lost));
}

enum err api_spool_emptied(void *ctx, const uint8_t account[16], const struct spool_end *end,
                           struct diag *d)
{
    struct api *a = ctx;
    uint32_t n = end->is_destroyed ? 0 : end->n_tables;
    CLEANUP_FREE struct dropped_kept *kept = calloc(n + 1, sizeof *kept);
    CLEANUP_FREE char *names = calloc(n + 1, GUID_TEXT_MAX);
    if (kept == NULL || names == NULL)
        return FAIL(d, ERR_LIMIT, "out of memory"); // NOLINT: the cleanup frees
    for (uint32_t i = 0; i < n; i++) {
        char *name = names + (size_t)i * GUID_TEXT_MAX;
        guid_format(&end->tables[i].table, name);
        kept[i] = (struct dropped_kept){name, end->tables[i].rows};
    }
    uint64_t before = dropped_total(a->dropped, account);
    TRY(dropped_spool_end(a->dropped, account,
                          end->is_destroyed ? DROPPED_DESTROYED : DROPPED_DAMAGED, kept, n, d));
    report(a, account, before);
    return OK;
}
