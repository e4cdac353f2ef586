/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/policy.h - how long a key serves while its vault is silent, and how soon a denial must
 * bite (keys.md "outagePolicy"); pure
 *
 * (1) A revocation bound holds while the vault answers: probe interval, a tenth of it as jitter,
 *     two vault calls and 3 s (the second look of DOUBT, the holder's wipe) must fit into it.
 * (2) While the vault is silent the bound in force is policy_silence_s(): counted from the last
 *     good unwrap, so that it is never later than that long after a denial.
 */
#pragma once

#include "base/err.h"

enum outage_policy {
    OUTAGE_DEFAULT, /* the server's */
    OUTAGE_RETAIN,  /* keys stay for the outage, retain_max_s at most */
    OUTAGE_SUSPEND, /* keys go after grace_s */
};

#define RETAIN_FOREVER UINT32_MAX

struct key_policy { /* 0 in a field: the server's default */
    enum outage_policy outage;
    uint32_t grace_s, retain_max_s; /* SILENCE_S_MIN..SILENCE_S_MAX; retain_max_s: RETAIN_FOREVER */
    uint32_t probe_s;               /* PROBE_S_MIN..PROBE_S_MAX */
    uint32_t bound_s;               /* BOUND_S_MIN..BOUND_S_MAX; by default grows with the probe */
};

#define SILENCE_S_MIN 10
#define SILENCE_S_MAX (3650 * 86400) /* ten years: short of that there is RETAIN_FOREVER */
#define GRACE_S       1800           /* the default: 30 minutes, as the text of 2020 has it */
#define PROBE_S       30             /* the default */
#define PROBE_S_MIN   6
#define PROBE_S_MAX   60
#define BOUND_S_MIN   10
#define BOUND_S_MAX   3600
#define CALL_MS_MAX   10000 /* a vault call, in milliseconds */
#define CALL_MS_MIN   200

/* Every field set: from p, else from defaults, else ours. */
struct key_policy policy_resolve(const struct key_policy *p, const struct key_policy *defaults);

bool policy_eq(const struct key_policy *a, const struct key_policy *b);

/* ERR_INVALID: a resolved policy that is out of its limits, or does not fit together (1). */
enum err policy_check(const struct key_policy *p, struct diag *d);

/* What is left of the bound for one vault call. */
uint64_t policy_call_ms(const struct key_policy *p);

/* (2) RETAIN_FOREVER: a revocation is not enforced while the vault is unreachable. */
uint32_t policy_silence_s(const struct key_policy *p);

const char *outage_policy_name(enum outage_policy o);                /* "retain" */
bool outage_policy_parse(const char *text, enum outage_policy *out); /* without case */
