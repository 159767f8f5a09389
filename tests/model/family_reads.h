/* What the server says of now and of any point, against the oracle. */
#ifndef VARVE_TESTS_MODEL_FAMILY_READS_H
#define VARVE_TESTS_MODEL_FAMILY_READS_H

#include "tests/model/family_doc.h"
#include "tests/model/family_point.h"

/* -PRUNED is right only where the oracle does not know the state from what is left; and the seq that it names is the oldest that can be read. */
static inline void check_pruned(const struct key *k, const struct point *p, const redisReply *v, bool known)
{
    if (known) fail("what must be readable is PRUNED", version_at(k, p->seq)->text, v->str);
    const char *n = strrchr(v->str, ' ');
    long long oldest = n ? strtoll(n, NULL, 10) : 0, end;
    if (oldest <= 0 || oldest > head) fail("PRUNED", "a seq of the log", v->str);
    if (k->link) return;
    expect_int("the oldest readable seq", oldest_readable(k), oldest);
    end = places[oldest].last;
    if (content_at(end) != k->db || !readable(k, end)) return;
    struct point there = {.seq = end, .ms = places[end].ts};
    const struct version *s = state_at(k, &there);
    redisReply *again = query("DASOF %s %lld", k->name, end);
    expect_str("the oldest readable", s->kind == ABSENT ? NULL : s->text, text_of(again));
    freeReplyObject(again);
}

static inline void check_past(void)
{
    struct point p;
    any_point(&p);
    struct key *k = any_key_at(&p);
    const struct version *s = state_at(k, &p);
    bool run = rnd(4) == 0 && s->kind != ABSENT;
    redisReply *v = run ? query("DRUN %s %s %s", p.text, s->kind == STRING ? "GET" : "DGET", k->name)
                    : rnd(3) == 0 && s->kind != STRING ? query("DGET %s ASOF %s", k->name, p.text)
                                                       : query("DASOF %s %s", k->name, p.text);
    if (is_error(v, "PRUNED")) check_pruned(k, &p, v, readable(k, p.seq));
    else expect_str("the past", s->kind == ABSENT ? NULL : s->text, text_of(v));
    freeReplyObject(v);
}

/* A seq inside a commit of which compaction has left nothing: nobody can tell it from the commit's end. ALLOWED are all three: PRUNED; the end of the commit before, which is
 * what it meant before the compaction; and its own seq, read as if the commit ended there. Where anything of the commit is left it means the end of the one before, and
 * is asked for like any other point (exact). */
static inline void check_lost_end(void)
{
    long long seq = 1 + (long long)rnd((uint64_t)head);
    for (int i = 0; i < 50 && !lost_its_end(seq); i++) seq = 1 + (long long)rnd((uint64_t)head);
    if (!lost_its_end(seq)) return;
    struct point before = {.seq = rounded(seq)}, own = {.seq = seq, .ms = places[seq].ts};
    before.ms = places[before.seq].ts;
    struct key *k = any_key_at(&before);
    redisReply *v = query("DASOF %s %lld", k->name, seq);
    checks++;
    if (!is_error(v, "PRUNED")) {
        const struct version *x = state_at(k, &before), *y = state_at(k, &own);
        const char *got = text_of(v), *a = x->kind == ABSENT ? NULL : x->text, *b = y->kind == ABSENT ? NULL : y->text;
        bool is_a = got && a ? strcmp(got, a) == 0 : got == a, is_b = got && b ? strcmp(got, b) == 0 : got == b;
        if (!is_a && !is_b) fail("a seq whose commit has lost its end", a ? a : "(nil)", got ? got : "(nil)");
    }
    freeReplyObject(v);
}

/* At an instant of valid time, and the whole line. */
static inline const struct version *valid_state(const struct key *k, const struct point *p, long long instant)
{
    const struct version *newest = version_at(k, p->seq), *v = version_valid(k, p->seq, instant);
    if (run_out(newest, p) || newest->expired) return &nothing;
    return v;
}

static inline bool valid_known(const struct key *k, const struct point *p, long long instant)
{
    const struct version *newest = version_at(k, p->seq);
    if (!readable(k, p->seq)) return false;
    return (run_out(newest, p) || newest->expired) || readable_valid(k, p->seq, instant);
}

static inline void check_valid(void)
{
    struct point p;
    any_point(&p);
    long long instant = (long long)rnd(2 * INSTANTS);
    struct key *k = any_key_at(&p);
    const struct version *v = valid_state(k, &p, instant);
    if (v->kind == STRING) return;
    redisReply *got = rnd(2) ? query("DASOF %s %s VALIDAT %lld", k->name, p.text, instant) : query("DGET %s ASOF %s VALIDAT %lld", k->name, p.text, instant);
    if (is_error(got, "PRUNED")) {
        if (valid_known(k, &p, instant)) fail("valid time is PRUNED", v->text, got->str);
    } else {
        expect_str("valid time", v->kind == ABSENT ? NULL : v->text, text_of(got));
    }
    freeReplyObject(got);
}

