/* DCHANGES: what happened behind a point, commit by commit.
 *
 * Invariants. (1) Only what is safe by the durability rule is shown. (2) `next` is the end of a commit; behind it lies everything that was not shown and is wanted, so
 * a reader that goes on from there misses nothing and sees nothing twice, over restarts and compaction. (3) A feed that cannot be whole, because retention has
 * dropped nodes behind its point, is refused with the oldest point from which it can be. FROM 0 shows what is left, which rebuilds the present.
 *
 * A reader that waits sleeps in the server (later_sleep) and holds no cursor. Compaction may run between two turns: then what was gathered so far may lack what
 * ended it. The horizon rises before the first node goes, so looking at it when a turn is over tells. */
#include "modules/doc/changes.h"

#define CHANGES_COUNT 1000

static bool parse_filter(struct call *c, int *i, struct feed *f)
{
    static const char *const words[] = {[FEED_COLLECTION] = "COLL", [FEED_PREFIX] = "PREFIX", [FEED_KEY] = "KEY"};
    for (int k = FEED_COLLECTION; k <= FEED_KEY; k++) {
        if (!arg_is(c, *i, words[k])) continue;
        if (*i + 1 == c->argc || f->filter != FEED_ALL) return false;
        f->filter = (enum feed_filter)k;
        buf_add_slice(&f->name, c->argv[++*i]); /* the words of a command that goes on later move */
        f->word = buf_slice(&f->name);
        return true;
    }
    return false;
}

/* Options only: points are read when all words are known to be right. */
static bool parse_options(struct call *c, struct feed *f, int *to)
{
    struct doc_words met = {0};
    for (int i = 3; i < c->argc; i++) {
        bool value = i + 1 < c->argc;
        int64_t ms;
        if (!doc_stands_once(c, &met, i)) return false;
        if (arg_is(c, i, "WITHDATA")) {
            f->maps.with_data = true;
        } else if (value && arg_is(c, i, "TO")) {
            *to = ++i;
        } else if (value && arg_is(c, i, "COUNT")) {
            if (!doc_count(c, c->argv[++i], &f->count)) return false;
        } else if (value && arg_is(c, i, "BLOCK")) {
            if (!arg_range(c, ++i, 0, INT64_MAX / 2, &ms)) return false;
            f->block = true;
            f->block_ms = (uint64_t)ms;
        } else if (!parse_filter(c, &i, f)) {
            reply_syntax(c);
            return false;
        }
    }
    return true;
}

static bool reply_pruned(struct call *c, const struct feed *f)
{
    uint64_t oldest;
    int r = feed_good_from(c, f, &oldest);
    if (r != E_OK) {
        reply_failure(c, r);
        return false;
    }
    reply_error(c, "PRUNED a feed can begin at 0, or from %llu on: older changes were dropped by retention", (unsigned long long)oldest);
    return false;
}

/* A seq said in so many digits. */
static bool plain_seq(slice text, uint64_t *seq)
{
    slice prefix = slice_str("seq:");
    if (slice_starts(text, prefix)) text = slice_of(text.p + prefix.n, text.n - prefix.n);
    return num_parse_u64(text, seq);
}

/* `P@D`: a walk from 0 has come to P, below the horizon, when engine_drops was D. */
static bool parse_walk(struct call *c, struct feed *f)
{
    slice text = c->argv[2];
    const uint8_t *at = text.n ? memchr(text.p, '@', text.n) : NULL;
    uint64_t drops, seq, point;
    if (at == NULL) return false;
    slice left = slice_of(text.p, (size_t)(at - text.p)), right = slice_of(at + 1, text.n - left.n - 1);
    if (!num_parse_u64(left, &seq) || !num_parse_u64(right, &drops) || seq >= feed_walk_end(c, f) || drops != f->drops) return false;
    int r = engine_round_down(doc_engine(c), seq, &point);
    if (r != E_OK || point != seq) return false;
    f->after = seq;
    f->whole = true;
    return true;
}

