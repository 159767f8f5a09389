/* Collections at a point, in name order.
 *
 * The newest point is read from the book. A past one has no book: the documents are walked (range C, a key's transitions side by side, newest first), and of each that was
 * there in the point's generation the versions (range V) are sought and counted, of one snapshot. So it costs what the history of the documents costs, in turns.
 *
 * Where most keys are documents, and nothing of them was ever dropped, range V alone tells it all: a step from entry to entry costs a twentieth of a search. Keys come by
 * their hash there and names in any order, so that with many collections the walk begins anew by documents.
 *
 * Names come nearly in order, as keys do: only a name that is the beginning of others ("a" of "a!b") comes behind them. They are kept sorted in an array, so
 * that a new one is put near its end; the memory is that of the answer. */
#include "base/mem.h"
#include "engine/books.h"

#define STEPS_BEFORE_SEEK 4
#define SEEK_COST         8    /* in steps */
#define FIND_COST         16
#define TURN_STEPS        4096 /* before E_AGAIN: about a millisecond */
#define PLAIN_SHARE       8    /* so many versions for one transition of a document, and V alone is not worth while */
#define NAMES_MAX         1024 /* in any order */

enum place { COLL_NEXT_KEY, COLL_VERSIONS, COLL_ALL_VERSIONS, COLL_GIVING };

struct coll_cursor {
    struct engine *e;
    struct index_iter *docs, *versions;
    uint16_t lineage;
    uint64_t at, flushed;
    enum place place;
    struct buf key, other, probe;
    bool left, ended;          /* docs is at the key behind the one at hand; at its end */
    bool stood;                /* what the transition of the key at hand says */
    unsigned passed;           /* entries of it in a row that do not matter */
    bool newest, started;      /* of its versions: none was looked at; the iterator is at them */
    struct coll_counts counts; /* of the key at hand so far */
    struct collection **v;     /* by name */
    size_t n, cap, last, given;
    int failure;
    unsigned looked;
};

/* ---- counts by name ---- */

/* The place of a name, or where it belongs. */
static size_t place_of(const struct coll_cursor *c, slice name, bool *found)
{
    size_t lo = 0, hi = c->n;
    *found = false;
    while (lo < hi && !*found) {
        size_t mid = (lo + hi) / 2;
        int order = slice_cmp(slice_of(c->v[mid]->name, c->v[mid]->name_bytes), name);
        *found = order == 0;
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return *found ? hi : lo;
}

static struct collection *named(struct coll_cursor *c, slice name)
{
    bool found;
    if (c->last < c->n && slice_eq(slice_of(c->v[c->last]->name, c->v[c->last]->name_bytes), name)) return c->v[c->last];
    c->last = place_of(c, name, &found);
    if (found) return c->v[c->last];
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 16;
        c->v = mem_realloc(c->v, c->cap * sizeof(struct collection *));
    }
    struct collection *k = mem_zalloc(sizeof *k + name.n);
    k->name_bytes = (uint16_t)name.n;
    if (name.n) memcpy(k->name, name.p, name.n);
    memmove(c->v + c->last + 1, c->v + c->last, (c->n - c->last) * sizeof(struct collection *));
    c->v[c->last] = k;
    c->n++;
    return k;
}

/* ---- one document ---- */

/* A key without a transition at the point: was it not there yet, or was what it had dropped? */
static int judge_unknown(struct coll_cursor *c)
{
    struct version v;
    if (book_get(&c->e->fold->horizon[HORIZON_DOCUMENT_CHANGES]) == 0) return E_OK;
    c->looked += FIND_COST;
    int rc = engine_find(c->e, SPACE_KEY, c->lineage, buf_slice(&c->key), c->at, FIND_ALL, &v);
    return rc == E_NOTFOUND ? E_OK : rc;
}

