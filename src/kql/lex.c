/* SPDX-License-Identifier: Apache-2.0 */
/* kql/lex.c - text to tokens */
#include "kql/lex.h"

struct lexer {
    struct bytes text;
    uint32_t pos;
    struct diag *d;
};

static uint8_t peek(const struct lexer *l, uint32_t ahead)
{
    size_t at = (size_t)l->pos + ahead;
    return at < l->text.len ? l->text.p[at] : 0;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Bytes of the white-space character here: ASCII, no-break and other Unicode spaces, byte order
 * mark. */
static uint32_t space_len(const struct lexer *l)
{
    uint8_t c = peek(l, 0);
    if (c == ' ' || (c >= '\t' && c <= '\r')) return 1;
    if (c == 0xC2 && (peek(l, 1) == 0xA0 || peek(l, 1) == 0x85)) return 2;
    if (c == 0xE2 && peek(l, 1) == 0x80) {
        uint8_t last = peek(l, 2);
        bool wide = last >= 0x80 && last <= 0x8B;
        if (wide || last == 0xA8 || last == 0xA9 || last == 0xAF) return 3;
    }
    if (c == 0xE3 && peek(l, 1) == 0x80 && peek(l, 2) == 0x80) return 3;
    if (c == 0xEF && peek(l, 1) == 0xBB && peek(l, 2) == 0xBF) return 3;
    return 0;
}

/* Letters outside ASCII are taken as a whole, but typographic punctuation (U+2000..U+206F) is not:
 * a curly quote that was meant as a string must be an error at its place. */
static uint32_t letter_len(const struct lexer *l)
{
    uint8_t c = peek(l, 0);
    if (is_letter(c) || c == '_') return 1;
    if (c < 0xC3) return 0;
    if (c == 0xE2 && (peek(l, 1) == 0x80 || peek(l, 1) == 0x81)) return 0;
    uint32_t len = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    return (size_t)l->pos + len <= l->text.len && space_len(l) == 0 ? len : 0;
}

static bool skip_space(struct lexer *l)
{
    uint32_t from = l->pos;
    for (;;) {
        uint32_t n = space_len(l);
        if (n != 0) {
            l->pos += n;
        } else if (peek(l, 0) == '/' && peek(l, 1) == '/') {
            while (l->pos < l->text.len && peek(l, 0) != '\n' && peek(l, 0) != '\r')
                l->pos++;
        } else {
            return l->pos != from;
        }
    }
}

static void skip_digits(struct lexer *l)
{
    while (is_digit(peek(l, 0)))
        l->pos++;
}

static void skip_name(struct lexer *l)
{
    for (;;) {
        uint32_t n = letter_len(l);
        if (n == 0 && is_digit(peek(l, 0))) n = 1;
        if (n == 0) return;
        l->pos += n;
    }
}

static enum err unfinished(struct lexer *l, uint32_t pos)
{
    return FAIL_TAG(diag_at(l->d, pos), ERR_INVALID, "SYN0002",
                    "the string that begins here has no end");
}

/* ``` or ~~~ to the next of the same. */
static enum err lex_fenced(struct lexer *l)
{
    uint32_t from = l->pos;
    uint8_t fence = peek(l, 0);
    for (l->pos += 3; l->pos < l->text.len; l->pos++) {
        if (peek(l, 0) == fence && peek(l, 1) == fence && peek(l, 2) == fence) {
            l->pos += 3;
            return OK;
        }
    }
    return unfinished(l, from);
}

/* At the quote. A verbatim string doubles its quote, any other escapes it. */
static enum err lex_quoted(struct lexer *l, bool verbatim)
{
    uint32_t from = l->pos;
    uint8_t quote = peek(l, 0);
    for (l->pos++; l->pos < l->text.len; l->pos++) {
        uint8_t c = peek(l, 0);
        if (c == '\n' || c == '\r') break;
        if (c == '\\' && !verbatim) {
            l->pos++;
        } else if (c == quote && verbatim && peek(l, 1) == quote) {
            l->pos++;
        } else if (c == quote) {
            l->pos++;
            return OK;
        }
    }
    return unfinished(l, from);
}

static bool is_quote(uint8_t c)
{
    return c == '"' || c == '\'';
}

static bool is_fence(const struct lexer *l, uint32_t at)
{
    uint8_t c = peek(l, at);
    return (c == '`' || c == '~') && peek(l, at + 1) == c && peek(l, at + 2) == c;
}

/* Length of h, H, @, h@ before a string; *is_string tells whether one follows. */
static uint32_t string_prefix(const struct lexer *l, bool *verbatim, bool *is_string)
{
    uint32_t n = peek(l, 0) == 'h' || peek(l, 0) == 'H' ? 1 : 0;
    *verbatim = peek(l, n) == '@';
    if (*verbatim) n++;
    *is_string = is_quote(peek(l, n)) || (!*verbatim && is_fence(l, n));
    return n;
}

static const char *const timespan_units[] = {
    "d",           "day",          "days",         "h",
    "hr",          "hrs",          "hour",         "hours",
    "m",           "min",          "minute",       "minutes",
    "s",           "sec",          "second",       "seconds",
    "ms",          "milli",        "millis",       "millisec",
    "millisecond", "micro",        "micros",       "microsec",
    "microsecond", "microseconds", "milliseconds", "nano",
    "nanos",       "nanosec",      "nanosecond",   "nanoseconds",
    "tick",        "ticks",
};

static bool is_timespan_unit(struct bytes s)
{
    for (size_t i = 0; i < sizeof timespan_units / sizeof timespan_units[0]; i++) {
        if (bytes_eq(s, bytes_str(timespan_units[i]))) return true;
    }
    return false;
}

/* What follows the digits decides: 10 1.5 1e3 2d 0xff, or a name such as 7zip. */
static enum tok_kind lex_number(struct lexer *l)
{
    if (peek(l, 0) == '0' && (peek(l, 1) | 0x20) == 'x' && is_hex(peek(l, 2))) {
        l->pos += 2;
        while (is_hex(peek(l, 0)))
            l->pos++;
        return TOK_LONG;
    }
    enum tok_kind kind = TOK_LONG;
    skip_digits(l);
    if (peek(l, 0) == '.' && peek(l, 1) != '.' &&
        letter_len(&(struct lexer){l->text, l->pos + 1, NULL}) == 0) {
        kind = TOK_REAL;
        l->pos++;
        skip_digits(l);
    }
    bool exponent = (peek(l, 0) | 0x20) == 'e';
    uint32_t sign = peek(l, 1) == '+' || peek(l, 1) == '-' ? 1 : 0;
    if (exponent && is_digit(peek(l, 1 + sign))) {
        l->pos += 1 + sign;
        skip_digits(l);
        return TOK_REAL;
    }
    uint32_t unit = l->pos;
    skip_name(l);
    if (l->pos == unit) return kind;
    if (is_timespan_unit(bytes_of(l->text.p + unit, l->pos - unit))) return TOK_TIMESPAN;
    if (kind == TOK_LONG) return TOK_NAME;
    l->pos = unit;
    return kind;
}

static bool is_literal_type(struct bytes s)
{
    static const char *const types[] = {
        "bool",  "boolean", "date", "datetime", "decimal", "double",   "float",    "guid", "int",
        "int32", "int64",   "long", "real",     "time",    "timespan", "uniqueid", "uuid", "string",
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (bytes_eq(s, bytes_str(types[i]))) return true;
    }
    return false;
}

/* After a type's name: takes the parenthesis with all in it. */
static bool lex_typed(struct lexer *l)
{
    struct lexer at = *l;
    skip_space(&at);
    if (peek(&at, 0) != '(') return false;
    while (at.pos < at.text.len && peek(&at, 0) != ')')
        at.pos++;
    if (at.pos >= at.text.len) return false;
    l->pos = at.pos + 1;
    return true;
}

static bool word_at(const struct lexer *l, uint32_t from, const char *word)
{
    return bytes_eq(bytes_of(l->text.p + from, l->pos - from), bytes_str(word));
}

static uint32_t punct_len(const struct lexer *l)
{
    static const char pairs[][3] = {"==", "!=", "<>", "<=", ">=", "=~", "!~", "..", "=>", "<|"};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (peek(l, 0) == (uint8_t)pairs[i][0] && peek(l, 1) == (uint8_t)pairs[i][1]) return 2;
    }
    return peek(l, 0) != 0 && strchr("()[]{}|.,;:=<>+-*/%@?", peek(l, 0)) != NULL ? 1 : 0;
}

