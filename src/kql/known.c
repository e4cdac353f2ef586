/* SPDX-License-Identifier: Apache-2.0 */
/* kql/known.c - names that Kusto has and we do not */
#include "kql/known.h"

#include <stdlib.h>
#include <string.h>

/* Sorted by strcmp(): bsearch() relies on it, and a test says so. */
// clang-format off
static const char *const functions[] = {
    "abs", "acos", "adx", "ago", "all", "any", "anyif", "app", "arg", "arg_max", "arg_min",
    "argmax", "argmin", "around", "array_concat", "array_iff", "array_iif", "array_index_of",
    "array_length", "array_reverse", "array_rotate_left", "array_rotate_right",
    "array_shift_left", "array_shift_right", "array_slice", "array_sort_asc", "array_sort_desc",
    "array_split", "array_strcat", "array_sum", "arraylength", "asin", "assert", "atan", "atan2",
    "avg", "avgif", "bag_has_key", "bag_keys", "bag_merge", "bag_pack", "bag_pack_columns",
    "bag_remove_keys", "bag_set_key", "bag_zip", "base64_decode_toarray", "base64_decode_toguid",
    "base64_decode_tostring", "base64_decodestring", "base64_encode_fromarray",
    "base64_encode_fromguid", "base64_encode_tostring", "base64_encodestring", "beta_cdf",
    "beta_inv", "beta_pdf", "bin", "bin_at", "bin_auto", "binary_all_and", "binary_all_or",
    "binary_all_xor", "binary_and", "binary_not", "binary_or", "binary_shift_left",
    "binary_shift_right", "binary_xor", "bitset_count_ones", "buildschema", "case", "ceiling",
    "cluster", "cnt", "coalesce", "column_ifexists", "column_names_of", "columnifexists",
    "convert_angle", "convert_energy", "convert_force", "convert_length", "convert_mass",
    "convert_speed", "convert_temperature", "convert_volume", "cos", "cot", "count",
    "count_distinct", "count_distinctif", "countif", "countof", "covariance", "covarianceif",
    "covariancep", "covariancepif", "current_cluster_endpoint", "current_cursor",
    "current_database", "current_node_id", "current_principal", "current_principal_details",
    "current_principal_is_member_of", "cursor_after", "cursor_before_or_at", "cursor_current",
    "database", "datepart", "datetime_add", "datetime_diff", "datetime_list_timezones",
    "datetime_local_to_utc", "datetime_part", "datetime_utc_to_local", "dayofmonth", "dayofweek",
    "dayofyear", "dcount", "dcount_hll", "dcountif", "degrees", "dynamic_to_json", "endofday",
    "endofmonth", "endofweek", "endofyear", "entity_group", "erf", "erfc", "estimate_data_size",
    "exp", "exp10", "exp2", "extent_id", "extent_tags", "extentid", "external_table", "extract",
    "extract_all", "extract_json", "extractall", "extractjson", "floor", "format_bytes",
    "format_datetime", "format_ipv4", "format_ipv4_mask", "format_timespan", "gamma", "geo_angle",
    "geo_azimuth", "geo_closest_point_on_line", "geo_closest_point_on_polygon",
    "geo_distance_2points", "geo_distance_point_to_line", "geo_distance_point_to_polygon",
    "geo_from_wkt", "geo_geohash_neighbors", "geo_geohash_to_central_point",
    "geo_geohash_to_polygon", "geo_h3cell_children", "geo_h3cell_level", "geo_h3cell_neighbors",
    "geo_h3cell_parent", "geo_h3cell_rings", "geo_h3cell_to_central_point",
    "geo_h3cell_to_polygon", "geo_info_from_ip_address", "geo_intersection_2lines",
    "geo_intersection_2polygons", "geo_intersection_line_with_polygon", "geo_intersects_2lines",
    "geo_intersects_2polygons", "geo_intersects_line_with_polygon", "geo_line_buffer",
    "geo_line_centroid", "geo_line_densify", "geo_line_interpolate_point", "geo_line_length",
    "geo_line_locate_point", "geo_line_simplify", "geo_line_to_s2cells", "geo_point_buffer",
    "geo_point_in_circle", "geo_point_in_polygon", "geo_point_to_geohash", "geo_point_to_h3cell",
    "geo_point_to_s2cell", "geo_polygon_area", "geo_polygon_buffer", "geo_polygon_centroid",
    "geo_polygon_densify", "geo_polygon_perimeter", "geo_polygon_simplify",
    "geo_polygon_to_h3cells", "geo_polygon_to_s2cells", "geo_s2cell_neighbors",
    "geo_s2cell_to_central_point", "geo_s2cell_to_polygon", "geo_simplify_polygons_array",
    "geo_union_lines_array", "geo_union_polygons_array", "getmonth", "gettype", "getyear",
    "graph", "gzip_compress_to_base64_string", "gzip_decompress_from_base64_string",
    "has_any_index", "has_any_ipv4", "has_any_ipv4_prefix", "has_ipv4", "has_ipv4_prefix", "hash",
    "hash_combine", "hash_many", "hash_md5", "hash_sha1", "hash_sha256", "hash_xxhash64", "hll",
    "hll_if", "hll_isvalid", "hll_merge", "hourofday", "iff", "iif", "indexof", "indexof_regex",
    "ingestion_time", "inner_nodes", "ipv4_compare", "ipv4_is_in_any_range", "ipv4_is_in_range",
    "ipv4_is_match", "ipv4_is_private", "ipv4_netmask_suffix", "ipv4_range_to_cidr_list",
    "ipv6_compare", "ipv6_is_in_any_range", "ipv6_is_in_range", "ipv6_is_match", "isascii",
    "iscolumnexists", "isempty", "isfinite", "isinf", "isnan", "isnotempty", "isnotnull",
    "isnull", "isutf8", "jaccard_index", "labels", "log", "log10", "log2", "loggamma", "make_bag",
    "make_bag_if", "make_datetime", "make_dictionary", "make_list", "make_list_if",
    "make_list_with_nulls", "make_set", "make_set_if", "make_string", "make_timespan", "makelist",
    "makeset", "map", "materialized_view", "max", "max_of", "maxif", "merge_tdigest", "min",
    "min_of", "minif", "monthofyear", "new_guid", "next", "node_degree_in", "node_degree_out",
    "node_id", "not", "notempty", "notnull", "now", "pack", "pack_all", "pack_array",
    "pack_dictionary", "parse_command_line", "parse_csv", "parse_ipv4", "parse_ipv4_mask",
    "parse_ipv6", "parse_ipv6_mask", "parse_json", "parse_path", "parse_url", "parse_urlquery",
    "parse_user_agent", "parse_version", "parse_xml", "parsejson", "parseurl", "parseurlquery",
    "passthrough", "percentile", "percentile_tdigest", "percentiles", "percentiles_array",
    "percentiles_array_tdigest", "percentilesw", "percentilesw_array", "percentilew",
    "percentrank_tdigest", "pi", "pow", "prev", "punycode_domain_from_string",
    "punycode_domain_to_string", "punycode_from_string", "punycode_to_string", "radians", "rand",
    "range", "rank_tdigest", "regex_quote", "repeat", "replace", "replace_regex",
    "replace_string", "replace_strings", "resource", "reverse", "round", "row_cumsum", "row_id",
    "row_number", "row_rank", "row_rank_dense", "row_rank_min", "row_window_session",
    "rowstore_ordinal_range", "series_abs", "series_acos", "series_add", "series_asin",
    "series_atan", "series_ceiling", "series_cos", "series_cosine_similarity", "series_decompose",
    "series_decompose_anomalies", "series_decompose_forecast", "series_divide",
    "series_dot_product", "series_equals", "series_exp", "series_fft", "series_fill_backward",
    "series_fill_const", "series_fill_forward", "series_fill_linear", "series_fir",
    "series_fit_2lines", "series_fit_2lines_dynamic", "series_fit_line",
    "series_fit_line_dynamic", "series_fit_poly", "series_floor", "series_greater",
    "series_greater_equals", "series_ifft", "series_iir", "series_less", "series_less_equals",
    "series_log", "series_magnitude", "series_multiply", "series_not_equals", "series_outliers",
    "series_pearson_correlation", "series_periods_detect", "series_periods_validate",
    "series_pow", "series_product", "series_seasonal", "series_sign", "series_sin",
    "series_stats", "series_stats_dynamic", "series_subtract", "series_sum", "series_tan",
    "set_difference", "set_equals", "set_has_element", "set_intersect", "set_union", "sign",
    "sin", "split", "sqrt", "startofday", "startofmonth", "startofweek", "startofyear", "stdev",
    "stdevif", "stdevp", "stored_query_result", "strcat", "strcat_array", "strcat_delim",
    "strcmp", "string_size", "strlen", "strrep", "substring", "sum", "sumif", "table", "take_any",
    "take_anyif", "tan", "tdigest", "tdigest_isvalid", "tdigest_merge", "to_utf8", "tobool",
    "toboolean", "todatetime", "todecimal", "todouble", "todynamic", "toguid", "tohex", "toint",
    "tolong", "tolower", "toobject", "toreal", "tostring", "totime", "totimespan", "toupper",
    "translate", "treepath", "trim", "trim_end", "trim_start", "unicode_codepoints_from_string",
    "unicode_codepoints_to_string", "unixtime_microseconds_todatetime",
    "unixtime_milliseconds_todatetime", "unixtime_nanoseconds_todatetime",
    "unixtime_seconds_todatetime", "url_decode", "url_encode", "url_encode_component", "variance",
    "varianceif", "variancep", "variancepif", "week_of_year", "weekofyear", "welch_test",
    "workspace", "zip", "zlib_compress_to_base64_string", "zlib_decompress_from_base64_string",
};
// clang-format on

