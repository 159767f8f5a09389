/* Words of any bytes, and of JSON that may be none: no wild read, and what comes out keeps its contract.
 * An entry in libFuzzer's form; the first byte says where the query ends and the text begins. */
#include "base/json.h"
#include "base/words.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(e) ((e) ? (void)0 : abort())

/* A word is one word by itself, folded already. */
static int check_word(void *ctx, const struct text_word *w)
{
    struct text_word again;
    size_t at = 0, *seen = ctx;
    MUST(w->n > 0 && w->n <= WORD_BYTES_MAX);
    MUST(words_next(text_word_slice(w), &at, &again) && at == w->n);
    MUST(slice_eq(text_word_slice(w), text_word_slice(&again)));
    ++*seen;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    size_t cut = data[0] < size - 1 ? data[0] : size - 1, at = 0, seen = 0, strings = 0;
    slice query = {data + 1, cut}, text = {data + 1 + cut, size - 1 - cut};
    struct text_word w;
    struct buf mem = {0}, quoted = {0};
    struct words_query q;
    for (size_t before = 0; words_next(text, &at, &w); before = at) {
        MUST(at > before && at <= text.n);
        (void)check_word(&seen, &w);
    }
    MUST(at == text.n);
    MUST(words_of_json(text, &mem, check_word, &strings) == 0);
    int r = words_query_parse(query, &q);
    MUST(r == E_OK || r == E_SYNTAX || r == E_TOOBIG);
    if (r == E_OK) {
        MUST(q.n > 0 && q.n <= WORDS_QUERY_MAX);
        (void)words_query_match(&q, text);
        json_quote(query, &quoted); /* a query's own words hold it */
        MUST(words_query_match(&q, buf_slice(&quoted)));
    }
    buf_fini(&mem), buf_fini(&quoted);
    return 0;
}
