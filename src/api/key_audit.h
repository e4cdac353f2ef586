/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/key_audit.h - the key-access audit log as a table: KeyAccessAudit of the platform's workspace
 *
 * keyd's own files are the log; this is a copy that can be queried.
 * (1) Lines are fetched by their number once they are durable there; keyd is never kept waiting.
 * (2) Each line is stored once: the highest number in the table says where to go on after a crash.
 * (3) The rows are sealed under the platform's key and kept for 730 days.
 * (4) Nobody can write into the workspace, and only an owner of the subscription can read it; it is
 *     no resource, and goes by its name.
 */
#pragma once

#include "resource/arm.h"

#define KEY_AUDIT_TABLE     "KeyAccessAudit"
#define KEY_AUDIT_WORKSPACE "keystead-platform"

struct api;
struct key_audit;

enum err key_audit_start(struct key_audit **out, struct api *a, struct store *store,
                         struct diag *d);
void key_audit_stop(struct key_audit *x); /* frees; NULL is fine */
/* True for the workspace's name or id: *out is as far filled as queries need it. */
bool key_audit_workspace(struct api *a, const char *name_or_id, struct workspace *out);
bool key_audit_is(const struct workspace *w);
