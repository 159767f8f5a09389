/* DCHANGES with its filters, event for event against the oracle; and a second connection that waits with BLOCK.
 *
 * Expected of FROM p: every node in (p, head] that the filter wants and that is there, in the order of the log, cut into pages of whole commits. Where something that is
 * gone was wanted, the feed is PRUNED instead, unless it begins at 0. */
#ifndef VARVE_TESTS_MODEL_FAMILY_CHANGES_H
#define VARVE_TESTS_MODEL_FAMILY_CHANGES_H

#include "tests/model/family_point.h"
#include <poll.h>

enum filter_kind { TOLD_ALL, TOLD_COLLECTION, TOLD_PREFIX, TOLD_KEY };
struct filter {
    enum filter_kind kind;
    const char *word;
    char text[60]; /* of the command, with a space before it */
};

static inline void random_filter(struct filter *f)
{
    static const char *const words[] = {"ALL", "COLL", "PREFIX", "KEY"}, *const colls[] = {"c", "d", "none"}, *const prefixes[] = {"c:", "c:1", "d", "k", "zz"};
    f->kind = (enum filter_kind)rnd(4);
    f->word = f->kind == TOLD_COLLECTION ? colls[rnd(3)] : f->kind == TOLD_PREFIX ? prefixes[rnd(5)] : rnd(12) ? keys[0][rnd(KEYS)].name : "never";
    f->text[0] = 0;
    if (f->kind != TOLD_ALL) snprintf(f->text, sizeof f->text, " %s %s", words[f->kind], f->word);
}

static inline bool in_collection(const char *name, const char *coll)
{
    size_t n = strcspn(name, ":");
    return name[n] == ':' && n == strlen(coll) && strncmp(name, coll, n) == 0;
}

/* The version that the node names as its predecessor; NULL: none. */
static inline const struct version *version_before(const struct key *k, size_t i)
{
    const struct version *v = &k->v[i];
    while (i > 0 && v->ver > 1)
        if (!k->v[--i].flush) return &k->v[i];
    return NULL;
}

/* Does the filter want the node of this seq, told to who reads content `db`? *hide: without its value. */
static inline bool wanted(const struct filter *f, int db, long long seq, bool *hide)
{
    const struct place *at = &places[seq];
    *hide = false;
    if (at->key == NULL) return at->swap || at->flush[db];
    const struct key *k = at->key;
    const char *name = keys[k->db][k->index].name; /* a link belongs to the key it starts from */
    if (k->db != db) return false;
    switch (f->kind) {
    case TOLD_ALL: return true;
    case TOLD_PREFIX: return strncmp(name, f->word, strlen(f->word)) == 0;
    case TOLD_KEY: return !k->link && strcmp(name, f->word) == 0;
    default: break;
    }
    if (!in_collection(name, f->word)) return false;
    if (k->link || k->v[at->i].document) return true;
    const struct version *before = version_before(k, at->i); /* something of another type: told when it ended a document */
    *hide = true;
    return before && (before->document || before->gone);
}

/* The oldest point from which all that the filter wants is there, from what is known when nodes are gone. */
static inline long long told_from(const struct filter *f, int db)
{
    long long from = f->kind == TOLD_COLLECTION ? horizon.document_changes : horizon.changes, own = horizon.keys;
    if (f->kind != TOLD_KEY || from == 0) return rounded_up(from);
    for (int i = 0; i < KEYS; i++) {
        const struct key *k = &keys[db][i];
        if (strcmp(k->name, f->word) != 0 || oldest_left(k) == NULL) continue;
        own = oldest_left(k)->ver <= 1 && horizon.keys == 0 ? 0 : oldest_readable(k);
    }
    return rounded_up(own < from ? own : from);
}

static long long told_head; /* the newest seq that an answer knew of */

/* The feed of a key goes on below what is gone when older versions are held, and is refused where it comes to the gap. Such a gap in (from, to], before the page of `count`
 * events is full? */
static inline bool meets_gap(const struct filter *f, int db, long long from, long long to, long long count)
{
    long long n = 0, commit = 0;
    bool met = false, hide;
    if (f->kind != TOLD_KEY) return false;
    for (long long s = 1; s <= head; s++) {
        if (!wanted(f, db, s, &hide)) continue;
        if (s <= from || s > to || (n >= count && places[s].first != commit)) continue;
        if (is_gone(s)) met = true;
        else n++, commit = places[s].first;
    }
    return met;
}

/* What PRUNED names: behind it nothing is missing. */
static inline long long good_from(const struct filter *f, int db)
{
    long long from = told_from(f, db), gap = 0;
    bool hide;
    for (long long s = 1; f->kind == TOLD_KEY && s <= head; s++)
        if (is_gone(s) && wanted(f, db, s, &hide) && !places[s].key->v[places[s].i].forgotten) gap = rounded_up(s);
    return gap > from ? gap : from;
}

