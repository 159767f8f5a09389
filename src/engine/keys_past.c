/* Keys that were live at a point, in the order of their hash: SCAN, KEYS and DBSIZE in the past.
 *
 * The range of live keys knows the present only, so this walks the versions (range V), where a key's stand side by side, newest first, keys by hash. Most keys have few
 * versions: a step or two of the one iterator finds the newest at or before the point, and a step or two more the next key. Where that takes longer a seek does it,
 * however many versions there are. No node is read. Cost: the keys that were ever there.
 *
 * What an entry of the iterator's snapshot says is what engine_find would say, unless its node may be gone or a repair left a gap behind it; those
 * few are looked up. Where the answer for a key is not there any more the walk says so (E_PRUNED) rather than leave the key out. */
#include "base/mem.h"
#include "engine/books.h"

#define SPACE_KEY_HEAD    4    /* tag, space, lineage */
#define STEPS_BEFORE_SEEK 4
#define SEEK_COST         8    /* in steps */
#define FIND_COST         16
#define TURN_STEPS        8192 /* between two E_AGAINs: half a millisecond, where the index is warm */

struct past_cursor {
    struct engine *e;
    struct index_iter *it;
    uint16_t lineage;
    uint64_t flushed, at;
    struct buf probe;
    struct buf entry;  /* V key of the key at hand: that of its newest version */
    slice key;         /* in entry */
    uint64_t newest;   /* the seq in entry */
    bool left;         /* the iterator is at the key behind the one at hand, or at its end */
    bool ended;
    int failure;       /* what cannot be read is never passed over */
    unsigned looked;   /* steps since E_AGAIN */
};

static void start_at(struct buf *out, struct engine *e, uint16_t lineage, uint64_t hash)
{
    range_version(out, &e->seed, SPACE_KEY, lineage, (slice){0}, 0);
    out->n = SPACE_KEY_HEAD;
    put_be64(buf_reserve(out, 8), hash);
    out->n += 8;
}

int engine_keys_at(struct engine *e, uint16_t lineage, uint64_t flushed, uint64_t at, uint64_t from_hash,
                   struct past_cursor **out)
{
    ASSERT(e && out);
    ASSERT(lineage < ENGINE_DATABASES_MAX && at > 0);
    struct index_snap *s = NULL;
    struct buf upper = {0};
    struct past_cursor *c = mem_zalloc(sizeof *c);
    c->e = e;
    c->lineage = lineage;
    c->flushed = flushed;
    c->at = at;
    start_at(&c->probe, e, lineage, from_hash);
    start_at(&upper, e, lineage, UINT64_MAX);
    upper.n = SPACE_KEY_HEAD;
    bool bounded = range_end(&upper);
    ASSERT(bounded);
    int rc = index_snapshot(e->index, INDEX_ALL, &s);
    /* Behind the snapshot: keys may have come and gone without a trace before that horizon, and it rises before the first trace goes. */
    if (!rc && at < book_get(&e->fold->horizon[HORIZON_KEYS])) rc = E_PRUNED;
    if (!rc) rc = index_iter_open(s, buf_slice(&c->probe), buf_slice(&upper), &c->it);
    if (!rc) rc = index_seek(c->it, buf_slice(&c->probe));
    c->left = true;
    c->ended = rc == E_END;
    index_snap_close(&s);
    buf_fini(&upper);
    if (rc && rc != E_END) {
        past_cursor_close(&c);
        return rc;
    }
    *out = c;
    return E_OK;
}

static int step(struct past_cursor *c)
{
    c->looked++;
    return index_next(c->it);
}

/* To the newest version of the key at hand that is at or before `at`, or else to the next key. */
static int seek(struct past_cursor *c, uint64_t at)
{
    c->looked += SEEK_COST;
    buf_clear(&c->probe);
    buf_add_slice(&c->probe, buf_slice(&c->entry));
    put_be64(c->probe.p + c->probe.n - 8, ~at);
    if (at == 0) buf_add_byte(&c->probe, 0); /* behind its oldest */
    return index_seek(c->it, buf_slice(&c->probe));
}