static void lex_name(struct lexer *l, struct token *t)
{
    if (peek(l, 0) == '!' || peek(l, 0) == '$') l->pos++;
    skip_name(l);
    t->kind = TOK_NAME;
    if ((word_at(l, t->pos, "in") || word_at(l, t->pos, "!in")) && peek(l, 0) == '~') l->pos++;
    t->name_len = l->pos - t->pos;
    if (is_literal_type(bytes_of(l->text.p + t->pos, t->name_len)) && lex_typed(l)) {
        t->kind = TOK_TYPED;
    }
}

static enum err lex_next(struct lexer *l, struct token *t)
{
    bool spaced = skip_space(l);
    *t = (struct token){.pos = l->pos, .spaced = spaced};
    if (l->pos >= l->text.len) return OK;

    bool verbatim, is_string;
    uint32_t prefix = string_prefix(l, &verbatim, &is_string);
    uint8_t c = peek(l, 0);
    if (is_string) {
        l->pos += prefix;
        t->kind = TOK_STRING;
        TRY(is_fence(l, 0) ? lex_fenced(l) : lex_quoted(l, verbatim));
    } else if (is_digit(c)) {
        t->kind = lex_number(l);
        t->name_len = l->pos - t->pos;
    } else if (letter_len(l) != 0 || c == '$' || (c == '!' && is_letter(peek(l, 1)))) {
        lex_name(l, t);
    } else {
        uint32_t n = punct_len(l);
        if (n == 0) {
            return FAIL_TAG(diag_at(l->d, l->pos), ERR_INVALID, "SYN0001",
                            "a character that has no meaning here (byte 0x%02x)", c);
        }
        t->kind = TOK_PUNCT;
        l->pos += n;
    }
    t->len = l->pos - t->pos;
    return OK;
}

enum err kql_lex(struct arena *a, struct bytes text, struct token **out, uint32_t *n,
                 struct diag *d)
{
    /* Counted first: an array that grew in an arena would leave its smaller selves behind. */
    uint32_t count = 0;
    struct token t = {0};
    struct lexer l = {.text = text, .d = d};
    do {
        TRY(lex_next(&l, &t));
        count++;
    } while (t.kind != TOK_END);

    struct token *tokens = arena_array(a, struct token, count);
    if (tokens == NULL) return arena_full(a, d);
    l.pos = 0;
    for (uint32_t i = 0; i < count; i++)
        TRY(lex_next(&l, &tokens[i]));

    *out = tokens;
    *n = count;
    return OK;
}
