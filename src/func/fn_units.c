/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_units.c - convert_length() and its kin: from one unit to another
 *
 * Units go by the names of UnitsNet, which the original uses. Only those are here whose factor is
 * exact by definition or known from a recorded answer: that library's other factors have changed
 * between its versions. A unit that is not here is refused by name.
 */
#include "base/str.h"
#include "func/families.h"

#include <math.h>

struct unit {
    const char *name;
    double factor; /* of the base unit */
    double divide; /* 0, or what the value is divided by instead */
};

static const struct {
    const char *prefix;
    double factor;
} prefixes[] = {{"Femto", 1e-15}, {"Pico", 1e-12}, {"Nano", 1e-9}, {"Micro", 1e-6}, {"Milli", 1e-3},
                {"Centi", 1e-2},  {"Deci", 1e-1},  {"Deca", 1e1},  {"Hecto", 1e2},  {"Kilo", 1e3},
                {"Mega", 1e6},    {"Giga", 1e9},   {"Tera", 1e12}};

#define UNITS_MAX 14
static const struct quantity {
    const char *function, *prefixed; /* the unit that takes prefixes, in lower case behind them */
    double prefixed_factor;
    struct unit units[UNITS_MAX];
} quantities[] = {
    {"convert_angle",
     "degree",
     1,
     {{"Degree", 1, 0},
      {"Arcminute", 1, 60},
      {"Arcsecond", 1, 3600},
      {"Gradian", 0.9, 0},
      {"Radian", 180 / M_PI, 0},
      {"Revolution", 360, 0}}},
    {"convert_energy",
     "joule",
     1,
     {{"Joule", 1, 0},
      {"Calorie", 4.184, 0},
      {"Kilocalorie", 4184, 0},
      {"Megacalorie", 4184e3, 0},
      {"WattHour", 3600, 0},
      {"KilowattHour", 3600e3, 0},
      {"MegawattHour", 3600e6, 0},
      {"GigawattHour", 3600e9, 0},
      {"Erg", 1e-7, 0},
      {"BritishThermalUnit", 1055.05585262, 0}}},
    {"convert_force",
     "newton",
     1,
     {{"Newton", 1, 0},
      {"Dyn", 1, 1e5},
      {"KilogramForce", 9.80665, 0},
      {"KiloPond", 9.80665, 0},
      {"TonneForce", 9806.65, 0}}},
    {"convert_length",
     "meter",
     1,
     {{"Meter", 1, 0},
      {"Inch", 0.0254, 0},
      {"Foot", 0.3048, 0},
      {"Yard", 0.9144, 0},
      {"NauticalMile", 1852, 0}}},
    {"convert_mass",
     "gram",
     1e-3,
     {{"Gram", 1, 1e3},
      {"Pound", 0.45359237, 0},
      {"Tonne", 1000, 0},
      {"Kilotonne", 1e6, 0},
      {"Megatonne", 1e9, 0}}},
    {"convert_speed",
     "meterpersecond",
     1,
     {{"MeterPerSecond", 1, 0},
      {"KilometerPerSecond", 1000, 0},
      {"KilometerPerHour", 1, 3.6},
      {"MeterPerMinute", 1, 60},
      {"MeterPerHour", 1, 3600},
      {"FootPerSecond", 0.3048, 0},
      {"YardPerSecond", 0.9144, 0},
      {"InchPerSecond", 0.0254, 0}}},
    {"convert_volume",
     "liter",
     1e-3,
     {{"CubicMeter", 1, 0},
      {"Liter", 1, 1e3},
      {"CubicKilometer", 1e9, 0},
      {"CubicDecimeter", 1, 1e3},
      {"CubicCentimeter", 1, 1e6},
      {"CubicMillimeter", 1, 1e9},
      {"AcreFoot", 1, 0.000810714}}},
};

static bool find_unit(const struct quantity *q, struct bytes name, struct unit *out)
{
    for (size_t i = 0; i < UNITS_MAX && q->units[i].name != NULL; i++) {
        *out = q->units[i];
        if (bytes_eq(name, bytes_str(q->units[i].name))) return true;
    }
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        struct bytes p = bytes_str(prefixes[i].prefix);
        if (name.len <= p.len || memcmp(name.p, p.p, p.len) != 0) continue;
        struct bytes rest = bytes_of(name.p + p.len, name.len - p.len);
        *out = (struct unit){q->prefixed, prefixes[i].factor * q->prefixed_factor, 0};
        if (bytes_eq(rest, bytes_str(q->prefixed))) return true;
    }
    return false;
}

static const struct quantity *quantity_of(const struct fn_call *call)
{
    const struct quantity *q = quantities;
    while (!str_eq(q->function, call->fn->name))
        q++;
    return q;
}

static double to_base(const struct unit *u, double v)
{
    return u->divide != 0 ? v / u->divide : v * u->factor;
}