static bool past_the_end(struct call *c, slice text, uint64_t seq)
{
    struct engine_marks m;
    engine_get_marks(doc_engine(c), &m);
    if (seq <= m.last_seq) return false;
    reply_error(c, "BADPOINT '%.*s': the log ends at %llu", (int)(text.n > 80 ? 80 : text.n), (const char *)text.p, (unsigned long long)m.last_seq);
    return true;
}

/* Where to begin. A seq that the log has not reached is no place to wait at: what comes there first would never be seen. */
static bool parse_from(struct call *c, struct feed *f)
{
    uint64_t seq, oldest;
    slice text = c->argv[2];
    int r = feed_horizon(c, f, &oldest);
    if (r != E_OK) {
        reply_failure(c, r);
        return false;
    }
    f->drops = engine_drops(doc_engine(c));
    if (parse_walk(c, f)) return true;
    const uint8_t *at = text.n ? memchr(text.p, '@', text.n) : NULL;
    if (at != NULL && num_parse_u64(slice_of(at + 1, text.n - (size_t)(at - text.p) - 1), &seq) && num_parse_u64(slice_of(text.p, (size_t)(at - text.p)), &seq))
        text.n = (size_t)(at - text.p); /* of a walk that has left what lies below the horizon: the seq counts */
    if (plain_seq(text, &seq)) {
        if (past_the_end(c, text, seq)) return false;
        if (seq > 0 && seq < oldest) return reply_pruned(c, f);
    }
    if (!doc_point_seq(c, text, &f->after)) return false;
    f->whole = f->after == 0;
    return f->whole || f->after >= oldest ? true : reply_pruned(c, f);
}

static bool parse(struct call *c, struct feed *f)
{
    int to = 0;
    f->count = CHANGES_COUNT;
    f->upto = DOC_NOW;
    if (!arg_is(c, 1, "FROM")) {
        reply_syntax(c);
        return false;
    }
    if (!parse_options(c, f, &to)) return false;
    int r = engine_catch_up(doc_engine(c), 0);
    if (r != E_OK) {
        reply_failure(c, r);
        return false;
    }
    f->db = c->ks.db;
    f->lineage = ks_db(&c->ks, f->db).lineage;
    if (!parse_from(c, f) || (to > 0 && !doc_point_seq(c, c->argv[to], &f->upto))) return false;
    f->at = f->base = f->after;
    return true;
}

/* Where to go on: a seq; while a walk from 0 is below the horizon, a word that says so. */
static void reply_next(struct call *c, const struct feed *f)
{
    if (f->whole && f->at > 0 && f->at < feed_walk_end(c, f))
        reply_fmt(c, "%llu@%llu", (unsigned long long)f->at, (unsigned long long)f->drops);
    else
        reply_int(c, (int64_t)f->at);
}

static void reply_feed(struct call *c, struct feed *f)
{
    reply_map(c, 4);
    reply_str(c, "next"), reply_next(c, f);
    reply_str(c, "head"), reply_int(c, (int64_t)(f->head > f->at ? f->head : f->at));
    reply_str(c, "more"), reply_int(c, f->at < f->limit);
    reply_str(c, "events"), reply_array(c, f->maps.n);
    node_maps_reply(c, &f->maps);
}

/* The database as it is now, also for a feed that ends earlier. */
static void look_at_database(struct call *c, struct feed *f)
{
    struct db_view db;
    engine_db_at(doc_engine(c), f->db, f->head, &db);
    f->flushed = db.flushed;
    f->lineage = db.lineage;
}

static void start_over(struct feed *f)
{
    node_maps_clear(&f->maps);
    change_cursor_close(&f->log);
    buf_clear(&f->raws);
    f->n_waiting = 0;
    f->commit_first = 0;
    f->at = f->after;
}

/* Has retention dropped nodes behind the place where the gathering began? Then one that ends what an earlier one said may be missing. 1: begun anew, -1: replied,
 * 0: all is well. */
