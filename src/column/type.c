/* SPDX-License-Identifier: Apache-2.0 */
/* column/type.c - the names of the scalar types */
#include "column/type.h"

#include "base/str.h"

static const char *const names[N_TYPES] = {
    [T_NONE] = "null",     [T_BOOL] = "bool",         [T_INT] = "int",
    [T_LONG] = "long",     [T_REAL] = "real",         [T_DECIMAL] = "decimal",
    [T_STRING] = "string", [T_DATETIME] = "datetime", [T_TIMESPAN] = "timespan",
    [T_GUID] = "guid",     [T_DYNAMIC] = "dynamic",
};

const char *type_name(enum type t)
{
    return (unsigned)t < N_TYPES ? names[t] : "unknown";
}

enum err type_parse(const char *name, enum type *out, struct diag *d)
{
    static const struct {
        const char *name;
        enum type type;
    } aliases[] = {
        {"boolean", T_BOOL},  {"int32", T_INT},      {"int64", T_LONG},    {"double", T_REAL},
        {"float", T_REAL},    {"date", T_DATETIME},  {"time", T_TIMESPAN}, {"uuid", T_GUID},
        {"uniqueid", T_GUID}, {"object", T_DYNAMIC},
    };
    for (int t = T_BOOL; t < N_TYPES; t++) {
        if (str_eq_nocase(name, names[t])) {
            *out = (enum type)t;
            return OK;
        }
    }
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        if (str_eq_nocase(name, aliases[i].name)) {
            *out = aliases[i].type;
            return OK;
        }
    }
    return FAIL(d, ERR_INVALID,
                "'%s' is no type; the types are bool, int, long, real, decimal, string,"
                " datetime, timespan, guid and dynamic",
                name);
}