static inline bool line_known(const struct key *k, const struct point *p)
{
    for (long long t = -3; t < 2 * INSTANTS; t++)
        if (!valid_known(k, p, t)) return false;
    return valid_known(k, p, OPEN_FROM) && valid_known(k, p, OPEN_TO - 1);
}

static inline long long line_end(const redisReply *row, const char *name, long long open)
{
    const redisReply *v = field(row, name);
    return v->type == REDIS_REPLY_NIL ? open : v->integer;
}

static inline void check_stretches(const redisReply *got)
{
    long long before = OPEN_FROM - 1;
    for (size_t i = 0; i < got->elements; i++) {
        long long begin = line_end(got->element[i], "valid_from", OPEN_FROM), end = line_end(got->element[i], "valid_to", OPEN_TO);
        if (begin < before || begin >= end) fail("DTIMELINE", "stretches in order", "another");
        if (begin == before && i && field(got->element[i - 1], "seq")->integer == field(got->element[i], "seq")->integer)
            fail("DTIMELINE", "maximal stretches", "one cut in two");
        before = end;
    }
}

static inline void check_line(void)
{
    struct point p;
    any_point(&p);
    struct key *k = any_key_at(&p);
    if (version_at(k, p.seq)->kind == STRING) return;
    redisReply *got = query("DTIMELINE %s ASOF %s", k->name, p.text);
    if (is_error(got, "PRUNED")) {
        if (line_known(k, &p)) fail("DTIMELINE", "a line", got->str);
        freeReplyObject(got);
        return;
    }
    if (got->type == REDIS_REPLY_ERROR) fail("DTIMELINE", "a line", got->str);
    check_stretches(got);
    for (long long t = -3; t < 2 * INSTANTS; t++) {
        const struct version *v = valid_state(k, &p, t);
        const char *want = v->kind == DOCUMENT ? v->text : NULL, *found = NULL;
        for (size_t i = 0; i < got->elements; i++)
            if (line_end(got->element[i], "valid_from", OPEN_FROM) <= t && t < line_end(got->element[i], "valid_to", OPEN_TO)) {
                found = text_of(field(got->element[i], "data"));
                expect_int("DTIMELINE seq", v->seq, field(got->element[i], "seq")->integer);
            }
        expect_str("DTIMELINE", want, found);
    }
    freeReplyObject(got);
}

/* ---- all versions of a key ---- */

static inline void check_row(const redisReply *row, const struct key *k, const struct version *v)
{
    const redisReply *data = field(row, "data");
    if (v->gone) { /* a hole above versions that a tag or a token holds */
        expect_int("seq", v->seq, field(row, "seq")->integer);
        expect_str("hash", v->hash, text_of(field(row, "hash")));
        expect_str("state", "pruned", text_of(field(row, "state")));
        return;
    }
    check_node(row, k, v);
    bool live = v == last_of(k) && v->kind != ABSENT;
    expect_str("state", v->kind == ABSENT ? "deleted" : live ? "live" : "old", field(row, "state")->str);
    if (data->type == REDIS_REPLY_STRING || v->kind == DOCUMENT) expect_str("data", v->kind == ABSENT ? NULL : v->text, text_of(data));
}

/* All of it, or between two points; the last row says when older ones than those shown were dropped. */
static inline void check_history(void)
{
    struct key *k = &keys[content()][rnd(KEYS)];
    struct point from = {.seq = 0}, to = {.seq = head};
    bool up = rnd(2), bound = rnd(2);
    char bounds[230] = "";
    if (bound) any_point(&from), any_point(&to), snprintf(bounds, sizeof bounds, "FROM %s TO %s ", from.text, to.text);
    redisReply *got = query("DHISTORY %s %s%sCOUNT 100000 WITHDATA", k->name, bounds, up ? "REV " : "");
    last_reply = got;
    size_t i = 0;
    for (size_t n = 0; n < k->n; n++) {
        const struct version *v = &k->v[up ? n : k->n - 1 - n];
        if (v->flush || v->forgotten || v->seq < from.seq || v->seq > to.seq) continue;
        if (i >= got->elements) fail("a version is missing in DHISTORY", v->text, "none");
        check_row(got->element[i++], k, v);
    }
    const struct version *oldest = oldest_left(k);
    if (oldest && oldest->ver > 1 && from.seq < oldest->seq) {
        if (i >= got->elements) fail("DHISTORY", "a row that says that older ones were dropped", "none");
        expect_str("state", "pruned", text_of(field(got->element[i], "state")));
        expect_str("hash", NULL, text_of(field(got->element[i], "hash")));
        expect_int("the horizon in DHISTORY", oldest->seq, field(got->element[i++], "seq")->integer);
    }
    expect_int("rows of DHISTORY", (long long)i, (long long)got->elements);
    last_reply = NULL;
    freeReplyObject(got);
}

