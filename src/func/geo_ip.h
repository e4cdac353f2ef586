/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/geo_ip.h - where geo_info_from_ip_address() looks: a database that the operator names
 *
 * One of the process, in MaxMind's format (mmdb.h): GeoLite2-City, GeoIP2-City, DBIP-City-Lite,
 * or of countries alone. Without one the function is refused by name. Nothing is ever fetched.
 */
#pragma once

#include "base/bytes.h"

/* Once, before the first query is compiled. ERR_INVALID: it knows no places; else as mmdb_open(). */
enum err geo_ip_open(const char *path, struct diag *d);
void geo_ip_close(void);
