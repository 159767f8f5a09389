/* Definitions of sorted indexes: the list, its saved form, and what others may ask of it. See sorted.h.
 *
 * Saved form: varint newest number, varint n; then each: varint number, varint since, u16 lineage, u8 kind, u8 state (1 ready, 2 started), varint length + coll, varint length + path,
 * varint entries, bytes, built, varint length + position; for a text index also varint version of Unicode; with state 8 varint whole_from. State 4: stale,
 * whatever that version is. */
#include "engine/sorted.h"
#include "base/mem.h"
#include "base/words.h"
#include "engine/books.h"

#define STATE_READY   1
#define STATE_STARTED 2
#define STATE_STALE   4
#define STATE_PARTLY  8

void sorted_init(struct sorted_set *s)
{
    ASSERT(s);
    memset(s, 0, sizeof *s);
    mutex_init(&s->mutex, "sorted indexes", RANK_LEAF);
}

static void list_free(struct sorted_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        buf_fini(&l->at[i]->position);
        mem_free(l->at[i]->names);
        mem_free(l->at[i]);
    }
    mem_free(l->at);
}

void sorted_fini(struct sorted_set *s)
{
    ASSERT(s);
    list_free(&s->live);
    list_free(&s->dropped);
    sorted_pending_free(&s->pending);
    sorted_build_free(&s->build);
    mem_free(s->renewed);
    sorted_terms_fini(&s->old_terms), sorted_terms_fini(&s->new_terms);
    buf_fini(&s->entry), buf_fini(&s->value), buf_fini(&s->doc);
    mutex_fini(&s->mutex);
}

static void list_add(struct sorted_list *l, struct sorted *d)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 8;
        l->at = mem_realloc(l->at, l->cap * sizeof(struct sorted *));
    }
    l->at[l->n++] = d;
}

static bool is_over(const struct sorted *d, uint16_t lineage, slice coll)
{
    return d->lineage == lineage && slice_eq(d->coll, coll);
}

static struct sorted *add(struct sorted_set *s, uint32_t id, uint64_t since, uint16_t lineage, uint8_t kind, const slice names[2])
{
    struct sorted *d = mem_zalloc(sizeof *d);
    d->id = id;
    d->since = since;
    d->lineage = lineage;
    d->kind = kind;
    d->unicode = kind == SORTED_TEXT ? words_unicode_version() : 0;
    d->names = mem_alloc(names[0].n + names[1].n + 1);
    if (names[0].n) memcpy(d->names, names[0].p, names[0].n);
    if (names[1].n) memcpy(d->names + names[0].n, names[1].p, names[1].n);
    d->coll = slice_of(d->names, names[0].n);
    d->path = slice_of(d->names + names[0].n, names[1].n);
    d->steps_ok = json_path_parse(d->path, &d->steps) == E_OK;
    mutex_lock(&s->mutex);
    list_add(&s->live, d);
    if (id > s->newest_id) s->newest_id = id;
    mutex_unlock(&s->mutex);
    return d;
}

static void drop(struct sorted_set *s, struct sorted *d, uint64_t seq)
{
    ASSERT(seq > d->since);
    mutex_lock(&s->mutex);
    size_t i = 0;
    while (i < s->live.n && s->live.at[i] != d) i++;
    ASSERT(i < s->live.n);
    memmove(&s->live.at[i], &s->live.at[i + 1], (s->live.n - i - 1) * sizeof s->live.at[0]);
    s->live.n--;
    list_add(&s->dropped, d);
    atomic_store_explicit(&d->dropped, seq, memory_order_release);
    mutex_unlock(&s->mutex);
}

struct sorted *sorted_find(struct sorted_set *s, uint16_t lineage, slice coll, slice path)
{
    ASSERT(s);
    struct sorted *found = NULL;
    mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->live.n && !found; i++)
        if (is_over(s->live.at[i], lineage, coll) && slice_eq(s->live.at[i]->path, path)) found = s->live.at[i];
    mutex_unlock(&s->mutex);
    return found;
}

int sorted_define(struct fold *f, const struct node *n)
{
    ASSERT(f && n->space == SPACE_SORTED);
    const uint8_t *end = n->key.p + n->key.n, *p;
    uint64_t coll_bytes;
    p = n->key.n ? get_varint(n->key.p, end, &coll_bytes) : NULL;
    if (!p || coll_bytes > (uint64_t)(end - p))
        return err_note(E_CORRUPT, "definition %llu does not parse", (unsigned long long)n->seq);
    slice names[2] = {slice_of(p, coll_bytes), slice_of(p + coll_bytes, (size_t)(end - p) - coll_bytes)};
    uint8_t kind = n->payload.n ? n->payload.p[0] : SORTED_ORDERED;
    if (kind > SORTED_TEXT) return err_note(E_CORRUPT, "definition %llu is of kind %u", (unsigned long long)n->seq, kind);
    struct sorted *d = sorted_find(&f->sorted, n->lineage, names[0], names[1]);
    if (d && node_is_live(n) && d->kind == kind) return E_OK;
    if (d) drop(&f->sorted, d, n->seq);
    if (!node_is_live(n)) return E_OK;
    (void)add(&f->sorted, f->sorted.newest_id + 1, n->seq, n->lineage, kind, names);
    return E_OK;
}

