/* Writing: look the head up, log one node, then change the entry. In this order: an append that fails has changed nothing (invariant 3).
 *
 * NODE_CREATED and NODE_RETYPED feed the log's own counts, so they speak of what the log holds: a key past its expiry
 * whose removal is not logged yet still counts as there.
 *
 * A splice of a long string is logged as its effect until the effects since the last base outweigh the value: then a base is written, so that
 * rebuilding reads at most twice the value, and appending costs at most twice the bytes appended. */
#include "keyspace/parts.h"

#include "base/mem.h"

#define EFFECT_OVERHEAD_BYTES 80 /* header, key and record of an effect's node, about */
#define GROW_BYTES_MAX        (1u << 20)

int write_node(struct ks_ctx *c, struct node *n, bool want_hash, struct receipt *r)
{
    ASSERT(c->now_ms != 0 && !c->viewing);
    n->ts_ms = c->now_ms;
    n->by = c->by;
    if (c->batch != NULL) {
        engine_batch_add(c->batch, n, want_hash, r);
        if (n->idem.n != 0) token_note(c, n, r);
    } else {
        int err = engine_append(c->ks->engine, n, want_hash, r);
        if (__builtin_expect(err != E_OK, 0)) return err;
        c->end = r->end;
    }
    c->last_seq = r->seq;
    c->nodes++;
    return E_OK;
}

/* The same for a document whose hash may come late. *late: it does. */
static int write_late(struct ks_ctx *c, struct node *n, struct receipt *r, bool *late)
{
    struct node_copy *copy = c->late_hashes ? late_room(c) : NULL;
    *late = false;
    if (copy == NULL) return write_node(c, n, true, r);
    ASSERT(c->now_ms != 0);
    n->ts_ms = c->now_ms;
    n->by = c->by;
    int err = engine_append_copy(c->ks->engine, n, copy, r);
    if (err != E_OK) return err;
    *late = copy->bytes > 0;
    if (*late) memset(r->hash, 0, HASH_BYTES);
    c->end = r->end;
    c->last_seq = r->seq;
    c->nodes++;
    return E_OK;
}

/* What every node of a key has. Field by field: clearing the whole struct first costs more than the rest of this file's share of a SET. */
static void node_start(struct node *n, const struct place *p, uint8_t op, uint8_t type)
{
    n->op = op;
    n->type = type;
    n->space = SPACE_KEY;
    n->flags = 0;
    n->lineage = p->line->lineage;
    n->seq = n->ts_ms = 0;
    n->prev = p->e != NULL ? p->e->head : 0;
    n->ver = p->e != NULL ? entry_ver(p->e) + 1 : 1;
    n->prev_hash = NULL;
    n->commit_pos = 0;
    n->expire_ms = 0;
    n->has_valid = false;
    n->valid_from = n->valid_to = 0;
    n->causes = NULL;
    n->n_causes = 0;
    n->by = n->note = n->idem = n->payload = (slice){0};
    n->key = p->key;
}

static void add_options(struct node *n, const struct ks_write *w)
{
    if (w == NULL) return;
    _Static_assert(sizeof(struct node_ref) == 8 + HASH_BYTES, "references are stored as they lie in memory");
    n->has_valid = w->has_valid;
    n->valid_from = w->valid_from;
    n->valid_to = w->valid_to;
    n->causes = (const uint8_t *)w->causes;
    n->n_causes = w->n_causes;
    n->note = w->note;
    n->idem = w->idem;
}

/* Documents refer to what was before by hash too, and have their own ready. */
static int add_hashes(struct ks_ctx *c, const struct place *p, struct node *n, uint8_t mem[HASH_BYTES])
{
    if (p->e == NULL || (n->type != TYPE_DOCUMENT && p->e->type != TYPE_DOCUMENT)) return E_OK;
    int err = place_hash(c, p, mem);
    if (err == E_OK) n->prev_hash = mem;
    return err;
}

