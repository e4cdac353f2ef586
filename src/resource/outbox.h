/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/outbox.h - what the activity log is still to be told
 *
 * (1) What a change is to be told as is written in the change's own transaction: there is no moment
 *     at which a crash could keep the change and forget its row.
 * (2) It is told before the request is answered. What a crash or a full disk kept from being told is
 *     told when the store is open again, or with the next housekeeping; whoever is told looks for the
 *     event's id first then: exactly once.
 *     It is sealed under the platform's key, as the activity log is.
 * (3) What has been told leaves with the next change: it costs no transaction of its own.
 */
#pragma once

#include "resource/arm.h"

struct outbox;
struct outbox *outbox_new(void); /* NULL: memory is out */
void outbox_free(struct outbox *o);

/* (1) Adds the event to the change, and takes out what has been told (3). e->id and e->time_us are
 * set. */
void outbox_put(struct arm *a, struct change *c, const struct arm_event *e);
/* (2) At start, before anything is changed: all that is there. */
void outbox_replay(struct arm *a);
/* (2) What could not be told since. */
void outbox_tidy(struct arm *a);