bool sorted_covers(struct fold *f, uint16_t lineage, slice key)
{
    ASSERT(f);
    const struct sorted_list *l = &f->sorted.live; /* the folding thread is the one that changes it */
    if (l->n == 0) return false;
    slice coll = collection_of(key);
    for (size_t i = 0; i < l->n; i++)
        if (is_over(l->at[i], lineage, coll)) return true;
    return false;
}

void sorted_flush(struct fold *f, uint16_t lineage)
{
    ASSERT(f);
    for (size_t i = 0; i < f->sorted.live.n; i++) {
        struct sorted *d = f->sorted.live.at[i];
        if (lineage == NODE_ALL_LINEAGES || d->lineage == lineage) book_set(&d->entries, 0);
    }
}

void sorted_renew(struct sorted_set *s, struct sorted *d)
{
    ASSERT(s && d);
    ASSERT(!atomic_load(&d->ready) && d->id <= s->opened_id);
    mutex_lock(&s->mutex);
    s->renewed = mem_realloc(s->renewed, (s->n_renewed + 1) * sizeof s->renewed[0]);
    s->renewed[s->n_renewed++] = d->id;
    d->id = ++s->newest_id;
    mutex_unlock(&s->mutex);
    d->stale = d->resumed = d->started = false;
    d->unicode = d->kind == SORTED_TEXT ? words_unicode_version() : 0;
    buf_clear(&d->position);
    book_set(&d->whole_from, 0);
    book_set(&d->entries, 0), book_set(&d->bytes, 0), book_set(&d->built, 0);
}

bool sorted_is_dead(struct fold *f, uint32_t id)
{
    ASSERT(f);
    struct sorted_set *s = &f->sorted;
    bool live = false, known = false;
    uint64_t dropped = 0;
    mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->live.n && !live; i++) live = s->live.at[i]->id == id;
    for (size_t i = 0; i < s->dropped.n && !live && !known; i++)
        if ((known = s->dropped.at[i]->id == id)) dropped = book_get(&s->dropped.at[i]->dropped);
    for (size_t i = 0; i < s->n_renewed && !live; i++) live = s->renewed[i] == id;
    mutex_unlock(&s->mutex);
    if (live) return false;
    if (known) return dropped <= index_flushed_covers(f->e->index); /* a crash cannot bring it back */
    return id <= s->opened_id;
}

slice sorted_value_of(const struct sorted *s, slice json)
{
    ASSERT(s);
    slice value;
    if (!s->steps_ok || json_find(json, &s->steps, &value) != E_OK) return slice_str("null");
    return value;
}

void sorted_key_of(const struct sorted *s, slice json, struct buf *out)
{
    ASSERT(s && out);
    bool cut;
    buf_clear(out);
    json_sort_key(sorted_value_of(s, json), RANGE_SORT_KEY_MAX, out, &cut);
    ASSERT(out->n > 0);
}

/* ---- saved form ---- */

static void save_slice(struct buf *out, slice s)
{
    uint8_t *p = buf_reserve(out, VARINT_MAX);
    out->n += (size_t)(put_varint(p, s.n) - p);
    buf_add_slice(out, s);
}

void sorted_save(struct fold *f, struct buf *out)
{
    ASSERT(f && out);
    const struct sorted_list *l = &f->sorted.live;
    uint8_t *p = buf_reserve(out, 2 * VARINT_MAX);
    out->n += (size_t)(put_varint(put_varint(p, f->sorted.newest_id), l->n) - p);
    for (size_t i = 0; i < l->n; i++) {
        struct sorted *d = l->at[i];
        uint8_t *q = p = buf_reserve(out, 4 + 5 * VARINT_MAX);
        q = put_varint(put_varint(q, d->id), d->since);
        put_u16(q, d->lineage);
        q[2] = d->kind;
        q[3] = (uint8_t)((atomic_load(&d->ready) ? STATE_READY : 0) | (d->started ? STATE_STARTED : 0) |
                         (d->stale ? STATE_STALE : 0) | (book_get(&d->whole_from) ? STATE_PARTLY : 0));
        q = put_varint(q + 4, book_get(&d->entries));
        q = put_varint(q, book_get(&d->bytes));
        q = put_varint(q, book_get(&d->built));
        out->n += (size_t)(q - p);
        save_slice(out, d->coll);
        save_slice(out, d->path);
        save_slice(out, buf_slice(&d->position));
        q = p = buf_reserve(out, 2 * VARINT_MAX);
        if (d->kind == SORTED_TEXT) q = put_varint(q, d->unicode);
        if (book_get(&d->whole_from)) q = put_varint(q, book_get(&d->whole_from));
        out->n += (size_t)(q - p);
    }
}

