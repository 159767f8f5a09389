/* Words: see words.h for what they are.
 *
 * Where the tables come from: words_table.pl makes them from Debian's unicode-data at build time. Of the libraries at hand none gives what is wanted:
 * libutf8proc and libunistring have the categories, but only full case folding (one character may become three) or lower-casing, which
 * is not folding; and a table of our own making can name its version.
 *
 * The strings of a JSON text are found in one pass over its bytes, without a stack: in checked JSON a string with a colon behind it is a name. */
#include "base/words.h"
#include "base/json.h"
#include "base/json_text.h"
#include "base/words_table.h"

uint32_t words_unicode_version(void)
{
    return WORDS_TABLE_VERSION;
}

/* ---- characters ---- */

static bool is_word(uint32_t c)
{
    return word_bits[word_bits_page[c >> 8]][(c & 0xff) >> 3] >> (c & 7) & 1;
}

static uint32_t fold(uint32_t c)
{
    return c + (uint32_t)fold_add[fold_add_page[c >> 8]][c & 0xff];
}

static uint32_t decode(const uint8_t *p, unsigned n)
{
    switch (n) {
    case 1: return p[0];
    case 2: return (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    case 3: return (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    default: return (p[0] & 7u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
    }
}

static unsigned encode(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

/* The folded bytes of the character at p, and its length in *used; 0 when it belongs to no word. */
static unsigned take(const uint8_t *p, const uint8_t *end, uint8_t out[4], unsigned *used)
{
    const uint8_t *bad;
    *used = json_utf8(p, end, &bad);
    if (*used == 0) {
        *used = 1;
        return 0;
    }
    uint32_t c = decode(p, *used);
    return is_word(c) ? encode(fold(c), out) : 0;
}

bool words_next(slice text, size_t *at, struct text_word *out)
{
    ASSERT(at && out);
    ASSERT(*at <= text.n);
    if (text.n == 0) return false;
    const uint8_t *p = text.p + *at, *end = text.p + text.n;
    bool whole = true;
    out->n = 0;
    for (unsigned used = 0; p < end; p += used) {
        uint8_t bytes[4];
        unsigned n = take(p, end, bytes, &used);
        if (n == 0 && out->n > 0) break;
        whole = whole && out->n + n <= WORD_BYTES_MAX;
        if (!whole) continue;
        memcpy(out->bytes + out->n, bytes, n);
        out->n += n;
    }
    *at = (size_t)(p - text.p);
    return out->n > 0;
}

/* ---- strings of a JSON value ---- */

/* The next string that is a value: its inside. *p moves behind it. False: no more. */
static bool next_string(const uint8_t **p, const uint8_t *end, slice *inside)
{
    while (*p < end) {
        const uint8_t *open = memchr(*p, '"', (size_t)(end - *p));
        const uint8_t *close = open ? json_string_close(open + 1, end) : NULL;
        if (!close) break;
        *p = close + 1;
        const uint8_t *next = json_skip_space(*p, end);
        if (next < end && *next == ':') continue;
        *inside = slice_of(open + 1, (size_t)(close - open - 1));
        return true;
    }
    *p = end;
    return false;
}

int words_of_json(slice json, struct buf *mem, int (*fn)(void *ctx, const struct text_word *w), void *ctx)
{
    ASSERT(mem && fn);
    if (json.n == 0) return 0;
    const uint8_t *p = json.p, *end = json.p + json.n;
    slice text;
    while (next_string(&p, end, &text)) {
        struct text_word w;
        if (memchr(text.p, '\\', text.n)) {
            buf_clear(mem);
            json_unescape(text, mem);
            text = buf_slice(mem);
        }
        for (size_t at = 0; words_next(text, &at, &w);) {
            int rc = fn(ctx, &w);
            if (rc) return rc;
        }
    }
    return 0;
}

/* ---- queries ---- */

int words_query_parse(slice query, struct words_query *out)
{
    ASSERT(out);
    struct words_query q;
    struct text_word w;
    q.n = 0;
    for (size_t at = 0; words_next(query, &at, &w);) {
        bool prefix = at < query.n && query.p[at] == '*', known = false;
        for (size_t i = 0; i < q.n && !known; i++)
            known = q.at[i].prefix == prefix && slice_eq(text_word_slice(&q.at[i].word), text_word_slice(&w));
        if (known) continue;
        if (q.n == WORDS_QUERY_MAX) return E_TOOBIG;
        q.at[q.n].word = w;
        q.at[q.n++].prefix = prefix;
    }
    if (q.n == 0) return E_SYNTAX;
    out->n = q.n;
    memcpy(out->at, q.at, q.n * sizeof q.at[0]);
    return E_OK;
}

struct search {
    const struct words_query *q;
    uint64_t missing; /* a bit a query word */
};

static int search_word(void *ctx, const struct text_word *w)
{
    struct search *s = ctx;
    for (uint64_t rest = s->missing; rest; rest &= rest - 1) {
        unsigned i = (unsigned)__builtin_ctzll(rest);
        slice want = text_word_slice(&s->q->at[i].word), have = text_word_slice(w);
        if (s->q->at[i].prefix ? slice_starts(have, want) : slice_eq(have, want)) s->missing &= ~(1ull << i);
    }
    return s->missing == 0;
}

bool words_query_match(const struct words_query *q, slice json)
{
    ASSERT(q && q->n > 0);
    ASSERT(q->n <= WORDS_QUERY_MAX && WORDS_QUERY_MAX < 64);
    struct search s = {q, (1ull << q->n) - 1};
    struct buf mem = {0};
    bool found = words_of_json(json, &mem, search_word, &s) != 0;
    buf_fini(&mem);
    return found;
}

bool words_match(slice json, slice query)
{
    struct words_query q;
    return words_query_parse(query, &q) == E_OK && words_query_match(&q, json);
}
