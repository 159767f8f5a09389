/* DHEAD, DPROVE and DVERIFY: what lets a client check an answer, and the server check itself. */
#include "modules/doc/doc.h"

/* Every written node is in the tree from here on. */
static bool tree_is_current(struct call *c)
{
    int r = engine_catch_up(doc_engine(c), 0);
    if (r != E_OK) reply_failure(c, r);
    return r == E_OK;
}

/* The tree that is meant where none is named: all that is logged, in a view what was logged at its point. */
static uint64_t size_seen(const struct call *c)
{
    uint64_t size = engine_tree_size(doc_engine(c));
    return c->ks.viewing && c->ks.view_at < size ? c->ks.view_at : size;
}

/* The time of the newest node of a tree: nil when it was dropped, 0 of the empty tree. */
static void reply_time_of(struct call *c, uint64_t seq)
{
    struct buf mem = {0};
    struct node n = {0};
    int r = seq ? engine_read(doc_engine(c), seq, &mem, &n) : E_OK;
    if (r == E_OK)
        reply_int(c, (int64_t)n.ts_ms);
    else if (r == E_PRUNED)
        reply_null(c);
    else
        reply_failure(c, r);
    buf_fini(&mem);
}

void cmd_dhead(struct call *c)
{
    uint8_t root[HASH_BYTES];
    struct engine *e = doc_engine(c);
    if (c->argc != 1 && !(c->argc == 3 && arg_is(c, 1, "ASOF"))) {
        reply_syntax(c);
        return;
    }
    if (!tree_is_current(c)) return;
    uint64_t asked = size_seen(c);
    if (c->argc == 3) {
        uint64_t size = engine_tree_size(e);
        slice text = c->argv[2], seq = slice_str("seq:");
        if (slice_starts(text, seq)) text = (slice){text.p + seq.n, text.n - seq.n};
        if (!num_parse_u64(text, &asked) || asked > size) {
            reply_error(c, "BADPOINT DHEAD takes a seq from 0 to %llu", (unsigned long long)size);
            return;
        }
    }
    int r = engine_root(e, asked, root);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    reply_map(c, 4);
    reply_str(c, "size"), reply_int(c, (int64_t)asked);
    reply_str(c, "root"), doc_reply_hash(c, root);
    reply_str(c, "ts"), reply_time_of(c, asked);
    reply_str(c, "algo"), reply_str(c, "rfc9162-sha256");
}

static void reply_path(struct call *c, const struct tree_proof *p)
{
    reply_array(c, p->n);
    for (uint32_t i = 0; i < p->n; i++) doc_reply_hash(c, p->hash[i]);
}

static bool parse_size(struct call *c, int i, uint64_t lo, uint64_t hi, uint64_t *out)
{
    if (num_parse_u64(c->argv[i], out) && *out >= lo && *out <= hi) return true;
    reply_error(c, "BADPOINT a tree size from %llu to %llu is needed here", (unsigned long long)lo, (unsigned long long)hi);
    return false;
}

static void reply_node_bytes(struct call *c, uint64_t seq)
{
    struct buf mem = {0};
    slice raw;
    int r = engine_read_raw(doc_engine(c), seq, &mem, &raw);
    if (r == E_OK)
        reply_bulk(c, raw);
    else if (r == E_PRUNED)
        reply_null(c);
    else
        reply_failure(c, r);
    buf_fini(&mem);
}

static void prove_inclusion(struct call *c)
{
    struct tree_proof p;
    uint8_t entry[HASH_BYTES], leaf[HASH_BYTES], root[HASH_BYTES];
    struct engine *e = doc_engine(c);
    uint64_t seq, size;
    bool sized = c->argc == 5 && arg_is(c, 3, "SIZE");
    if (c->argc != 3 && !sized) {
        reply_syntax(c);
        return;
    }
    if (!doc_ref(c, c->argv[2], DOC_ABSENT_NULL, &seq)) return;
    int r = engine_catch_up(e, seq); /* it may be newer than the tree was a moment ago */
    size = sized ? engine_tree_size(e) : size_seen(c);
    if (r == E_OK && sized && !parse_size(c, 4, seq, size, &size)) return;
    if (r == E_OK && c->ks.viewing && seq > size) {
        reply_error(c, "BADPOINT seq %llu lies behind this view, which ends at %llu: name a SIZE", (unsigned long long)seq, (unsigned long long)size);
        return;
    }
    if (r == E_OK) r = engine_hash(e, seq, entry);
    if (r == E_OK) r = engine_root(e, size, root);
    if (r == E_NOTFOUND) {
        doc_reply_unlogged(c);
        return;
    }
    if (r == E_OK) r = engine_prove_inclusion(e, seq, size, &p);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    sha256_leaf(leaf, entry);
    reply_map(c, 6);
    reply_str(c, "index"), reply_int(c, (int64_t)(seq - 1));
    reply_str(c, "size"), reply_int(c, (int64_t)size);
    reply_str(c, "leaf"), doc_reply_hash(c, leaf);
    reply_str(c, "root"), doc_reply_hash(c, root);
    reply_str(c, "path"), reply_path(c, &p);
    reply_str(c, "node"), reply_node_bytes(c, seq);
}

