/* SPDX-License-Identifier: Apache-2.0 */
/* vault/token.c - opening a PKCS#11 token, its sessions, and what its return values mean */
#include "vault/token_core.h"

#include "base/log.h"
#include "base/os.h"
#include "base/str.h"
#include "base/thread.h"
#include "crypto/secret_file.h"

#include <p11-kit/p11-kit.h>
#include <stdlib.h>
#include <unistd.h>

#define SESSIONS_MAX 16
#define SLOTS_MAX    256
#define LABEL_LEN    32 /* bytes, padded with spaces */

struct token {
    CK_FUNCTION_LIST *f;
    char *label;
    struct secret *pin;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t given_back;
    pid_t pid; /* that initialised the module: a child must do so again (PKCS#11 2.40, 6.6.1) */
    CK_SESSION_HANDLE idle[SESSIONS_MAX];
    unsigned n_idle, n_open;
};

const char *token_label(const struct token *t)
{
    return t->label;
}

/* --- return values --- */

/* The session is no good any more; the token may be. */
static bool is_lost(CK_RV rv)
{
    switch (rv) {
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_SESSION_CLOSED:
    case CKR_USER_NOT_LOGGED_IN:
    case CKR_DEVICE_REMOVED:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_TOKEN_NOT_RECOGNIZED:
    case CKR_CRYPTOKI_NOT_INITIALIZED: return true;
    default: return false;
    }
}

struct meaning {
    enum err err;
    const char *tag;
};

static struct meaning meaning_of(CK_RV rv)
{
    if (is_lost(rv)) return (struct meaning){ERR_UNAVAILABLE, "TokenGone"};
    switch (rv) {
    case CKR_KEY_HANDLE_INVALID:
    case CKR_OBJECT_HANDLE_INVALID:
    case CKR_UNWRAPPING_KEY_HANDLE_INVALID:
    case CKR_WRAPPING_KEY_HANDLE_INVALID: return (struct meaning){ERR_DENIED, "KeyNotFound"};
    case CKR_KEY_FUNCTION_NOT_PERMITTED:
        return (struct meaning){ERR_DENIED, "OperationNotPermitted"};
    case CKR_PIN_INCORRECT:
    case CKR_PIN_INVALID:
    case CKR_PIN_LEN_RANGE:
    case CKR_PIN_EXPIRED:
    case CKR_PIN_LOCKED:
    case CKR_USER_PIN_NOT_INITIALIZED: return (struct meaning){ERR_UNAVAILABLE, "TokenRefused"};
    case CKR_MECHANISM_INVALID:
    case CKR_MECHANISM_PARAM_INVALID:
    case CKR_FUNCTION_NOT_SUPPORTED:
    case CKR_CURVE_NOT_SUPPORTED:
    case CKR_DOMAIN_PARAMS_INVALID:
    case CKR_KEY_TYPE_INCONSISTENT:
    case CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT:
    case CKR_WRAPPING_KEY_TYPE_INCONSISTENT:
    case CKR_KEY_SIZE_RANGE: return (struct meaning){ERR_UNSUPPORTED, "Mechanism"};
    case CKR_WRAPPED_KEY_INVALID:
    case CKR_WRAPPED_KEY_LEN_RANGE:
    case CKR_ENCRYPTED_DATA_INVALID:
    case CKR_ENCRYPTED_DATA_LEN_RANGE:
    case CKR_DATA_INVALID:
    case CKR_DATA_LEN_RANGE: return (struct meaning){ERR_INVALID, "BadData"};
    case CKR_DEVICE_MEMORY:
    case CKR_HOST_MEMORY:
    case CKR_SESSION_COUNT: return (struct meaning){ERR_LIMIT, "TokenFull"};
    default: return (struct meaning){ERR_UNAVAILABLE, "TokenError"};
    }
}

enum err token_fail(struct session *s, CK_RV rv, const char *what, struct diag *d)
{
    s->rv = rv;
    struct meaning m = meaning_of(rv);
    return FAIL_TAG(d, m.err, m.tag, "token: %s: %s", what, p11_kit_strerror(rv));
}

/* --- sessions --- */

static bool has_label(const CK_TOKEN_INFO *info, const char *label)
{
    uint8_t want[LABEL_LEN];
    memset(want, ' ', sizeof want);
    memcpy(want, label, strlen(label));
    return memcmp(info->label, want, sizeof want) == 0;
}

/* Asked again for each session: a token that was away may come back in another slot. */
static enum err find_slot(struct token *t, struct session *s, CK_SLOT_ID *out, struct diag *d)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG n = 0;
    TRY_CK(s, s->f->C_GetSlotList(CK_TRUE, NULL, &n), "list of slots", d);
    n = SLOTS_MAX;
    TRY_CK(s, s->f->C_GetSlotList(CK_TRUE, slots, &n), "list of slots", d);
    unsigned found = 0;
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;
        if (s->f->C_GetTokenInfo(slots[i], &info) != CKR_OK || !has_label(&info, t->label))
            continue;
        *out = slots[i];
        found++;
    }
    if (found == 1) return OK;
    s->rv = CKR_TOKEN_NOT_PRESENT;
    return FAIL_TAG(d, ERR_UNAVAILABLE, found == 0 ? "TokenGone" : "Ambiguous",
                    "token: %s with the label '%s'", found == 0 ? "none" : "more than one",
                    t->label);
}

