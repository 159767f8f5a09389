/* Documents that hold a word, or any word that begins so, in key order, at a point.
 *
 * The sort key of a text index's entry is the word and a 00 byte. One word's entries lie in key order already: they are read as they stand, both streams merged.
 *
 * With a prefix the entries of many words lie one word after the other, each in key order. They are gone through in passes: a pass gathers the next keys in
 * order, at most `want` of them, from all words, and hands them out. Within a word it seeks over what is not above the last key handed out and leaves
 * the word at the first key above the `want` smallest, so a pass costs a few seeks a word and the keys that it gathers, whatever the words hold. The first
 * pass wants few, so that a first page is cheap; later ones want more, so that the passes over many words stay few. Memory is bounded by
 * PASS_KEYS_MAX keys and PASS_BYTES_MAX bytes of them. */
#include "base/mem.h"
#include "base/words.h"
#include "engine/intervals.h"
#include <stdlib.h>

#define PASS_KEYS_FIRST 64
#define PASS_KEYS_MAX   16384
#define PASS_BYTES_MAX  (4u << 20)
#define STEPS_BEFORE_SEEK 4
#define SEEK_COST 8 /* entries of a turn */

struct found {
    size_t at, n; /* in bytes */
};
struct pass {
    struct buf bytes;     /* escaped keys */
    struct found *found;
    size_t n, cap, next;  /* next: to hand out */
    size_t want;
    bool full;            /* keys were left out: all of them are above `limit` */
    struct buf limit;     /* the greatest key kept when that was last settled */
    int side;             /* stream being gone through; 2: both are done */
    bool placed;          /* its iterator stands where it should go on */
    unsigned steps;       /* entries of this word passed in vain since the last seek */
};

struct text_cursor {
    struct intervals in;
    bool prefix, keys_only, started, ended;
    struct buf sort_key; /* the common beginning of the entries' sort keys */
    struct buf after;    /* escaped key behind which to go on; empty = from the start */
    struct buf word;     /* sort key of the entry being passed over */
    struct pass pass;
    unsigned looked; /* entries since the last E_AGAIN */
    int failure;
};

static void escape(struct text_cursor *c, slice key, struct buf *out)
{
    struct buf entry = {0};
    range_sorted(&entry, c->in.index->id, slice_of("", 1), key);
    range_sorted_from(&c->in.bound, RANGE_SORTED, c->in.index->id, slice_of("", 1));
    buf_clear(out);
    buf_add(out, entry.p + c->in.bound.n, entry.n - c->in.bound.n);
    buf_fini(&entry);
}

int engine_text(struct engine *e, const struct text_options *o, struct text_cursor **out)
{
    ASSERT(e && o);
    ASSERT(out && o->word.n > 0);
    struct sorted *d = NULL;
    int rc = intervals_find(e, SORTED_TEXT, o->lineage, o->coll, o->path, o->at, &d);
    if (rc) return rc;
    struct text_cursor *c = mem_zalloc(sizeof *c);
    c->prefix = o->prefix;
    c->keys_only = o->keys_only || o->ever;
    c->pass.want = PASS_KEYS_FIRST;
    buf_add_slice(&c->sort_key, o->word);
    if (!o->prefix) buf_add_byte(&c->sort_key, 0);
    rc = intervals_open(e, d, o->at, o->ever, &c->in);
    if (!rc && o->after.p) escape(c, o->after, &c->after);
    if (rc)
        text_cursor_close(&c);
    else
        *out = c;
    return rc;
}

void text_cursor_close(struct text_cursor **out)
{
    ASSERT(out);
    struct text_cursor *c = *out;
    if (!c) return;
    intervals_close(&c->in);
    buf_fini(&c->sort_key), buf_fini(&c->after), buf_fini(&c->word), buf_fini(&c->pass.bytes), buf_fini(&c->pass.limit);
    mem_free(c->pass.found);
    mem_free(c);
    *out = NULL;
}

uint64_t text_cursor_point(const struct text_cursor *c)
{
    ASSERT(c);
    return c->in.at;
}