static void prove_consistency(struct call *c)
{
    struct tree_proof p;
    uint8_t from_root[HASH_BYTES], to_root[HASH_BYTES];
    struct engine *e = doc_engine(c);
    uint64_t from, to;
    if (c->argc != 4) {
        reply_syntax(c);
        return;
    }
    if (!parse_size(c, 3, 0, engine_tree_size(e), &to) || !parse_size(c, 2, 0, to, &from)) return;
    int r = engine_root(e, from, from_root);
    if (r == E_OK) r = engine_root(e, to, to_root);
    if (r == E_OK) r = engine_prove_consistency(e, from, to, &p);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    reply_map(c, 5);
    reply_str(c, "from"), reply_int(c, (int64_t)from);
    reply_str(c, "to"), reply_int(c, (int64_t)to);
    reply_str(c, "from_root"), doc_reply_hash(c, from_root);
    reply_str(c, "to_root"), doc_reply_hash(c, to_root);
    reply_str(c, "path"), reply_path(c, &p);
}

void cmd_dprove(struct call *c)
{
    if (!tree_is_current(c)) return;
    if (arg_is(c, 1, "INCLUSION"))
        prove_inclusion(c);
    else if (arg_is(c, 1, "CONSISTENCY"))
        prove_consistency(c);
    else
        reply_syntax(c);
}

/* ---- DVERIFY: a thread of its own reads beside traffic, the loop only looks whether it is through ---- */
#define VERIFY_SLICE_NODES 4096
#define VERIFY_BAD_SHOWN   1000

struct bad_node {
    uint64_t seq;
    char why[120];
};
struct verify {
    struct engine *e;
    pthread_t thread;
    bool tree;      /* ALL: every tile and the root, too */
    uint64_t *seqs; /* KEY: these; else from..to */
    size_t n_seqs;
    uint64_t from, to;
    struct verify_found sum;
    struct bad_node *bad;
    size_t n_bad;
    int failure;
    bool root_ok;
    bool done; /* released by the thread's last store, acquired by the loop */
    bool stop;
};

static void add_bad(void *ctx, uint64_t seq, const char *why)
{
    struct verify *v = ctx;
    if (v->n_bad == VERIFY_BAD_SHOWN) return;
    v->bad = mem_realloc(v->bad, (v->n_bad + 1) * sizeof *v->bad);
    v->bad[v->n_bad].seq = seq;
    size_t n = strnlen(why, sizeof v->bad->why - 1);
    memcpy(v->bad[v->n_bad].why, why, n);
    v->bad[v->n_bad++].why[n] = 0;
}

static void verify_range(struct verify *v, uint64_t from, uint64_t to)
{
    uint64_t at = from;
    while (at != 0 && at <= to && v->failure == E_OK && !__atomic_load_n(&v->stop, __ATOMIC_RELAXED))
        v->failure = engine_verify_slice(v->e, at, to, VERIFY_SLICE_NODES, add_bad, v, &v->sum, &at);
}

static void verify_main(void *arg)
{
    struct verify *v = arg;
    uint64_t bad_seq = 0;
    uint8_t root[HASH_BYTES];
    if (v->seqs == NULL) verify_range(v, v->from, v->to);
    for (size_t i = 0; i < v->n_seqs; i++) verify_range(v, v->seqs[i], v->seqs[i]);
    int r = engine_root(v->e, engine_tree_size(v->e), root);
    if (r == E_OK && v->tree) {
        r = engine_verify_tree(v->e, &bad_seq);
        if (r == E_CORRUPT) add_bad(v, bad_seq, "the tree's stored hashes do not give its root");
    }
    v->root_ok = r == E_OK;
    __atomic_store_n(&v->done, true, __ATOMIC_RELEASE);
}

