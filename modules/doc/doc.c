/* The document family: JSON documents with history, causes, links, sorted indexes and proofs.
 *
 * A document is a key of type `document`; its bytes are the JSON as it came. Reading and writing the present goes through the keyspace,
 * everything about the past through the engine's door. Small parsers that several files need stand here. */
#include "modules/doc/doc.h"

bool doc_count(struct call *c, slice text, uint64_t *n)
{
    if (!num_parse_u64(text, n) || *n < 1 || *n > DOC_COUNT_MAX) {
        reply_error(c, "ERR a count is a number from 1 to %d", DOC_COUNT_MAX);
        return false;
    }
    return true;
}

static bool same_word(slice a, slice b)
{
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if ((a.p[i] | 0x20) != (b.p[i] | 0x20)) return false; /* option words are letters */
    return true;
}

bool doc_stands_once(struct call *c, struct doc_words *met, int i)
{
    bool once = met->n < DOC_WORDS_MAX;
    for (int k = 0; once && k < met->n; k++) once = !same_word(c->argv[met->at[k]], c->argv[i]);
    if (once)
        met->at[met->n++] = i;
    else
        reply_syntax(c);
    return once;
}

slice doc_collection(slice key)
{
    const uint8_t *colon = key.n ? memchr(key.p, ':', key.n) : NULL;
    return colon ? (slice){key.p, (size_t)(colon - key.p)} : (slice){key.p, 0};
}

slice doc_plain_path(slice path)
{
    slice root = slice_str("$.");
    if (!slice_starts(path, root) || path.n == root.n) return path;
    slice plain = {path.p + root.n, path.n - root.n};
    bool own = plain.p[0] == '$' && (plain.n == 1 || plain.p[1] == '.' || plain.p[1] == '['); /* alone it would be the whole document, or begin there */
    return own ? path : plain;
}

bool doc_check_paths(struct call *c, const slice *paths, size_t n)
{
    struct json_path path;
    for (size_t i = 0; i < n; i++)
        if (json_path_parse(paths[i], &path) != E_OK) {
            reply_error(c, "BADPATH '%.*s'", (int)(paths[i].n > 80 ? 80 : paths[i].n), (const char *)paths[i].p);
            return false;
        }
    return true;
}

static void reply_one_path(struct call *c, slice json, slice text)
{
    struct json_path path;
    slice value;
    int r = json_path_parse(text, &path);
    if (r == E_OK) r = json_find(json, &path, &value);
    if (r == E_OK)
        reply_bulk(c, value);
    else
        reply_null(c);
}

void doc_reply_paths(struct call *c, slice json, const slice *paths, size_t n)
{
    if (n == 0) {
        reply_bulk(c, json);
        return;
    }
    if (n > 1) reply_array(c, n);
    for (size_t i = 0; i < n; i++) reply_one_path(c, json, paths[i]);
}