static inline void check_event(const redisReply *e, long long seq, bool with_data, bool hide)
{
    const struct place *at = &places[seq];
    const redisReply *data = field(e, "data");
    expect_int("an event's seq", seq, field(e, "seq")->integer);
    if (at->key == NULL) {
        expect_str("an event of the whole database", at->swap ? "swap" : "flush", text_of(field(e, "op")));
        expect_str("its key", NULL, text_of(field(e, "key")));
        expect_str("its hash", at->hash, text_of(field(e, "hash")));
        return;
    }
    const struct version *v = &at->key->v[at->i];
    check_node(e, at->key, v);
    bool later = v == version_at(at->key, told_head) && v != last_of(at->key); /* what ended it came while it was told, or behind that */
    if (!later) expect_str("an event's state", v->kind == ABSENT ? "deleted" : v == last_of(at->key) ? "live" : "old", text_of(field(e, "state")));
    const char *text = v->kind == ABSENT || !with_data || hide || (v->kind == LINKED && !v->text[0]) ? NULL : v->text;
    expect_str("an event's data", text, text_of(data));
}

/* A page that begins behind `from` and may go as far as `to`. Returns where the next begins; *next_text is how the server calls it. */
static inline long long check_page(const redisReply *v, const struct filter *f, int db, long long from, long long to, long long count, bool with_data, char next_text[100])
{
    const redisReply *events = field(v, "events"), *next = field(v, "next");
    long long n = 0, commit = 0, s = from + 1, least = from;
    bool hide;
    told_head = field(v, "head")->integer;
    last_reply = v;
    for (; s <= to; s++) {
        if (is_gone(s) || !wanted(f, db, s, &hide)) continue;
        if (n >= count && places[s].first != commit) break;
        if (n >= (long long)events->elements) fail("DCHANGES", "another event", "no more");
        check_event(events->element[n++], s, with_data, hide);
        commit = places[s].first, least = places[s].last;
    }
    expect_int("events", n, (long long)events->elements);
    long long at = next->str ? strtoll(next->str, NULL, 10) : next->integer, most = s > to ? to : places[s].first - 1;
    if (n < count) least = to;
    if (at < least || at > most) fail("next", "a place behind what was told, before what was not", next->str ? next->str : "another");
    expect_int("more", at < to, field(v, "more")->integer);
    snprintf(next_text, 100, next->str ? "%s" : "%.0s%lld", next->str ? next->str : "", next->integer);
    last_reply = NULL;
    return at;
}

/* Who follows from here knows what stood: of a key of which something is gone that it wanted, something newer must have been told. */
static inline void check_nothing_missed(const struct filter *f, int db, long long from)
{
    bool hide, told[KEYS + 1] = {false};
    for (long long s = head; s > from; s--) {
        const struct key *k = places[s].key;
        if (!wanted(f, db, s, &hide)) continue;
        if (k == NULL) return; /* a flush or a swap: whatever was before it is over */
        if (k->link) continue;
        if (!is_gone(s)) told[k->index] = true;
        else if (!told[k->index]) fail("a feed that is said to be whole", k->name, "nothing about how it ended");
    }
    checks++;
}

static inline void expect_pruned(redisReply *v, const struct filter *f, long long oldest)
{
    char want[120];
    snprintf(want, sizeof want, "PRUNED a feed can begin at 0, or from %lld on", oldest);
    checks++;
    if (!is_error(v, want)) fail("a feed of which nodes are gone", want, text_of(v) ? text_of(v) : "events");
    freeReplyObject(v);
    v = query("DCHANGES FROM %lld%s COUNT 1", oldest, f->text);
    if (v->type == REDIS_REPLY_ERROR) fail("a feed from where it can begin", "events", v->str);
    freeReplyObject(v);
}

/* A walk from a point to the end, or to another point, some events at a time. */
static inline void check_changes(void)
{
    struct filter f;
    struct point from, to;
    char next[100], upto[120] = "";
    bool bound = rnd(3) == 0, with_data = rnd(2);
    int db = content();
    long long count = 1 + (long long)rnd(rnd(3) ? 300 : 5), at, end = head;
    random_filter(&f);
    any_point(&from), any_point(&to);
    if (rnd(4) == 0) seq_point(0, &from);
    if (rnd(4) == 0 && head > 20) seq_point(exact(head - 20), &from);
    if (bound) snprintf(upto, sizeof upto, " TO %s", to.text), end = to.seq < from.seq ? from.seq : to.seq;
    at = from.seq;
    snprintf(next, sizeof next, "%s", from.text);
    bool first = true;
    for (int pages = 0; (first || at < end) && pages < 40; pages++) {
        redisReply *v = query("DCHANGES FROM %s%s%s COUNT %lld%s%s", next, upto, f.text, count, with_data ? " WITHDATA" : "", bound && rnd(2) ? " BLOCK 1" : "");
        if (first && from.beyond) {
            expect_error("BADPOINT", v);
            return;
        }
        long long oldest = told_from(&f, db);
        bool below = first && from.seq < oldest && (from.seq > 0 || from.raw > 0);
        if (below || (from.seq > 0 && meets_gap(&f, db, at, end, count))) {
            expect_pruned(v, &f, good_from(&f, db));
            return;
        }
        if (v->type == REDIS_REPLY_ERROR) fail("DCHANGES", "events", v->str);
        expect_int("DCHANGES head", head, field(v, "head")->integer);
        at = check_page(v, &f, db, at, end, count, with_data, next);
        freeReplyObject(v);
        first = false;
    }
    if (from.seq > 0) check_nothing_missed(&f, db, from.seq);
}

