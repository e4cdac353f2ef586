/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/dropped.h - rows that were accepted and dropped: counted by account, table and reason, kept
 * for ever
 *
 * An acknowledged row is readable, or counted here: the count is durable before the answer goes
 * out.
 */
#pragma once

#include "resource/doc.h"

struct dropped;

enum err dropped_open(struct dropped **out, struct docs *docs, struct diag *d);
void dropped_free(struct dropped *x);
/* table: its random id as text, not its name. */
enum err dropped_add(struct dropped *x, const uint8_t account[16], const char *table,
                     const char *reason, uint64_t rows, struct diag *d);
uint64_t dropped_total(struct dropped *x, const uint8_t account[16]);
/* [{"table","reason","rows"}] of an account. */
json_t *dropped_list(struct dropped *x, const uint8_t account[16]);

DEFINE_CLEANUP(dropped_free, struct dropped)
