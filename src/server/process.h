/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/process.h - what each process that the supervisor starts does the same way
 *
 * process_begin() names it, ignores the signals that go to the whole group (the supervisor decides
 * the order of a stop), and starts the thread that reads the control socket: new sockets to peers
 * are attached to the channels registered for them, in whatever order both come.
 */
#pragma once

#include "base/chan.h"
#include "json/json.h"

#define PROCESS_PEERS_MAX 4

/* name is a literal: "logs", "keyd" ... */
enum err process_begin(const char *name, struct diag *d);
/* Sockets to this peer go to this channel from now on; those that came before too. */
enum err process_peer(const char *name, struct chan *c, struct diag *d);
enum err process_ready(json_t *info, struct diag *d);         /* takes info; NULL = {} */
enum err process_kill_peer(const char *name, struct diag *d); /* asks the supervisor to */
bool process_quitting(void);
void process_wait_quit(void); /* until the supervisor says so or is gone, or process_quit() */
void process_quit(void);