static bool verify_step(struct call *c, void *state)
{
    struct verify *v = state;
    if (!__atomic_load_n(&v->done, __ATOMIC_ACQUIRE)) return false;
    if (v->failure != E_OK) {
        reply_failure(c, v->failure);
        return true;
    }
    reply_map(c, 4);
    reply_str(c, "checked"), reply_int(c, (int64_t)v->sum.checked);
    reply_str(c, "bytes"), reply_int(c, (int64_t)v->sum.bytes);
    reply_str(c, "bad"), reply_array(c, v->n_bad);
    for (size_t i = 0; i < v->n_bad; i++) {
        reply_map(c, 2);
        reply_str(c, "seq"), reply_int(c, (int64_t)v->bad[i].seq);
        reply_str(c, "reason"), reply_str(c, v->bad[i].why);
    }
    reply_str(c, "root_ok"), reply_bool(c, v->root_ok);
    return true;
}

static void verify_drop(void *state)
{
    struct verify *v = state;
    __atomic_store_n(&v->stop, true, __ATOMIC_RELAXED);
    thread_join(v->thread);
    mem_free(v->seqs);
    mem_free(v->bad);
    mem_free(v);
}

static int key_seqs(struct call *c, slice key, struct verify *v)
{
    struct version_cursor *cur = NULL;
    struct version ver;
    size_t cap = 0;
    uint16_t lineage = ks_db(&c->ks, c->ks.db).lineage;
    v->seqs = mem_alloc(sizeof *v->seqs);
    int r = engine_versions(v->e, SPACE_KEY, lineage, key, 0, UINT64_MAX, true, &cur);
    while (r == E_OK && (r = version_next(cur, &ver)) == E_OK) {
        if (v->n_seqs == cap) v->seqs = mem_realloc(v->seqs, (cap = cap ? cap * 2 : 16) * sizeof *v->seqs);
        v->seqs[v->n_seqs++] = ver.seq;
    }
    version_close(&cur);
    return r == E_END ? E_OK : r;
}

static bool parse_range(struct call *c, struct verify *v)
{
    uint64_t newest = v->to;
    bool known = num_parse_u64(c->argv[2], &v->from) && num_parse_u64(c->argv[3], &v->to) && v->from >= 1 && v->to >= 1 && v->from <= newest && v->to <= newest;
    if (!known)
        reply_error(c, "BADPOINT DVERIFY RANGE takes two seqs from 1 to %llu", (unsigned long long)newest);
    else if (v->from > v->to)
        reply_error(c, "BADPOINT the range ends at %llu, before it begins at %llu", (unsigned long long)v->to, (unsigned long long)v->from);
    return known && v->from <= v->to;
}

static bool parse_verify(struct call *c, struct verify *v)
{
    v->from = 1;
    v->to = engine_tree_size(v->e);
    if (c->argc == 1 || (c->argc == 2 && arg_is(c, 1, "ALL"))) {
        v->tree = true;
        return true;
    }
    if (c->argc == 4 && arg_is(c, 1, "RANGE")) return parse_range(c, v);
    if (c->argc == 3 && arg_is(c, 1, "KEY")) {
        int r = key_seqs(c, c->argv[2], v);
        if (r != E_OK) reply_failure(c, r);
        return r == E_OK;
    }
    reply_syntax(c);
    return false;
}

void cmd_dverify(struct call *c)
{
    if (c->in_multi) {
        reply_error(c, "ERR DVERIFY is not possible inside a transaction");
        return;
    }
    if (!tree_is_current(c)) return;
    struct verify *v = mem_zalloc(sizeof *v);
    v->e = doc_engine(c);
    bool ready = parse_verify(c, v);
    int r = ready ? thread_start(&v->thread, "verify", verify_main, v) : E_OK;
    if (ready && r == E_OK) {
        call_later(c, LATER_WAIT, verify_step, verify_drop, v);
        return;
    }
    if (ready) reply_failure(c, r);
    mem_free(v->seqs);
    mem_free(v);
}
