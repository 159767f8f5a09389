/* Links of a key at a point, in both directions.
 *
 * L and M hold one entry for each version of a link, newest first within (key, rel, other); a link stands at P when its newest entry at or before P is
 * alive and above the newest flush at P. Cost: the links of this key, and those versions of them that are newer than P. */
#include "base/mem.h"
#include "engine/books.h"

#define STEPS_BEFORE_SEEK 4
#define SEQ_BYTES         8

struct link_cursor {
    struct engine *e;
    uint16_t lineage;
    struct index_iter *it;
    struct buf lower, last, mem, probe; /* last: the key of the newest link seen, without ~seq */
    enum link_direction direction;
    uint64_t at, flushed;
    uint64_t oldest; /* of the link that E_PRUNED is about */
    bool started, ended;
};

int engine_links(struct engine *e, uint16_t lineage, slice key, enum link_direction d, slice rel, uint64_t at, slice after,
                 struct link_cursor **out)
{
    ASSERT(e && out);
    ASSERT(lineage < ENGINE_DATABASES_MAX && (d == LINK_OUT || d == LINK_IN));
    struct index_snap *s = NULL;
    struct buf upper = {0};
    struct link_cursor *c = mem_zalloc(sizeof *c);
    c->e = e;
    c->lineage = lineage;
    c->at = at;
    c->direction = d;
    range_link_from(&c->lower, d == LINK_OUT ? RANGE_LINK_OUT : RANGE_LINK_IN, lineage, key, rel);
    buf_add(&upper, c->lower.p, c->lower.n);
    range_end(&upper);
    if (after.n > 0) { /* a position of another key, or nonsense, is no position here */
        if (!slice_starts(after, buf_slice(&c->lower))) {
            buf_fini(&upper);
            link_cursor_close(&c);
            return E_INVALID;
        }
        buf_clear(&c->lower);
        buf_add_slice(&c->lower, after);
        for (int i = 0; i <= SEQ_BYTES; i++) buf_add_byte(&c->lower, 0xff); /* behind its oldest version */
        buf_add_slice(&c->last, after);
    }
    int rc = index_snapshot(e->index, INDEX_ALL, &s);
    c->flushed = dbs_flushed(&e->fold->dbs, lineage, at);
    if (!rc) rc = index_iter_open(s, buf_slice(&c->lower), buf_slice(&upper), &c->it);
    index_snap_close(&s);
    buf_fini(&upper);
    if (rc)
        link_cursor_close(&c);
    else
        *out = c;
    return rc;
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

/* At a link's newest entry: finds the one that counts at the point. *left: it has none, and the iterator is at the next link. E_PRUNED: it
 * had one, which retention dropped. */
static int judge_link(struct link_cursor *c, bool *stands, bool *left, uint64_t *seq)
{
    slice name = {0};
    int rc = name_of(c, &name);
    *stands = *left = false;
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
        *left = !slice_eq(name, buf_slice(&c->last));
        if (*left) return E_OK;
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
    bool stands = false, left = false;
    uint64_t seq = 0;
    slice part[3];
    if (c->ended) return E_END;
    while (!rc && !stands) {
        if (!c->started)
            rc = index_seek(c->it, buf_slice(&c->lower));
        else if (!left)
            rc = leave_link(c);
        c->started = true;
        if (!rc) rc = judge_link(c, &stands, &left, &seq);
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
