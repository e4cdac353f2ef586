/* SPDX-License-Identifier: Apache-2.0 */
/* kql/known.h - names that Kusto has and we do not */
#pragma once

#include <stdbool.h>
#include <stdint.h>

bool known_function(const char *name); /* scalar, aggregate or tabular */
bool known_plugin(const char *name);
bool known_operator(const char *name);
/* The i-th of each list, NULL after the last: for the coverage page. */
const char *known_function_at(uint32_t i);
const char *known_plugin_at(uint32_t i);
const char *known_operator_at(uint32_t i);
const char *known_approximation(const char *name); /* what of a function is near only; or NULL */
const char *known_condition(const char *name); /* what a function that is there asks for; or NULL */
const char *known_operator_refusal(const char *name); /* why an operator is not there; or NULL */
const char *known_refusal(const char *name); /* why a function is not there; NULL: not built yet */