static void count(struct ks_ctx *c, struct line *l, int keys, int expiring)
{
    if (keys == 0 && expiring == 0) return;
    undo_counts(c, l);
    if (keys != 0) ks_tally(c->ks, &l->keys, keys);
    if (expiring != 0) ks_tally(c->ks, &l->expiring, expiring);
}

static void head_is(struct entry *e, const struct node *n, const struct receipt *r)
{
    e->head = r->seq;
    entry_set_ver(e, n->ver);
    uint8_t *hash = (uint8_t *)(uintptr_t)entry_hash(e);
    if (hash != NULL) memcpy(hash, r->hash, HASH_BYTES);
}

/* ---- whole values ---- */

static bool within(const struct entry *e, slice s)
{
    const uint8_t *from = (const uint8_t *)e;
    return e != NULL && s.n > 0 && s.p >= from && s.p < from + e->room_bytes;
}

static uint64_t expiry_after(const struct ks_ctx *c, const struct place *p, const struct ks_write *w)
{
    if (w == NULL || w->expiry == KS_EXPIRY_CLEAR) return 0;
    if (w->expiry == KS_EXPIRY_SET) return w->expire_ms;
    if (p->e == NULL || !entry_live(p->e) || place_due(c, p->e)) return 0;
    return entry_expiry(p->e);
}

static int put_at(struct ks_ctx *c, struct place *p, uint8_t type, slice blob, const struct ks_write *w)
{
    uint8_t prev_hash[HASH_BYTES];
    struct receipt own, *r = w != NULL && w->receipt != NULL ? w->receipt : &own; /* not copied: what was just stored in parts is slow to read as a whole */
    struct node n;
    node_start(&n, p, NODE_PUT, type);
    bool was = p->e != NULL && entry_live(p->e), had_expiry = was && (p->e->marks & ENTRY_EXPIRES) != 0, late = false;
    bool due = had_expiry && place_due(c, p->e); /* it ended before what is written now */
    n.payload = blob;
    n.expire_ms = expiry_after(c, p, w);
    n.flags = w != NULL ? w->flags & NODE_ENC_RAW : 0;
    if (!was)
        n.flags |= NODE_CREATED;
    else if (p->e->type != type || had_expiry != (n.expire_ms != 0))
        n.flags |= NODE_RETYPED;
    add_options(&n, w);
    int err = add_hashes(c, p, &n, prev_hash);
    if (err == E_OK && type == TYPE_DOCUMENT && w != NULL && w->late_hash)
        err = write_late(c, &n, r, &late);
    else if (err == E_OK)
        err = write_node(c, &n, type == TYPE_DOCUMENT || (w != NULL && w->want_hash), r);
    if (err != E_OK) return err;
    count(c, p->line, !was, (n.expire_ms != 0) - had_expiry);
    if (due) ks_tally(c->ks, &c->ks->expired, 1);
    unsigned marks = ENTRY_LOADED | ENTRY_USED;
    if (n.expire_ms != 0) marks |= ENTRY_EXPIRES;
    if (type == TYPE_DOCUMENT) marks |= ENTRY_HASHED;
    if (n.flags & NODE_ENC_RAW) marks |= ENTRY_RAW;
    if (within(p->e, blob)) p->fresh = true;
    struct entry *e = place_shape(c, p, marks, blob.n, 0, false);
    if (blob.n > 0) memcpy(entry_value_at(e), blob.p, blob.n);
    if (n.expire_ms != 0) entry_set_expiry(e, n.expire_ms);
    e->type = type;
    e->as_text = w != NULL && (w->flags & KS_ENC_TEXT);
    head_is(e, &n, r);
    if (was)
        place_use(c, e);
    else
        place_fresh(c, e);
    place_set(c, p, e);
    if (late) late_add(c, e, r);
    return E_OK;
}

