/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_units.c - convert_length() and its kin: from one unit to another
 *
 * Units go by the names of UnitsNet, which the original uses, and have the values of their
 * definitions; where that library rounds one, ours is the exact one. A documented unit that has no
 * exact definition is refused by name; a name that is none gives null.
 */
#include "base/str.h"
#include "func/families.h"

#include <math.h>

struct unit {
    const char *name;
    double factor; /* of the base unit */
    double divide; /* 0, or what the value is divided by instead */
};

/* Before a unit, whose first letter is then small: KilowattHour. */
static const struct {
    const char *prefix;
    double factor;
} prefixes[] = {{"Femto", 1e-15}, {"Pico", 1e-12}, {"Nano", 1e-9}, {"Micro", 1e-6}, {"Milli", 1e-3},
                {"Centi", 1e-2},  {"Deci", 1e-1},  {"Deca", 1e1},  {"Hecto", 1e2},  {"Kilo", 1e3},
                {"Mega", 1e6},    {"Giga", 1e9},   {"Tera", 1e12}};

#define UNITS_MAX 34
static const struct quantity {
    const char *function;
    struct unit units[UNITS_MAX];
} quantities[] = {
    {"convert_angle", /* degrees */
     {{"Degree", 1, 0},
      {"Arcminute", 1, 60},
      {"Arcsecond", 1, 3600},
      {"Gradian", 0.9, 0},
      {"NatoMil", 0.05625, 0},
      {"Radian", 180 / M_PI, 0},
      {"Revolution", 360, 0}}},
    {"convert_energy", /* joules */
     {{"Joule", 1, 0},
      {"BritishThermalUnit", 1055.05585262, 0},
      {"Calorie", 4.184, 0},
      {"ElectronVolt", 1.602176634e-19, 0},
      {"Erg", 1e-7, 0},
      {"FootPound", 1.3558179483314004, 0},
      {"HorsepowerHour", 2684519.537696172792, 0},
      {"ThermEc", 1.05505585262e8, 0},
      {"ThermImperial", 1.05505585257348e8, 0},
      {"ThermUs", 1.054804e8, 0},
      {"WattDay", 86400, 0},
      {"WattHour", 3600, 0}}},
    {"convert_force", /* newtons */
     {{"Newton", 1, 0},
      {"Dyn", 1, 1e5},
      {"KilogramForce", 9.80665, 0},
      {"KiloPond", 9.80665, 0},
      {"OunceForce", 0.278013850953781, 0},
      {"Poundal", 0.138254954376, 0},
      {"PoundForce", 4.4482216152605, 0},
      {"ShortTonForce", 8896.443230521, 0},
      {"TonneForce", 9806.65, 0}}},
    {"convert_length", /* metres */
     {{"Meter", 1, 0},
      {"Angstrom", 1, 1e10},
      {"AstronomicalUnit", 149597870700.0, 0},
      {"Chain", 20.1168, 0},
      {"DataMile", 1828.8, 0},
      {"DtpPica", 0.0254 / 6, 0},
      {"DtpPoint", 0.0254 / 72, 0},
      {"Fathom", 1.8288, 0},
      {"Foot", 0.3048, 0},
      {"Hand", 0.1016, 0},
      {"Inch", 0.0254, 0},
      {"LightYear", 9460730472580800.0, 0},
      {"Mil", 2.54e-5, 0},
      {"Mile", 1609.344, 0},
      {"NauticalMile", 1852, 0},
      {"Parsec", 3.0856775814913673e16, 0},
      {"PrinterPica", 0.0254 * 12 / 72.27, 0},
      {"PrinterPoint", 0.0254 / 72.27, 0},
      {"Shackle", 27.432, 0},
      {"Twip", 0.0254 / 1440, 0},
      {"UsSurveyFoot", 1200.0 / 3937, 0},
      {"Yard", 0.9144, 0}}},
    {"convert_mass", /* kilograms */
     {{"Gram", 1, 1e3},
      {"Grain", 6.479891e-5, 0},
      {"LongHundredweight", 50.80234544, 0},
      {"LongTon", 1016.0469088, 0},
      {"Ounce", 0.028349523125, 0},
      {"Pound", 0.45359237, 0},
      {"ShortHundredweight", 45.359237, 0},
      {"ShortTon", 907.18474, 0},
      {"Slug", 14.593902937206364, 0},
      {"Stone", 6.35029318, 0},
      {"Tonne", 1000, 0}}},
    {"convert_speed", /* metres a second; and every length PerSecond, PerMinute, PerHour */
     {{"Knot", 1852.0 / 3600, 0}}},
    {"convert_volume", /* cubic metres */
     {{"CubicMeter", 1, 0},
      {"AcreFoot", 1, 0.000810714},
      {"AuTablespoon", 2e-5, 0},
      {"BoardFoot", 0.002359737216, 0},
      {"CubicCentimeter", 1, 1e6},
      {"CubicDecimeter", 1, 1e3},
      {"CubicFoot", 0.028316846592, 0},
      {"CubicHectometer", 1e6, 0},
      {"CubicInch", 1.6387064e-5, 0},
      {"CubicKilometer", 1e9, 0},
      {"CubicMicrometer", 1, 1e18},
      {"CubicMile", 4168181825.440579584, 0},
      {"CubicMillimeter", 1, 1e9},
      {"CubicYard", 0.764554857984, 0},
      {"ImperialBeerBarrel", 0.16365924, 0},
      {"ImperialGallon", 0.00454609, 0},
      {"ImperialOunce", 2.84130625e-5, 0},
      {"ImperialPint", 0.00056826125, 0},
      {"Liter", 1, 1e3},
      {"MetricCup", 0.00025, 0},
      {"MetricTeaspoon", 5e-6, 0},
      {"OilBarrel", 0.158987294928, 0},
      {"UkTablespoon", 1.5e-5, 0},
      {"UsBeerBarrel", 0.117347765304, 0},
      {"UsCustomaryCup", 0.0002365882365, 0},
      {"UsGallon", 0.003785411784, 0},
      {"UsLegalCup", 0.00024, 0},
      {"UsOunce", 2.95735295625e-5, 0},
      {"UsPint", 0.000473176473, 0},
      {"UsQuart", 0.000946352946, 0},
      {"UsTablespoon", 1.478676478125e-5, 0},
      {"UsTeaspoon", 4.92892159375e-6, 0}}},
};