static double from_base(const struct unit *u, double v)
{
    return u->divide != 0 ? v * u->divide : v / u->factor;
}

static enum err prepare_units(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    for (uint32_t k = 1; k < 3; k++) {
        struct bytes name;
        struct unit u;
        if (const_str(call, k, &name) && !find_unit(quantity_of(call), name, &u)) {
            return FAIL(d, ERR_UNSUPPORTED, "%s(): the unit %.*s is not supported", call->fn->name,
                        (int)(name.len < 40 ? name.len : 40), (const char *)name.p);
        }
    }
    return OK;
}

EVAL(eval_units)
{
    struct vecb b;
    vecb_init(&b, cx->a, T_REAL, n);
    for (uint32_t i = 0; i < n; i++) {
        struct unit from, to;
        bool ok = !vec_null(args[0], i) &&
                  find_unit(quantity_of(call), vec_str(args[1], i), &from) &&
                  find_unit(quantity_of(call), vec_str(args[2], i), &to);
        if (ok) {
            vecb_r64(&b, from_base(&to, to_base(&from, vec_r64(args[0], i))));
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- temperature ------------------------------------------------------------------------------ */

static double kelvin_of(struct bytes unit, double v)
{
    if (bytes_eq(unit, BYTES("Kelvin"))) return v;
    if (bytes_eq(unit, BYTES("DegreeCelsius"))) return v + 273.15;
    if (bytes_eq(unit, BYTES("DegreeFahrenheit"))) return v * 5 / 9 + 459.67 * 5 / 9;
    return bytes_eq(unit, BYTES("DegreeRankine")) ? v * 5 / 9 : NAN;
}

static double of_kelvin(struct bytes unit, double v)
{
    if (bytes_eq(unit, BYTES("Kelvin"))) return v;
    if (bytes_eq(unit, BYTES("DegreeCelsius"))) return v - 273.15;
    if (bytes_eq(unit, BYTES("DegreeFahrenheit"))) return (v - 459.67 * 5 / 9) * 9 / 5;
    return bytes_eq(unit, BYTES("DegreeRankine")) ? v * 9 / 5 : NAN;
}

static enum err prepare_temperature(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    for (uint32_t k = 1; k < 3; k++) {
        struct bytes name;
        if (const_str(call, k, &name) && isnan(kelvin_of(name, 1))) {
            return FAIL(d, ERR_UNSUPPORTED, "%s(): the unit %.*s is not supported", call->fn->name,
                        (int)(name.len < 40 ? name.len : 40), (const char *)name.p);
        }
    }
    return OK;
}

EVAL(eval_temperature)
{
    struct vecb b;
    (void)call;
    vecb_init(&b, cx->a, T_REAL, n);
    for (uint32_t i = 0; i < n; i++) {
        double v = vec_null(args[0], i) ? NAN : vec_r64(args[0], i);
        v = of_kelvin(vec_str(args[2], i), kelvin_of(vec_str(args[1], i), v));
        if (isnan(v)) {
            vecb_null(&b);
        } else {
            vecb_r64(&b, v);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

#define UNITS(what_, eval_, prepare_, doc_, example_, expect_)                                 \
    {                                                                                          \
        .name = "convert_" what_, .arity_min = 3, .arity_max = 3,                              \
        .args = {ARG_AS(TM_INTS | TM(T_REAL), T_REAL), ARG_STRING, ARG_STRING}, .ret = T_REAL, \
        .eval = eval_, .prepare = prepare_, .doc = doc_,                                       \
        .example = "convert_" what_ "(" example_ ")", .expect = expect_                        \
    }

static const struct fn rows[] = {
    UNITS("angle", eval_units, prepare_units, "An angle in another unit.",
          "1.2, 'Degree', 'Arcminute'", "72.0"),
    UNITS("energy", eval_units, prepare_units, "An energy in another unit.",
          "1.2, 'KilowattHour', 'Megajoule'", "4.32"),
    UNITS("force", eval_units, prepare_units, "A force in another unit.",
          "1.2, 'Newton', 'Decanewton'", "0.12"),
    UNITS("length", eval_units, prepare_units, "A length in another unit.", "1.2, 'Foot', 'Meter'",
          "0.36576000000000003"),
    UNITS("mass", eval_units, prepare_units, "A mass in another unit.", "1.2, 'Kilogram', 'Pound'",
          "2.6455471462185307"),
    UNITS("speed", eval_units, prepare_units, "A speed in another unit.",
          "36, 'KilometerPerHour', 'MeterPerSecond'", "10.0"),
    UNITS("temperature", eval_temperature, prepare_temperature, "A temperature in another unit.",
          "1.2, 'Kelvin', 'DegreeCelsius'", "-271.95"),
    UNITS("volume", eval_units, prepare_units, "A volume in another unit.",
          "1.2, 'CubicMeter', 'AcreFoot'", "0.0009728568"),
};
const struct fn_family fn_units = FAMILY(rows);
