/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/cluster_policy.c - properties.keystead of a cluster: what Keystead has and Azure has not
 *
 *      outagePolicy     "retain" or "suspend"
 *      outageGrace      duration: with suspend, keys serve so long after the last good unwrap
 *      retainMax        duration or "none": the same with retain
 *      revocationBound  duration: no row is returned later than this after a denial
 *      probeInterval    duration: how often the key is tried
 *      state since lastUnwrap boundInForce notEnforced rotationOverdue alarm     read-only
 *
 * A member that is absent stays as it is, also in a PUT: a client that knows nothing of it must not
 * take it away. null goes back to the server's default. The document keeps what was chosen, in
 * seconds; what is in force is keyd's to say.
 */
#include "resource/cluster.h"
#include "resource/duration.h"

#define ANY_DURATION "an ISO 8601 duration of whole seconds like PT30M"

static const struct member {
    const char *name, *hint;
    bool may_be_none;
} members[] = {
    {"outageGrace", ANY_DURATION, false},
    {"retainMax", ANY_DURATION ", or none", true},
    {"revocationBound", ANY_DURATION, false},
    {"probeInterval", ANY_DURATION, false},
};

static const char *const read_only[] = {
    "state", "since", "lastUnwrap", "boundInForce", "notEnforced", "rotationOverdue", "alarm"};

struct key_policy cluster_policy_of(const json_t *doc)
{
    const json_t *p = json_object_get(doc, "policy");
    struct key_policy policy = {.grace_s = (uint32_t)doc_int(p, "outageGrace"),
                                .retain_max_s = (uint32_t)doc_int(p, "retainMax"),
                                .bound_s = (uint32_t)doc_int(p, "revocationBound"),
                                .probe_s = (uint32_t)doc_int(p, "probeInterval")};
    (void)outage_policy_parse(doc_str(p, "outagePolicy"), &policy.outage);
    return policy;
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum err refuse(struct arm_call *c, const char *name, const char *hint, struct diag *d)
{
    return ARM_FAIL(c, d, 400, "InvalidParameter", "keystead.%s is invalid. Set it to %s.", name,
                    hint);
}

static enum err read_outage(struct arm_call *c, const json_t *v, json_t *policy, struct diag *d)
{
    enum outage_policy o;
    if (json_is_null(v)) {
        json_object_del(policy, "outagePolicy");
        return OK;
    }
    const char *text = json_string_value(v);
    if (text == NULL || !outage_policy_parse(text, &o)) {
        return refuse(c, "outagePolicy", "retain or suspend", d);
    }
    json_object_set_new(policy, "outagePolicy", json_string(outage_policy_name(o)));
    return OK;
}

static enum err read_duration(struct arm_call *c, const struct member *m, const json_t *v,
                              json_t *policy, struct diag *d)
{
    uint32_t seconds = 0;
    if (json_is_null(v)) {
        json_object_del(policy, m->name);
        return OK;
    }
    const char *text = json_string_value(v);
    if (m->may_be_none && text != NULL && str_eq_nocase(text, "none")) {
        seconds = RETAIN_FOREVER;
    } else if (text == NULL || !duration_parse(text, &seconds) || seconds == 0) {
        return refuse(c, m->name, m->hint, d);
    }
    json_object_set_new(policy, m->name, json_integer(seconds));
    return OK;
}

static enum err read_member(struct arm_call *c, const char *name, const json_t *v, json_t *policy,
                            struct diag *d)
{
    if (str_eq_nocase(name, "outagePolicy")) return read_outage(c, v, policy, d);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (str_eq_nocase(name, members[i].name)) {
            return read_duration(c, &members[i], v, policy, d);
        }
    }
    /* Who sends back what he has read means no harm. */
    for (size_t i = 0; i < sizeof read_only / sizeof read_only[0]; i++) {
        if (str_eq_nocase(name, read_only[i])) return OK;
    }
    return ARM_FAIL(c, d, 400, "InvalidParameter", "keystead.%.64s is not a property of a cluster.",
                    name);
}

