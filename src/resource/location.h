/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/location.h - regions: "West Europe" and "westeurope" are the same
 */
#pragma once

#include "base/arena.h"

/* Lower case, without spaces; any location is a location. */
const char *location_canonical(struct arena *a, const char *s);
/* "West Europe" where the region is known, else as it is. */
const char *location_display(const char *canonical);

struct location {
    const char *name, *display;
};
const struct location *location_at(uint32_t i); /* NULL after the last */
