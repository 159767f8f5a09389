/* The books: opening, saving, totals, and what merging may forget.
 *
 * Saved form, version 3 (all varints unless said): u8 version, seq, newest ms, horizon of keys, nodes, bytes, plain sum, plain n;
 * horizons of documents, changes, document changes, readable; dead bytes, waiting bytes; tags and rules (named.h);
 * number of lineages with counts, then each: u16 lineage, keys, docs, expiring, links; collections (collections.c); sorted indexes (sorted
 * definitions, fold_sorted.c). Flushes and swaps are not in it: they are read from the S range, up to seq. */
#include "engine/books.h"
#include "base/mem.h"

#define SAVED_VERSION   3 /* 1 had one horizon only, 2 not the readable one */
#define EXPIRY_GRACE_MS (24u * 3600 * 1000)

/* ---- probe buffers ---- */

static pthread_key_t probe_key;
static pthread_once_t probe_once = PTHREAD_ONCE_INIT;
static _Thread_local struct buf probe_of[PROBE_BUFS];
static _Thread_local bool probe_known;

static void probe_free(void *p)
{
    struct buf *b = p;
    for (unsigned i = 0; i < PROBE_BUFS; i++) buf_fini(&b[i]);
}
static void probe_init(void)
{
    int rc = pthread_key_create(&probe_key, probe_free);
    ASSERT(rc == 0);
}

struct buf *probe_buf(unsigned which)
{
    ASSERT(which < PROBE_BUFS);
    if (__builtin_expect(!probe_known, 0)) {
        pthread_once(&probe_once, probe_init);
        int rc = pthread_setspecific(probe_key, probe_of);
        ASSERT(rc == 0);
        probe_known = true;
    }
    return &probe_of[which];
}

/* ---- saving ---- */

static void add_varint(struct buf *out, uint64_t v)
{
    uint8_t *p = buf_reserve(out, VARINT_MAX);
    out->n += (size_t)(put_varint(p, v) - p);
}

static bool book_is_empty(struct lineage_book *b)
{
    return !book_get(&b->keys) && !book_get(&b->docs) && !book_get(&b->expiring) && !book_get(&b->links);
}

void fold_save(struct fold *f, struct buf *out)
{
    ASSERT(f && out);
    _Atomic uint64_t *head[] = {&f->seq, &f->newest_ms, &f->horizon[HORIZON_KEYS], &f->nodes, &f->bytes, &f->plain_sum, &f->plain_n};
    uint64_t used = 0;
    buf_add_byte(out, SAVED_VERSION);
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++) add_varint(out, book_get(head[i]));
    for (size_t i = HORIZON_DOCUMENTS; i < HORIZONS; i++) add_varint(out, book_get(&f->horizon[i]));
    add_varint(out, book_get(&f->dead));
    add_varint(out, book_get(&f->waiting));
    named_save(&f->named, out);
    for (unsigned i = 0; i < ENGINE_DATABASES_MAX; i++) used += !book_is_empty(&f->lineage[i]);
    add_varint(out, used);
    for (unsigned i = 0; i < ENGINE_DATABASES_MAX; i++) {
        struct lineage_book *b = &f->lineage[i];
        if (book_is_empty(b)) continue;
        put_u16(buf_reserve(out, 2), (uint16_t)i);
        out->n += 2;
        add_varint(out, book_get(&b->keys));
        add_varint(out, book_get(&b->docs));
        add_varint(out, book_get(&b->expiring));
        add_varint(out, book_get(&b->links));
    }
    collections_save(&f->collections, out);
    sorted_save(f, out);
}

static int load_lineages(struct fold *f, const uint8_t **p, const uint8_t *end)
{
    uint64_t n, v;
    const uint8_t *q = get_varint(*p, end, &n);
    for (uint64_t i = 0; q && i < n; i++) {
        if (end - q < 2 || get_u16(q) >= ENGINE_DATABASES_MAX) return E_CORRUPT;
        struct lineage_book *b = &f->lineage[get_u16(q)];
        _Atomic uint64_t *field[] = {&b->keys, &b->docs, &b->expiring, &b->links};
        q += 2;
        for (int k = 0; q && k < 4; k++)
            if ((q = get_varint(q, end, &v))) book_set(field[k], v);
    }
    if (!q) return E_CORRUPT;
    *p = q;
    return E_OK;
}

