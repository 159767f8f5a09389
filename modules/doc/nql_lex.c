/* The words of a query. See the header. */
#include "modules/doc/nql_lex.h"

#include <stdarg.h>
#include <stdio.h>

#define CHUNK_BYTES 4096
#define SHOWN_MAX   32 /* bytes of a word that an error repeats */

/* ---- memory ---- */

struct nql_chunk {
    struct nql_chunk *older;
    _Alignas(16) uint8_t bytes[];
};

void *nql_arena_take(struct nql_arena *a, size_t n)
{
    n = (n + 15) & ~(size_t)15;
    if (!a->newest || a->room - a->used < n) {
        size_t room = n > CHUNK_BYTES ? n : CHUNK_BYTES;
        struct nql_chunk *c = mem_alloc(sizeof *c + room);
        c->older = a->newest;
        a->newest = c;
        a->used = 0;
        a->room = room;
    }
    void *p = a->newest->bytes + a->used;
    a->used += n;
    return memset(p, 0, n); /* what is taken, not the whole chunk: most queries are small */
}

slice nql_arena_copy(struct nql_arena *a, slice s)
{
    uint8_t *p = nql_arena_take(a, s.n + 1);
    if (s.n) memcpy(p, s.p, s.n);
    return slice_of(p, s.n);
}

void nql_arena_free(struct nql_arena *a)
{
    for (struct nql_chunk *c = a->newest, *older; c; c = older) {
        older = c->older;
        mem_free(c);
    }
    *a = (struct nql_arena){0};
}

/* ---- bytes ---- */

static bool is_space(uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
static bool is_digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }
static bool is_letter(uint8_t c) { return (uint8_t)((c | 0x20) - 'a') < 26 || c == '_' || c >= 0x80; }
/* What a word goes on with. A hyphen is part of it: the language has no arithmetic. */
static bool is_wordly(uint8_t c) { return is_letter(c) || is_digit(c) || c == '-' || c == '$'; }

/* First byte that is not part of UTF-8, or NULL. JSON's checker judges, so that the rule is one. */
static const uint8_t *not_utf8(slice s)
{
    for (size_t i = 0; i < s.n;) {
        uint8_t c = s.p[i];
        size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        uint8_t quoted[6] = {'"', 'x', 'x', 'x', 'x', '"'};
        if (n == 1) {
            i++;
            continue;
        }
        if (c < 0xc2 || n > s.n - i) return s.p + i;
        memcpy(quoted + 1, s.p + i, n);
        quoted[1 + n] = '"';
        if (json_check(slice_of(quoted, n + 2), NULL, NULL) != E_OK) return s.p + i;
        i += n;
    }
    return NULL;
}

/* ---- faults ---- */

bool nql_lex_fail(struct nql_lex *l, const uint8_t *at, const char *fmt, ...)
{
    ASSERT(at >= l->start && at <= l->end);
    if (l->failed) return false;
    va_list args;
    l->failed = true;
    l->fault->at = (size_t)(at - l->start);
    va_start(args, fmt);
    (void)vsnprintf(l->fault->why, sizeof l->fault->why, fmt, args);
    va_end(args);
    return false;
}

/* The next word, or the one character that is next. */
static slice next_word(struct nql_lex *l)
{
    const uint8_t *p = nql_lex_here(l), *q = p;
    while (q < l->end && is_wordly(*q)) q++;
    return slice_of(p, q == p && p < l->end ? 1 : (size_t)(q - p));
}

bool nql_lex_expected(struct nql_lex *l, const char *what)
{
    slice w = next_word(l);
    if (w.n == 0) return nql_lex_fail(l, w.p, "%s expected at the end", what);
    for (size_t i = 0; i < w.n; i++)
        if (w.p[i] <= ' ' || w.p[i] >= 0x7f) return nql_lex_fail(l, w.p, "%s expected", what);
    return nql_lex_fail(l, w.p, "%s expected, found '%.*s%s'", what, (int)(w.n > SHOWN_MAX ? SHOWN_MAX : w.n), (const char *)w.p,
                        w.n > SHOWN_MAX ? "..." : "");
}

bool nql_lex_init(struct nql_lex *l, struct nql_arena *arena, slice text, struct nql_fault *fault)
{
    ASSERT(fault);
    bool fits = text.n <= NQL_BYTES_MAX;
    slice copy = nql_arena_copy(arena, fits ? text : (slice){0});
    *l = (struct nql_lex){copy.p, copy.p, copy.p + copy.n, arena, fault, false};
    if (!fits) {
        (void)nql_lex_fail(l, l->start, "longer than %u bytes", NQL_BYTES_MAX);
        fault->at = NQL_BYTES_MAX;
        return false;
    }
    const uint8_t *bad = not_utf8(copy);
    return bad ? nql_lex_fail(l, bad, "not UTF-8") : true;
}

/* ---- words ---- */

