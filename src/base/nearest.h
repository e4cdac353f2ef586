/* SPDX-License-Identifier: Apache-2.0 */
/* base/nearest.h - the name nearest to a misspelt one: what was probably meant */
#pragma once

/* Offers candidates one by one; name stays NULL while none is near enough to be a slip of the
 * finger. Names are borrowed. */
struct nearest {
    const char *wanted, *name;
    unsigned distance;
};
struct nearest nearest_to(const char *wanted);
void nearest_try(struct nearest *n, const char *candidate);

/* Ends a sentence about a name that is not there; near: a struct nearest's name. */
#define NEAREST_FMT "%s%s%s"
#define NEAREST_ARGS(near) \
    (near) ? "; did you mean '" : "", (near) ? (near) : "", (near) ? "'?" : ""
