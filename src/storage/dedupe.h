/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/dedupe.h - which batches were stored a short while ago: a sender that heard no answer
 * asks again
 *
 * (1) An id is claimed by one writer at a time; who comes with the same one meanwhile waits for the
 *     outcome.
 * (2) An id is known for DEDUPE_US after its batch came, of the newest DEDUPE_MAX.
 * (3) The log remembers ids across a restart (docs/formats/wal.md); this is the memory.
 */
#pragma once

#include "base/bytes.h"
#include "base/time.h"

#define BATCH_ID_LEN 16
#define DEDUPE_US    (300 * US_PER_S)
#define DEDUPE_MAX   262144u /* ids */

struct dedupe;

struct dedupe *dedupe_new(uint32_t ids_max); /* NULL: memory is out */
void dedupe_free(struct dedupe *t);          /* NULL is fine */

/* *fresh: the caller writes the batch, and says dedupe_end() when it knows. Not fresh: it is
 * stored. ERR_LIMIT, ERR_UNAVAILABLE (another one writes it for more than a minute): nothing was
 * claimed. */
enum err dedupe_begin(struct dedupe *t, const uint8_t id[BATCH_ID_LEN], int64_t now_us, bool *fresh,
                      struct diag *d);
void dedupe_end(struct dedupe *t, const uint8_t id[BATCH_ID_LEN], bool is_stored);

/* What a log says. An id that is being written stays its writer's, and is stored also when the writer
 * fails. */
enum err dedupe_note(struct dedupe *t, const uint8_t id[BATCH_ID_LEN], int64_t time_us,
                     int64_t now_us, struct diag *d);
/* Is it stored, or being written this moment? */
bool dedupe_knows(struct dedupe *t, const uint8_t id[BATCH_ID_LEN], int64_t now_us);