static const char *const inexact[] = {"EarthMass", "SolarMass", "SolarRadius", "Tilt"};

/* The name with its first letter small. */
static bool is_small(struct bytes name, const char *unit)
{
    struct bytes u = bytes_str(unit);
    return name.len == u.len && name.p[0] == (u.p[0] | 32) &&
           memcmp(name.p + 1, u.p + 1, u.len - 1) == 0;
}

static bool find_plain(const struct quantity *q, struct bytes name, struct unit *out)
{
    for (size_t i = 0; i < UNITS_MAX && q->units[i].name != NULL; i++) {
        *out = q->units[i];
        if (bytes_eq(name, bytes_str(q->units[i].name))) return true;
    }
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        struct bytes p = bytes_str(prefixes[i].prefix);
        if (name.len <= p.len || memcmp(name.p, p.p, p.len) != 0) continue;
        struct bytes rest = bytes_of(name.p + p.len, name.len - p.len);
        for (size_t k = 0; k < UNITS_MAX && q->units[k].name != NULL; k++) {
            *out = q->units[k];
            if (!is_small(rest, out->name)) continue;
            out->factor *= prefixes[i].factor;
            return true;
        }
    }
    return false;
}

static const struct quantity *quantity_named(const char *function)
{
    const struct quantity *q = quantities;
    while (!str_eq(q->function, function))
        q++;
    return q;
}

