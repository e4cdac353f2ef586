/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/arm.h - what the files of the control plane share; inside keyvault/ only */
#pragma once

#include "keyvault/service.h"

/* What a route's "*" stood for, in order. */
struct arm_args {
    const char *v[4]; /* subscription first */
    bool pool;        /* of managed HSMs, not of vaults */
};
typedef enum err arm_endpoint(struct call *c, const struct arm_args *a, struct diag *d);

/* --- arm.c --- */
const char *vaults_type(const struct arm_args *a); /* "vaults", "managedHSMs" */
/* "Microsoft.KeyVault/vaults/read", or a pool's; arena of the request. */
const char *vaults_action(const struct call *c, const struct arm_args *a, const char *verb);
/* The name of the row in the store; a name too long for any is none's. */
const char *vaults_row(const struct call *c, const struct arm_args *a);
enum err vaults_may_in_subscription(const struct call *c, const char *action,
                                    const struct arm_args *a, struct diag *d);
json_t *vaults_shown(const json_t *vault);

/* --- arm_list.c --- */
arm_endpoint vaults_in_group, vaults_in_subscription, vaults_deleted, vaults_get_deleted,
    vaults_purge, vaults_check_name;