static enum err open_session(struct token *t, struct session *s, struct diag *d)
{
    CK_SLOT_ID slot = 0;
    TRY(find_slot(t, s, &slot, d));
    CK_SESSION_HANDLE h = 0;
    TRY_CK(s, s->f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h),
           "open session", d);
    CK_RV rv = s->f->C_Login(h, CKU_USER, (CK_UTF8CHAR *)secret_peek(t->pin), secret_len(t->pin));
    /* All sessions of a process with a token share one login. */
    if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN) {
        (void)s->f->C_CloseSession(h);
        return token_fail(s, rv, "login", d);
    }
    s->h = h;
    return OK;
}

static void after_fork(struct token *t)
{
    if (t->pid == getpid()) return;
    t->pid = getpid();
    t->n_idle = t->n_open = 0; /* they were the parent's */
    CK_RV rv = p11_kit_module_initialize(t->f);
    if (rv != CKR_OK) LOG(ERROR, "token.not_initialised", F_STR("why", p11_kit_strerror(rv)));
}

/* An idle session, or room for a new one: then *h is 0. */
static void reserve(struct token *t, bool fresh, CK_SESSION_HANDLE *h)
{
    LOCK_SCOPE(&t->lock);
    after_fork(t);
    *h = 0;
    while (t->n_open == SESSIONS_MAX && t->n_idle == 0)
        pthread_cond_wait(&t->given_back, &t->lock);
    if (t->n_idle == 0) {
        t->n_open++;
        return;
    }
    bool reuse = !fresh || t->n_open == SESSIONS_MAX;
    CK_SESSION_HANDLE idle = reuse ? t->idle[--t->n_idle] : 0;
    if (!reuse) t->n_open++;
    if (reuse && fresh) {
        (void)t->f->C_CloseSession(idle); /* its place is wanted, not itself */
    } else {
        *h = idle;
    }
}

static void give_back(struct token *t, const struct session *s)
{
    LOCK_SCOPE(&t->lock);
    if (s->h != 0 && s->rv == CKR_OK) {
        t->idle[t->n_idle++] = s->h;
    } else {
        /* Also after a plain failure: an operation that was begun may still be under way in it. */
        if (s->h != 0) (void)t->f->C_CloseSession(s->h);
        t->n_open--;
    }
    pthread_cond_signal(&t->given_back);
}

static enum err run_once(struct token *t, token_step *step, void *arg, bool fresh, bool *lost,
                         struct diag *d)
{
    struct session s = {.f = t->f, .rv = CKR_OK};
    reserve(t, fresh, &s.h);
    enum err e = s.h != 0 ? OK : open_session(t, &s, d);
    if (e == OK) e = step(&s, arg, d);
    *lost = e != OK && is_lost(s.rv);
    give_back(t, &s);
    return e;
}

enum err token_run(struct token *t, token_step *step, void *arg, struct diag *d)
{
    struct diag why = DIAG_INIT;
    bool lost = false;
    enum err e = run_once(t, step, arg, false, &lost, &why);
    if (lost) {
        LOG(INFO, "token.session_lost", F_STR("token", t->label), F_ERR(&why));
        diag_reset(&why);
        e = run_once(t, step, arg, true, &lost, &why);
    }
    if (e == OK) return OK;
    return FAIL_TAG(d, e, why.tag, "%s", why.text);
}

/* --- opening --- */

static enum err load(struct token *t, const char *module, struct diag *d)
{
    if (module[0] != '/')
        return FAIL(d, ERR_INVALID, "PKCS#11 module %s: not an absolute path", module);
    if (!os_exists(module))
        return FAIL(d, ERR_NOT_FOUND, "PKCS#11 module %s: no such file", module);
    t->f = p11_kit_module_load(module, 0);
    if (t->f == NULL) {
        const char *why = p11_kit_message();
        return FAIL_TAG(d, ERR_UNAVAILABLE, "TokenGone", "PKCS#11 module %s: %s", module,
                        why != NULL ? why : "cannot be loaded");
    }
    CK_RV rv = p11_kit_module_initialize(t->f);
    if (rv == CKR_OK) return OK;
    p11_kit_module_release(t->f);
    t->f = NULL;
    return FAIL_TAG(d, ERR_UNAVAILABLE, "TokenGone", "PKCS#11 module %s: %s", module,
                    p11_kit_strerror(rv));
}

static enum err do_nothing(struct session *s, void *arg, struct diag *d)
{
    (void)s, (void)arg, (void)d;
    return OK;
}

enum err token_open(struct token **out, const struct token_config *c, struct diag *d)
{
    if (c->label[0] == 0 || strlen(c->label) > LABEL_LEN) {
        return FAIL(d, ERR_INVALID, "the label of a token has 1 to %d bytes", LABEL_LEN);
    }
    CLEANUP(token_close) struct token *t = calloc(1, sizeof *t);
    if (t == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->given_back, NULL);
    t->pid = getpid();
    t->label = str_dup(c->label);
    if (t->label == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(secret_from_file(c->pin_file, "PIN file", &t->pin, d));
    TRY(load(t, c->module, d));
    TRY(token_run(t, do_nothing, NULL, d));
    LOG(INFO, "token.opened", F_STR("module", c->module), F_STR("token", t->label));
    *out = TAKE(t);
    return OK;
}

void token_close(struct token *t)
{
    if (t == NULL) return;
    if (t->f != NULL && t->pid == getpid()) {
        for (unsigned i = 0; i < t->n_idle; i++)
            (void)t->f->C_CloseSession(t->idle[i]);
        (void)p11_kit_module_finalize(t->f);
        p11_kit_module_release(t->f);
    }
    secret_free(t->pin);
    free(t->label);
    pthread_cond_destroy(&t->given_back);
    pthread_mutex_destroy(&t->lock);
    free(t);
}