/* What DINFO says of the store and of a key. */
static inline void check_info(void)
{
    struct key *k = &keys[content()][rnd(KEYS)];
    const struct version *oldest = oldest_left(k), *newest = NULL;
    redisReply *v = query("DINFO");
    long long docs = 0, live = 0, standing = 0;
    for (int i = 0; i < DBS * KEYS; i++) docs += is_doc(&keys[i / KEYS][i % KEYS]), live += is_live(&keys[i / KEYS][i % KEYS]);
    for (int i = 0; i < DBS * KEYS * RELS * KEYS; i++) standing += is_live(&links[0][0][0][0] + i);
    expect_int("DINFO seq", head, field(v, "seq")->integer);
    expect_int("DINFO nodes", head - nodes_forgotten, field(v, "nodes")->integer);
    expect_int("DINFO docs", docs, field(v, "docs")->integer);
    expect_int("DINFO keys", live, field(v, "keys")->integer);
    expect_int("DINFO links", standing, field(v, "links")->integer);
    check_horizon(field(v, "horizon")->integer);
    freeReplyObject(v);
    for (size_t i = 0; i < k->n; i++)
        if (!k->v[i].flush && !k->v[i].forgotten) newest = &k->v[i];
    v = query("DINFO KEY %s", k->name);
    if (oldest == NULL || newest->gone) { /* nothing to tell of it is left, or a flush and compaction have taken its newest */
        if (v->type == REDIS_REPLY_ERROR && !is_error(v, "PRUNED")) fail("DINFO KEY", "nothing", v->str);
    } else {
        expect_int("DINFO KEY seq", newest->seq, field(v, "seq")->integer);
        expect_int("DINFO KEY ver", newest->ver, field(v, "ver")->integer);
        expect_str("DINFO KEY op", newest->op, text_of(field(v, "op")));
        expect_int("DINFO KEY horizon", oldest->ver <= 1 && horizon.keys == 0 ? 0 : oldest_readable(k), field(v, "horizon")->integer);
    }
    freeReplyObject(v);
}

static inline void check_now(void)
{
    int live = 0;
    for (int i = 0; i < KEYS; i++) {
        const struct key *k = &keys[content()][i];
        const struct version *v = last_of(k);
        redisReply *got = query("%s %s", v->kind == STRING ? "GET" : "DGET", k->name);
        expect_str("the present", v->kind == ABSENT ? NULL : v->text, text_of(got));
        freeReplyObject(got);
        live += v->kind != ABSENT;
        long long at = ask_int(r, "PEXPIRETIME %s", k->name);
        expect_int("PEXPIRETIME", v->kind == ABSENT ? -2 : v->expire ? v->expire : -1, at);
    }
    expect_int("DBSIZE", live, ask_int(r, "DBSIZE"));
}

static inline bool judge_count(const char *what, redisReply *v, long long want, bool known)
{
    long long n = v->type == REDIS_REPLY_INTEGER ? v->integer : v->type != REDIS_REPLY_ARRAY ? -1
                : v->elements == 2 && v->element[1]->type == REDIS_REPLY_ARRAY ? (long long)v->element[1]->elements : (long long)v->elements;
    bool pruned = is_error(v, "PRUNED");
    if (pruned && known) fail(what, "an answer", v->str);
    if (!pruned) expect_int(what, want, n);
    freeReplyObject(v);
    return !pruned;
}

/* An error stands in the place of a key that is not known any more. */
static inline void check_values(redisReply *v, int db, const struct point *p)
{
    if (v->type != REDIS_REPLY_ARRAY) fail("MGET of the past", "values", text_of(v) ? text_of(v) : "(nil)");
    for (int i = 0; i < KEYS; i++) {
        const struct version *s = state_at(&keys[db][i], p);
        if (is_error(v->element[i], "PRUNED")) check_pruned(&keys[db][i], p, v->element[i], readable(&keys[db][i], p->seq));
        else expect_str("MGET of the past", s->kind == STRING ? s->text : NULL, text_of(v->element[i]));
    }
}

