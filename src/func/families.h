/* SPDX-License-Identifier: Apache-2.0 */
/* func/families.h - the list of the families; a new one is added here and in families.c */
#pragma once

#include "func/kernel.h"

extern const struct fn_family *const fn_families[]; /* ends with NULL */

extern const struct fn_family fn_arith, fn_compare, fn_logic, fn_strop, fn_list, fn_convert,
    fn_string, fn_regex, fn_dynamic, fn_datetime, fn_format, fn_math, fn_array, fn_set, fn_net,
    fn_hash, fn_encode, fn_parse, fn_series, fn_series_stat, fn_series_decompose, fn_series_fit,
    fn_series_fft, fn_series_period, fn_window, fn_geo, fn_geo_shape, fn_geo_hash, fn_timezone,
    fn_zip, fn_units, fn_hll, fn_tdigest, fn_punycode, fn_stat, fn_wkt, fn_query, fn_user_agent,
    fn_geo_ip, fn_make_time, fn_array_make, fn_bag, fn_bits;

static inline bool str_is_operator(const char *name)
{
    return strncmp(name, "op ", 3) == 0;
}
