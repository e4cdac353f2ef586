/* SPDX-License-Identifier: Apache-2.0 */
/* resource/quota.c - bytes of the day, in memory and now and then in a counter of the catalogue */
#include "resource/quota.h"

#include "base/log.h"
#include "resource/plane.h"

#include <stdlib.h>

#define DAY_US      (86400 * US_PER_S)
#define SAVE_MIN    ((uint64_t)1 << 20) /* bytes */
#define APPROACHING 0.9                 /* of the cap */
#define COUNTER_MAX 64

struct quota { /* of one workspace */
    int64_t day;
    uint64_t bytes, saved;
};

int64_t quota_reset_us(int64_t now_us)
{
    return now_us - now_us % DAY_US + DAY_US;
}

static void counter_id(const char *customer_id, char out[COUNTER_MAX])
{
    snprintf(out, COUNTER_MAX, "quota/%s", customer_id);
}

/* Under the lock: today's count; NULL when memory is out. */
static struct quota *today(struct arm *a, const char *customer_id)
{
    int64_t day = time_now_us() / DAY_US;
    struct quota *q = map_get(&a->quotas, bytes_str(customer_id));
    if (q == NULL) {
        char id[COUNTER_MAX];
        counter_id(customer_id, id);
        CLEANUP_JSON json_t *kept = docs_get(a->docs, DOC_COUNTER, id);
        q = calloc(1, sizeof *q);
        if (q == NULL) return NULL;
        q->day = doc_int(kept, "day");
        q->bytes = q->saved = (uint64_t)doc_int(kept, "bytes");
        struct diag d = DIAG_INIT;
        if (map_put(&a->quotas, bytes_str(customer_id), q, NULL, &d) != OK) {
            free(q);
            return NULL;
        }
    }
    if (q->day != day) *q = (struct quota){.day = day};
    return q;
}

/* (2) A count that can't be saved is still right until the next restart. */
static void save(struct arm *a, const char *customer_id, struct quota q)
{
    char id[COUNTER_MAX];
    struct diag d = DIAG_INIT;
    counter_id(customer_id, id);
    DOCS_WRITE(a->docs);
    CLEANUP_CHANGE struct change c = {0};
    change_put(&c, DOC_COUNTER, id, "quota",
               json_pack("{s:I, s:I}", "day", (json_int_t)q.day, "bytes", (json_int_t)q.bytes));
    if (docs_commit(a->docs, &c, &d) != OK) LOG(WARN, "quota.unsaved", F_ERR(&d));
}

bool quota_take(struct arm *a, const struct workspace *w, uint64_t bytes)
{
    if (w->quota_gb < 0) return true; /* (3) */
    double cap = w->quota_gb * QUOTA_GB;
    struct quota copy = {0};
    bool due = false;
    {
        LOCK_SCOPE(&a->quota_lock);
        struct quota *q = today(a, w->customer_id);
        if (q == NULL || (double)q->bytes >= cap) return false;
        q->bytes += bytes; /* (1) */
        uint64_t step = (uint64_t)(cap / 100) > SAVE_MIN ? (uint64_t)(cap / 100) : SAVE_MIN;
        due = q->bytes - q->saved >= step || (double)q->bytes >= cap;
        if (due) q->saved = q->bytes;
        copy = *q;
    }
    if (due) save(a, w->customer_id, copy);
    return true;
}

const char *quota_status(struct arm *a, const char *customer_id, double cap_gb)
{
    if (cap_gb < 0) return "RespectQuota";
    LOCK_SCOPE(&a->quota_lock);
    const struct quota *q = today(a, customer_id);
    double bytes = q != NULL ? (double)q->bytes : 0, cap = cap_gb * QUOTA_GB;
    if (bytes >= cap) return "OverQuota";
    return bytes >= cap * APPROACHING ? "ApproachingQuota" : "RespectQuota";
}