enum err cluster_policy_read(struct arm_call *c, const json_t *old, json_t **out, struct diag *d)
{
    const json_t *given = json_at(c->body, "properties", "keystead", NULL);
    if (given == NULL || json_is_null(given)) return OK;
    if (!json_is_object(given)) return refuse(c, "*", "an object", d);
    const json_t *was = json_object_get(old, "policy");
    CLEANUP_JSON json_t *policy = was != NULL ? json_deep_copy(was) : json_object();
    const char *name;
    json_t *v;
    json_object_foreach ((json_t *)given, name, v)
        TRY(read_member(c, name, v, policy, d));
    if (was != NULL ? !json_equal(policy, was) : json_object_size(policy) != 0) {
        *out = json_incref(policy);
    }
    return OK;
}

enum err cluster_policy_apply(struct arm_call *c, const json_t *policy, struct diag *d)
{
    CLEANUP_JSON json_t *doc = json_pack("{s:O}", "policy", policy);
    struct key_policy p = cluster_policy_of(doc);
    struct diag why = DIAG_INIT;
    enum err e = custody_scope_policy(c->arm->c.custody, c->key, &p, c->caller->object_id, &why);
    if (e == OK || e == ERR_NOT_FOUND) return OK; /* no key yet: it comes with one */
    if (e == ERR_INVALID) {
        return ARM_FAIL(c, d, 400, "InvalidParameter", "keystead is invalid: %s.", why.text);
    }
    return FAIL_TAG(d, e, why.tag, "%s", why.text);
}

/* --- writing ---------------------------------------------------------------------------------- */

static json_t *duration_json(uint32_t seconds)
{
    char text[DURATION_MAX];
    duration_format(seconds, text);
    return json_string(text);
}

static json_t *duration_or(const json_t *seconds, json_t *otherwise)
{
    if (!json_is_integer(seconds)) return otherwise;
    json_decref(otherwise);
    return duration_json((uint32_t)json_integer_value(seconds));
}

static void add_policy(json_t *to, const json_t *policy)
{
    json_object_set(to, "outagePolicy", json_get(policy, "outagePolicy"));
    json_object_set_new(to, "outageGrace",
                        duration_or(json_get(policy, "outageGraceSeconds"), json_null()));
    json_object_set_new(to, "retainMax",
                        duration_or(json_get(policy, "retainMaxSeconds"), json_string("none")));
    json_object_set_new(to, "revocationBound",
                        duration_or(json_get(policy, "revocationBoundSeconds"), json_null()));
    json_object_set_new(to, "probeInterval",
                        duration_or(json_get(policy, "probeSeconds"), json_null()));
}

static void add_state(json_t *to, const json_t *scope)
{
    static const char *const same[] = {"state",       "since",           "lastUnwrap",
                                       "notEnforced", "rotationOverdue", "alarm"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        json_object_set(to, same[i], json_get(scope, same[i]));
    json_object_set_new(to, "boundInForce",
                        duration_or(json_get(scope, "boundInForceSeconds"), json_null()));
}

/* What was chosen, where keyd does not say what is in force. */
static void add_chosen(json_t *to, const json_t *doc)
{
    const json_t *p = json_object_get(doc, "policy");
    const char *outage = doc_str(p, "outagePolicy");
    if (outage[0] != '\0') json_object_set_new(to, "outagePolicy", json_string(outage));
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        int64_t s = doc_int(p, members[i].name);
        if (s == 0) continue;
        json_object_set_new(to, members[i].name,
                            s == RETAIN_FOREVER ? json_string("none") : duration_json((uint32_t)s));
    }
}

json_t *cluster_policy_json(struct arm *a, const char *scope, const json_t *doc)
{
    json_t *out = json_object();
    CLEANUP_JSON json_t *status = NULL;
    struct diag why = DIAG_INIT;
    if (custody_scope_state(a->c.custody, scope, &status, &why) != OK) {
        add_chosen(out, doc); /* keyd is away: its state is not known, and not made up */
        return out;
    }
    const json_t *is = json_array_get(json_get(status, "scopes"), 0);
    if (is == NULL) { /* no key yet */
        add_policy(out, json_get(status, "defaults"));
        add_chosen(out, doc);
        return out;
    }
    add_policy(out, json_get(is, "policy"));
    add_state(out, is);
    return out;
}