/* Moves docs; c->left: away from the key at hand. *seq: of the entry there. */
static int move_docs(struct coll_cursor *c, bool step, uint64_t seek_seq, uint64_t *seq)
{
    int rc;
    if (step) {
        c->looked++;
        rc = index_next(c->docs);
    } else {
        c->looked += SEEK_COST;
        range_doc(&c->probe, c->lineage, buf_slice(&c->key), seek_seq);
        if (seek_seq == 0) buf_add_byte(&c->probe, 0); /* behind its oldest */
        rc = index_seek(c->docs, buf_slice(&c->probe));
    }
    c->ended = rc == E_END;
    if (!rc) rc = range_doc_parse(index_key(c->docs), &c->other, seq);
    c->left = c->ended || (!rc && !slice_eq(buf_slice(&c->other), buf_slice(&c->key)));
    return c->ended ? E_OK : rc;
}

/* The next key and its newest transition at or before the point. */
static int next_key(struct coll_cursor *c)
{
    uint64_t seq = 0;
    int rc = E_OK;
    for (int i = 0; !rc && !c->left; i++) rc = move_docs(c, i < STEPS_BEFORE_SEEK, 0, &seq);
    if (!rc && c->ended) return E_END;
    if (!rc) rc = range_doc_parse(index_key(c->docs), &c->key, &seq);
    c->left = false;
    c->looked++;
    for (int i = 0; !rc && !c->left && seq > c->at; i++) rc = move_docs(c, i < STEPS_BEFORE_SEEK, c->at, &seq);
    if (rc) return rc;
    if (c->left) return judge_unknown(c);
    if (seq <= c->flushed) return E_OK;
    rc = range_flag_parse(index_value(c->docs), &c->stood);
    c->counts = (struct coll_counts){0};
    c->newest = true;
    c->started = false;
    if (!rc) c->place = COLL_VERSIONS;
    return rc;
}

/* The entry under the iterator, when it is a version of the key at hand in the point's generation; else E_END. */
static int take_version(struct coll_cursor *c, struct version *v)
{
    slice entry = index_key(c->versions);
    if (entry.n != c->probe.n || memcmp(entry.p, c->probe.p, entry.n - 8) != 0) return E_END;
    uint64_t seq = ~get_be64(entry.p + entry.n - 8);
    return seq <= c->flushed ? E_END : range_version_parse_value(index_value(c->versions), seq, v);
}

/* Counts versions of the key at hand: E_OK when they are through. */
static int count_versions(struct coll_cursor *c)
{
    struct version v;
    int rc = E_OK;
    if (!c->started) {
        c->looked += SEEK_COST;
        range_version(&c->probe, &c->e->seed, SPACE_KEY, c->lineage, buf_slice(&c->key), c->at);
        rc = index_seek(c->versions, buf_slice(&c->probe));
        c->started = true;
    }
    while (!rc && (rc = take_version(c, &v)) == E_OK) {
        bool doc = v.type == TYPE_DOCUMENT && v.op <= NODE_META;
        c->counts.docs += doc && c->newest;
        c->counts.versions += doc;
        c->counts.bytes += doc ? v.bytes : 0;
        c->newest = false;
        rc = index_next(c->versions);
        if (c->looked++ >= TURN_STEPS && !rc) return E_AGAIN;
    }
    if (rc != E_END) return rc;
    c->place = COLL_NEXT_KEY;
    if (c->newest) return c->stood ? E_PRUNED : E_OK; /* it was there, and nobody knows what it weighed */
    if (c->counts.versions == 0) return E_OK;
    struct collection *k = named(c, collection_of(buf_slice(&c->key)));
    k->counts.docs += c->counts.docs;
    k->counts.versions += c->counts.versions;
    k->counts.bytes += c->counts.bytes;
    return E_OK;
}

/* ---- versions alone ---- */

/* Adds up the key whose name, as its V entries have it, is in c->key. */
static void add_key(struct coll_cursor *c)
{
    if (c->key.n == 0 || c->counts.versions == 0) return;
    slice key = slice_of(c->key.p + RANGE_VERSION_HEAD, c->key.n - RANGE_VERSION_HEAD);
    struct collection *k = named(c, collection_of(key));
    k->counts.docs += c->counts.docs;
    k->counts.versions += c->counts.versions;
    k->counts.bytes += c->counts.bytes;
}