int ks_put(struct ks_ctx *c, slice key, uint8_t type, slice blob, const struct ks_write *w)
{
    struct place p;
    ASSERT(type != TYPE_NONE && type <= TYPE_MODULE);
    ASSERT(c->db < c->ks->databases);
    if (key.n > NODE_KEY_MAX || blob.n > NODE_PAYLOAD_MAX) return E_TOOBIG;
    int err = place_head(c, ks_line(c->ks, c->ks->map[c->db]), key, &p);
    if (err == E_OK && w != NULL && w->keep_type && p.e != NULL && entry_live(p.e)) {
        if (place_due(c, p.e)) err = write_expire(c, &p); /* as a look at the key would */
        else if (p.e->type != type) return E_CONFLICT;
    }
    return err == E_OK ? put_at(c, &p, type, blob, w) : err;
}

/* ---- removal ---- */

static int end_key(struct ks_ctx *c, struct place *p, uint8_t op, const struct ks_write *w)
{
    uint8_t prev_hash[HASH_BYTES];
    struct receipt r;
    struct node n;
    node_start(&n, p, op, p->e->type);
    bool document = p->e->type == TYPE_DOCUMENT, had_expiry = (p->e->marks & ENTRY_EXPIRES) != 0;
    add_options(&n, w);
    int err = add_hashes(c, p, &n, prev_hash);
    if (err == E_OK) err = write_node(c, &n, document || (w != NULL && w->want_hash), &r);
    if (err != E_OK) return err;
    count(c, p->line, -1, -had_expiry);
    struct entry *e = place_shape(c, p, (document ? ENTRY_HASHED : 0) | (op == NODE_EXPIRE ? ENTRY_TIMED_OUT : 0), 0, 0, false);
    e->type = TYPE_NONE;
    head_is(e, &n, &r);
    place_set(c, p, e);
    if (w != NULL && w->receipt != NULL) *w->receipt = r;
    return E_OK;
}

int write_expire(struct ks_ctx *c, struct place *p)
{
    ASSERT(entry_live(p->e) && place_due(c, p->e));
    if (c->still) return E_OK;
    int err = end_key(c, p, NODE_EXPIRE, NULL);
    if (err == E_OK) ks_tally(c->ks, &c->ks->expired, 1);
    return err;
}

int write_live(struct ks_ctx *c, slice key, struct place *p)
{
    ASSERT(c->db < c->ks->databases);
    if (key.n > NODE_KEY_MAX) return E_NOTFOUND;
    int err = place_head(c, ks_line(c->ks, c->ks->map[c->db]), key, p);
    if (err != E_OK) return err;
    if (p->e == NULL || !entry_live(p->e)) return E_NOTFOUND;
    if (!place_due(c, p->e)) return E_OK;
    err = write_expire(c, p);
    return err == E_OK ? E_NOTFOUND : err;
}

int ks_delete(struct ks_ctx *c, slice key, const struct ks_write *w)
{
    struct place p;
    int err = write_live(c, key, &p);
    return err == E_OK ? end_key(c, &p, NODE_DELETE, w) : err;
}

/* The key is absent and stays so; only its history gets one node more. */
int ks_end_interval(struct ks_ctx *c, slice key, const struct ks_write *w)
{
    struct place p;
    uint8_t prev_hash[HASH_BYTES];
    struct receipt r;
    struct node n;
    ASSERT(c->db < c->ks->databases);
    ASSERT(w != NULL && w->has_valid);
    if (key.n > NODE_KEY_MAX) return E_NOTFOUND;
    struct line *l = ks_line(c->ks, c->ks->map[c->db]);
    int err = place_head(c, l, key, &p);
    if (err != E_OK) return err;
    if (p.e == NULL || entry_live(p.e) || p.e->head <= l->flushed) return E_NOTFOUND;
    node_start(&n, &p, NODE_DELETE, TYPE_DOCUMENT);
    add_options(&n, w);
    err = add_hashes(c, &p, &n, prev_hash);
    if (err == E_OK) err = write_node(c, &n, true, &r);
    if (err != E_OK) return err;
    struct entry *e = place_shape(c, &p, ENTRY_HASHED, 0, 0, false);
    e->type = TYPE_NONE;
    head_is(e, &n, &r);
    place_set(c, &p, e);
    if (w->receipt != NULL) *w->receipt = r;
    return E_OK;
}

