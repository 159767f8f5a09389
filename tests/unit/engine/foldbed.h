/* What the tests of the fold share: an engine made by hand (an index in memory, a log that is an array), and a naive model of the same history.
 *
 * A write goes to the model first, which works out what a writer would know (predecessor, version number, flags); then it is folded. */
#ifndef VARVE_TESTS_FOLDBED_H
#define VARVE_TESTS_FOLDBED_H

#include "unit/engine/index_oracle.h"

#include "base/logline.h"
#include "engine/books.h"

#define BED_LINEAGES 3

struct fact { /* one node; slices into its own bytes */
    struct node n;
    uint8_t *bytes;
    size_t size;
    bool gone; /* dropped by compaction */
};

struct bed {
    struct engine e;   /* first, so that the reader finds the bed */
    struct fact *fact; /* fact[i] has seq i + 1 */
    size_t n, cap;
    uint16_t db[BED_LINEAGES]; /* lineage by number, now */
    uint64_t now_ms;
    _Atomic uint64_t reads;
    bool no_reads;
};

static inline int bed_read(struct engine *e, uint64_t seq, struct buf *mem, struct node *out)
{
    struct bed *b = (struct bed *)e;
    assert_false(b->no_reads);
    b->reads++;
    if (seq == 0 || seq > b->n) return E_NOTFOUND;
    if (b->fact[seq - 1].gone) return E_PRUNED;
    buf_clear(mem);
    buf_add(mem, b->fact[seq - 1].bytes, b->fact[seq - 1].size);
    return node_decode(buf_slice(mem), out);
}

static inline void bed_open_fold(struct bed *b, slice saved)
{
    assert_int_equal(fold_open(&b->e, saved, &b->e.fold), E_OK);
    b->e.fold->read = bed_read;
}

static inline void bed_open_index(struct bed *b, const struct run_id *runs, size_t n_runs)
{
    struct index_options o = {.os = b->e.os, .dir = "/bed", .runs = runs, .n_runs = n_runs};
    assert_int_equal(index_open(&o, &b->e.index), E_OK);
}

static inline struct bed *bed_new(void)
{
    struct bed *b = mem_zalloc(sizeof *b);
    log_set_level(LOG_NOTHING); /* damage is part of the tests */
    b->e.os = os_memory_new();
    assert_int_equal(os_mkdir(b->e.os, "/bed"), E_OK);
    b->e.seed = (struct hash_seed){{7, 9}};
    b->now_ms = 1000000;
    for (uint16_t i = 0; i < BED_LINEAGES; i++) b->db[i] = i;
    bed_open_index(b, NULL, 0);
    bed_open_fold(b, (slice){0});
    return b;
}

static inline void bed_free(struct bed *b)
{
    fold_close(&b->e.fold);
    index_close(&b->e.index);
    os_free(&b->e.os);
    for (size_t i = 0; i < b->n; i++) mem_free(b->fact[i].bytes);
    mem_free(b->fact);
    mem_free(b);
}

/* ---- what a question costs ---- */

static const struct os_ops *bed_counted; /* of the file system below */
static struct os_ops bed_counting;
static _Atomic uint64_t bed_file_reads;

static inline int bed_count_read(struct os *os, struct os_file *f, uint64_t off, void *p, size_t n, size_t *got)
{
    bed_file_reads++;
    return bed_counted->read(os, f, off, p, n, got);
}

/* Brings the whole index into one run; from here on bed_file_reads counts the reads of its file. */
static inline void bed_count_reads(struct bed *b)
{
    index_step(b->e.index, b->n);
    assert_int_equal(index_flush(b->e.index), E_OK);
    bed_counted = b->e.os->ops;
    bed_counting = *bed_counted;
    bed_counting.read = bed_count_read;
    b->e.os->ops = &bed_counting;
}

/* ---- the model ---- */

static inline uint64_t model_flushed(const struct bed *b, uint16_t lineage, uint64_t at)
{
    for (size_t i = b->n; i-- > 0;) {
        const struct node *n = &b->fact[i].n;
        if (n->seq <= at && n->op == NODE_FLUSH && (n->lineage == lineage || n->lineage == NODE_ALL_LINEAGES)) return n->seq;
    }
    return 0;
}