/* Does the iterator still stand at the key at hand? Its name is all of the entry but the seq. */
static bool is_same(const struct past_cursor *c, slice entry)
{
    size_t n = c->entry.n - 8;
    return entry.n == c->entry.n && memcmp(entry.p, c->entry.p, n) == 0;
}

static uint64_t seq_of(slice entry)
{
    ASSERT(entry.n >= RANGE_VERSION_HEAD + 8);
    return ~get_be64(entry.p + entry.n - 8);
}

/* Leaves the key at hand, unless that is done, and takes the next one. */
static int next_key(struct past_cursor *c)
{
    uint8_t space;
    uint16_t lineage;
    int rc = E_OK;
    for (int i = 0; !c->left && !c->ended && !rc; i++) {
        rc = i < STEPS_BEFORE_SEEK ? step(c) : seek(c, 0);
        c->ended = rc == E_END;
        c->left = rc == E_OK && !is_same(c, index_key(c->it));
    }
    if (c->ended) return E_END;
    if (rc) return rc;
    buf_clear(&c->entry);
    buf_add_slice(&c->entry, index_key(c->it));
    rc = range_version_parse(buf_slice(&c->entry), &space, &lineage, &c->key, &c->newest);
    if (!rc && (space != SPACE_KEY || lineage != c->lineage))
        rc = err_note(E_CORRUPT, "a version's index entry lies in a wrong place");
    c->left = false;
    c->looked++;
    return rc;
}

static int find(struct past_cursor *c, struct version *v)
{
    c->looked += FIND_COST;
    return engine_find(c->e, SPACE_KEY, c->lineage, c->key, c->at, FIND_ALL, v);
}

/* A key whose versions are all newer than the point, `oldest` the oldest of them that was looked at. Its very first tells that nothing was before, as far back as keys leave traces. */
static int judge_none(struct past_cursor *c, const struct version *oldest, struct version *v)
{
    bool first = oldest->ver <= 1 && c->at >= book_get(&c->e->fold->horizon[HORIZON_KEYS]);
    return first && !version_is_dropped(c->e, oldest->seq) ? E_NOTFOUND : find(c, v);
}

/* With the iterator at the newest version of the key at hand: what engine_find says of it. */
static int judge(struct past_cursor *c, struct version *v)
{
    struct version at_hand = {.seq = c->newest};
    int rc = range_version_parse_value(index_value(c->it), c->newest, &at_hand);
    for (int i = 0; !rc && at_hand.seq > c->at; i++) {
        rc = i < STEPS_BEFORE_SEEK ? step(c) : seek(c, c->at);
        c->ended = rc == E_END;
        c->left = c->ended || (rc == E_OK && !is_same(c, index_key(c->it)));
        if (c->left) return judge_none(c, &at_hand, v);
        if (!rc) rc = range_version_parse_value(index_value(c->it), seq_of(index_key(c->it)), &at_hand);
    }
    if (rc) return rc;
    if ((at_hand.flags & RANGE_VERSION_GAP) || version_is_dropped(c->e, at_hand.seq)) return find(c, v);
    *v = at_hand;
    return E_OK;
}

int past_cursor_next(struct past_cursor *c, struct live_key *out, struct version *v)
{
    ASSERT(c && out && v);
    ASSERT(c->it);
    while (c->looked < TURN_STEPS) {
        int rc = c->failure ? c->failure : next_key(c);
        if (!rc) rc = judge(c, v);
        if (rc == E_NOTFOUND) continue;
        if (rc && rc != E_END && rc != E_PRUNED) c->failure = rc;
        if (rc) return rc;
        if (v->seq <= c->flushed || v->op == NODE_DELETE || v->op == NODE_EXPIRE) continue;
        *out = (struct live_key){
            .hash = get_be64(c->entry.p + SPACE_KEY_HEAD), .key = c->key, .type = v->type, .expires = v->expire_ms != 0};
        return E_OK;
    }
    c->looked = 0;
    return E_AGAIN;
}

slice past_cursor_key(const struct past_cursor *c)
{
    ASSERT(c);
    return c->key;
}

void past_cursor_close(struct past_cursor **c)
{
    ASSERT(c);
    if (!*c) return;
    index_iter_close(&(*c)->it);
    buf_fini(&(*c)->probe);
    buf_fini(&(*c)->entry);
    mem_free(*c);
    *c = NULL;
}