static const uint8_t *load_slice(const uint8_t *p, const uint8_t *end, slice *out)
{
    uint64_t n;
    p = p ? get_varint(p, end, &n) : NULL;
    if (!p || n > (uint64_t)(end - p)) return NULL;
    *out = slice_of(p, n);
    return p + n;
}

/* A definition as it was saved. NULL: it does not parse. */
static const uint8_t *load_one(struct fold *f, const uint8_t *p, const uint8_t *end, uint64_t newest)
{
    uint64_t id, since, counts[3], unicode = 0, whole_from = 0;
    slice names[2], position;
    p = get_varint(p, end, &id);
    if (p) p = get_varint(p, end, &since);
    if (!p || id > newest || end - p < 4) return NULL;
    const uint8_t *fixed = p;
    p += 4;
    for (int k = 0; k < 3 && p; k++) p = get_varint(p, end, &counts[k]);
    p = load_slice(p, end, &names[0]);
    p = load_slice(p, end, &names[1]);
    p = load_slice(p, end, &position);
    if (p && fixed[2] == SORTED_TEXT) p = get_varint(p, end, &unicode);
    if (p && (fixed[3] & STATE_PARTLY)) p = get_varint(p, end, &whole_from);
    if (!p || get_u16(fixed) >= ENGINE_DATABASES_MAX || fixed[2] > SORTED_TEXT || unicode > UINT32_MAX) return NULL;
    struct sorted *d = add(&f->sorted, (uint32_t)id, since, get_u16(fixed), fixed[2], names);
    d->stale = (fixed[3] & STATE_STALE) || (fixed[2] == SORTED_TEXT && unicode != d->unicode);
    d->unicode = (uint32_t)unicode;
    if (d->stale) return p;
    atomic_store(&d->ready, (fixed[3] & STATE_READY) != 0);
    d->started = (fixed[3] & STATE_STARTED) != 0;
    d->resumed = !atomic_load(&d->ready);
    book_set(&d->whole_from, whole_from);
    book_set(&d->entries, counts[0]);
    book_set(&d->bytes, counts[1]);
    book_set(&d->built, counts[2]);
    buf_add_slice(&d->position, position);
    return p;
}

int sorted_load(struct fold *f, const uint8_t **from, const uint8_t *end)
{
    ASSERT(f && f->sorted.live.n == 0);
    uint64_t n = 0, newest;
    const uint8_t *p = get_varint(*from, end, &newest);
    if (p) p = get_varint(p, end, &n);
    if (p && newest > UINT32_MAX) return E_CORRUPT;
    for (uint64_t i = 0; p && i < n; i++) p = load_one(f, p, end, newest);
    if (!p) return E_CORRUPT;
    f->sorted.newest_id = f->sorted.opened_id = (uint32_t)newest;
    *from = p;
    return E_OK;
}

/* ---- the engine's side ---- */

static void describe(struct fold *f, struct sorted *d, struct sorted_info *out)
{
    struct coll_counts k;
    bool ready = atomic_load_explicit(&d->ready, memory_order_acquire);
    uint64_t built = book_get(&d->built);
    collections_get(&f->collections, d->lineage, d->coll, &k);
    uint64_t pct = k.docs ? built * 100 / k.docs : 0;
    *out = (struct sorted_info){.lineage = d->lineage,
                                .coll = d->coll,
                                .path = d->path,
                                .kind = d->kind,
                                .ready = ready,
                                .built_pct = ready ? 100 : (uint8_t)(pct < 99 ? pct : 99),
                                .entries = book_get(&d->entries),
                                .bytes = book_get(&d->bytes),
                                .since = d->since};
}

int engine_sorted_list(struct engine *e, uint16_t lineage, const slice *coll, int (*fn)(void *ctx, const struct sorted_info *i),
                       void *ctx)
{
    ASSERT(e && fn);
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    struct sorted_set *s = &e->fold->sorted;
    int rc = E_OK;
    mutex_lock(&s->mutex);
    size_t n = 0;
    struct sorted **found = mem_alloc((s->live.n + 1) * sizeof(struct sorted *));
    for (size_t i = 0; i < s->live.n; i++)
        if (s->live.at[i]->lineage == lineage && (!coll || slice_eq(s->live.at[i]->coll, *coll))) found[n++] = s->live.at[i];
    mutex_unlock(&s->mutex);
    for (size_t i = 0; i < n && !rc; i++) {
        struct sorted_info info;
        describe(e->fold, found[i], &info);
        rc = fn(ctx, &info);
    }
    mem_free(found);
    return rc;
}