static inline bool is_of(const struct node *n, uint8_t space, uint16_t lineage, slice key)
{
    return n->op <= NODE_EXPIRE && n->space == space && n->lineage == lineage && slice_eq(n->key, key);
}

/* Newest node of the key at or before the point, in any generation; NULL. */
static inline const struct node *model_find(const struct bed *b, uint8_t space, uint16_t lineage, slice key, uint64_t at)
{
    for (size_t i = at < b->n ? at : b->n; i-- > 0;)
        if (is_of(&b->fact[i].n, space, lineage, key)) return &b->fact[i].n;
    return NULL;
}

static inline const struct node *model_live(const struct bed *b, uint8_t space, uint16_t lineage, slice key, uint64_t at)
{
    const struct node *n = model_find(b, space, lineage, key, at);
    return n && node_is_live(n) && n->seq > model_flushed(b, lineage, at) ? n : NULL;
}

static inline slice model_json(const struct bed *b, const struct node *n)
{
    while (n->op == NODE_META && n->prev) n = &b->fact[n->prev - 1].n;
    return n->payload;
}

/* ---- writing ---- */

static inline void bed_refold(struct bed *b, uint64_t from, uint64_t to)
{
    for (uint64_t s = from; s <= to; s++) assert_int_equal(fold_node(b->e.fold, &b->fact[s - 1].n, b->fact[s - 1].size), E_OK);
}

static inline void bed_step(struct bed *b)
{
    index_step(b->e.index, b->n);
}

/* Adds the node as it stands, with seq, time and salt; folds it. */
static inline uint64_t bed_add(struct bed *b, struct node *n)
{
    n->seq = b->n + 1;
    n->ts_ms = b->now_ms;
    if (b->n == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 256;
        b->fact = mem_realloc(b->fact, b->cap * sizeof b->fact[0]);
    }
    struct fact *f = &b->fact[b->n++];
    f->gone = false;
    f->size = node_size(n);
    f->bytes = mem_alloc(f->size);
    assert_ptr_equal(node_encode(n, f->bytes), f->bytes + f->size);
    assert_int_equal(node_decode(slice_of(f->bytes, f->size), &f->n), E_OK);
    bed_refold(b, n->seq, n->seq);
    return n->seq;
}

/* Writes a version of a thing as a writer would. */
static inline uint64_t bed_write(struct bed *b, struct node n)
{
    const struct node *prev = model_find(b, n.space, n.lineage, n.key, UINT64_MAX);
    const struct node *live = model_live(b, n.space, n.lineage, n.key, UINT64_MAX);
    n.prev = prev ? prev->seq : 0;
    n.ver = prev ? prev->ver + 1 : 1;
    if (node_is_live(&n)) {
        if (!live) n.flags |= NODE_CREATED;
        if (live && (live->type != n.type || (live->expire_ms != 0) != (n.expire_ms != 0))) n.flags |= NODE_RETYPED;
    }
    return bed_add(b, &n);
}

static inline uint64_t bed_put(struct bed *b, uint16_t lineage, const char *key, uint8_t type, const char *payload)
{
    return bed_write(
        b, (struct node){.op = NODE_PUT, .type = type, .lineage = lineage, .key = slice_str(key), .payload = slice_str(payload)});
}

static inline uint64_t bed_delete(struct bed *b, uint16_t lineage, const char *key)
{
    return bed_write(b, (struct node){.op = NODE_DELETE, .lineage = lineage, .key = slice_str(key)});
}

static inline uint64_t bed_flush(struct bed *b, uint16_t lineage)
{
    struct node n = {.op = NODE_FLUSH, .lineage = lineage};
    return bed_add(b, &n);
}

static inline uint64_t bed_swap(struct bed *b, uint16_t x, uint16_t y)
{
    uint8_t payload[4];
    put_u16(payload, x), put_u16(payload + 2, y);
    struct node n = {.op = NODE_SWAP, .payload = slice_of(payload, 4)};
    uint16_t t = b->db[x];
    b->db[x] = b->db[y], b->db[y] = t;
    return bed_add(b, &n);
}

