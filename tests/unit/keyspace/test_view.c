/* Reading through a view must give, for every point, what reading the present gave when that point was the present. */
#include "unit/keyspace/keyspace_fixture.h"

#include "base/num.h"

#define KEYS   12
#define POINTS 120

struct moment {
    uint64_t at, count;
    bool live[KEYS];
    char value[KEYS][16];
    uint64_t expire_ms[KEYS];
};

static void name_of(char out[16], int i) { (void)snprintf(out, 16, "k:%d", i); }

static struct moment look(struct fixture *f)
{
    struct moment m = {.at = f->c.last_seq, .count = ks_count(&f->c, 0, NULL)};
    for (int i = 0; i < KEYS; i++) {
        char name[16];
        struct ks_value v;
        name_of(name, i);
        int rc = ks_get(&f->c, S(name), &v);
        assert_true(rc == E_OK || rc == E_NOTFOUND);
        m.live[i] = rc == E_OK;
        if (rc == E_OK) {
            memcpy(m.value[i], v.blob.p, v.blob.n);
            m.expire_ms[i] = v.expire_ms;
        }
    }
    return m;
}

static int mark(void *ctx, slice key, uint8_t type)
{
    int *seen = ctx;
    int64_t i = 0;
    assert_int_equal(type, TYPE_STRING);
    assert_true(num_parse_i64(slice_of(key.p + 2, key.n - 2), &i));
    seen[i]++;
    return 0;
}

static int count_one(void *ctx, slice key, uint8_t type)
{
    (void)key, (void)type;
    ++*(uint64_t *)ctx;
    return 0;
}

/* All keys of the view, in turns; turns may be NULL. */
static int view_count(struct ks_ctx *c, uint64_t *n, unsigned *turns)
{
    struct ks_walk *w = NULL;
    *n = 0;
    int rc = ks_walk_open(c, 0, SIZE_MAX, 0, &w);
    while (rc == E_OK && (rc = ks_walk_step(c, w, count_one, n)) == E_AGAIN) {
        if (turns) ++*turns;
        rc = E_OK;
    }
    if (rc == E_OK) assert_int_equal(ks_walk_cursor(w), 0);
    ks_walk_close(&w);
    assert_null(w);
    return rc;
}

/* E_OK and a key, or E_NOTFOUND. */
static int draw(struct ks_ctx *c, struct buf *key)
{
    struct ks_draw d = {0};
    int rc;
    do rc = ks_draw(c, &d);
    while (rc == E_AGAIN);
    if (rc == E_OK) buf_add_slice(key, buf_slice(&d.key));
    ks_draw_fini(&d);
    return rc;
}

static void check_moment(struct fixture *f, const struct moment *m)
{
    struct ks_ctx c = {.ks = f->ks, .now_ms = f->c.now_ms};
    int seen[KEYS] = {0};
    uint64_t n, cursor = 0;
    struct buf key = {0};
    assert_int_equal(ks_view(&c, m->at, 0), E_OK);
    for (int i = 0; i < KEYS; i++) {
        char name[16];
        struct ks_value v, w;
        name_of(name, i);
        assert_int_equal(ks_get(&c, S(name), &v), m->live[i] ? E_OK : E_NOTFOUND);
        assert_int_equal(ks_stat(&c, S(name), false, &w), m->live[i] ? E_OK : E_NOTFOUND);
        if (!m->live[i]) continue;
        assert_true(slice_eq(v.blob, S(m->value[i])));
        assert_int_equal(v.expire_ms, m->expire_ms[i]);
        assert_int_equal(v.seq, w.seq);
    }
    do assert_int_equal(ks_scan(&c, &cursor, 3, 0, mark, seen), E_OK);
    while (cursor);
    for (int i = 0; i < KEYS; i++) assert_int_equal(seen[i], m->live[i]);
    assert_int_equal(view_count(&c, &n, NULL), E_OK);
    assert_int_equal(n, m->count);
    assert_int_equal(draw(&c, &key), n ? E_OK : E_NOTFOUND);
    buf_add_byte(&key, 0);
    if (n) assert_true(m->live[strtol((const char *)key.p + 2, NULL, 10)]);
    buf_fini(&key);
    ks_view_release(&c);
    assert_null(c.shelf);
}