// clang-format off
static const char *const plugins[] = {
    "active_users_count", "activity_counts_metrics", "activity_engagement", "activity_metrics",
    "ai_chat_completion", "ai_chat_completion_prompt", "ai_embed_text", "ai_embeddings",
    "autocluster", "azure_digital_twins_query_request", "bag_unpack", "basket",
    "cosmosdb_sql_request", "csharp", "dax_request", "dcount_intersect", "diffpatterns",
    "diffpatterns_text", "estimate_rows_count", "execute_query", "execute_show_command", "external_datatable",
    "funnel_sequence", "funnel_sequence_completion", "geo_line_lookup", "geo_polygon_lookup",
    "http_request", "http_request_post", "identity", "identity_v3", "infer_storage_schema",
    "infer_storage_schema_with_suggestions", "ipv4_lookup", "ipv6_lookup", "mysql_request",
    "narrow", "new_activity_metrics", "pivot", "postgresql_request", "preview", "python", "r",
    "rolling_percentile", "rows_near", "sequence_detect", "session_count",
    "sliding_window_counts", "sql_request",
};
// clang-format on

// clang-format off
static const char *const operators[] = {
    "execute-and-cache", "graph-where-edges", "graph-where-nodes",
    "inline_external_table", "partitioned-by", "project-smart",
};
// clang-format on