static inline uint64_t bed_define_kind(struct bed *b, uint16_t lineage, const char *coll, const char *path, uint8_t op, uint8_t kind)
{
    struct buf key = {0};
    key.n = (size_t)(put_varint(buf_reserve(&key, VARINT_MAX), strlen(coll)) - key.p);
    buf_add_str(&key, coll);
    buf_add_str(&key, path);
    uint64_t seq = bed_write(
        b, (struct node){
               .op = op, .space = SPACE_SORTED, .lineage = lineage, .key = buf_slice(&key), .payload = slice_of(&kind, 1)});
    buf_fini(&key);
    return seq;
}

static inline uint64_t bed_define(struct bed *b, uint16_t lineage, const char *coll, const char *path, uint8_t op)
{
    return bed_define_kind(b, lineage, coll, path, op, SORTED_ORDERED);
}

static inline uint64_t bed_link(struct bed *b, uint16_t lineage, const char *from, const char *rel, const char *to, uint8_t op)
{
    struct buf key = {0};
    link_key(&key, slice_str(from), slice_str(rel), slice_str(to));
    uint64_t seq = bed_write(b, (struct node){.op = op, .space = SPACE_LINK, .lineage = lineage, .key = buf_slice(&key)});
    buf_fini(&key);
    return seq;
}

/* ---- random histories ---- */

#define BED_DOCUMENT_MAX (2 * RANGE_SORT_KEY_MAX + 200)

static const char *const bed_keys[] = {"a:1", "a:2", "a:3", "a:10", "a!:1", "b:1", "b:2", "plain", "other", "", "a", "c:x:y"};
#define BED_KEYS (sizeof bed_keys / sizeof bed_keys[0])
static const char *const bed_rels[] = {"knows", "owns"};

/* Words that share beginnings, fold alike, or are cut. */
static inline void random_words(struct rng *r, char *out, size_t max)
{
    static const char *const word[] = {"cat",  "Cat", "CATS", "catalogue", "dog", "d\\u00f6g", "D\xc3\x96G", "ox", "oxen", "2", "2b",
                                       "catx0123456789012345678901234567890123456789012345678901234567890123456789"};
    size_t n = 0;
    out[0] = 0;
    for (uint64_t i = rng_below(r, 5); i > 0; i--)
        n += (size_t)snprintf(out + n, max - n, "%s%s", n ? rng_below(r, 2) ? " " : "-" : "", word[rng_below(r, sizeof word / sizeof word[0])]);
}

static inline void random_document(struct rng *r, char *out, size_t max)
{
    static const char *const number[] = {"9007199254740992", "9007199254740993", "9007199254740992.0", "1e400", "-1e400", "123456789012345678901234567890",
                                         "123456789012345678901234567891", "0.1", "1e-7", "-0"};
    static const char *const other[] = {"[]", "[1]", "[1,2]", "{}", "{\"x\":1}", "{\"x\":[null]}", "\"\"", "false"};
    char text[RANGE_SORT_KEY_MAX + 100];
    size_t n = sizeof text - 20 - rng_below(r, 3) * 40;
    switch (rng_below(r, 13)) {
    case 0: snprintf(out, max, "{\"other\":1}"); break;
    case 1: snprintf(out, max, "{\"plan\":\"%c\"}", (int)('a' + rng_below(r, 4))); break;
    case 2: snprintf(out, max, "{\"plan\":%s}", rng_below(r, 2) ? "true" : "null"); break;
    case 3: /* values that are cut, some alike up to there */
        memset(text, 'x', n);
        text[n - 1] = (char)('a' + rng_below(r, 3));
        text[n] = 0;
        snprintf(out, max, "{\"plan\":\"%s\"}", text);
        break;
    case 4: snprintf(out, max, "{\"plan\":%d.0}", (int)rng_below(r, 6)); break;
    case 5: snprintf(out, max, "{\"plan\":%s}", number[rng_below(r, sizeof number / sizeof number[0])]); break;
    case 6: snprintf(out, max, "{\"plan\":%s}", other[rng_below(r, sizeof other / sizeof other[0])]); break;
    case 7:
    case 8: random_words(r, text, sizeof text); snprintf(out, max, "{\"plan\":\"%s\"}", text); break;
    case 9: random_words(r, text, sizeof text); snprintf(out, max, "{\"dog\":[\"%s\",{\"plan\":\"ox\"}],\"plan\":[\"%s\"]}", text, text); break;
    default: snprintf(out, max, "{\"plan\":%d}", (int)rng_below(r, 12) - 4);
    }
}

