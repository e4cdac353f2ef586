/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json/json.h - JSON documents (jansson) read without case and with a sentence for what is wrong
 *
 * Azure binds property names without regard to case: "KeyVaultUri" and "keyVaultUri" are one.
 */
#pragma once

#include "base/bytes.h"

#include <jansson.h>

#define JSON_DEPTH_MAX 64

static inline void json_cleanup(json_t **j)
{
    json_decref(*j);
}
#define CLEANUP_JSON __attribute__((cleanup(json_cleanup)))

/* Any JSON value; duplicate names, bad UTF-8, trailing bytes and depth over JSON_DEPTH_MAX are
 * refused. */
enum err json_read(struct bytes text, json_t **out, struct diag *d);
enum err json_write(const json_t *j, struct buf *out, struct diag *d); /* compact; appends */

/* A string with its quotes; what is not UTF-8 becomes U+FFFD. Appends. */
void json_quote(struct buf *out, struct bytes s);

/* Member without case; NULL when o is no object or has no such member. Borrowed. */
json_t *json_get(const json_t *o, const char *name);
/* Along names: json_at(o, "properties", "keyVaultProperties", NULL). Borrowed. */
json_t *json_at(const json_t *o, ...) __attribute__((sentinel));
/* The text of a string member; NULL when it is absent or no string. Borrowed. */
const char *json_get_str(const json_t *o, const char *name);
bool json_get_bool(const json_t *o, const char *name, bool otherwise);
int64_t json_get_int(const json_t *o, const char *name, int64_t otherwise);
/* Sets under the name's own casing, replacing a member that differs only in case. Takes v. */
enum err json_put(json_t *o, const char *name, json_t *v, struct diag *d);