/* Other commands of the past: all at one point, by DRUN or in a view. */
static inline void check_view(void)
{
    struct point p;
    any_point(&p);
    int live = 0, db = content_at(p.seq), coll = 0;
    bool known = true, coll_known = p.seq >= horizon.documents_most, view = rnd(2);
    char mget[300] = "MGET", run[110] = "";
    if (db != content()) return;
    for (int i = 0; i < KEYS; i++) {
        known &= readable(&keys[db][i], p.seq);
        coll_known &= i >= 7 || readable(&keys[db][i], p.seq);
        live += state_at(&keys[db][i], &p)->kind != ABSENT;
        coll += i < 7 && state_at(&keys[db][i], &p)->kind == DOCUMENT;
        snprintf(mget + strlen(mget), sizeof mget - strlen(mget), " %s", keys[db][i].name);
    }
    bool all_known = known && p.seq >= horizon.keys;
    if (view) must_ok(query("DVIEW %s", p.text));
    else snprintf(run, sizeof run, "DRUN %s ", p.text);
    redisReply *v = query("%sMGET%s", run, mget + 4);
    check_values(v, db, &p);
    freeReplyObject(v);
    (void)judge_count("DBSIZE of the past", query("%sDBSIZE", run), live, all_known);
    (void)judge_count("KEYS of the past", query("%sKEYS *", run), live, all_known);
    (void)judge_count("SCAN of the past", query("%sSCAN 0 COUNT 1000", run), live, all_known);
    (void)judge_count("DCOUNT of the past", query("%sDCOUNT c", run), coll, coll_known);
    if (!view) return;
    v = query("DPUT c:1 {}");
    if (!is_error(v, "READONLY")) fail("a write in a view", "READONLY", text_of(v) ? text_of(v) : "another");
    freeReplyObject(v);
    must_ok(query("DVIEW OFF"));
}

static inline bool same_members(const char *a, const char *b)
{
    struct doc dx, dy;
    doc_parse(a, &dx), doc_parse(b, &dy);
    bool equal = dx.n == dy.n;
    for (int i = 0; equal && i < dx.n; i++) {
        struct member *m = doc_find(&dy, dx.m[i].name);
        equal = m && strcmp(m->value, dx.m[i].value) == 0;
    }
    return equal;
}

/* One of the three versions that trying a patch leaves. */
static inline void push_text(struct key *k, const char *text)
{
    struct version v = nothing;
    v.kind = DOCUMENT;
    snprintf(v.text, sizeof v.text, "%s", text);
    push(k, &v);
}

/* The patch, applied in a transaction to the one, must give the other. */
static inline void try_patch(struct key *k, const char *x, const char *y, const char *how, const char *patch)
{
    must_ok(query("MULTI"));
    must_ok(query("DPUT %s %s", k->name, x));
    must_ok(query("DPATCH %s %s %s", k->name, how, patch));
    must_ok(query("DGET %s", k->name));
    must_ok(query("DPUT %s %s", k->name, y));
    redisReply *done = query("EXEC");
    const redisReply *got = done->elements > 2 ? done->element[2] : done;
    if (text_of(got) == NULL || got->type == REDIS_REPLY_ERROR) fail("a patched document", y, got->str ? got->str : "(nil)");
    if (!same_members(got->str, y)) fail("a patched document", y, got->str);
    checks++;
    push_text(k, x), push_text(k, got->str), push_text(k, y);
    settle();
    freeReplyObject(done);
}

/* DDIFF, applied to a copy of the one, gives the other. */
static inline void check_diff(void)
{
    struct point a, b;
    any_point(&a), any_point(&b);
    struct key *k = &keys[content()][rnd(KEYS)];
    if (content_at(a.seq) != content() || content_at(b.seq) != content()) return;
    const struct version *x = state_at(k, &a), *y = state_at(k, &b);
    if (x->kind != DOCUMENT || y->kind != DOCUMENT || last_of(k)->kind == STRING) return;
    bool known = readable(k, a.seq) && readable(k, b.seq);
    const char *how = rnd(2) ? "MERGE" : "OPS";
    char patch[TEXT * 8], from[TEXT], to[TEXT];
    redisReply *v = query("DDIFF %s %s %s %s", k->name, a.text, b.text, how);
    if (v->type == REDIS_REPLY_ERROR) {
        if (known || !is_error(v, "PRUNED")) fail("DDIFF", "a patch", v->str);
    } else {
        bool equal = same_members(x->text, y->text);
        if (equal != (v->type == REDIS_REPLY_NIL)) fail("DDIFF", equal ? "nil" : "a patch", text_of(v) ? text_of(v) : "(nil)");
        snprintf(from, sizeof from, "%s", x->text), snprintf(to, sizeof to, "%s", y->text); /* pushing moves them */
        snprintf(patch, sizeof patch, "%s", equal ? "" : v->str);
        if (!equal) try_patch(k, from, to, how, patch);
    }
    freeReplyObject(v);
}

#endif