static int compare(const void *key, const void *item)
{
    return strcmp(key, *(const char *const *)item);
}

#define HAS(table, name) \
    (bsearch((name), (table), sizeof(table) / sizeof(table)[0], sizeof(table)[0], compare) != NULL)

bool known_function(const char *name)
{
    return HAS(functions, name);
}

bool known_plugin(const char *name)
{
    return HAS(plugins, name);
}

bool known_operator(const char *name)
{
    return HAS(operators, name);
}

#define AT(table, i) ((i) < sizeof(table) / sizeof(table)[0] ? (table)[i] : NULL)

const char *known_function_at(uint32_t i)
{
    return AT(functions, i);
}

const char *known_plugin_at(uint32_t i)
{
    return AT(plugins, i);
}

const char *known_operator_at(uint32_t i)
{
    return AT(operators, i);
}

const char *known_approximation(const char *name)
{
    static const char period[] = "which periods count is not published; the scores are as recorded";
    static const char hashes[] = "how the original combines hashes is not published";
    static const char patterns[] = "which release of the patterns the original has is not known";
    static const char size[] = "the original's size of a dynamic is not published";
    static const char fence[] = "the scale of 'ctukey' is known from one recorded answer";
    static const char words[] =
        "the clusters are those of the paper that it names; what that leaves open is not published";
    static const char seeds[] =
        "where its search begins, ends and what it leaves out is not published";
    static const char closed[] =
        "what it leaves out is known from printed answers; the original samples";
    static const char differing[] = "which of the patterns that differ it gives is not published";
    static const char moments[] =
        "which events of one moment follow each other, and what may lie between, is not published";
    static const char overlap[] =
        "which of overlapping sequences it gives is known from one printed "
        "answer";
    static const char sessions[] = "where its sessions end is told in words only";
    static const char units[] =
        "units are worth what defines them; the original's library rounds some";
    static const struct {
        const char *name, *what;
    } near[] = {
        {"funnel_sequence", moments},
        {"funnel_sequence_completion", moments},
        {"sequence_detect", overlap},
        {"session_count", sessions},
        {"autocluster", seeds},
        {"basket", closed},
        {"convert_energy", units},
        {"convert_force", units},
        {"convert_length", units},
        {"convert_mass", units},
        {"convert_speed", units},
        {"convert_volume", units},
        {"diffpatterns", differing},
        {"diffpatterns_text", differing},
        {"estimate_data_size", size},
        {"hash_combine", hashes},
        {"hash_many", hashes},
        {"parse_user_agent", patterns},
        {"dcount_intersect",
         "how the original weighs the errors of its estimates is not published"},
        {"series_decompose", period},
        {"series_decompose_anomalies", fence},
        {"series_decompose_forecast", period},
        {"reduce", words},
        {"series_outliers", fence},
        {"series_periods_detect", period},
        {"series_periods_validate", period},
        {"series_seasonal", period},
    };
    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++) {
        if (strcmp(near[i].name, name) == 0) return near[i].what;
    }
    return NULL;
}