static int judge_horizon(struct call *c, struct feed *f)
{
    uint64_t oldest;
    int r = feed_horizon(c, f, &oldest);
    if (r != E_OK) {
        reply_failure(c, r);
        return -1;
    }
    if (!f->whole) {
        if (f->base >= oldest) return 0;
        (void)reply_pruned(c, f);
        return -1;
    }
    uint64_t drops = engine_drops(doc_engine(c));
    if (drops == f->drops) return 0;
    if (f->after > 0) {
        (void)reply_pruned(c, f);
        return -1;
    }
    start_over(f);
    f->drops = drops;
    return 1;
}

/* How far may be shown now; what this connection wrote belongs to it. False: not yet. */
static bool look_at_log(struct call *c, struct feed *f, int *failure)
{
    struct engine *e = doc_engine(c);
    f->head = engine_safe_seq(e);
    if (c->ks.viewing && f->head > c->ks.view_at) f->head = c->ks.view_at;
    bool own = c->in_multi || c->ks.viewing || c->ks.last_seq <= f->head || engine_failure(e) != 0;
    *failure = own ? engine_catch_up(e, f->head) : E_OK;
    if (!own) return false;
    f->limit = f->upto < f->head ? f->upto : f->head;
    if (f->limit < f->at) f->limit = f->at;
    look_at_database(c, f);
    return true;
}

enum feed_turn { FEED_REPLIED, FEED_AGAIN, FEED_ASLEEP };

static bool wants_sleep(struct call *c, const struct feed *f)
{
    return f->maps.n == 0 && f->block && !c->in_multi && !c->ks.viewing && f->limit < f->upto && !later_timed_out(c);
}

/* The next events, as far as a turn goes. Results as feed_scan. */
static int look(struct call *c, struct feed *f)
{
    if (f->slept && f->log == NULL && feed_no_news(c, f)) {
        f->at = f->limit;
        return E_END;
    }
    return f->filter == FEED_KEY ? feed_versions(c, f) : feed_scan(c, f);
}

static enum feed_turn sleep_on(struct feed *f, uint64_t seq)
{
    change_cursor_close(&f->log);
    f->sleep_seq = seq;
    f->slept = true;
    return FEED_ASLEEP;
}

static enum feed_turn feed_turn(struct call *c, struct feed *f)
{
    int r = E_OK;
    if (f->log == NULL && !look_at_log(c, f, &r)) return sleep_on(f, c->ks.last_seq - 1);
    if (r == E_OK) r = look(c, f);
    if (r == E_PRUNED) {
        (void)reply_pruned(c, f);
        return FEED_REPLIED;
    }
    if (r != E_OK && r != E_END && r != E_AGAIN) {
        reply_failure(c, r);
        return FEED_REPLIED;
    }
    int judged = judge_horizon(c, f);
    if (judged) return judged < 0 ? FEED_REPLIED : FEED_AGAIN;
    if (r == E_AGAIN) return FEED_AGAIN;
    if (r == E_END && wants_sleep(c, f)) {
        f->base = f->at; /* up to here nothing was found, and that is sure */
        if (f->at > 0) f->whole = false;
        return sleep_on(f, f->limit);
    }
    reply_feed(c, f);
    return FEED_REPLIED;
}

static bool feed_step(struct call *c, void *state)
{
    struct feed *f = state;
    enum feed_turn turn = feed_turn(c, f);
    if (turn == FEED_ASLEEP) later_sleep(c, f->sleep_seq, f->block_ms);
    return turn == FEED_REPLIED;
}

static void feed_drop(void *state)
{
    struct feed *f = state;
    change_cursor_close(&f->log);
    node_maps_fini(&f->maps);
    buf_fini(&f->raws);
    buf_fini(&f->name);
    mem_free(f);
}

void cmd_dchanges(struct call *c)
{
    struct feed *f = mem_zalloc(sizeof *f);
    enum feed_turn turn = FEED_REPLIED;
    if (parse(c, f)) {
        do {
            turn = feed_turn(c, f);
        } while (turn == FEED_AGAIN && c->in_multi);
    }
    if (turn == FEED_REPLIED) {
        feed_drop(f);
        return;
    }
    call_later(c, LATER_TURN, feed_step, feed_drop, f);
    if (turn == FEED_ASLEEP) later_sleep(c, f->sleep_seq, f->block_ms);
}
