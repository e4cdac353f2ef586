/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/user_agent.h - what a browser says of itself, by the patterns of uap-core
 *
 * The patterns are Debian's package uap-core (/usr/share/uap-core/regexes.yaml, Apache-2.0), read
 * once per process, when they are first asked for; each is compiled when it is first tried. The
 * first pattern that matches decides, as the package's specification.md says. Any thread may ask.
 */
#pragma once

#include "base/bytes.h"

enum ua_part { UA_BROWSER, UA_OS, UA_DEVICE, UA_PARTS };

#define UA_FIELDS_MAX 5

/*
 * Fields of a part, borrowed from the text, the patterns or `room`, "" where nothing is known:
 *
 *      browser   family, major, minor, patch
 *      os        family, major, minor, patch, patch minor
 *      device    family, brand, model
 *
 * What no pattern knows is of the family "Other".
 */
struct ua {
    struct bytes fields[UA_FIELDS_MAX];
    struct buf room;
};
void ua_release(struct ua *u);
#define CLEANUP_UA __attribute__((cleanup(ua_release)))

/* ERR_UNSUPPORTED: the package is not installed. */
enum err ua_ready(struct diag *d);
/* After ua_ready(). *out is zeroed or was used before. */
enum err ua_find(enum ua_part part, struct bytes text, struct ua *out, struct diag *d);
uint32_t ua_fields(enum ua_part part); /* how many */
