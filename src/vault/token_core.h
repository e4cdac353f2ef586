/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault/token_core.h - sessions of a token, for token_*.c; the only header that shows PKCS#11
 *
 * What uses the token is a step: a function that is given a logged-in session and may be run twice,
 * since the first session may turn out to be dead. It fails with FAIL_CK().
 */
#pragma once

#include "vault/token.h"

#include <p11-kit/pkcs11.h>

struct session {
    CK_FUNCTION_LIST *f;
    CK_SESSION_HANDLE h;
    CK_RV rv; /* of the call that failed last */
};

typedef enum err token_step(struct session *s, void *arg, struct diag *d);

/* Runs step on a session of the pool; once more on a new one when the token had lost the first. */
enum err token_run(struct token *t, token_step *step, void *arg, struct diag *d);

/* Fails as token.h says for this return value. */
enum err token_fail(struct session *s, CK_RV rv, const char *what, struct diag *d);
#define TRY_CK(s, call, what, d)                                             \
    do {                                                                     \
        CK_RV try_rv_ = (call);                                              \
        if (try_rv_ != CKR_OK) return token_fail((s), try_rv_, (what), (d)); \
    } while (0)

/* The one key of that name and class. ERR_DENIED "KeyNotFound", ERR_UNAVAILABLE "Ambiguous". */
enum err token_find(struct session *s, const struct token_name *name, CK_OBJECT_HANDLE *out,
                    struct diag *d);
/* Every object that matches; at most max are returned, *n is how many there are up to max. */
enum err token_find_all(struct session *s, CK_ATTRIBUTE *template, CK_ULONG n_template,
                        CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *n, struct diag *d);
/* Appends the attribute's bytes. */
enum err token_attribute(struct session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type,
                         struct buf *out, struct diag *d);

#define ATTR(type, object)                        \
    {                                             \
        (type), (void *)&(object), sizeof(object) \
    }
