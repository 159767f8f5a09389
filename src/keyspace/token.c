/* Idempotency tokens: what the command with a token wrote, so that its repetition can be answered.
 *
 * In the log a command's nodes with its token stand side by side in one commit, and the index names the newest of them. What an open batch has
 * written is not in the log: a small book remembers it. Looking and writing must be one step for two clients with one token on two loops, so the look-up
 * takes a lock that ks_leave gives back; who holds every gate needs none. */
#include "base/mem.h"
#include "keyspace/parts.h"

#define PLACES_MIN 16

static slice name_of(const struct token_book *b, const struct token_place *p)
{
    return slice_of(b->names.p + p->key_at, p->key_bytes);
}

/* The place of a token, or the free one where it belongs. */
static struct token_place *find(const struct token_book *b, uint64_t hash, uint16_t lineage, slice token)
{
    ASSERT(b->cap > 0 && b->n < b->cap);
    for (size_t i = hash & (b->cap - 1);; i = (i + 1) & (b->cap - 1)) {
        struct token_place *p = &b->v[i];
        if (p->n == 0) return p;
        if (p->hash == hash && p->lineage == lineage && slice_eq(name_of(b, p), token)) return p;
    }
}

static void grow(struct token_book *b)
{
    struct token_book more = {.cap = b->cap ? b->cap * 2 : PLACES_MIN, .names = b->names};
    more.v = mem_zalloc(more.cap * sizeof *more.v);
    for (size_t i = 0; i < b->cap; i++)
        if (b->v[i].n != 0) *find(&more, b->v[i].hash, b->v[i].lineage, name_of(b, &b->v[i])) = b->v[i];
    mem_free(b->v);
    b->v = more.v;
    b->cap = more.cap;
}

void token_note(struct ks_ctx *c, const struct node *n, const struct receipt *r)
{
    struct token_book *b = &c->undo->tokens;
    struct node_ref ref = {.seq = r->seq}, last;
    ASSERT(c->batch != NULL && n->idem.n != 0);
    memcpy(ref.hash, r->hash, HASH_BYTES);
    if ((b->n + 1) * 2 > b->cap) grow(b);
    uint64_t hash = key_hash(&c->ks->seed, n->idem.p, n->idem.n);
    struct token_place *p = find(b, hash, n->lineage, n->idem);
    size_t at = b->refs.n / sizeof ref;
    if (p->n == 0) {
        *p = (struct token_place){hash, b->names.n, n->idem.n, at, 1, n->lineage};
        buf_add_slice(&b->names, n->idem);
        b->n++;
    } else {
        memcpy(&last, b->refs.p + (p->first + p->n - 1) * sizeof last, sizeof last);
        bool goes_on = p->first + p->n == at && last.seq + 1 == ref.seq;
        p->first = goes_on ? p->first : at;
        p->n = goes_on ? p->n + 1 : 1;
    }
    buf_add(&b->refs, &ref, sizeof ref);
}

void token_clear(struct token_book *b)
{
    if (b->n == 0) return;
    if (b->cap > 1024) {
        token_fini(b);
        return;
    }
    memset(b->v, 0, b->cap * sizeof *b->v);
    b->n = 0;
    buf_clear(&b->names);
    buf_clear(&b->refs);
}

void token_fini(struct token_book *b)
{
    mem_free(b->v);
    buf_fini(&b->names);
    buf_fini(&b->refs);
    *b = (struct token_book){0};
}

static int in_batch(struct ks_ctx *c, uint64_t hash, uint16_t lineage, slice token, struct buf *refs)
{
    const struct token_book *b = &c->undo->tokens;
    if (b->n == 0) return E_NOTFOUND;
    const struct token_place *p = find(b, hash, lineage, token);
    if (p->n == 0) return E_NOTFOUND;
    buf_add(refs, b->refs.p + p->first * sizeof(struct node_ref), p->n * sizeof(struct node_ref));
    return E_OK;
}

/* How many nodes right before `seq` belong to the same command: same commit, same token. */
static int count_before(struct engine *e, uint64_t seq, slice token, uint64_t *n)
{
    struct buf mem = {0};
    struct node node;
    int err;
    *n = 0;
    while ((err = engine_read(e, seq - *n, &mem, &node)) == E_OK && slice_eq(node.idem, token)) {
        ++*n;
        if (node.commit_pos == 0) break;
    }
    buf_fini(&mem);
    if (*n > 0 && (err == E_OK || err == E_PRUNED)) --*n; /* the first one is `seq` itself */
    return err == E_PRUNED ? E_OK : err;
}

static int in_log(struct ks_ctx *c, uint16_t lineage, slice token, uint64_t window_ms, struct buf *refs)
{
    struct engine *e = c->ks->engine;
    uint64_t seq, before, too_old = 0;
    int err = engine_catch_up(e, 0);
    if (err == E_OK) err = engine_find_token(e, lineage, token, &seq);
    if (err == E_OK && c->now_ms > window_ms) err = engine_seq_by_time(e, c->now_ms - window_ms, &too_old);
    if (err == E_OK && seq <= too_old) err = E_NOTFOUND;
    if (err == E_OK) err = count_before(e, seq, token, &before);
    for (uint64_t s = err == E_OK ? seq - before : 1; err == E_OK && s <= seq; s++) {
        struct node_ref ref = {.seq = s};
        err = engine_hash(e, s, ref.hash);
        if (err == E_OK) buf_add(refs, &ref, sizeof ref);
    }
    return err;
}

void token_unlock(struct ks_ctx *c)
{
    ASSERT(c->token > 0 && c->token <= KS_TOKEN_LOCKS);
    mutex_unlock(&c->ks->token_locks[c->token - 1]);
    c->token = 0;
}

int ks_token_nodes(struct ks_ctx *c, slice token, uint64_t window_ms, struct buf *refs)
{
    struct keyspace *ks = c->ks;
    ASSERT(token.n > 0 && token.n <= NODE_IDEM_MAX);
    ASSERT(!ks_many(ks) || c->entered != 0);
    uint64_t hash = key_hash(&ks->seed, token.p, token.n);
    uint16_t lineage = ks->map[c->db];
    if (ks_many(ks) && c->entered != 1 + KS_EXCLUSIVE && c->token == 0) {
        unsigned lock = (unsigned)(hash % KS_TOKEN_LOCKS);
        mutex_lock(&ks->token_locks[lock]);
        c->token = (uint8_t)(lock + 1);
    }
    int err = c->batch != NULL ? in_batch(c, hash, lineage, token, refs) : E_NOTFOUND;
    return err == E_NOTFOUND ? in_log(c, lineage, token, window_ms, refs) : err;
}
