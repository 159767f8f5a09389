/* Links at a point: of one key in both directions, or all of them.
 *
 * L and M hold one entry for each version of a link, newest first within (key, rel, other); a link stands at P when its newest entry at or before P is
 * alive and above the newest flush at P. Cost: the links in the range, one search in each run whose filter knows the key, and one for each link that is newer than P. Many that do not stand there may lie
 * side by side: after LOOKS_WITHOUT_A_ROW of them the cursor gives the caller the chance to do something else. */
#include "base/mem.h"
#include "engine/books.h"

#define STEPS_BEFORE_SEEK 4
#define SEQ_BYTES         8
#define LOOKS_WITHOUT_A_ROW 1024

struct link_cursor {
    struct engine *e;
    uint16_t lineage;
    struct index_iter *it;
    struct buf lower, last, mem, probe; /* last: the key of the newest link seen, without ~seq */
    enum link_direction direction;
    uint64_t at, flushed;
    uint64_t oldest; /* of the link that E_PRUNED is about */
    bool started, ended;
    bool left; /* the iterator is behind c->last already */
};

/* Opens a cursor over everything that begins with `range`, which is taken. */
static int open_range(struct engine *e, uint16_t lineage, struct buf *range, uint64_t at, slice after, struct link_cursor **out)
{
    struct index_snap *s = NULL;
    struct buf upper = {0};
    if (after.n > 0 && (!slice_starts(after, buf_slice(range)) || after.n > INDEX_KEY_MAX - SEQ_BYTES - 1)) { /* a position of another key, or nonsense, is no position here */
        buf_fini(range);
        return E_INVALID;
    }
    struct link_cursor *c = mem_zalloc(sizeof *c);
    c->e = e;
    c->lineage = lineage;
    c->at = at;
    c->lower = *range;
    *range = (struct buf){0};
    c->direction = c->lower.p[0] == RANGE_LINK_OUT ? LINK_OUT : LINK_IN;
    buf_add(&upper, c->lower.p, c->lower.n);
    bool one_key = c->lower.n > sizeof(uint8_t) + sizeof(uint16_t);
    size_t prefix_n = one_key ? range_link_prefix(buf_slice(&c->lower)) : 0;
    bool bounded = range_end(&upper);
    ASSERT(bounded); /* it begins with a tag */
    if (after.n > 0) {
        buf_clear(&c->lower);
        buf_add_slice(&c->lower, after);
        for (int i = 0; i <= SEQ_BYTES; i++) buf_add_byte(&c->lower, 0xff); /* behind its oldest version */
        buf_add_slice(&c->last, after);
    }
    int rc = index_snapshot(e->index, INDEX_ALL, &s);
    c->flushed = dbs_flushed(&e->fold->dbs, lineage, at);
    if (!rc) rc = index_iter_open_prefix(s, buf_slice(&c->lower), buf_slice(&upper), prefix_n, &c->it);
    index_snap_close(&s);
    buf_fini(&upper);
    if (rc)
        link_cursor_close(&c);
    else
        *out = c;
    return rc;
}

int engine_links(struct engine *e, uint16_t lineage, slice key, enum link_direction d, slice rel, uint64_t at, slice after,
                 struct link_cursor **out)
{
    ASSERT(e && out);
    ASSERT(lineage < ENGINE_DATABASES_MAX && (d == LINK_OUT || d == LINK_IN));
    struct buf range = {0};
    if (key.n > NODE_KEY_MAX || rel.n > NODE_KEY_MAX) { /* nothing has such a name */
        struct link_cursor *c = mem_zalloc(sizeof *c);
        c->e = e;
        c->ended = true;
        *out = c;
        return E_OK;
    }
    range_link_from(&range, d == LINK_OUT ? RANGE_LINK_OUT : RANGE_LINK_IN, lineage, key, rel);
    return open_range(e, lineage, &range, at, after, out);
}

int engine_all_links(struct engine *e, uint16_t lineage, uint64_t at, slice after, struct link_cursor **out)
{
    ASSERT(e && out);
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    struct buf range = {0};
    range_link_all(&range, lineage);
    return open_range(e, lineage, &range, at, after, out);
}

void engine_link_position(uint16_t lineage, enum link_direction d, slice key, slice rel, slice other, struct buf *out)
{
    const slice part[3] = {key, rel, other};
    ASSERT(out && lineage < ENGINE_DATABASES_MAX);
    range_link(out, d == LINK_OUT ? RANGE_LINK_OUT : RANGE_LINK_IN, lineage, part, 0);
    out->n -= SEQ_BYTES;
}