/* ---- one that waits ---- */

static struct {
    redisContext *r;
    struct filter filter;
    bool waiting, with_data;
    int number, db;
    long long from, count, swaps;
} waiter;

static inline void waiter_close(void)
{
    if (waiter.r) redisFree(waiter.r);
    waiter.r = NULL;
    waiter.waiting = false;
}

static inline bool waiter_has_news(void)
{
    bool hide;
    for (long long s = waiter.from + 1; s <= head; s++)
        if (wanted(&waiter.filter, waiter.db, s, &hide)) return true;
    return false;
}

/* Nothing has come that it wants: it must be silent. */
static inline void waiter_silent(void)
{
    struct pollfd fd = {.fd = waiter.r->fd, .events = POLLIN};
    snprintf(command, sizeof command, "DCHANGES FROM %lld%s BLOCK", waiter.from, waiter.filter.text);
    if (poll(&fd, 1, 0) != 0) fail("one that waits", "silence", "an answer");
    checks++;
}

/* Told of the first commits that it wants, whole; what more there is comes with the next question. */
static inline void waiter_told(void)
{
    redisReply *v = hear(waiter.r);
    char next[100];
    long long upto;
    snprintf(command, sizeof command, "DCHANGES FROM %lld%s COUNT %lld BLOCK", waiter.from, waiter.filter.text, waiter.count);
    waiter.waiting = false;
    last_reply = v;
    if (v->type == REDIS_REPLY_ERROR) fail("one that waits", "events", v->str);
    if (field(v, "events")->elements == 0) fail("one that waits", "events", "none");
    upto = field(v, "head")->integer; /* it may have looked before the last of them came */
    if (upto > head || upto <= waiter.from || places[upto].last != upto) fail("head", "the end of a commit", "another seq");
    (void)check_page(v, &waiter.filter, waiter.db, waiter.from, upto, waiter.count, waiter.with_data, next);
    freeReplyObject(v);
    last_reply = NULL;
}

static inline void waiter_ask(const char *block)
{
    waiter.from = head;
    waiter.swaps = n_swaps;
    waiter.db = contents[waiter.number];
    waiter.count = 1 + (long long)rnd(20);
    waiter.with_data = rnd(2);
    snprintf(command, sizeof command, "DCHANGES FROM %lld%s COUNT %lld%s BLOCK %s", waiter.from, waiter.filter.text, waiter.count, waiter.with_data ? " WITHDATA" : "", block);
    ask_ahead(waiter.r, command); /* its spaces part the words */
    waiter.waiting = true;
}

/* Nobody writes: it ends by itself, not before its time, and empty. */
static inline void waiter_ends(void)
{
    long long begin = clock_ms(), ms = 1 + (long long)rnd(3);
    char text[20], next[100];
    snprintf(text, sizeof text, "%lld", ms);
    waiter_ask(text);
    redisReply *v = hear(waiter.r);
    waiter.waiting = false;
    if (v->type == REDIS_REPLY_ERROR) fail("one whose time is over", "no events", v->str);
    if (clock_ms() + 1 < begin + ms) fail("one whose time is over", "an answer when it is over", "one before");
    expect_int("head", head, field(v, "head")->integer);
    expect_int("events", 0, (long long)field(v, "events")->elements);
    (void)check_page(v, &waiter.filter, waiter.db, head, head, 1, false, next);
    freeReplyObject(v);
}

/* Between commands: looks after the one that waits, and sends it waiting again. */
static inline void check_waiter(void)
{
    if (waiter.r == NULL) waiter.r = server_connect(&server, resp), waiter.number = 0;
    if (waiter.waiting && n_swaps > waiter.swaps) { /* the number has another content now; it only has to be told so */
        redisReply *v = hear(waiter.r);
        const redisReply *events = field(v, "events");
        bool swapped = false;
        for (size_t i = 0; i < events->elements; i++) swapped |= field(events->element[i], "seq")->integer == swaps[n_swaps - 1];
        if (!swapped) fail("one that waits", "a swap", "no such event");
        waiter.waiting = false;
        freeReplyObject(v);
    } else if (waiter.waiting && waiter_has_news()) {
        waiter_told();
    } else if (waiter.waiting) {
        waiter_silent();
    }
    if (waiter.waiting || rnd(4)) return;
    random_filter(&waiter.filter);
    if (rnd(4) == 0) {
        waiter.number = (int)rnd(DBS);
        redisReply *v = ask(waiter.r, "SELECT %d", waiter.number);
        must_ok(v);
    }
    if (rnd(3) == 0) waiter_ends();
    else waiter_ask(rnd(2) ? "0" : "100000");
}

#endif