/* ---- one word ---- */

static bool is_in(const struct text_cursor *c, const struct interval_side *s)
{
    return s->valid && slice_starts(s->v.sort_key, buf_slice(&c->sort_key));
}

static int next_of_word(struct text_cursor *c)
{
    int rc = E_OK;
    if (!c->started) rc = intervals_seek(&c->in, buf_slice(&c->sort_key), buf_slice(&c->after), c->after.n ? EDGE_END : EDGE_START, true);
    c->started = rc == E_OK;
    while (!rc) {
        struct interval_side *a = &c->in.side[0], *b = &c->in.side[1], *s;
        bool in_a = is_in(c, a), in_b = is_in(c, b);
        if (!in_a && !in_b) return E_END;
        if (c->looked++ >= INTERVALS_TURN) return E_AGAIN;
        s = in_a && (!in_b || slice_cmp(a->v.escaped, b->v.escaped) <= 0) ? a : b;
        bool found = intervals_hold(&c->in, &s->v);
        if (found) rc = intervals_set_key(&c->in, s->v.escaped);
        if (!rc) rc = intervals_next(s);
        if (found) break;
    }
    return rc;
}

/* ---- passes ---- */

static slice found_key(const struct pass *p, const struct found *f)
{
    return slice_of(p->bytes.p + f->at, f->n);
}

static int found_cmp(const void *x, const void *y, void *pass)
{
    return slice_cmp(found_key(pass, x), found_key(pass, y));
}

/* Sorts, drops what came twice, keeps the `want` smallest and no more than the bytes allow. */
static void pass_settle(struct pass *p)
{
    struct buf bytes = {0};
    size_t n = 0;
    if (p->n > 1) qsort_r(p->found, p->n, sizeof p->found[0], found_cmp, p);
    for (size_t i = 0; i < p->n; i++) {
        slice key = found_key(p, &p->found[i]);
        if (n > 0 && slice_eq(slice_of(bytes.p + p->found[n - 1].at, p->found[n - 1].n), key)) continue;
        if (n == p->want || (n > 0 && bytes.n + key.n > PASS_BYTES_MAX)) {
            p->full = true;
            break;
        }
        p->found[n++] = (struct found){bytes.n, key.n};
        buf_add_slice(&bytes, key);
    }
    p->n = n;
    buf_fini(&p->bytes);
    p->bytes = bytes;
    buf_clear(&p->limit);
    if (p->full) buf_add_slice(&p->limit, found_key(p, &p->found[n - 1]));
}

static void pass_add(struct pass *p, slice key)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 2 * PASS_KEYS_FIRST;
        p->found = mem_realloc(p->found, p->cap * sizeof p->found[0]);
    }
    p->found[p->n++] = (struct found){p->bytes.n, key.n};
    buf_add_slice(&p->bytes, key);
}

static void pass_begin(struct text_cursor *c)
{
    struct pass *p = &c->pass;
    buf_clear(&p->bytes), buf_clear(&p->limit);
    p->n = p->next = 0;
    p->full = p->placed = false;
    p->side = 0;
    p->steps = 0;
    if (c->started && p->want < PASS_KEYS_MAX) p->want *= 4;
    c->started = true;
}

/* Where an entry lies within what its word may still give. */
enum span { SPAN_BELOW, SPAN_INSIDE, SPAN_ABOVE };

static enum span span_of(const struct text_cursor *c, slice escaped)
{
    if (c->after.n && slice_cmp(escaped, buf_slice(&c->after)) <= 0) return SPAN_BELOW;
    return c->pass.full && slice_cmp(escaped, buf_slice(&c->pass.limit)) >= 0 ? SPAN_ABOVE : SPAN_INSIDE;
}

