/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/role.h - the built-in roles: a table
 *
 * An action is allowed by a role when one of its actions matches and none of its notActions does;
 * data actions likewise, and apart: owning a vault is no right on its keys. '*' stands for any
 * text.
 */
#pragma once

#include "base/err.h"

struct role {
    const char *id, *name, *description;
    /* Patterns, NULL-terminated; NULL = none. */
    const char *const *actions, *const *not_actions, *const *data_actions, *const *not_data_actions;
};

extern const struct role builtin_roles[];
extern const size_t n_builtin_roles;

#define ROLE_OWNER             "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
#define ROLE_METRICS_PUBLISHER "3913510d-42f4-4e42-8a64-420c390055eb"
#define ROLE_LOG_DATA_READER   "3b03c2da-16b3-4a49-8834-0f8130efdd3b"

const struct role *role_find(const char *id); /* NULL; without case */
bool role_allows(const struct role *r, const char *action, bool is_data);
bool action_matches(const char *pattern, const char *action); /* without case */