/* ---- expiry ---- */

int ks_set_expiry(struct ks_ctx *c, slice key, uint64_t expire_ms)
{
    struct place p;
    uint8_t prev_hash[HASH_BYTES];
    struct receipt r;
    int err = write_live(c, key, &p);
    if (err != E_OK) return err;
    if (expire_ms != 0 && expire_ms <= c->now_ms) return end_key(c, &p, NODE_DELETE, NULL);
    bool had = (p.e->marks & ENTRY_EXPIRES) != 0;
    if (!had && expire_ms == 0) return E_OK;
    if (c->batch != NULL) err = place_load(c, &p); /* the new head cannot be read back before the commit */
    if (err != E_OK) return err;
    struct node n;
    node_start(&n, &p, NODE_META, p.e->type);
    n.expire_ms = expire_ms;
    n.flags = (had != (expire_ms != 0) ? NODE_RETYPED : 0) | (p.e->marks & ENTRY_RAW ? NODE_ENC_RAW : 0);
    err = add_hashes(c, &p, &n, prev_hash);
    if (err == E_OK) err = write_node(c, &n, p.e->type == TYPE_DOCUMENT, &r);
    if (err != E_OK) return err;
    count(c, p.line, 0, (expire_ms != 0) - had);
    unsigned marks = (p.e->marks & ~(unsigned)ENTRY_EXPIRES) | ENTRY_USED | (expire_ms != 0 ? ENTRY_EXPIRES : 0);
    if (p.e->type == TYPE_DOCUMENT) marks |= ENTRY_HASHED;
    struct entry *e = place_shape(c, &p, marks, p.e->value_bytes, 0, true);
    if (expire_ms != 0) entry_set_expiry(e, expire_ms);
    head_is(e, &n, &r);
    place_set(c, &p, e);
    return E_OK;
}

/* ---- long strings ---- */

struct splice {
    slice old, bytes;
    uint64_t offset;
    size_t len;  /* of the value afterwards */
    bool effect; /* logged as an effect, not as a base */
};

/* The value afterwards, whole. */
static void splice_apply(uint8_t *to, const struct splice *s)
{
    ASSERT(s->len >= s->old.n && s->len >= s->offset + s->bytes.n);
    if (s->old.n > 0) memcpy(to, s->old.p, s->old.n);
    if (s->offset > s->old.n) memset(to + s->old.n, 0, s->offset - s->old.n);
    if (s->bytes.n > 0) memcpy(to + s->offset, s->bytes.p, s->bytes.n);
}

static int splice_log(struct ks_ctx *c, struct node *n, const struct splice *s, struct receipt *r)
{
    uint8_t small[2 * KS_EFFECT_MIN_BYTES], *mem = NULL, *to = small;
    size_t need = s->effect ? VARINT_MAX + s->bytes.n : s->len;
    if (need > sizeof small) to = mem = mem_alloc(need);
    if (s->effect) {
        uint8_t *end = put_varint(to, s->offset);
        if (s->bytes.n > 0) memcpy(end, s->bytes.p, s->bytes.n);
        n->payload = slice_of(to, (size_t)(end - to) + s->bytes.n);
    } else {
        splice_apply(to, s);
        n->payload = slice_of(to, s->len);
    }
    int err = write_node(c, n, false, r);
    mem_free(mem);
    return err;
}