/* Over the rest of what the word holds outside the span: a few steps, then a seek. */
static int pass_over(struct text_cursor *c, struct interval_side *s, enum span span)
{
    struct pass *p = &c->pass;
    if (p->steps > 0 && !slice_eq(buf_slice(&c->word), s->v.sort_key)) p->steps = 0;
    if (p->steps++ < STEPS_BEFORE_SEEK) {
        buf_clear(&c->word);
        buf_add_slice(&c->word, s->v.sort_key);
        return intervals_next(s);
    }
    p->steps = 0;
    c->looked += SEEK_COST;
    return intervals_seek_side(&c->in, p->side, buf_slice(&c->word), span == SPAN_BELOW ? buf_slice(&c->after) : (slice){0}, EDGE_END, true);
}

/* Looks at the entry under the stream's iterator and moves on. */
static int pass_entry(struct text_cursor *c, struct interval_side *s)
{
    struct pass *p = &c->pass;
    enum span span = span_of(c, s->v.escaped);
    if (span != SPAN_INSIDE) return pass_over(c, s, span);
    if (intervals_hold(&c->in, &s->v)) pass_add(p, s->v.escaped);
    if (p->n >= 2 * p->want || p->bytes.n > 2 * PASS_BYTES_MAX) {
        c->looked += (unsigned)(p->n / 4);
        pass_settle(p);
    }
    return intervals_next(s);
}

/* Goes through the streams. E_OK: the pass is complete; E_AGAIN: the turn is over. */
static int pass_run(struct text_cursor *c)
{
    struct pass *p = &c->pass;
    int rc = E_OK;
    while (!rc && p->side < 2) {
        struct interval_side *s = &c->in.side[p->side];
        if (!p->placed) rc = intervals_seek_side(&c->in, p->side, buf_slice(&c->sort_key), (slice){0}, EDGE_START, true);
        p->placed = rc == E_OK;
        if (rc) break;
        if (!is_in(c, s)) {
            p->side++;
            p->placed = false;
        } else {
            rc = c->looked++ >= INTERVALS_TURN ? E_AGAIN : pass_entry(c, s);
        }
    }
    if (!rc) pass_settle(p);
    return rc;
}

static int next_of_prefix(struct text_cursor *c)
{
    struct pass *p = &c->pass;
    int rc = E_OK;
    if (!c->started) pass_begin(c);
    if (p->side < 2) rc = pass_run(c);
    if (!rc && p->next == p->n && p->full) { /* all of them were handed out, and there were more */
        pass_begin(c);
        rc = pass_run(c);
    }
    if (rc) return rc;
    if (p->next == p->n) return E_END;
    slice key = found_key(p, &p->found[p->next++]);
    buf_clear(&c->after);
    buf_add_slice(&c->after, key);
    return intervals_set_key(&c->in, key);
}

int text_next(struct text_cursor *c, slice *key, uint64_t *seq)
{
    ASSERT(c && key);
    ASSERT(seq);
    uint64_t version = 0;
    int rc = c->failure ? c->failure : c->ended ? E_END : c->prefix ? next_of_prefix(c) : next_of_word(c);
    if (!rc && !c->keys_only) rc = intervals_version(&c->in, &version);
    if (rc == E_END) c->ended = true;
    if (rc == E_AGAIN) c->looked = 0;
    if (rc && rc != E_END && rc != E_AGAIN) c->failure = rc;
    if (rc) return rc;
    *key = buf_slice(&c->in.key);
    *seq = version;
    return E_OK;
}

int engine_text_rows(struct engine *e, const struct text_options *o, uint64_t *estimate)
{
    ASSERT(e && o);
    ASSERT(estimate && o->word.n > 0);
    struct sorted *d = NULL;
    struct buf sort_key = {0};
    int rc = intervals_find(e, SORTED_TEXT, o->lineage, o->coll, o->path, o->at, &d);
    if (rc) return rc;
    buf_add_slice(&sort_key, o->word);
    if (!o->prefix) buf_add_byte(&sort_key, 0);
    rc = intervals_rows(e, d, o->at, buf_slice(&sort_key), EDGE_START, buf_slice(&sort_key), EDGE_END, estimate);
    buf_fini(&sort_key);
    return rc;
}
