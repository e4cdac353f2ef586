// SPDX-License-Identifier: Apache-2.0
// json/rows_simd.cc - the only file that sees simdjson: one array of objects, row by row
#include "json/rows_simd.h"

#include <cstring>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <simdjson.h>

using namespace simdjson;

struct simd_rows {
    ondemand::parser parser;
    ondemand::document doc;
    simdjson_result<ondemand::array_iterator> at, end;
    const char *text_end = nullptr; // of the padding
    const char *const *names = nullptr;
    std::vector<size_t> name_lens;
    std::unordered_map<std::string_view, uint32_t> by_name;
    std::vector<uint32_t> guess; // place in the row -> name, or UNKNOWN
    // Strings without their escapes, one after the other: ours and not the parser's, to be wiped.
    std::unique_ptr<uint8_t[]> strings;
    size_t strings_cap = 0, strings_need = 0;
    uint8_t *strings_at = nullptr; // nullptr: none yet
    uint64_t unknown = 0;
    bool begun = false;
};

namespace
{

constexpr uint32_t UNKNOWN = UINT32_MAX;

bool is_name(const simd_rows &s, ondemand::raw_json_string key, uint32_t name)
{
    const size_t len = s.name_lens[name];
    const char *raw = key.raw();
    return static_cast<size_t>(s.text_end - raw) > len && memcmp(raw, s.names[name], len) == 0 &&
           raw[len] == '"';
}

// All strings of a text together are no longer than the text.
error_code unescape(simd_rows &s, ondemand::raw_json_string raw, std::string_view &out)
{
    if (s.strings_at == nullptr) {
        if (s.strings_cap < s.strings_need) {
            s.strings.reset(new uint8_t[s.strings_need]);
            s.strings_cap = s.strings_need;
        }
        s.strings_at = s.strings.get();
    }
    return s.parser.unescape(raw, s.strings_at).get(out);
}

void forget_strings(simd_rows &s)
{
    if (s.strings_at != nullptr) explicit_bzero(s.strings.get(), s.strings_cap);
    s.strings_at = nullptr;
}

error_code find_name(simd_rows &s, ondemand::field &field, size_t place, uint32_t &name)
{
    if (place < s.guess.size() && s.guess[place] != UNKNOWN &&
        is_name(s, field.key(), s.guess[place])) {
        name = s.guess[place];
        return SUCCESS;
    }
    std::string_view key;
    if (auto error = unescape(s, field.key(), key)) return error;
    const auto found = s.by_name.find(key);
    name = found != s.by_name.end() ? found->second : UNKNOWN;
    if (place >= s.guess.size()) s.guess.resize(place + 1, UNKNOWN);
    s.guess[place] = name;
    return SUCCESS;
}

void set_text(json_cell &cell, std::string_view text)
{
    while (!text.empty() && (text.back() == ' ' || text.back() == '\n' || text.back() == '\r' ||
                             text.back() == '\t')) {
        text.remove_suffix(1);
    }
    cell.text = reinterpret_cast<const uint8_t *>(text.data());
    cell.text_len = text.size();
}

// A whole number beyond 64 bits is a real, as it is for Kusto.
error_code read_number(ondemand::value &value, json_cell &cell)
{
    set_text(cell, value.raw_json_token());
    int64_t i;
    if (value.get_int64().get(i) == SUCCESS) {
        cell.kind = CELL_LONG;
        cell.i = i;
        return SUCCESS;
    }
    cell.kind = CELL_REAL;
    return value.get_double().get(cell.r);
}

// Most strings have no escape: they are used where they stand.
error_code read_string(simd_rows &s, ondemand::value &value, json_cell &cell)
{
    cell.kind = CELL_STRING;
    set_text(cell, value.raw_json_token()); // with its quotes
    if (memchr(cell.text, '\\', cell.text_len) == nullptr) {
        cell.text++;
        cell.text_len -= 2;
        return SUCCESS;
    }
    ondemand::raw_json_string raw;
    std::string_view text;
    if (auto error = value.get_raw_json_string().get(raw)) return error;
    if (auto error = unescape(s, raw, text)) return error;
    cell.text = reinterpret_cast<const uint8_t *>(text.data());
    cell.text_len = text.size();
    return SUCCESS;
}

error_code read_value(simd_rows &s, ondemand::value &value, json_cell &cell)
{
    ondemand::json_type type;
    if (auto error = value.type().get(type)) return error;
    std::string_view text;
    switch (type) {
    case ondemand::json_type::string: return read_string(s, value, cell);
    case ondemand::json_type::number: return read_number(value, cell);
    case ondemand::json_type::boolean:
        cell.kind = CELL_BOOL;
        set_text(cell, value.raw_json_token());
        return value.get_bool().get(cell.b);
    case ondemand::json_type::null:
        if (!value.is_null()) return INCORRECT_TYPE;
        cell.kind = CELL_NULL;
        return SUCCESS;
    case ondemand::json_type::object: {
        ondemand::object object;
        if (auto error = value.get_object().get(object)) return error;
        if (auto error = object.raw_json().get(text)) return error;
        break;
    }
    case ondemand::json_type::array: {
        ondemand::array array;
        if (auto error = value.get_array().get(array)) return error;
        if (auto error = array.raw_json().get(text)) return error;
        break;
    }
    }
    cell.kind = CELL_COMPOUND;
    set_text(cell, text);
    return SUCCESS;
}

error_code read_row(simd_rows &s, json_cell *cells)
{
    ondemand::value row;
    ondemand::object object;
    if (auto error = (*s.at).get(row)) return error;
    if (auto error = row.get_object().get(object)) return error;
    for (size_t i = 0; i < s.name_lens.size(); i++)
        cells[i] = json_cell{};
    size_t place = 0;
    for (auto each : object) {
        ondemand::field field;
        if (auto error = std::move(each).get(field)) return error;
        uint32_t name;
        if (auto error = find_name(s, field, place++, name)) return error;
        if (name == UNKNOWN) {
            s.unknown++;
            continue;
        }
        ondemand::value value = field.value();
        cells[name] = json_cell{};
        if (auto error = read_value(s, value, cells[name])) return error;
    }
    return SUCCESS;
}

error_code open_array(simd_rows &s, const char *text, size_t len, size_t cap)
{
    ondemand::array array;
    if (auto error = s.parser.iterate(padded_string_view(text, len, cap)).get(s.doc)) return error;
    if (auto error = s.doc.get_array().get(array)) return error;
    s.at = array.begin();
    s.end = array.end();
    s.begun = false;
    return s.at.error();
}

const char *message(error_code error)
{
    if (error == INCORRECT_TYPE) return "not an object";
    return error == SUCCESS ? nullptr : error_message(error);
}

} // namespace

