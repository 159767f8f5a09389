/* Words of a text, and what it means that a JSON value holds them.
 *
 * A word is a maximal run of letters, marks and digits (Unicode general categories L*, M*, N*), each character replaced by its simple case
 * folding (CaseFolding.txt, status C and S), cut at WORD_BYTES_MAX at a character's boundary; what is behind the cut is not looked at. Texts are
 * not normalised. Bytes that are not UTF-8 separate words.
 *
 * The words of a JSON value are those of the string it is, or of all strings inside the array or object it is, names of members left out. Numbers,
 * true, false and null have none. A word never goes from one string into another.
 *
 * A query is a text too: all its words must occur, in any order; a word with `*` right behind it stands for any word that begins so. A query word
 * is cut as others are, so behind WORD_BYTES_MAX bytes nothing tells words apart.
 *
 * The tables are made at build time from the Unicode database that the machine has; words_unicode_version tells which. What was built from words of
 * another version must be built again. */
#ifndef VARVE_BASE_WORDS_H
#define VARVE_BASE_WORDS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define WORD_BYTES_MAX 64
#define WORDS_QUERY_MAX 32 /* words in one query */

struct text_word {
    uint8_t bytes[WORD_BYTES_MAX]; /* folded */
    size_t n;
};
static inline slice text_word_slice(const struct text_word *w) { return slice_of(w->bytes, w->n); }

/* major << 16 | minor << 8 | update */
API uint32_t words_unicode_version(void);

/* The words of a UTF-8 text: start with *at = 0. False: no more. *at is then behind the word. */
API bool words_next(slice text, size_t *at, struct text_word *out);

/* Calls fn for every word of a checked JSON value, repeats included, in the order of the text. fn nonzero stops and is returned. `mem` is scratch. */
API int words_of_json(slice json, struct buf *mem, int (*fn)(void *ctx, const struct text_word *w), void *ctx);

struct words_query {
    size_t n;
    struct words_query_word {
        struct text_word word;
        bool prefix;
    } at[WORDS_QUERY_MAX];
};
/* E_SYNTAX: no word in it; E_TOOBIG: more than WORDS_QUERY_MAX. A word given twice counts once. */
API int words_query_parse(slice query, struct words_query *out) MUST_CHECK;
API bool words_query_match(const struct words_query *q, slice json);
/* Does the checked JSON value hold all words of the query? What a text index must agree with. False for a query that does not parse. */
API bool words_match(slice json, slice query);

#endif
