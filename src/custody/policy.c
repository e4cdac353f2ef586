/* SPDX-License-Identifier: Apache-2.0 */
/* custody/policy.c - defaults, limits and what fits into a bound */
#include "custody/policy.h"

#include "base/str.h"

#include <inttypes.h>

#define WIPE_AND_LOOK_MS 3000 /* the second look of DOUBT after 2 s, and the holder's 1 s */
#define CALL_MS_DEFAULT  5000
#define BOUND_S          60 /* where the probe leaves room: as long as a lease */

static uint64_t probe_and_jitter_ms(uint32_t probe_s)
{
    return (uint64_t)probe_s * 1000 + (uint64_t)probe_s * 100;
}

/* 0 = nothing is left. */
static uint64_t call_ms_of(uint32_t probe_s, uint32_t bound_s)
{
    uint64_t rest = probe_and_jitter_ms(probe_s) + WIPE_AND_LOOK_MS,
             bound = (uint64_t)bound_s * 1000;
    if (bound <= rest) return 0;
    uint64_t each = (bound - rest) / 2;
    return each < CALL_MS_MAX ? each : CALL_MS_MAX;
}

static uint32_t bound_for(uint32_t probe_s)
{
    uint64_t need_ms = probe_and_jitter_ms(probe_s) + WIPE_AND_LOOK_MS + 2 * CALL_MS_DEFAULT;
    uint32_t need_s = (uint32_t)((need_ms + 999) / 1000);
    return need_s < BOUND_S ? BOUND_S : need_s;
}

static uint32_t first_set(uint32_t a, uint32_t b, uint32_t c)
{
    return a != 0 ? a : b != 0 ? b : c;
}

struct key_policy policy_resolve(const struct key_policy *p, const struct key_policy *defaults)
{
    struct key_policy r = {.outage = first_set(p->outage, defaults->outage, OUTAGE_RETAIN),
                           .grace_s = first_set(p->grace_s, defaults->grace_s, GRACE_S),
                           .retain_max_s =
                               first_set(p->retain_max_s, defaults->retain_max_s, RETAIN_FOREVER),
                           .probe_s = first_set(p->probe_s, defaults->probe_s, PROBE_S)};
    /* A probe of one's own under the server's bound: the bound grows with it. */
    bool fits = defaults->bound_s != 0 && (r.probe_s == defaults->probe_s ||
                                           call_ms_of(r.probe_s, defaults->bound_s) >= CALL_MS_MIN);
    r.bound_s = first_set(p->bound_s, fits ? defaults->bound_s : 0, bound_for(r.probe_s));
    return r;
}

bool policy_eq(const struct key_policy *a, const struct key_policy *b)
{
    return a->outage == b->outage && a->grace_s == b->grace_s &&
           a->retain_max_s == b->retain_max_s && a->probe_s == b->probe_s &&
           a->bound_s == b->bound_s;
}

static enum err within(const char *what, uint32_t v, uint32_t min, uint32_t max, struct diag *d)
{
    if (v >= min && v <= max) return OK;
    return FAIL(d, ERR_INVALID, "%s of %" PRIu32 " s is not between %" PRIu32 " and %" PRIu32, what,
                v, min, max);
}

enum err policy_check(const struct key_policy *p, struct diag *d)
{
    if (p->outage != OUTAGE_RETAIN && p->outage != OUTAGE_SUSPEND) {
        return FAIL(d, ERR_INVALID, "the outage policy is neither retain nor suspend");
    }
    TRY(within("probe interval", p->probe_s, PROBE_S_MIN, PROBE_S_MAX, d));
    TRY(within("revocation bound", p->bound_s, BOUND_S_MIN, BOUND_S_MAX, d));
    TRY(within("outage grace", p->grace_s, SILENCE_S_MIN, SILENCE_S_MAX, d));
    if (p->retain_max_s != RETAIN_FOREVER) {
        TRY(within("retain max", p->retain_max_s, SILENCE_S_MIN, SILENCE_S_MAX, d));
    }
    if (call_ms_of(p->probe_s, p->bound_s) >= CALL_MS_MIN) return OK; /* (1) */
    return FAIL(d, ERR_INVALID,
                "revocation bound %" PRIu32 " s is too short for a probe every %" PRIu32
                " s: probe, jitter, two vault calls and 3 s must fit into it",
                p->bound_s, p->probe_s);
}

uint64_t policy_call_ms(const struct key_policy *p)
{
    return call_ms_of(p->probe_s, p->bound_s);
}

uint32_t policy_silence_s(const struct key_policy *p)
{
    return p->outage == OUTAGE_SUSPEND ? p->grace_s : p->retain_max_s;
}

const char *outage_policy_name(enum outage_policy o)
{
    return o == OUTAGE_RETAIN ? "retain" : o == OUTAGE_SUSPEND ? "suspend" : "";
}

bool outage_policy_parse(const char *text, enum outage_policy *out)
{
    bool retain = str_eq_nocase(text, "retain");
    if (!retain && !str_eq_nocase(text, "suspend")) return false;
    *out = retain ? OUTAGE_RETAIN : OUTAGE_SUSPEND;
    return true;
}