static inline void random_key_write(struct bed *b, struct rng *r)
{
    char json[BED_DOCUMENT_MAX];
    uint16_t lineage = (uint16_t)rng_below(r, BED_LINEAGES);
    slice key = slice_str(bed_keys[rng_below(r, BED_KEYS)]);
    struct node n = {.op = NODE_PUT, .lineage = lineage, .key = key};
    const struct node *live = model_live(b, SPACE_KEY, lineage, key, UINT64_MAX);
    uint64_t dice = rng_below(r, 100);
    random_document(r, json, sizeof json);
    n.type = dice < 70 ? TYPE_DOCUMENT : TYPE_STRING;
    n.payload = slice_str(json);
    if (rng_below(r, 8) == 0) n.expire_ms = b->now_ms + 1 + rng_below(r, 500);
    if (live && dice >= 90) {
        n = (struct node){.op = live->expire_ms ? NODE_EXPIRE : NODE_DELETE, .lineage = lineage, .key = key};
        n.expire_ms = live->expire_ms;
    } else if (live && dice >= 85) {
        n = (struct node){.op = NODE_META, .type = live->type, .lineage = lineage, .key = key};
        n.expire_ms = rng_below(r, 2) ? b->now_ms + 300 : 0;
    } else if (live && live->type == TYPE_STRING && dice >= 80) {
        n = (struct node){.op = NODE_EFFECT, .type = TYPE_STRING, .lineage = lineage, .key = key, .expire_ms = live->expire_ms};
    }
    bed_write(b, n);
}

static inline void random_link(struct bed *b, struct rng *r)
{
    uint16_t lineage = (uint16_t)rng_below(r, BED_LINEAGES);
    const char *from = bed_keys[rng_below(r, 4)], *to = bed_keys[rng_below(r, 4)], *rel = bed_rels[rng_below(r, 2)];
    struct buf key = {0};
    link_key(&key, slice_str(from), slice_str(rel), slice_str(to));
    bool live = model_live(b, SPACE_LINK, lineage, buf_slice(&key), UINT64_MAX) != NULL;
    buf_fini(&key);
    bed_link(b, lineage, from, rel, to, live && rng_below(r, 2) ? NODE_DELETE : NODE_PUT);
}

/* One random write; steps now and then. `sorted`: definitions come and go too. */
static inline void random_write(struct bed *b, struct rng *r, bool sorted)
{
    uint64_t dice = rng_below(r, 1000);
    if (rng_below(r, 3) == 0) b->now_ms += rng_below(r, 5);
    if (dice < 8)
        bed_flush(b, rng_below(r, 4) == 0 ? NODE_ALL_LINEAGES : (uint16_t)rng_below(r, BED_LINEAGES));
    else if (dice < 16)
        bed_swap(b, (uint16_t)rng_below(r, BED_LINEAGES), (uint16_t)rng_below(r, BED_LINEAGES));
    else if (dice < 150)
        random_link(b, r);
    else if (sorted && dice < 170)
        bed_define_kind(b, (uint16_t)rng_below(r, BED_LINEAGES), rng_below(r, 3) ? "a" : "", rng_below(r, 2) ? "plan" : "$",
                        rng_below(r, 4) ? NODE_PUT : NODE_DELETE, rng_below(r, 2) ? SORTED_TEXT : SORTED_ORDERED);
    else
        random_key_write(b, r);
    if (rng_below(r, 4) == 0) bed_step(b);
}

static inline void random_history(struct bed *b, struct rng *r, size_t writes)
{
    for (size_t i = 0; i < writes; i++) random_write(b, r, false);
    bed_step(b);
}

static inline uint64_t random_point(const struct bed *b, struct rng *r)
{
    return rng_below(r, 10) == 0 ? UINT64_MAX : rng_below(r, b->n + 1);
}

#endif