simd_rows *simd_rows_new(void)
{
    try {
        return new simd_rows;
    } catch (...) {
        return nullptr;
    }
}

void simd_rows_free(simd_rows *s)
{
    if (s != nullptr) forget_strings(*s);
    delete s;
}

size_t simd_rows_padding(void)
{
    return SIMDJSON_PADDING;
}

const char *simd_rows_open(simd_rows *s, const char *text, size_t len, size_t cap,
                           const char *const *names, uint32_t n_names)
{
    try {
        forget_strings(*s);
        s->strings_need = cap + SIMDJSON_PADDING;
        s->text_end = text + cap;
        s->names = names;
        s->name_lens.clear();
        s->by_name.clear();
        s->guess.clear();
        s->unknown = 0;
        for (uint32_t i = 0; i < n_names; i++) {
            s->name_lens.push_back(strlen(names[i]));
            s->by_name.emplace(std::string_view(names[i]), i);
        }
        return message(open_array(*s, text, len, cap));
    } catch (...) {
        return "out of memory";
    }
}

const char *simd_rows_next(simd_rows *s, json_cell *cells, bool *more)
{
    try {
        if (s->begun) ++s->at;
        s->begun = true;
        if (auto error = s->at.error()) return message(error);
        *more = s->at != s->end;
        if (*more) return message(read_row(*s, cells));
        const auto after = s->doc.current_location();
        return after.error() == OUT_OF_BOUNDS ? nullptr : "text after the end of the array";
    } catch (...) {
        return "out of memory";
    }
}

void simd_rows_forget(simd_rows *s)
{
    forget_strings(*s);
}

uint64_t simd_rows_unknown(const simd_rows *s)
{
    return s->unknown;
}