/* The entry under the iterator. *skip: the next that matters is behind all with a seq above this one. */
static int count_entry(struct coll_cursor *c, uint64_t *skip)
{
    struct version v;
    slice entry = index_key(c->versions);
    if (entry.n < RANGE_VERSION_HEAD + 8) return err_note(E_CORRUPT, "a version's index key is too short");
    uint64_t seq = ~get_be64(entry.p + entry.n - 8);
    slice name = slice_of(entry.p, entry.n - 8);
    if (!slice_eq(name, buf_slice(&c->key))) {
        add_key(c);
        buf_clear(&c->key);
        buf_add_slice(&c->key, name);
        c->counts = (struct coll_counts){0};
        c->newest = true;
        c->passed = 0;
    }
    *skip = UINT64_MAX;
    if (seq > c->at || seq <= c->flushed) {
        if (++c->passed > STEPS_BEFORE_SEEK) *skip = seq > c->at ? c->at : 0;
        return E_OK;
    }
    int rc = range_version_parse_value(index_value(c->versions), seq, &v);
    if (rc) return rc;
    bool doc = v.type == TYPE_DOCUMENT && v.op <= NODE_META;
    c->counts.docs += doc && c->newest;
    c->counts.versions += doc;
    c->counts.bytes += doc ? v.bytes : 0;
    c->newest = false;
    c->passed = 0;
    return E_OK;
}

/* E_END: all are counted. */
static int count_all_versions(struct coll_cursor *c)
{
    uint64_t skip = UINT64_MAX;
    int rc = E_OK;
    while (!rc && c->n <= NAMES_MAX) {
        if (c->looked >= TURN_STEPS) return E_AGAIN;
        rc = count_entry(c, &skip);
        if (rc) return rc;
        c->looked += skip == UINT64_MAX ? 1 : SEEK_COST;
        if (skip == UINT64_MAX) {
            rc = index_next(c->versions);
            continue;
        }
        buf_clear(&c->probe);
        buf_add_slice(&c->probe, buf_slice(&c->key));
        put_be64(buf_reserve(&c->probe, 8), ~skip);
        c->probe.n += 8;
        if (skip == 0) buf_add_byte(&c->probe, 0); /* behind its oldest */
        c->passed = 0;
        rc = index_seek(c->versions, buf_slice(&c->probe));
    }
    if (rc == E_END) add_key(c);
    if (rc) return rc;
    for (size_t i = 0; i < c->n; i++) mem_free(c->v[i]); /* too many names for this way */
    c->n = c->last = 0;
    c->place = COLL_NEXT_KEY;
    return E_OK;
}

/* Versions alone, where they are enough and it is worth while. */
static int choose_way(struct coll_cursor *c, slice docs[2], slice versions[2])
{
    uint64_t n_docs = 0, n_versions = 0;
    if (book_get(&c->e->fold->horizon[HORIZON_DOCUMENT_CHANGES]) > 0) return E_OK;
    int rc = index_estimate(c->e->index, docs[0], docs[1], &n_docs);
    if (!rc) rc = index_estimate(c->e->index, versions[0], versions[1], &n_versions);
    if (rc || n_versions / PLAIN_SHARE > n_docs) return rc;
    rc = index_seek(c->versions, versions[0]);
    if (!rc) c->place = COLL_ALL_VERSIONS;
    return rc == E_END ? E_OK : rc;
}

/* ---- the cursor ---- */

/* The common beginning of the versions of a lineage's keys. */
static void versions_of_all(struct buf *out, const struct coll_cursor *c)
{
    range_version(out, &c->e->seed, SPACE_KEY, c->lineage, (slice){0}, 0);
    out->n = RANGE_VERSION_HEAD - 10; /* without hash and length */
}