static int name_of(const struct link_cursor *c, slice *name)
{
    slice k = index_key(c->it);
    if (k.n <= SEQ_BYTES) return err_note(E_CORRUPT, "a link's index key is too short");
    *name = slice_of(k.p, k.n - SEQ_BYTES);
    return E_OK;
}

/* Moves to the first entry of a link behind c->last. */
static int leave_link(struct link_cursor *c)
{
    slice name = {0};
    for (int i = 0; i < STEPS_BEFORE_SEEK; i++) {
        int rc = index_next(c->it);
        if (!rc) rc = name_of(c, &name);
        if (rc || !slice_eq(name, buf_slice(&c->last))) return rc;
    }
    buf_clear(&c->probe);
    buf_add(&c->probe, c->last.p, c->last.n);
    for (int i = 0; i <= SEQ_BYTES; i++) buf_add_byte(&c->probe, 0xff);
    return index_seek(c->it, buf_slice(&c->probe));
}

/* The link under the iterator is newer than the point: is that all there ever was, or was its version at the point dropped? */
static int dropped_there(struct link_cursor *c)
{
    slice part[3];
    uint64_t seq;
    struct version v;
    struct buf key = {0};
    int rc = range_link_parse(index_key(c->it), &c->mem, part, &seq);
    bool is_out = c->direction == LINK_OUT;
    if (!rc) link_key(&key, part[is_out ? 0 : 2], part[1], part[is_out ? 2 : 0]);
    if (!rc) rc = engine_find(c->e, SPACE_LINK, c->lineage, buf_slice(&key), c->at, FIND_ALL, &v);
    buf_fini(&key);
    if (rc == E_PRUNED) c->oldest = v.seq;
    return rc == E_NOTFOUND ? E_OK : rc;
}

/* At a link's newest entry: finds the one that counts at the point. c->left: it has none, and the iterator is at the next link. E_PRUNED: it
 * had one, which retention dropped. */
static int judge_link(struct link_cursor *c, bool *stands, uint64_t *seq)
{
    slice name = {0};
    int rc = name_of(c, &name);
    *stands = c->left = false;
    if (rc) return rc;
    buf_clear(&c->last);
    buf_add_slice(&c->last, name);
    *seq = ~get_be64(name.p + name.n);
    if (*seq > c->at) {
        rc = dropped_there(c);
        if (rc) return rc;
        buf_clear(&c->probe);
        buf_add_slice(&c->probe, buf_slice(&c->last));
        put_be64(buf_reserve(&c->probe, SEQ_BYTES), ~c->at);
        c->probe.n += SEQ_BYTES;
        rc = index_seek(c->it, buf_slice(&c->probe));
        if (!rc) rc = name_of(c, &name);
        if (rc) return rc;
        c->left = !slice_eq(name, buf_slice(&c->last));
        if (c->left) return E_OK;
        *seq = ~get_be64(name.p + name.n);
    }
    rc = range_flag_parse(index_value(c->it), stands);
    if (*seq <= c->flushed) *stands = false;
    return rc;
}

int link_cursor_next(struct link_cursor *c, struct link *out)
{
    ASSERT(c && out);
    int rc = E_OK;
    bool stands = false;
    uint64_t seq = 0;
    slice part[3];
    if (c->ended) return E_END;
    c->oldest = book_get(&c->e->fold->horizon[HORIZON_DOCUMENTS]);
    if (c->at < c->oldest) return E_PRUNED; /* links may have come and gone without a trace */
    for (int looks = 0; !rc && !stands; looks++) {
        if (looks == LOOKS_WITHOUT_A_ROW) return E_AGAIN;
        if (!c->started)
            rc = index_seek(c->it, buf_slice(&c->lower));
        else if (!c->left)
            rc = leave_link(c);
        c->started = true;
        if (!rc) rc = judge_link(c, &stands, &seq);
    }
    if (rc == E_END) c->ended = true;
    if (!rc) rc = range_link_parse(index_key(c->it), &c->mem, part, &seq);
    if (rc) return rc;
    bool is_out = c->direction == LINK_OUT;
    *out = (struct link){.from = part[is_out ? 0 : 2], .rel = part[1], .to = part[is_out ? 2 : 0], .seq = seq};
    return E_OK;
}

uint64_t link_cursor_oldest(const struct link_cursor *c)
{
    ASSERT(c);
    return c->oldest;
}

slice link_cursor_at(const struct link_cursor *c)
{
    ASSERT(c);
    return buf_slice(&c->last);
}

void link_cursor_close(struct link_cursor **c)
{
    ASSERT(c);
    if (!*c) return;
    index_iter_close(&(*c)->it);
    buf_fini(&(*c)->lower), buf_fini(&(*c)->last), buf_fini(&(*c)->mem), buf_fini(&(*c)->probe);
    mem_free(*c);
    *c = NULL;
}
