/* Inside of NQL's parser: the words of a query. No token list: the parser asks for what the grammar allows at a place, since a word means
 * different things at different places (a point, a path, a key word).
 *
 * Every function skips white space first. Those that return bool fail once: the first fault stands, with its place, and nothing after it
 * counts. */
#ifndef VARVE_MODULES_DOC_NQL_LEX_H
#define VARVE_MODULES_DOC_NQL_LEX_H

#include "modules/doc/nql.h"

/* Memory of one query: released all at once. Zero-initialise; nql_arena_free. */
struct nql_chunk;
struct nql_arena {
    struct nql_chunk *newest;
    size_t used, room; /* bytes of the newest chunk */
};
void *nql_arena_take(struct nql_arena *a, size_t n); /* zeroed, aligned for any type */
slice nql_arena_copy(struct nql_arena *a, slice s);
void nql_arena_free(struct nql_arena *a);

struct nql_lex {
    const uint8_t *start, *p, *end;
    struct nql_arena *arena;
    struct nql_fault *fault;
    bool failed;
};

/* The text as it stands in the arena. False: not UTF-8, or too long. */
bool nql_lex_init(struct nql_lex *l, struct nql_arena *arena, slice text, struct nql_fault *fault);
/* Notes the fault at a place of the text (between start and end). Returns false. */
bool nql_lex_fail(struct nql_lex *l, const uint8_t *at, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* "<what> expected, found '<word>'" at the next word. */
bool nql_lex_expected(struct nql_lex *l, const char *what);

const uint8_t *nql_lex_here(struct nql_lex *l);               /* the next byte that is not white space, or end */
bool nql_lex_is(struct nql_lex *l, const char *word);         /* the next word, in any case */
bool nql_lex_take(struct nql_lex *l, const char *word);       /* the same, and steps over it */
bool nql_lex_must(struct nql_lex *l, const char *word);       /* the same, or a fault */
bool nql_lex_punct(struct nql_lex *l, char c);                /* steps over one character when it is next */
bool nql_lex_is_reserved(slice word);                         /* a key word, in any case */
bool nql_lex_is_name(slice word);                             /* may stand unquoted as a collection or relation */

bool nql_lex_name(struct nql_lex *l, const char *what, bool reserved_too, slice *out); /* a word or a string: collection, relation */
bool nql_lex_raw(struct nql_lex *l, const char *what, slice *out);   /* all up to the next white space, or a string: a point */
bool nql_lex_string(struct nql_lex *l, slice *out);                  /* a quoted string's unescaped bytes; the quote is next */
bool nql_lex_path(struct nql_lex *l, slice *out);                    /* a path's text: checked for its form, not for its length */
bool nql_lex_json(struct nql_lex *l, slice *out);                    /* a number, word or container as checked JSON */
bool nql_lex_param(struct nql_lex *l, slice *name);                  /* $name; the dollar sign is next */

#endif