/* The entry afterwards, with room to grow when the value has been written before. */
static struct entry *splice_entry(struct ks_ctx *c, struct place *p, const struct splice *s, bool expires)
{
    bool was = p->e != NULL && entry_live(p->e);
    unsigned marks = ENTRY_LOADED | ENTRY_USED | ENTRY_RAW | (expires ? ENTRY_EXPIRES : 0) | (s->effect ? ENTRY_WEIGHED : 0);
    size_t extra = !was ? 0 : s->len < GROW_BYTES_MAX ? s->len : GROW_BYTES_MAX, had = s->old.n;
    if (within(p->e, s->bytes)) p->fresh = true;
    struct entry *e = place_shape(c, p, marks, s->len, extra, true);
    uint8_t *value = entry_value_at(e);
    if (s->offset > had) memset(value + had, 0, s->offset - had);
    if (s->bytes.n > 0) memcpy(value + s->offset, s->bytes.p, s->bytes.n);
    e->type = TYPE_STRING;
    return e;
}

int ks_splice(struct ks_ctx *c, slice key, uint64_t offset, slice bytes, uint64_t *len)
{
    struct place p;
    struct receipt r;
    if (key.n > NODE_KEY_MAX || offset > NODE_PAYLOAD_MAX || bytes.n > NODE_PAYLOAD_MAX) return E_TOOBIG;
    int err = write_live(c, key, &p);
    bool was = err == E_OK;
    if (was) err = place_load(c, &p);
    if (err != E_OK && err != E_NOTFOUND) return err;
    ASSERT(!was || p.e->type == TYPE_STRING);
    struct splice s = {.old = was ? entry_value(p.e) : (slice){0}, .offset = offset, .bytes = bytes};
    s.len = offset + bytes.n > s.old.n ? offset + bytes.n : s.old.n;
    if (s.len > NODE_PAYLOAD_MAX) return E_TOOBIG;
    uint64_t weight = was ? entry_weight(p.e) + bytes.n + EFFECT_OVERHEAD_BYTES : 0;
    s.effect = was && s.old.n > KS_EFFECT_MIN_BYTES && weight <= s.old.n;
    struct node n;
    node_start(&n, &p, s.effect ? NODE_EFFECT : NODE_PUT, TYPE_STRING);
    n.flags = NODE_ENC_RAW | (was ? 0 : NODE_CREATED);
    n.expire_ms = was ? entry_expiry(p.e) : 0;
    err = splice_log(c, &n, &s, &r);
    if (err != E_OK) return err;
    count(c, p.line, !was, 0);
    struct entry *e = splice_entry(c, &p, &s, n.expire_ms != 0);
    if (s.effect) put_u64(entry_weight_at(e), weight);
    head_is(e, &n, &r);
    if (was)
        place_use(c, e);
    else
        place_fresh(c, e);
    place_set(c, &p, e);
    *len = s.len;
    return E_OK;
}

/* ---- copies ---- */

int ks_copy(struct ks_ctx *c, slice from, uint16_t to_db, slice to)
{
    struct place p, target;
    ASSERT(to_db < c->ks->databases);
    ASSERT(to_db != c->db || !slice_eq(from, to));
    if (to.n > NODE_KEY_MAX) return E_TOOBIG;
    int err = write_live(c, from, &p);
    if (err == E_OK) err = place_load(c, &p);
    if (err == E_OK) err = place_head(c, ks_line(c->ks, c->ks->map[to_db]), to, &target);
    if (err != E_OK) return err;
    uint64_t expire_ms = entry_expiry(p.e);
    struct ks_write w = {.flags = (p.e->marks & ENTRY_RAW ? NODE_ENC_RAW : 0) | (p.e->as_text ? KS_ENC_TEXT : 0),
                         .expiry = expire_ms != 0 ? KS_EXPIRY_SET : KS_EXPIRY_CLEAR,
                         .expire_ms = expire_ms};
    return put_at(c, &target, p.e->type, entry_value(p.e), &w);
}

int ks_move(struct ks_ctx *c, slice from, uint16_t to_db, slice to)
{
    ASSERT(ks_in_batch(c));
    int err = ks_copy(c, from, to_db, to);
    return err == E_OK ? ks_delete(c, from, NULL) : err;
}