const char *known_condition(const char *name)
{
    if (strcmp(name, "geo_info_from_ip_address") == 0)
        return "needs a database of addresses: `--geo-ip-database`";
    if (strcmp(name, "externaldata") == 0 || strcmp(name, "external_data") == 0)
        return "reads what the operator allows: `--external-data`";
    return NULL;
}

const char *known_operator_refusal(const char *name)
{
    static const struct {
        const char *name, *why;
    } reasons[] = {
        {"graph-where-edges", "it is not documented, and no column has a name in it"},
        {"graph-where-nodes", "it is not documented, and no column has a name in it"},
        {"execute-and-cache", "it is internal to the original"},
        {"inline_external_table", "it reads another service"},
        {"partitioned-by", "it stands in 'make-graph' only, and is there"},
        {"project-smart", "it stands in 'find' only, and is there"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (strcmp(reasons[i].name, name) == 0) return reasons[i].why;
    }
    return NULL;
}

const char *known_refusal(const char *name)
{
    static const struct {
        const char *name, *why; /* a name that ends in '*' stands for all that begin so */
    } reasons[] = {
        {"adx", "it reads another service"},
        {"ai_*", "it calls another service"},
        {"arg", "it reads another service"},
        {"current_cursor", "there are no database cursors"},
        {"current_node_id", "it tells of the inside of a cluster"},
        {"cursor_*", "there are no database cursors"},
        {"extent*", "there are no extents"},
        {"external_table", "it reads another service"},
        {"geo_h3cell*", "H3 has no package in Debian"},
        {"geo_point_to_h3cell", "H3 has no package in Debian"},
        {"geo_polygon_to_h3cells", "H3 has no package in Debian"},
        {"graph", "there are no stored graphs"},
        {"hll_isvalid", "it is not documented: nobody says what its second argument is"},
        {"labels", "only stored graphs have labels"},
        {"materialized_view", "there are no materialized views"},
        {"node_id", "it is not documented"},
        {"passthrough", "it is internal to the original"},
        {"row_id", "it is internal to the original"},
        {"rowstore_ordinal_range", "it is internal to the original"},
        {"stored_query_result", "there are no stored results"},
        {"tdigest_isvalid", "it is not documented: nobody says what its second argument is"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        size_t n = strlen(reasons[i].name) - 1;
        bool begins = reasons[i].name[n] == '*' && strncmp(name, reasons[i].name, n) == 0;
        if (begins || strcmp(name, reasons[i].name) == 0) return reasons[i].why;
    }
    return NULL;
}