const uint8_t *nql_lex_here(struct nql_lex *l)
{
    while (l->p < l->end && is_space(*l->p)) l->p++;
    return l->p;
}

static bool same_letter(uint8_t a, char b) { return (a | 0x20) == (b | 0x20); }

bool nql_lex_is(struct nql_lex *l, const char *word)
{
    const uint8_t *p = nql_lex_here(l);
    return p < l->end && same_letter(*p, *word) && slice_is(next_word(l), word);
}

bool nql_lex_take(struct nql_lex *l, const char *word)
{
    if (!nql_lex_is(l, word)) return false;
    l->p += strlen(word);
    return true;
}

bool nql_lex_must(struct nql_lex *l, const char *word) { return nql_lex_take(l, word) || nql_lex_expected(l, word); }

bool nql_lex_punct(struct nql_lex *l, char c)
{
    const uint8_t *p = nql_lex_here(l);
    if (p == l->end || *p != (uint8_t)c) return false;
    l->p++;
    return true;
}

bool nql_lex_is_reserved(slice word)
{
    static const char *const words[] = {
        "FROM", "AS", "OF", "VALID", "WHERE", "SEARCH", "TRAVERSE", "TRACE", "REVERSE", "DEPTH", "GROUP", "ORDER", "BY", "ASC",
        "DESC", "FIELDS", "LIMIT", "OFFSET", "COUNT", "SUM", "AVG", "MIN", "MAX", "AND", "OR", "NOT", "IN", "BETWEEN", "IS",
        "NULL", "EXISTS", "LIKE", "CONTAINS", "TRUE", "FALSE",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (word.n && same_letter(*word.p, *words[i]) && slice_is(word, words[i])) return true;
    return false;
}

static size_t name_length(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *q = p;
    if (q < end && *q == '$') return 0; /* that would be a parameter */
    while (q < end && (is_wordly(*q) || *q == '.' || *q == '/' || *q == '@' || *q == ':')) q++;
    return (size_t)(q - p);
}

bool nql_lex_is_name(slice word)
{
    return word.n > 0 && name_length(word.p, word.p + word.n) == word.n && not_utf8(word) == NULL;
}

static bool at_quote(const struct nql_lex *l) { return l->p < l->end && (*l->p == '"' || *l->p == '\''); }

bool nql_lex_name(struct nql_lex *l, const char *what, bool reserved_too, slice *out)
{
    const uint8_t *p = nql_lex_here(l);
    if (at_quote(l)) return nql_lex_string(l, out);
    *out = slice_of(p, name_length(p, l->end));
    if (out->n == 0) return nql_lex_expected(l, what);
    if (!reserved_too && nql_lex_is_reserved(*out))
        return nql_lex_fail(l, p, "%s expected, found a key word; put it in quotes if it is meant", what);
    l->p += out->n;
    return true;
}

bool nql_lex_raw(struct nql_lex *l, const char *what, slice *out)
{
    const uint8_t *p = nql_lex_here(l), *q = p;
    if (at_quote(l)) return nql_lex_string(l, out);
    while (q < l->end && !is_space(*q)) q++;
    *out = slice_of(p, (size_t)(q - p));
    if (out->n == 0 || nql_lex_is_reserved(*out)) return nql_lex_expected(l, what);
    l->p = q;
    return true;
}

bool nql_lex_param(struct nql_lex *l, slice *name)
{
    const uint8_t *p = nql_lex_here(l), *q = p + 1;
    ASSERT(p < l->end && *p == '$');
    while (q < l->end && is_wordly(*q) && *q != '-' && *q != '$') q++;
    *name = slice_of(p + 1, (size_t)(q - p - 1));
    if (name->n == 0) return nql_lex_fail(l, p, "a parameter's name must follow '$'");
    l->p = q;
    return true;
}

/* ---- strings ---- */

/* Over one escape; *bad tells a wrong one. Inside '…' the other quote may be escaped too. */
static const uint8_t *copy_escape(const uint8_t *p, const uint8_t *end, struct buf *json, bool *bad)
{
    *bad = p + 1 == end || !memchr("\"'\\/bfnrtu", p[1], 11);
    if (*bad) return p;
    if (p[1] != '\'') buf_add_byte(json, '\\');
    buf_add_byte(json, p[1]);
    return p + 2;
}

/* Writes the literal as a JSON string and lets JSON's checker judge what the escapes mean. */
bool nql_lex_string(struct nql_lex *l, slice *out)
{
    const uint8_t *first = nql_lex_here(l), *p = first + 1;
    ASSERT(at_quote(l));
    struct buf json = {0}, plain = {0};
    bool bad = false;
    buf_add_byte(&json, '"');
    while (p < l->end && *p != *first && *p >= 0x20 && !bad) {
        if (*p == '\\') {
            p = copy_escape(p, l->end, &json, &bad);
        } else {
            if (*p == '"') buf_add_byte(&json, '\\');
            buf_add_byte(&json, *p++);
        }
    }
    buf_add_byte(&json, '"');
    if (bad)
        (void)nql_lex_fail(l, p, "bad escape in a string");
    else if (p == l->end)
        (void)nql_lex_fail(l, first, "a string without its closing quote");
    else if (*p < 0x20)
        (void)nql_lex_fail(l, p, "control character in a string");
    else if (json_check(buf_slice(&json), NULL, NULL) != E_OK)
        (void)nql_lex_fail(l, first, "bad \\u escape in a string");
    if (!l->failed) {
        json_unescape(buf_slice(&json), &plain);
        *out = nql_arena_copy(l->arena, buf_slice(&plain));
        l->p = p + 1;
    }
    buf_fini(&json);
    buf_fini(&plain);
    return !l->failed;
}

/* ---- paths ---- */

static const uint8_t *path_name(const uint8_t *p, const uint8_t *end)
{
    while (p < end && is_wordly(*p)) p++;
    return p;
}

/* Behind the bracket's end, or NULL. What stands between is judged by json_path_parse. */
static const uint8_t *path_bracket(const uint8_t *p, const uint8_t *end)
{
    bool quoted = ++p < end && *p == '"';
    if (quoted)
        for (p++; p < end && *p != '"'; p++)
            if (*p == '\\') p++;
    while (p < end && *p != ']') p++;
    return p < end ? p + 1 : NULL;
}

static bool path_fault(struct nql_lex *l, const uint8_t *first)
{
    slice word = next_word(l);
    if (nql_lex_is_reserved(word))
        return nql_lex_fail(l, first, "a path expected, found the key word '%.*s'; for a field of that name write $.%.*s", (int)word.n,
                            (const char *)word.p, (int)word.n, (const char *)word.p);
    if (word.n && *word.p == '$') return nql_lex_fail(l, first, "a path expected, found a parameter");
    return nql_lex_expected(l, "a path");
}

bool nql_lex_path(struct nql_lex *l, slice *out)
{
    const uint8_t *first = nql_lex_here(l), *p = first, *end = l->end;
    bool rooted = p < end && *p == '$' && (p + 1 == end || !is_wordly(p[1]));
    if (rooted) {
        p++;
    } else if (p < end && is_letter(*p)) {
        p = path_name(p, end);
        if (nql_lex_is_reserved(slice_of(first, (size_t)(p - first)))) return path_fault(l, first);
    } else if (p == end || *p != '[') {
        return path_fault(l, first);
    }
    while (p < end && (*p == '.' || *p == '[')) {
        const uint8_t *step = p;
        p = *p == '[' ? path_bracket(p, end) : path_name(p + 1, end);
        if (!p || p == step + 1) return nql_lex_fail(l, step, "bad path");
    }
    *out = slice_of(first, (size_t)(p - first));
    struct json_path parsed;
    if (json_path_parse(*out, &parsed) != E_OK) return nql_lex_fail(l, first, "bad path");
    l->p = p;
    return true;
}

/* ---- values ---- */

/* Behind the bracket that closes the one at p, or NULL. JSON's checker judges the rest. */
static const uint8_t *container_close(const uint8_t *p, const uint8_t *end)
{
    size_t depth = 0;
    for (; p < end; p++) {
        if (*p == '"') {
            for (p++; p < end && *p != '"'; p++)
                if (*p == '\\') p++;
            if (p >= end) return NULL;
        } else if (*p == '[' || *p == '{') {
            depth++;
        } else if ((*p == ']' || *p == '}') && --depth == 0) {
            return p + 1;
        }
    }
    return NULL;
}

bool nql_lex_json(struct nql_lex *l, slice *out)
{
    const uint8_t *p = nql_lex_here(l), *q = p;
    struct json_fault fault;
    if (p == l->end) return nql_lex_expected(l, "a value");
    if (*p == '[' || *p == '{') {
        q = container_close(p, l->end);
        if (!q) return nql_lex_fail(l, p, "a list or object without its end");
        *out = slice_of(p, (size_t)(q - p));
        if (json_check(*out, NULL, &fault) != E_OK) return nql_lex_fail(l, p + fault.at, "bad JSON: %s", fault.why);
    } else if (is_digit(*p) || *p == '-' || *p == '+' || *p == '.') {
        while (q < l->end && (is_wordly(*q) || *q == '+' || *q == '.')) q++;
        *out = slice_of(p, (size_t)(q - p));
        if (json_check(*out, NULL, &fault) != E_OK) return nql_lex_fail(l, p, "bad number");
    } else {
        static const char *const words[] = {"true", "false", "null"};
        slice w = next_word(l);
        out->p = NULL;
        for (size_t i = 0; i < 3; i++)
            if (slice_is(w, words[i])) *out = slice_str(words[i]);
        if (!out->p) return nql_lex_expected(l, "a value");
        q = w.p + w.n;
    }
    l->p = q;
    return true;
}