/* KilometerPerHour: a length, and 3,600. */
static bool find_speed(struct bytes name, struct unit *out)
{
    static const struct {
        const char *per;
        double seconds;
    } times[] = {{"PerSecond", 1}, {"PerMinute", 60}, {"PerHour", 3600}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct bytes per = bytes_str(times[i].per);
        if (name.len <= per.len || memcmp(name.p + name.len - per.len, per.p, per.len) != 0)
            continue;
        struct bytes length = bytes_of(name.p, name.len - per.len);
        if (!find_plain(quantity_named("convert_length"), length, out)) return false;
        out->divide = (out->divide != 0 ? out->divide : 1) * times[i].seconds;
        return true;
    }
    return false;
}

static bool find_unit(const struct quantity *q, struct bytes name, struct unit *out)
{
    return find_plain(q, name, out) ||
           (str_eq(q->function, "convert_speed") && find_speed(name, out));
}

static double to_base(const struct unit *u, double v)
{
    return u->divide != 0 ? v * u->factor / u->divide : v * u->factor;
}

static double from_base(const struct unit *u, double v)
{
    return u->divide != 0 ? v * u->divide / u->factor : v / u->factor;
}

static enum err prepare_units(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    for (uint32_t k = 1; k < 3; k++) {
        struct bytes name;
        for (size_t i = 0; const_str(call, k, &name) && i < sizeof inexact / sizeof *inexact; i++) {
            if (!bytes_eq(name, bytes_str(inexact[i]))) continue;
            return FAIL(d, ERR_UNSUPPORTED, "%s(): the unit %s is not supported", call->fn->name,
                        inexact[i]);
        }
    }
    return OK;
}

EVAL(eval_units)
{
    struct vecb b;
    const struct quantity *q = quantity_named(call->fn->name);
    vecb_init(&b, cx->a, T_REAL, n);
    for (uint32_t i = 0; i < n; i++) {
        struct unit from, to;
        bool ok = !vec_null(args[0], i) && find_unit(q, vec_str(args[1], i), &from) &&
                  find_unit(q, vec_str(args[2], i), &to);
        if (ok) {
            vecb_r64(&b, from_base(&to, to_base(&from, vec_r64(args[0], i))));
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- temperature ------------------------------------------------------------------------------ */

/* A scale is kelvins = value * slope + zero. */
static const struct {
    const char *name;
    double times, by, zero; /* the slope as a fraction, which keeps more digits */
} scales[] = {
    {"Kelvin", 1, 1, 0},
    {"DegreeCelsius", 1, 1, 273.15},
    {"DegreeDelisle", -2, 3, 373.15},
    {"DegreeFahrenheit", 5, 9, 459.67 * 5 / 9},
    {"DegreeNewton", 100, 33, 273.15},
    {"DegreeRankine", 5, 9, 0},
    {"DegreeReaumur", 5, 4, 273.15},
    {"DegreeRoemer", 40, 21, 273.15 - 7.5 * 40 / 21},
    {"MillidegreeCelsius", 1, 1000, 273.15},
    {"SolarTemperature", 5778, 1, 0},
};
#define SCALES (sizeof scales / sizeof *scales)

static size_t scale_of(struct bytes unit)
{
    size_t i = 0;
    while (i < SCALES && !bytes_eq(unit, bytes_str(scales[i].name)))
        i++;
    return i;
}

EVAL(eval_temperature)
{
    struct vecb b;
    (void)call;
    vecb_init(&b, cx->a, T_REAL, n);
    for (uint32_t i = 0; i < n; i++) {
        size_t from = scale_of(vec_str(args[1], i)), to = scale_of(vec_str(args[2], i));
        if (vec_null(args[0], i) || from == SCALES || to == SCALES) {
            vecb_null(&b);
            continue;
        }
        double kelvins = vec_r64(args[0], i) * scales[from].times / scales[from].by;
        kelvins += scales[from].zero;
        vecb_r64(&b, (kelvins - scales[to].zero) * scales[to].by / scales[to].times);
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
    UNITS("temperature", eval_temperature, NULL, "A temperature in another unit.",
          "1.2, 'Kelvin', 'DegreeCelsius'", "-271.95"),
    UNITS("volume", eval_units, prepare_units, "A volume in another unit.",
          "1.2, 'CubicMeter', 'AcreFoot'", "0.0009728568"),
};
const struct fn_family fn_units = FAMILY(rows);
