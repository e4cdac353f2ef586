/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/query_session.c - who asks, as current_principal() and its like tell
 *
 * What a token does not say is null. Principals are named as Kusto does: aaduser=, aadapp= or aadgroup=,
 * then an id or an address, then perhaps ;tenant. Of groups only ids are known here; queries
 * of Azure Monitor can't ask for them at all, as the original says.
 */
#include "api/query.h"

#include "column/dyn.h"

#include <stdlib.h>

static bool is_person(const struct caller *c)
{
    return c->upn[0] != '\0';
}

static void bag_text(struct buf *out, const char *name, const char *text)
{
    struct diag d = DIAG_INIT;
    struct value v = {.type = T_STRING, .s = bytes_str(text != NULL ? text : "")};
    if (text == NULL) v = (struct value){.type = T_DYNAMIC, .is_null = true};
    dyn_bag_name(out, bytes_str(name));
    (void)dyn_from_value(&v, out, &d); /* a text always is one */
}

static bool describe(struct query_call *q, const char *principal)
{
    const struct caller *c = &q->front->caller;
    CLEANUP_BUF struct buf out = {0};
    size_t at = dyn_bag_begin(&out);
    bag_text(&out, "UserPrincipalName", is_person(c) ? c->upn : NULL);
    bag_text(&out, "IdentityProvider", c->issuer);
    bag_text(&out, "Authority", c->tenant_id);
    bag_text(&out, "Mfa", NULL);
    bag_text(&out, "Type", is_person(c) ? "AadUser" : "AadApp");
    bag_text(&out, "DisplayName", NULL);
    bag_text(&out, "ObjectId", c->object_id);
    bag_text(&out, "FQN", principal);
    bag_text(&out, "Notes", NULL);
    dyn_bag_end(&out, at, 9);
    struct diag d = DIAG_INIT;
    struct bytes bag = arena_bytes(q->front->req->a, buf_view(&out));
    q->session.details = (struct value){.type = T_DYNAMIC, .s = bag};
    return bag.p != NULL && buf_check(&out, &d) == OK;
}

/* --- is he one of them? ----------------------------------------------------------------------- */

static enum err in_group(const struct front_call *c, const char *group, bool *out, struct diag *d)
{
    char(*groups)[GUID_TEXT_MAX] = NULL;
    size_t n = 0;
    struct guid id;
    if (guid_parse(group, &id, NULL) != OK) {
        return FAIL(d, ERR_UNSUPPORTED, "the group '%s' is named by its object id only", group);
    }
    TRY(identity_groups(c->api->c.identity, c->caller.object_id, &groups, &n, d));
    for (size_t i = 0; i < n; i++)
        *out |= str_eq_nocase(groups[i], group);
    free(groups);
    return OK;
}

static enum err is_member(void *ctx, const char *of, bool *out, struct diag *d)
{
    const struct front_call *c = ctx;
    char name[256];
    const char *from = strchr(of, '='), *tenant = strchr(of, ';');
    size_t len =
        from != NULL ? (tenant != NULL ? (size_t)(tenant - from) - 1 : strlen(from + 1)) : 0;
    bool good = from != NULL && (tenant == NULL || tenant > from) && len != 0 && len < sizeof name;
    *out = false;
    if (good) snprintf(name, sizeof name, "%.*s", (int)len, from + 1);
    bool same = tenant == NULL || str_eq_nocase(tenant + 1, c->caller.tenant_id);
    if (good && str_starts_nocase(of, "aadgroup=")) return same ? in_group(c, name, out, d) : OK;
    bool user = good && str_starts_nocase(of, "aaduser=");
    if (!user && !(good && str_starts_nocase(of, "aadapp="))) {
        return FAIL_TAG(d, ERR_INVALID, "SEM0100",
                        "'%s' names no principal: aaduser=, aadapp= or aadgroup=, then its id", of);
    }
    const struct caller *who = &c->caller;
    bool is_he =
        str_eq_nocase(name, who->object_id) || str_eq_nocase(name, user ? who->upn : who->app_id);
    *out = same && is_he && user == is_person(who);
    return OK;
}

/* --- all -------------------------------------------------------------------------------------- */

bool query_session(struct query_call *q)
{
    struct front_call *c = q->front;
    const char *url = c->api->c.endpoint, *host = strstr(url, "://");
    const char *principal = arena_fmt(
        c->req->a, "%s=%s;%s", is_person(&c->caller) ? "aaduser" : "aadapp",
        is_person(&c->caller) ? c->caller.object_id : c->caller.app_id, c->caller.tenant_id);
    q->session = (struct kql_session){.cluster = host != NULL ? host + 3 : url,
                                      .principal = principal,
                                      .ctx = c,
                                      .is_member = q->by_database ? is_member : NULL};
    return principal != NULL && describe(q, principal);
}
