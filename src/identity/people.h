/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/people.h - how people sign in: codes that live for minutes, and counted mistakes; inside
 * identity/ only
 *
 * Codes are in memory alone: after a restart of identity people sign in again. A code is 256 random
 * bits, works once, and is known to the store of codes by its digest.
 */
#pragma once

#include "identity/endpoint.h"

#define CODE_LEN       64 /* characters */
#define CODE_LIFE_S    300
#define DEVICE_LIFE_S  900
#define DEVICE_POLL_S  5
#define REFRESH_LIFE_S (14 * 86400)
#define USER_CODE_MAX  10 /* "BCDF-GHJK" and a zero */
#define CHALLENGE_MAX  64
#define URI_MAX        1024

/* Public clients: az, Azure PowerShell, and ours (command line and portal). */
#define CLIENT_KEYSTEAD "6b657973-7465-4164-8000-00000000c11e"
bool is_public_client(const char *client_id);

/* What was signed in for. */
struct login {
    char object_id[GUID_TEXT_MAX]; /* "" = nobody has signed in yet */
    char client_id[GUID_TEXT_MAX];
    char audience[AUDIENCE_MAX], redirect_uri[URI_MAX], challenge[CHALLENGE_MAX], nonce[256];
    char user_code[USER_CODE_MAX];
    bool wants_id, wants_refresh;
    int64_t until_us;
};

void people_digest(const char *code, char out[2 * 32 + 1]);
/* Keeps a copy under a new code. ERR_LIMIT: too many at once. */
enum err people_keep(struct identity *id, const struct login *l, char code[CODE_LEN + 1],
                     struct diag *d);
/* Takes the login out, when it is there and lives. */
bool people_take(struct identity *id, const char *code, struct login *out);
enum device_state { DEVICE_UNKNOWN, DEVICE_WAITING, DEVICE_DONE };
/* DONE takes it out. */
enum device_state people_poll(struct identity *id, const char *code, const char *client_id,
                              struct login *out);
/* Ties the waiting device of that user code to a person. false: no such code. */
bool people_approve(struct identity *id, const char *user_code, const char *object_id);

/* May this name be tried from there now? Every wrong try counts for 15 minutes: 5 for a name, 30
 * for an address. */
bool people_may_try(struct identity *id, const char *name, const char *peer);
/* The person, or false: counted. */
bool people_check(struct identity *id, const char *name, const char *password, const char *peer,
                  struct principal *out);

/* "https://resource/.default openid offline_access": sets audience and wishes. false: no scope that
 * is understood. */
bool people_scope(const struct identity *id, const char *scope, const char *resource,
                  struct login *l);

/* --- pages (page.c) --------------------------------------------------------------------------- */

struct page_field {
    const char *name, *value; /* hidden */
};
/* A form that posts to action with name, password and, when asked for, a device's code. message may
 * be NULL. Sets the cookie of the double-submit token. */
void page_login(struct endpoint *e, int status, const char *action, const char *message,
                const struct page_field *hidden, size_t n_hidden, const char *user_code);
void page_text(struct endpoint *e, int status, const char *title, const char *text);
/* Does the form's token belong to this browser's cookie? */
bool page_form_is_ours(struct endpoint *e, struct token_form *f);
