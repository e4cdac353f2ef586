/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/quota.h - the daily cap of a workspace: how many bytes it has taken since midnight UTC
 *
 * (1) What came is counted before it is stored, and the batch that reaches the cap is the last one
 *     taken.
 * (2) The count is on the disk to within one hundredth of the cap or 1 MiB, whichever is more: a
 *     restart starts from there.
 * (3) Workspaces without a cap are not counted.
 */
#pragma once

#include "resource/arm.h"

#define QUOTA_GB 1000000000.0 /* bytes */

/* May the workspace take so many bytes now? Counts them if so. */
bool quota_take(struct arm *a, const struct workspace *w, uint64_t bytes);
/* "RespectQuota", "ApproachingQuota" or "OverQuota". cap_gb < 0: none. */
const char *quota_status(struct arm *a, const char *customer_id, double cap_gb);
int64_t quota_reset_us(int64_t now_us); /* when the next day begins */