/* What version 2 added. Whatever it dropped was superseded at or before what its books had come to. */
static int load_second(struct fold *f, unsigned version, const uint8_t **from, const uint8_t *end)
{
    _Atomic uint64_t *field[] = {&f->horizon[HORIZON_DOCUMENTS], &f->horizon[HORIZON_CHANGES], &f->horizon[HORIZON_DOCUMENT_CHANGES],
                                 &f->horizon[HORIZON_READABLE], &f->dead, &f->waiting};
    const uint8_t *p = *from;
    uint64_t v;
    for (size_t i = 0; p && i < sizeof field / sizeof field[0]; i++) {
        if (version == 2 && field[i] == &f->horizon[HORIZON_READABLE])
            book_set(field[i], book_get(&f->horizon[HORIZON_CHANGES]) ? book_get(&f->seq) : 0);
        else if ((p = get_varint(p, end, &v)))
            book_set(field[i], v);
    }
    int rc = p ? named_load(&f->named, &p, end) : E_CORRUPT;
    if (!rc) *from = p;
    return rc;
}

/* Books of version 1 do not hold tags and rules: the newest node of each says what stands. */
static int load_named(struct fold *f)
{
    static const uint8_t lower[] = {RANGE_VERSION, SPACE_TAG}, upper[] = {RANGE_VERSION, SPACE_RETAIN + 1};
    struct index_snap *s = NULL;
    struct index_iter *it = NULL;
    struct buf last = {0};
    int rc = index_snapshot(f->e->index, INDEX_ALL, &s);
    if (!rc) rc = index_iter_open(s, slice_of(lower, 2), slice_of(upper, 2), &it);
    for (int step = rc ? rc : index_seek(it, slice_of(lower, 2)); !rc; step = index_next(it)) {
        slice k = step ? (slice){0} : index_key(it);
        struct node n;
        rc = step ? step : k.n < 8 ? E_CORRUPT : E_OK;
        if (rc || slice_eq(slice_of(k.p, k.n - 8), buf_slice(&last))) continue;
        buf_clear(&last);
        buf_add(&last, k.p, k.n - 8);
        slice raw = {0};
        rc = seglog_read(f->e->log, ~get_be64(k.p + k.n - 8), &f->mem, &raw, NULL);
        if (!rc) rc = node_decode(raw, &n);
        if (!rc && n.seq <= book_get(&f->seq)) rc = named_fold(&f->named, &n);
    }
    index_iter_close(&it);
    index_snap_close(&s);
    buf_fini(&last);
    return rc == E_END ? E_OK : rc;
}

static int load_saved(struct fold *f, slice saved)
{
    _Atomic uint64_t *head[] = {&f->seq, &f->newest_ms, &f->horizon[HORIZON_KEYS], &f->nodes, &f->bytes, &f->plain_sum, &f->plain_n};
    const uint8_t *p = saved.p, *end = saved.p + saved.n;
    uint64_t v;
    if (saved.n == 0) return E_OK;
    unsigned version = *p++;
    if (version < 1 || version > SAVED_VERSION) return err_note(E_VERSION, "books of version %u", version);
    for (size_t i = 0; p && i < sizeof head / sizeof head[0]; i++)
        if ((p = get_varint(p, end, &v))) book_set(head[i], v);
    f->horizons_known = version > 1;
    int rc = p ? E_OK : E_CORRUPT;
    if (!rc && version > 1) rc = load_second(f, version, &p, end);
    if (!rc) rc = load_lineages(f, &p, end);
    if (!rc) rc = collections_load(&f->collections, &p, end);
    if (!rc) rc = sorted_load(f, &p, end);
    if (!rc && p != end) rc = E_CORRUPT;
    if (!rc && version == 1 && f->e->log) rc = load_named(f);
    if (rc == E_CORRUPT) err_note(rc, "the saved books do not parse");
    return rc;
}

static int load_events(struct fold *f)
{
    static const uint8_t lower = RANGE_EVENT, upper = RANGE_EVENT + 1;
    struct index_snap *s = NULL;
    struct index_iter *it = NULL;
    int rc = index_snapshot(f->e->index, INDEX_ALL, &s);
    if (!rc) rc = index_iter_open(s, slice_of(&lower, 1), slice_of(&upper, 1), &it);
    for (int step = rc ? rc : index_seek(it, slice_of(&lower, 1)); !rc; step = index_next(it)) {
        uint64_t seq;
        uint8_t kind;
        uint16_t ab[2];
        rc = step ? step : range_event_parse(index_key(it), index_value(it), &seq, &kind, ab);
        if (!rc && seq > book_get(&f->seq)) break; /* will be folded again */
        if (!rc && kind == NODE_FLUSH)
            dbs_flush(&f->dbs, ab[0], seq);
        else if (!rc)
            dbs_swap(&f->dbs, ab[0], ab[1], seq);
    }
    index_iter_close(&it);
    index_snap_close(&s);
    return rc == E_END ? E_OK : rc;
}

