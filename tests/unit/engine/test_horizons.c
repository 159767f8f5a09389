/* Horizons held against brute force: random histories, tags and rules; after each compaction every key is asked at every point, and must give the true
 * answer or PRUNED with the oldest seq at which it is readable; what stays is exactly what the rules say; a dry run says exactly what then happens. */
#include "unit/engine/engine_world.h"

#include "base/codec.h"

#define KEYS      9
#define LINKS     3
#define ITEMS     (KEYS + LINKS)
#define NODES_MAX 3000
#define TAGS      4

struct item {
    uint8_t space, type;
    struct buf name;
    uint64_t seq, ver;
    bool live;
};
struct noted {
    uint8_t item, op, type; /* item ITEMS: not of one */
    bool flush, there;
    uint64_t ver;
};
struct past {
    struct world w;
    struct item item[ITEMS];
    struct noted node[NODES_MAX];
    uint64_t last, tag[TAGS]; /* points, 0 = not set */
    uint64_t tag_seq[TAGS], tag_ver[TAGS];
    uint64_t rule[2], rule_seq[2], rule_ver[2]; /* of k* and of k[1]; UINT64_MAX = none */
    uint64_t dice;
    bool repaired;
};
static const char *const patterns[2] = {"k*", "k[1]"};

static uint64_t roll(struct past *p, uint64_t below)
{
    uint64_t z = p->dice += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

static void past_start(struct past *p, uint64_t seed)
{
    memset(p, 0, sizeof *p);
    p->dice = seed;
    p->rule[0] = p->rule[1] = UINT64_MAX;
    world_start(&p->w);
    for (unsigned i = 0; i < ITEMS; i++) {
        struct item *x = &p->item[i];
        char name[8];
        snprintf(name, sizeof name, "k%u", i);
        x->space = i < KEYS ? SPACE_KEY : SPACE_LINK;
        x->type = i < KEYS && i % 3 == 0 ? TYPE_DOCUMENT : i < KEYS ? TYPE_STRING : TYPE_NONE;
        if (i < KEYS)
            buf_add_str(&x->name, name);
        else
            link_key(&x->name, slice_str("k1"), slice_str("r"), slice_str(name));
    }
}

static void past_stop(struct past *p)
{
    world_stop(&p->w);
    for (unsigned i = 0; i < ITEMS; i++) buf_fini(&p->item[i].name);
}

static uint64_t append(struct past *p, struct node *n, unsigned item, bool flush)
{
    struct receipt r;
    assert_int_equal(engine_append(p->w.e, n, false, &r), E_OK);
    assert_true(r.seq < NODES_MAX);
    p->last = r.seq;
    p->node[r.seq] = (struct noted){.item = (uint8_t)item, .op = n->op, .type = n->type, .flush = flush, .there = true, .ver = n->ver};
    return r.seq;
}

/* As a caller without a cache of heads does: a key that nothing remembers begins anew. */
static void look_up(struct past *p, struct item *x)
{
    struct version v;
    assert_int_equal(engine_catch_up(p->w.e, 0), E_OK);
    if (engine_find(p->w.e, x->space, 0, buf_slice(&x->name), UINT64_MAX, FIND_ALL, &v) == E_NOTFOUND) x->seq = x->ver = 0;
}

static void write_item(struct past *p)
{
    unsigned i = (unsigned)roll(p, ITEMS);
    struct item *x = &p->item[i];
    uint64_t dice = roll(p, 10);
    if (!x->live) look_up(p, x);
    uint8_t op = !x->live || dice > 3 ? NODE_PUT : dice == 0 ? NODE_DELETE : x->type == TYPE_STRING ? NODE_EFFECT : NODE_PUT, type = x->type;
    uint16_t flags = op == NODE_PUT && !x->live ? NODE_CREATED : 0;
    if (i == 4 && op == NODE_PUT && roll(p, 4) == 0) { /* one key changes its type now and then */
        type = type == TYPE_STRING ? TYPE_DOCUMENT : TYPE_STRING;
        if (x->live) flags |= NODE_RETYPED;
    }
    struct node n = {.op = op, .type = type, .space = x->space, .flags = flags, .prev = x->seq, .ver = x->ver + 1, .key = buf_slice(&x->name)};
    if (op != NODE_DELETE) n.payload = slice_str("1234567");
    x->seq = append(p, &n, i, false);
    x->ver = n.ver;
    x->live = op != NODE_DELETE;
    x->type = type;
}

static void write_flush(struct past *p)
{
    struct node n = {.op = NODE_FLUSH};
    append(p, &n, ITEMS, true);
    for (unsigned i = 0; i < ITEMS; i++) p->item[i].live = false;
}

static void write_tag(struct past *p)
{
    uint8_t payload[8];
    char name[8];
    unsigned i = (unsigned)roll(p, TAGS);
    bool drop = p->tag[i] && roll(p, 2);
    uint64_t point = 1 + roll(p, p->last);
    put_u64(payload, point);
    snprintf(name, sizeof name, "t%u", i);
    struct node n = {.op = drop ? NODE_DELETE : NODE_PUT, .space = SPACE_TAG, .flags = !drop && !p->tag[i] ? NODE_CREATED : 0, .prev = p->tag_seq[i], .ver = ++p->tag_ver[i], .key = slice_str(name)};
    if (!drop) n.payload = slice_of(payload, 8);
    p->tag_seq[i] = append(p, &n, ITEMS, false);
    p->tag[i] = drop ? 0 : point;
}

static void write_rule(struct past *p)
{
    uint8_t payload[16] = {0};
    unsigned i = (unsigned)roll(p, 2);
    bool drop = p->rule[i] != UINT64_MAX && roll(p, 3) == 0;
    uint64_t versions = roll(p, 4);
    put_u64(payload, versions);
    struct node n = {.op = drop ? NODE_DELETE : NODE_PUT, .space = SPACE_RETAIN, .flags = !drop && p->rule[i] == UINT64_MAX ? NODE_CREATED : 0, .prev = p->rule_seq[i], .ver = ++p->rule_ver[i], .key = slice_str(patterns[i])};
    if (!drop) n.payload = slice_of(payload, 16);
    p->rule_seq[i] = append(p, &n, ITEMS, false);
    p->rule[i] = drop ? UINT64_MAX : versions;
}

static void write_some(struct past *p)
{
    for (uint64_t i = 40 + roll(p, 60); i > 0; i--) {
        uint64_t dice = roll(p, 60);
        if (dice == 0)
            write_flush(p);
        else if (dice < 3 && p->last)
            write_tag(p);
        else if (dice < 5)
            write_rule(p);
        else
            write_item(p);
    }
    assert_int_equal(engine_catch_up(p->w.e, 0), E_OK);
}

/* ---- what is true ---- */

static uint64_t newest_at(const struct past *p, unsigned item, uint64_t at)
{
    while (at > 0 && p->node[at].item != item) at--;
    return at;
}

static uint64_t flush_at(const struct past *p, uint64_t at)
{
    while (at > 0 && !p->node[at].flush) at--;
    return at;
}

static bool is_base(const struct past *p, uint64_t seq)
{
    return p->node[seq].op != NODE_EFFECT;
}

static uint64_t base_of(const struct past *p, unsigned item, uint64_t seq)
{
    while (seq && !is_base(p, seq)) seq = newest_at(p, item, seq - 1);
    return seq;
}

static bool is_tagged(const struct past *p, unsigned item, uint64_t seq)
{
    for (unsigned t = 0; t < TAGS; t++)
        if (p->tag[t] && newest_at(p, item, p->tag[t]) == seq) return true;
    return false;
}

/* How many versions the item keeps; UINT64_MAX: all. */
static uint64_t versions_kept(const struct past *p, unsigned item, const struct compact_options *o)
{
    if (o->keep_versions) return o->keep_versions;
    if (o->before) return UINT64_MAX;
    uint64_t n = (item == 1 || item >= KEYS) && p->rule[1] != UINT64_MAX ? p->rule[1] : p->rule[0]; /* links begin at k1 */
    if (n != UINT64_MAX) return n ? n : UINT64_MAX;
    bool document = item >= KEYS;
    for (uint64_t s = p->last; item < KEYS && s > 0; s--) /* a document at any time that is left */
        document |= p->node[s].item == item && p->node[s].type == TYPE_DOCUMENT && p->node[s].there;
    return document ? UINT64_MAX : 1;
}

/* Must this version stay, whatever stands on it? */
static bool stays_itself(const struct past *p, unsigned item, uint64_t seq, const struct compact_options *o)
{
    uint64_t newer = 0, superseded = UINT64_MAX;
    for (uint64_t s = p->last; s > seq; s--)
        if (p->node[s].item == item) newer++, superseded = s;
    uint64_t flush = flush_at(p, p->last);
    if (flush > seq) newer++, superseded = superseded < flush ? superseded : flush;
    if (superseded == UINT64_MAX || is_tagged(p, item, seq)) return true;
    return newer < versions_kept(p, item, o) && superseded > o->before;
}

/* Marks what may not be there any more. */
static void expect_drops(struct past *p, const struct compact_options *o, uint64_t *dropped)
{
    *dropped = 0;
    for (unsigned i = 0; i < ITEMS; i++) {
        uint64_t stay = 0, one = 0;
        if (o->prefix.n && i != 1 && i < KEYS) continue; /* "k1" */
        for (uint64_t s = newest_at(p, i, p->last); s > 0; s = newest_at(p, i, s - 1)) {
            if (!p->node[s].there) continue;
            bool keep = stays_itself(p, i, s, o);
            for (uint64_t u = p->last; !keep && u > s; u--) keep = p->node[u].item == i && p->node[u].there && stays_itself(p, i, u, o) && base_of(p, i, u) <= s;
            if (keep) {
                stay++;
                one = s;
                continue;
            }
            p->node[s].there = false;
            ++*dropped;
        }
        uint64_t head = newest_at(p, i, p->last);
        bool tombstone = stay == 1 && one == head && p->node[head].op == NODE_DELETE && p->node[head].type == TYPE_STRING && !is_tagged(p, i, head);
        uint64_t last_tag = 0;
        for (unsigned t = 0; t < TAGS; t++) last_tag = p->tag[t] > last_tag ? p->tag[t] : last_tag;
        if (tombstone && last_tag < head && (versions_kept(p, i, o) == 1 || head <= o->before)) {
            p->node[head].there = false;
            ++*dropped;
        }
    }
}

/* ---- the checks ---- */

static void check_nodes(struct past *p)
{
    struct buf mem = {0};
    struct node n;
    struct engine_horizons h;
    uint64_t newest = 0, newest_document = 0;
    for (uint64_t s = 1; s <= p->last; s++) {
        const struct noted *x = &p->node[s];
        int rc = engine_read(p->w.e, s, &mem, &n);
        if (rc != (x->there ? E_OK : E_PRUNED))
            print_error("seq %llu of %llu, item %u op %u ver %llu type %u, rules %llu %llu: %s\n", (unsigned long long)s, (unsigned long long)p->last, x->item, x->op,
                        (unsigned long long)x->ver, x->type, (unsigned long long)p->rule[0], (unsigned long long)p->rule[1], err_text(rc));
        assert_int_equal(rc, x->there ? E_OK : E_PRUNED);
        if (!x->there) newest = s;
        if (!x->there && (x->item >= KEYS || x->type == TYPE_DOCUMENT)) newest_document = s;
    }
    engine_get_horizons(p->w.e, &h);
    assert_int_equal(h.changes, newest);
    assert_int_equal(h.document_changes, newest_document);
    assert_true(h.documents <= h.keys);
    buf_fini(&mem);
}

static uint64_t oldest_there(const struct past *p, unsigned item)
{
    for (uint64_t s = 1; s <= p->last; s++)
        if (p->node[s].item == item && p->node[s].there) return s;
    return 0;
}

/* The smallest seq that the item is readable at, and whether its beginning is among what is there. */
static uint64_t oldest_readable(const struct past *p, unsigned item, bool *began)
{
    struct engine_horizons h;
    engine_get_horizons(p->w.e, &h);
    uint64_t horizon = item < KEYS ? h.keys : h.documents, first = oldest_there(p, item);
    *began = first == 0 || p->node[first].ver == 1;
    return first == 0 || (*began && horizon && horizon < first) ? horizon : first;
}

static void check_item(struct past *p, unsigned item)
{
    const struct item *x = &p->item[item];
    bool began;
    struct engine_horizons h;
    engine_get_horizons(p->w.e, &h);
    uint64_t oldest = oldest_readable(p, item, &began), horizon = item < KEYS ? h.keys : h.documents;
    for (uint64_t at = 1; at <= p->last; at++) {
        struct version v = {0};
        uint64_t truth = newest_at(p, item, at), flush = flush_at(p, at);
        int rc = engine_find(p->w.e, x->space, 0, buf_slice(&x->name), at, FIND_ALL, &v);
        bool there = truth && p->node[truth].there, absent = truth == 0 || truth <= flush || p->node[truth].op == NODE_DELETE, fine;
        if (there)
            fine = rc == E_OK && v.seq == truth && v.ver == p->node[truth].ver && v.op == p->node[truth].op;
        else if (rc == E_OK)
            fine = v.seq == truth && truth < flush; /* its node is gone, its entry is enough */
        else if (rc == E_NOTFOUND)
            fine = absent && began && at >= horizon;
        else
            fine = rc == E_PRUNED && v.seq == oldest && (truth || !began || at < horizon);
        if (fine && there && !is_base(p, truth)) {
            int base = engine_find(p->w.e, x->space, 0, buf_slice(&x->name), at, FIND_BASE, &v);
            fine = base == E_OK && v.seq == base_of(p, item, truth);
        }
        if (!fine)
            print_error("item %u at %llu: %s %llu; true %llu (%s), oldest %llu, flush %llu\n", item, (unsigned long long)at, err_text(rc),
                        (unsigned long long)v.seq, (unsigned long long)truth, there ? "there" : "gone", (unsigned long long)oldest,
                        (unsigned long long)flush);
        assert_true(fine);
    }
    uint64_t seq;
    bool dropped;
    int rc = engine_key_horizon(p->w.e, x->space, 0, buf_slice(&x->name), &seq, &dropped);
    assert_int_equal(rc, oldest_there(p, item) ? E_OK : E_NOTFOUND);
    if (rc == E_OK) assert_int_equal(seq, began && horizon == 0 ? 0 : oldest);
    if (rc == E_OK) assert_int_equal(dropped, !began);
}

static void show_item(const struct past *p, unsigned item)
{
    for (uint64_t s = 1; s <= p->last; s++)
        if (p->node[s].item == item)
            print_error(" %llu%s: op %u ver %llu type %u,", (unsigned long long)s, p->node[s].there ? "" : " gone", p->node[s].op,
                        (unsigned long long)p->node[s].ver, p->node[s].type);
    print_error("\n");
}

/* Documents in a list at a point: every one that stood is there, at the horizon of documents and above. */
static void check_list(struct past *p, uint64_t at)
{
    struct engine_horizons h;
    struct doc_cursor *c = NULL;
    slice key;
    struct version v;
    bool seen[KEYS] = {false};
    engine_get_horizons(p->w.e, &h);
    if (at < h.documents) return;
    assert_int_equal(engine_docs(p->w.e, 0, (slice){0}, (slice){0}, at, &c), E_OK);
    while (doc_cursor_next(c, &key) == E_OK)
        for (unsigned i = 0; i < KEYS; i++) seen[i] |= slice_eq(key, buf_slice(&p->item[i].name));
    doc_cursor_close(&c);
    for (unsigned i = 0; i < KEYS; i++) {
        uint64_t s = newest_at(p, i, at);
        bool stands = s > flush_at(p, at) && p->node[s].op != NODE_DELETE && p->node[s].type == TYPE_DOCUMENT;
        if (stands && !seen[i]) {
            print_error("document %u at %llu (flushed %llu, horizon %llu, changes %llu, version %s) is left out:", i, (unsigned long long)at,
                        (unsigned long long)flush_at(p, at), (unsigned long long)h.documents, (unsigned long long)h.document_changes, p->node[s].there ? "there" : "gone");
            show_item(p, i);
        }
        if (stands) assert_true(seen[i]);
        bool unknown = seen[i] && !stands && engine_find(p->w.e, SPACE_KEY, 0, buf_slice(&p->item[i].name), at, FIND_ALL, &v) == E_PRUNED;
        if (s && p->node[s].there && !unknown) assert_int_equal(seen[i], stands);
    }
}

/* From the readable horizon on every question has an answer, and just below it one has not. */
static void check_readable(struct past *p)
{
    struct engine_horizons h;
    bool refused = false;
    uint64_t at = p->last;
    engine_get_horizons(p->w.e, &h);
    for (; at > 0 && !refused; at--)
        for (unsigned i = 0; i < ITEMS && !refused; i++) {
            struct version v;
            refused = engine_find(p->w.e, p->item[i].space, 0, buf_slice(&p->item[i].name), at, FIND_ALL, &v) == E_PRUNED;
        }
    assert_int_equal(h.readable, refused ? at + 2 : 0);
    assert_true(h.keys <= h.readable && h.documents <= h.readable);
}

static void check_all(struct past *p)
{
    check_nodes(p);
    check_readable(p);
    for (unsigned i = 0; i < ITEMS; i++) check_item(p, i);
    for (uint64_t at = 1; at <= p->last; at += 3) check_list(p, at);
}

static void same_stats(const struct compact_stats *a, const struct compact_stats *b)
{
    assert_int_equal(a->live, b->live);
    assert_int_equal(a->dropped, b->dropped);
    assert_int_equal(a->held, b->held);
    assert_int_equal(a->bytes_before, b->bytes_before);
    assert_int_equal(a->bytes_after, b->bytes_after);
    assert_int_equal(a->horizon, b->horizon);
    assert_int_equal(a->segments, b->segments);
}

static void see_nodes(struct past *p)
{
    struct buf mem = {0};
    struct node n;
    for (uint64_t s = 1; s <= p->last; s++) p->node[s].there = engine_read(p->w.e, s, &mem, &n) == E_OK;
    buf_fini(&mem);
}

static void compact_once(struct past *p)
{
    struct compact_options o = {0};
    struct compact_stats dry, real;
    struct engine_stats s;
    uint64_t dropped, form = roll(p, 4);
    if (form == 0) o.keep_versions = 1 + roll(p, 3);
    if (form == 1) o.before = 1 + roll(p, p->last);
    if (roll(p, 4) == 0) o.prefix = slice_str("k1");
    o.dry_run = true;
    if (getenv("HORIZON_SEED"))
        print_message("keep %llu before %llu prefix %zu, up to %llu\n", (unsigned long long)o.keep_versions, (unsigned long long)o.before, o.prefix.n,
                      (unsigned long long)p->last);
    assert_int_equal(engine_compact(p->w.e, &o, &dry), E_OK);
    o.dry_run = false;
    assert_int_equal(engine_compact(p->w.e, &o, &real), E_OK);
    same_stats(&dry, &real);
    if (p->repaired) { /* it forgets how many there were, so it may keep more */
        see_nodes(p);
        return;
    }
    expect_drops(p, &o, &dropped);
    check_nodes(p);
    assert_int_equal(real.dropped, dropped);
    assert_int_equal(real.horizon, engine_horizon(p->w.e));
    engine_get_stats(p->w.e, &s);
    assert_int_equal(real.bytes_after, s.bytes_log);
}

static void one_history(uint64_t seed)
{
    struct past *p = mem_alloc(sizeof *p);
    past_start(p, seed);
    engine_set_policy(p->w.e, &(struct engine_policy){.keys = {.versions = 1}});
    for (unsigned round = 0; round < 5; round++) {
        write_some(p);
        compact_once(p);
        check_all(p);
        world_reopen(&p->w);
        engine_set_policy(p->w.e, &(struct engine_policy){.keys = {.versions = 1}});
        check_all(p);
    }
    past_stop(p);
    mem_free(p);
}

/* ---- an index that was made anew over gaps ---- */

static int note_run(void *ctx, const char *name)
{
    struct buf *path = ctx;
    size_t n = strlen(name);
    if (path->n || n < 4 || strcmp(name + n - 4, ".run") != 0) return 0;
    buf_printf(path, "/db/index/%s", name);
    buf_add_byte(path, 0);
    return 0;
}

static void break_index(struct past *p)
{
    struct buf path = {0};
    struct os_file *f = NULL;
    uint64_t size;
    uint8_t byte;
    assert_int_equal(os_list(p->w.os, "/db/index", note_run, &path), E_OK);
    assert_true(path.n > 0);
    assert_int_equal(os_open(p->w.os, (const char *)path.p, OS_READ | OS_WRITE, &f), E_OK);
    assert_int_equal(os_size(p->w.os, f, &size), E_OK);
    assert_int_equal(os_read_full(p->w.os, f, size - 10, &byte, 1), E_OK);
    byte ^= 0x40;
    assert_int_equal(os_write(p->w.os, f, size - 10, &byte, 1), E_OK);
    os_close(p->w.os, &f);
    buf_fini(&path);
}

/* Each answer is the true one or a refusal; that it says which seq to ask from is more than a repair can do. */
static void check_repaired(struct past *p)
{
    struct link_cursor *c = NULL;
    struct link l;
    for (uint64_t at = 1; at <= p->last; at++) {
        bool standing[ITEMS] = {false};
        for (unsigned i = 0; i < ITEMS; i++) {
            struct version v;
            uint64_t truth = newest_at(p, i, at);
            bool stands = truth > flush_at(p, at) && p->node[truth].op != NODE_DELETE;
            int rc = engine_find(p->w.e, p->item[i].space, 0, buf_slice(&p->item[i].name), at, FIND_ALL, &v);
            uint64_t flush = flush_at(p, at); /* what it hides is as good as nothing */
            bool fine = rc == E_OK ? v.seq == truth || (v.seq < flush && truth < flush) : rc == E_PRUNED || (rc == E_NOTFOUND && !stands);
            if (!fine) {
                print_error("item %u at %llu: %s %llu, true %llu:", i, (unsigned long long)at, err_text(rc), (unsigned long long)v.seq, (unsigned long long)truth);
                show_item(p, i);
            }
            assert_true(fine);
            standing[i] = stands;
        }
        unsigned want = 0, found = 0;
        for (unsigned i = KEYS; i < ITEMS; i++) want += standing[i];
        assert_int_equal(engine_links(p->w.e, 0, slice_str("k1"), LINK_OUT, (slice){0}, at, (slice){0}, &c), E_OK);
        int rc;
        while ((rc = link_cursor_next(c, &l)) == E_OK) found++;
        link_cursor_close(&c);
        assert_true(rc == E_PRUNED || (rc == E_END && found == want));
        check_list(p, at);
    }
}

static void repaired(void **state)
{
    for (uint64_t seed = 1000; seed < 1015; seed++) {
        struct past *p = mem_alloc(sizeof *p);
        print_message("seed %llu\n", (unsigned long long)seed);
        past_start(p, seed);
        engine_set_policy(p->w.e, &(struct engine_policy){.keys = {.versions = 1}});
        for (unsigned round = 0; round < 3; round++) {
            write_some(p);
            compact_once(p);
            assert_int_equal(engine_close(&p->w.e), E_OK);
            break_index(p);
            p->w.o.salvage = true;
            world_open(&p->w);
            p->w.o.salvage = false;
            p->repaired = true;
            check_repaired(p);
            world_reopen(&p->w);
            engine_set_policy(p->w.e, &(struct engine_policy){.keys = {.versions = 1}});
            check_repaired(p);
            write_some(p);
            check_repaired(p);
        }
        past_stop(p);
        mem_free(p);
    }
}

static void histories(void **state)
{
    uint64_t seeds = getenv("HORIZON_SEEDS") ? strtoull(getenv("HORIZON_SEEDS"), NULL, 10) : 40;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        if (getenv("HORIZON_SEED")) seed = seeds = strtoull(getenv("HORIZON_SEED"), NULL, 10);
        print_message("seed %llu\n", (unsigned long long)seed);
        one_history(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(histories), cmocka_unit_test(repaired)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