static void step(struct fixture *f, int i)
{
    char name[16], value[16];
    name_of(name, rand() % KEYS);
    (void)snprintf(value, sizeof value, "v%d", i);
    f->c.now_ms += (uint64_t)(rand() % 3);
    switch (rand() % 12) {
    case 0: assert_int_equal(ks_flush(&f->c, rand() % 2 ? 0 : -1), E_OK); break;
    case 1:
    case 2:
    case 3: {
        int rc = ks_delete(&f->c, S(name), NULL);
        assert_true(rc == E_OK || rc == E_NOTFOUND);
        break;
    }
    case 4: put_until(f, name, value, f->c.now_ms + 1 + (uint64_t)(rand() % 20)); break;
    case 5: assert_int_equal(ks_swap(&f->c, 0, 1), E_OK); break;
    default: put(f, name, value);
    }
}

static void every_moment_comes_back(void **state)
{
    struct fixture *f = *state;
    static struct moment m[POINTS];
    srand(77);
    put(f, "k:0", "first");
    for (int i = 0; i < POINTS; i++) {
        step(f, i);
        put(f, "k:0", "a commit of this very time"); /* so that expiry up to now is history's too */
        assert_int_equal(ks_put(&f->c, S("k:0"), TYPE_STRING, S("x"), NULL), E_OK);
        m[i] = look(f);
        m[i].at = f->c.last_seq;
        m[i].count = 0;
        for (int k = 0; k < KEYS; k++) m[i].count += m[i].live[k];
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < POINTS; i++) check_moment(f, &m[i]);
        fixture_reopen(f);
    }
}

static void before_everything_is_nothing(void **state)
{
    struct fixture *f = *state;
    struct ks_value v;
    uint64_t n = 9;
    put(f, "k", "v");
    struct ks_ctx c = {.ks = f->ks, .now_ms = f->c.now_ms};
    assert_int_equal(ks_view(&c, 0, 0), E_OK);
    assert_int_equal(ks_get(&c, S("k"), &v), E_NOTFOUND);
    assert_int_equal(view_count(&c, &n, NULL), E_OK);
    assert_int_equal(n, 0);
    ks_view_release(&c);
}

static void several_values_can_be_held(void **state)
{
    struct fixture *f = *state;
    struct ks_value v[20];
    char name[16], want[16];
    for (int i = 0; i < 20; i++) {
        name_of(name, i);
        (void)snprintf(want, sizeof want, "%d", i);
        put(f, name, want);
    }
    struct ks_ctx c = {.ks = f->ks, .now_ms = f->c.now_ms};
    assert_int_equal(ks_view(&c, f->c.last_seq, 0), E_OK);
    for (int i = 0; i < 20; i++) {
        name_of(name, i);
        assert_int_equal(ks_get(&c, S(name), &v[i]), E_OK);
    }
    for (int i = 0; i < 20; i++) {
        (void)snprintf(want, sizeof want, "%d", i);
        assert_true(slice_eq(v[i].blob, S(want)));
    }
    ks_view_release(&c);
}

static void an_instant_judges_expiry(void **state)
{
    struct fixture *f = *state;
    struct ks_value v;
    put_until(f, "k", "v", f->c.now_ms + 100);
    struct ks_ctx c = {.ks = f->ks, .now_ms = f->c.now_ms};
    uint64_t now = f->c.now_ms;
    assert_int_equal(ks_view(&c, f->c.last_seq, now + 99), E_OK);
    assert_int_equal(c.now_ms, now + 99);
    assert_int_equal(ks_get(&c, S("k"), &v), E_OK);
    ks_view_release(&c);
    c = (struct ks_ctx){.ks = f->ks, .now_ms = now};
    assert_int_equal(ks_view(&c, f->c.last_seq, now + 100), E_OK);
    assert_int_equal(ks_get(&c, S("k"), &v), E_NOTFOUND);
    ks_view_release(&c);
}