static int open_past(struct coll_cursor *c)
{
    struct index_snap *s = NULL;
    struct buf lower = {0}, upper = {0}, oldest = {0}, behind = {0};
    int rc = index_snapshot(c->e->index, INDEX_ALL, &s);
    /* Behind the snapshot: it rises before the first trace goes. */
    if (!rc && c->at < book_get(&c->e->fold->horizon[HORIZON_DOCUMENTS])) rc = E_PRUNED;
    c->flushed = dbs_flushed(&c->e->fold->dbs, c->lineage, c->at);
    range_doc_from(&lower, c->lineage, (slice){0});
    range_doc_from(&upper, c->lineage, (slice){0});
    range_end(&upper);
    versions_of_all(&oldest, c);
    versions_of_all(&behind, c);
    range_end(&behind);
    if (!rc) rc = index_iter_open(s, buf_slice(&lower), buf_slice(&upper), &c->docs);
    if (!rc) rc = index_seek(c->docs, buf_slice(&lower));
    c->ended = rc == E_END;
    c->left = true;
    if (rc == E_END) rc = E_OK;
    if (!rc) rc = index_iter_open(s, buf_slice(&oldest), buf_slice(&behind), &c->versions);
    if (!rc && !c->ended)
        rc = choose_way(c, (slice[2]){buf_slice(&lower), buf_slice(&upper)}, (slice[2]){buf_slice(&oldest), buf_slice(&behind)});
    index_snap_close(&s);
    buf_fini(&lower), buf_fini(&upper), buf_fini(&oldest), buf_fini(&behind);
    return rc;
}

int engine_collections_at(struct engine *e, uint16_t lineage, uint64_t at, struct coll_cursor **out)
{
    ASSERT(e && out);
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    struct coll_cursor *c = mem_zalloc(sizeof *c);
    int rc = E_OK;
    c->e = e;
    c->lineage = lineage;
    c->at = at;
    if (at < fold_seq(e->fold)) {
        rc = open_past(c);
    } else {
        c->v = collections_copy(&e->fold->collections, lineage, &c->n);
        c->place = COLL_GIVING;
    }
    if (rc)
        coll_cursor_close(&c);
    else
        *out = c;
    return rc;
}

int coll_cursor_next(struct coll_cursor *c, slice *coll, struct coll_counts *n)
{
    ASSERT(c && coll && n);
    int rc = c->failure;
    for (c->looked = 0; !rc && c->place != COLL_GIVING;) {
        if (c->looked >= TURN_STEPS) return E_AGAIN;
        if (c->place == COLL_ALL_VERSIONS)
            rc = count_all_versions(c);
        else
            rc = c->place == COLL_NEXT_KEY ? next_key(c) : count_versions(c);
        if (rc == E_AGAIN) return rc;
        if (rc == E_END) c->place = COLL_GIVING, rc = E_OK;
    }
    c->failure = rc;
    while (!rc && c->given < c->n) {
        /* One by one: many are not freed in one turn. */
        if (c->given > 0) mem_free(c->v[c->given - 1]);
        const struct collection *k = c->v[c->given++];
        if (k->counts.docs == 0) continue;
        *coll = slice_of(k->name, k->name_bytes);
        *n = k->counts;
        return E_OK;
    }
    return rc ? rc : E_END;
}

void coll_cursor_close(struct coll_cursor **out)
{
    ASSERT(out);
    struct coll_cursor *c = *out;
    if (!c) return;
    index_iter_close(&c->docs);
    index_iter_close(&c->versions);
    buf_fini(&c->key), buf_fini(&c->other), buf_fini(&c->probe);
    for (size_t i = c->given ? c->given - 1 : 0; i < c->n; i++) mem_free(c->v[i]);
    mem_free(c->v);
    mem_free(c);
    *out = NULL;
}

int engine_collections(struct engine *e, uint16_t lineage, uint64_t at,
                       int (*fn)(void *ctx, slice coll, const struct coll_counts *n), void *ctx)
{
    ASSERT(e && fn);
    struct coll_cursor *c = NULL;
    struct coll_counts n;
    slice coll;
    int rc = engine_collections_at(e, lineage, at, &c);
    while (!rc) {
        int next = coll_cursor_next(c, &coll, &n);
        if (next == E_END) break;
        rc = next == E_AGAIN ? E_OK : next == E_OK ? fn(ctx, coll, &n) : next;
    }
    coll_cursor_close(&c);
    return rc;
}
