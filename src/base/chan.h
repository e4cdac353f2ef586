/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/chan.h - calls between two of our processes over a socket pair
 *
 * Symmetric: either side may call, any number of calls at once. A frame is, little-endian,
 *
 *      0  u32  body length, 0..CHAN_BODY_MAX
 *      4  u64  call id, chosen by the caller
 *     12  u16  method; 0 in an answer
 *     14  u16  enum err of an answer; 0 in a call
 *     16  ...  body: the call's argument, the result, or after a failure its sentence and tag
 *
 * The peer may die and come back: while no socket is attached every call is ERR_UNAVAILABLE, calls
 * that were waiting fail the same way, and chan_attach() brings the channel back to life. A peer that
 * does not read keeps nobody longer than the timeout of his call. Bodies are wiped after use: file
 * keys pass through here.
 */
#pragma once

#include "base/bytes.h"

#define CHAN_BODY_MAX  ((size_t)64 << 20)  /* bytes of one body */
#define CHAN_BYTES_MAX ((size_t)128 << 20) /* of all calls that wait for a thread or are served */

struct chan;

/* Answers one call on a pool thread; may call back through the same channel. Bytes are borrowed. */
typedef enum err chan_handler(void *ctx, uint16_t method, struct bytes in, struct buf *out,
                              struct diag *d);

/* name is a literal, the peer's, for messages. n_threads serve incoming calls. handler may be NULL:
 * every incoming call is then ERR_UNSUPPORTED. Starts detached. */
enum err chan_new(struct chan **out, const char *name, unsigned n_threads, chan_handler *handler,
                  void *ctx, struct diag *d);
void chan_free(struct chan *c); /* waits for handlers to end; NULL is fine */

/* Called from the reader's thread when the peer comes (up) and goes. Must not call chan_call(). */
void chan_on_state(struct chan *c, void (*changed)(void *ctx, bool up), void *ctx);

enum err chan_attach(struct chan *c, int fd, struct diag *d); /* takes fd; replaces a dead one */
bool chan_is_up(struct chan *c);
enum err chan_wait_up(struct chan *c, uint64_t timeout_ms, struct diag *d);

/* ERR_UNAVAILABLE no peer, or no answer in time; else what the handler returned, with its sentence
 */
enum err chan_call(struct chan *c, uint16_t method, struct bytes in, struct buf *out,
                   uint64_t timeout_ms, struct diag *d);