static void what_was_dropped_is_pruned(void **state)
{
    struct fixture *f = *state;
    struct ks_value v;
    struct compact_stats stats;
    struct compact_options o = {.keep_versions = 1};
    uint64_t n, cursor = 0;
    int seen[KEYS] = {0};
    put(f, "k:1", "old");
    uint64_t then = f->c.last_seq;
    put(f, "k:1", "new");
    uint64_t now = f->c.last_seq;
    assert_int_equal(engine_checkpoint(f->e), E_OK);
    assert_int_equal(engine_compact(f->e, &o, &stats), E_OK);
    assert_int_equal(stats.dropped, 1);
    struct ks_ctx c = {.ks = f->ks, .now_ms = f->c.now_ms};
    assert_int_equal(ks_view(&c, then, 0), E_OK);
    assert_int_equal(ks_get(&c, S("k:1"), &v), E_PRUNED);
    assert_int_equal(c.pruned_seq, now);
    assert_true(slice_eq(c.pruned_key, S("k:1")));
    assert_int_equal(ks_scan(&c, &cursor, 10, 0, mark, seen), E_PRUNED);
    assert_int_equal(c.pruned_seq, now);
    assert_int_equal(view_count(&c, &n, NULL), E_PRUNED);
    ks_view_release(&c);
}

/* Many keys that are not there at the point: steps end without one, and what comes is the same. */
static void long_walks_take_turns(void **state)
{
    struct fixture *f = *state;
    uint64_t n, then;
    unsigned turns = 0;
    struct buf key = {0};
    char name[16];
    put(f, "k:early", "v");
    then = f->c.last_seq;
    for (int i = 0; i < 60000; i++) {
        name_of(name, i);
        put(f, name, "v");
    }
    struct ks_ctx c = {.ks = f->ks, .now_ms = f->c.now_ms};
    assert_int_equal(engine_catch_up(f->e, 0), E_OK);
    assert_int_equal(ks_view(&c, then, 0), E_OK);
    assert_int_equal(view_count(&c, &n, &turns), E_OK);
    assert_int_equal(n, 1);
    assert_true(turns >= 2);
    assert_int_equal(draw(&c, &key), E_OK);
    assert_true(slice_eq(buf_slice(&key), S("k:early")));
    buf_fini(&key);
    ks_view_release(&c);
    c = (struct ks_ctx){.ks = f->ks, .now_ms = f->c.now_ms};
    assert_int_equal(ks_view(&c, f->c.last_seq, 0), E_OK);
    assert_int_equal(view_count(&c, &n, NULL), E_OK);
    assert_int_equal(n, 60001);
    ks_view_release(&c);
}

/* More than are chosen from, all of them past their expiry by the time of the point: there is none, and that is found out. */
static void no_key_by_chance_among_expired(void **state)
{
    struct fixture *f = *state;
    struct buf key = {0};
    char name[16];
    for (int i = 0; i < 100; i++) {
        name_of(name, i);
        put_until(f, name, "v", f->c.now_ms + 10);
    }
    struct ks_ctx c = {.ks = f->ks, .now_ms = f->c.now_ms};
    assert_int_equal(engine_catch_up(f->e, 0), E_OK);
    assert_int_equal(ks_view(&c, f->c.last_seq, f->c.now_ms + 10), E_OK);
    for (int i = 0; i < 20; i++) assert_int_equal(draw(&c, &key), E_NOTFOUND);
    ks_view_release(&c);
    buf_fini(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYSPACE(every_moment_comes_back),  WITH_KEYSPACE(before_everything_is_nothing), WITH_KEYSPACE(several_values_can_be_held),
        WITH_KEYSPACE(an_instant_judges_expiry), WITH_KEYSPACE(what_was_dropped_is_pruned),
        WITH_KEYSPACE(long_walks_take_turns),    WITH_KEYSPACE(no_key_by_chance_among_expired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