int fold_open(struct engine *e, slice saved, struct fold **out)
{
    ASSERT(e && e->index);
    ASSERT(out);
    struct fold *f = mem_zalloc(sizeof *f);
    f->e = e;
    f->read = engine_read;
    dbs_init(&f->dbs);
    collections_init(&f->collections);
    sorted_init(&f->sorted);
    named_init(&f->named);
    int rc = load_saved(f, saved);
    if (!rc && book_get(&f->seq) > index_covers(e->index))
        rc = err_note(E_CORRUPT, "the books reach to %llu, the index to %llu only", (unsigned long long)book_get(&f->seq),
                      (unsigned long long)index_covers(e->index));
    if (!rc) rc = load_events(f);
    if (rc)
        fold_close(&f);
    else
        *out = f;
    return rc;
}

void fold_close(struct fold **out)
{
    ASSERT(out);
    struct fold *f = *out;
    if (!f) return;
    dbs_fini(&f->dbs);
    collections_fini(&f->collections);
    sorted_fini(&f->sorted);
    named_fini(&f->named);
    buf_fini(&f->key), buf_fini(&f->value), buf_fini(&f->mem);
    mem_free(f);
    *out = NULL;
}

/* ---- totals and horizon ---- */

void fold_raise_horizons(struct fold *f, const struct engine_horizons *to)
{
    uint64_t v[HORIZONS] = {to->keys, to->documents, to->changes, to->document_changes, to->readable};
    ASSERT(f);
    if (v[HORIZON_READABLE] < to->keys) v[HORIZON_READABLE] = to->keys;
    if (v[HORIZON_READABLE] < to->documents) v[HORIZON_READABLE] = to->documents;
    for (size_t i = 0; i < HORIZONS; i++)
        if (v[i] > book_get(&f->horizon[i])) book_set(&f->horizon[i], v[i]);
}

bool fold_knows_horizons(const struct fold *f)
{
    ASSERT(f && f->e);
    return f->horizons_known;
}

void engine_get_horizons(struct engine *e, struct engine_horizons *out)
{
    ASSERT(e && e->fold);
    ASSERT(out);
    struct fold *f = e->fold;
    *out = (struct engine_horizons){.keys = book_get(&f->horizon[HORIZON_KEYS]),
                                    .documents = book_get(&f->horizon[HORIZON_DOCUMENTS]),
                                    .changes = book_get(&f->horizon[HORIZON_CHANGES]),
                                    .document_changes = book_get(&f->horizon[HORIZON_DOCUMENT_CHANGES]),
                                    .readable = book_get(&f->horizon[HORIZON_READABLE])};
}

void fold_get_totals(struct fold *f, struct fold_totals *out)
{
    ASSERT(f && out);
    struct fold_totals t = {.nodes = book_get(&f->nodes), .bytes_log = book_get(&f->bytes)};
    for (unsigned i = 0; i < ENGINE_DATABASES_MAX; i++) {
        t.keys += book_get(&f->lineage[i].keys);
        t.docs += book_get(&f->lineage[i].docs);
        t.links += book_get(&f->lineage[i].links);
    }
    t.bytes_dead = fold_dead(f, NULL);
    if (t.bytes_dead > t.bytes_log) t.bytes_dead = t.bytes_log;
    *out = t;
}

/* ---- what merging may forget ---- */

/* Something done by the node at seq can be relied on once the runs include it: a crash cannot take it back any more. */
static bool is_settled(struct fold *f, uint64_t seq)
{
    return seq <= index_flushed_covers(f->e->index);
}

int fold_build(struct fold *f, unsigned budget)
{
    return sorted_build(f, budget);
}

bool fold_drop(void *fold, slice key, slice value)
{
    struct fold *f = fold;
    uint32_t id;
    size_t head;
    if (!f || key.n < 11) return false;
    switch (key.p[0]) {
    case RANGE_LIVE: { /* a generation that a flush has ended */
        uint16_t lineage = get_be16(key.p + 1);
        if (lineage >= ENGINE_DATABASES_MAX) return false;
        uint64_t newest = book_get(&f->dbs.flushed[lineage]);
        return get_be64(key.p + 3) < newest && is_settled(f, newest);
    }
    case RANGE_EXPIRY: /* long past and handed to a caller: the key is gone, or has another expiry */
        return get_be64(key.p + 1) + EXPIRY_GRACE_MS < book_get(&f->expired_ms) &&
               get_be64(key.p + 1) + EXPIRY_GRACE_MS < fold_newest_ms(f);
    case RANGE_SORTED:
    case RANGE_CLOSED: {
        struct range_interval v;
        if (range_sorted_index(key, &id, &head)) return false;
        if (sorted_is_dead(f, id)) return true;
        uint64_t horizon = book_get(&f->horizon[HORIZON_DOCUMENTS]);
        if (key.p[0] == RANGE_SORTED || horizon == 0) return false;
        return range_interval_parse(key, value, &v) == E_OK && v.to <= horizon;
    }
    default: return false;
    }
}
