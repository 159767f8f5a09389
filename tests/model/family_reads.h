/* What the server says of now and of any point, against the oracle. */
#ifndef VARVE_TESTS_MODEL_FAMILY_READS_H
#define VARVE_TESTS_MODEL_FAMILY_READS_H

#include "tests/model/family_doc.h"

#define TAGS 6
static struct tag {
    char name[8];
    long long seq; /* -1: not set */
} tags[TAGS];

/* A key that has run out by the time of a point is absent there; only short expiries do so while this runs, and their removal follows at once. */
static inline bool run_out(const struct version *v, long long point)
{
    if (v->expire == 0 || v->expire > started_ms + 3000000) return false;
    redisReply *m = ask(r, "DNODE seq:%lld", point);
    bool out = field(m, "ts")->integer >= v->expire;
    freeReplyObject(m);
    return out;
}

static inline const struct version *state_at(const struct key *k, long long point)
{
    const struct version *v = version_at(k, rounded(point));
    return v->kind == ABSENT || run_out(v, rounded(point)) ? &nothing : v;
}

static inline bool dropped_before(const struct key *k, long long point)
{
    for (size_t i = 0; i < k->n && k->v[i].seq <= point; i++)
        if (k->v[i].may_go) return true;
    return false;
}

/* May the server not know what a key was at a point? Only when the version that showed there was allowed to go; where there was none, when anything was. A flush hides
 * what was before it, but whether that was before it is no longer known when it is gone. */
static inline bool may_be_pruned(const struct key *k, long long point)
{
    const struct version *v = version_at(k, rounded(point));
    return v->flush ? dropped_before(k, head) : v == &nothing ? compactions > 0 : v->may_go;
}

/* The number at the end of -PRUNED; there the key must be readable, and be what it was. */
static inline void check_pruned(const struct key *k, long long point, const redisReply *v, bool allowed)
{
    if (!allowed) fail("a version that must be there still is PRUNED", version_at(k, rounded(point))->text, v->str);
    const char *n = strrchr(v->str, ' ');
    long long oldest = n ? strtoll(n, NULL, 10) : 0;
    if (oldest <= 0 || oldest > head) fail("PRUNED", "a seq of the log", v->str);
    if (k->link) return;
    long long end = places[oldest].last;
    redisReply *again = query("DASOF %s %lld", k->name, end);
    if (content_at(end) == k->db) {
        const struct version *s = state_at(k, end);
        expect_str("the oldest readable", s->kind == ABSENT ? NULL : s->text, text_of(again));
    }
    freeReplyObject(again);
}

static inline void point_text(long long seq, char out[100])
{
    const struct place *at = &places[seq];
    snprintf(out, 100, "%lld", seq);
    if (rnd(4) == 0) snprintf(out, 100, "seq:%lld", seq);
    if (rnd(4) == 0 && seq && at->key) snprintf(out, 100, "hash:%.16s", at->key->v[at->i].hash);
    if (seq == head && rnd(2)) snprintf(out, 100, "head");
    for (int i = 0; i < TAGS; i++)
        if (tags[i].seq == seq) snprintf(out, 100, "tag:%s", tags[i].name);
}

static inline struct key *any_key_at(long long seq) { return &keys[content_at(rounded(seq))][rnd(KEYS)]; }
static inline long long any_seq(void)
{
    long long at = (long long)rnd((uint64_t)head + 1);
    if (rnd(3) == 0 && tags[at % TAGS].seq >= 0) return tags[at % TAGS].seq;
    return exact(at);
}

static inline void check_past(void)
{
    char point[100];
    long long seq = any_seq();
    struct key *k = any_key_at(seq);
    point_text(seq, point);
    const struct version *s = state_at(k, seq);
    bool run = rnd(4) == 0 && s->kind != ABSENT;
    redisReply *v = run ? query("DRUN %s %s %s", point, s->kind == STRING ? "GET" : "DGET", k->name)
                    : rnd(3) == 0 && s->kind != STRING ? query("DGET %s ASOF %s", k->name, point)
                                                       : query("DASOF %s %s", k->name, point);
    if (is_error(v, "PRUNED")) check_pruned(k, seq, v, may_be_pruned(k, seq));
    else expect_str("the past", s->kind == ABSENT ? NULL : s->text, text_of(v));
    freeReplyObject(v);
}

/* At an instant of valid time, and the whole line. */
static inline const struct version *valid_state(const struct key *k, long long at, long long instant)
{
    const struct version *newest = version_at(k, at), *v = version_valid(k, at, instant);
    if (run_out(newest, at) || (newest->expired)) return &nothing;
    return v;
}

static inline void check_valid(void)
{
    long long seq = any_seq(), at = rounded(seq), instant = (long long)rnd(2 * INSTANTS);
    struct key *k = any_key_at(seq);
    const struct version *v = valid_state(k, at, instant);
    if (v->kind == STRING) return;
    redisReply *got = rnd(2) ? query("DASOF %s %lld VALIDAT %lld", k->name, seq, instant) : query("DGET %s ASOF %lld VALIDAT %lld", k->name, seq, instant);
    if (is_error(got, "PRUNED")) {
        if (!v->may_go && !dropped_before(k, at) && compactions == 0) fail("valid time is PRUNED", v->text, got->str);
    } else {
        expect_str("valid time", v->kind == ABSENT ? NULL : v->text, text_of(got));
    }
    freeReplyObject(got);
}

static inline void check_line(void)
{
    long long seq = any_seq(), at = rounded(seq), before = OPEN_FROM - 1;
    struct key *k = any_key_at(seq);
    if (version_at(k, at)->kind == STRING) return;
    redisReply *got = query("DTIMELINE %s ASOF %lld", k->name, seq);
    if (is_error(got, "PRUNED")) {
        if (!dropped_before(k, at) && compactions == 0) fail("DTIMELINE", "a line", got->str);
        freeReplyObject(got);
        return;
    }
    if (got->type == REDIS_REPLY_ERROR) fail("DTIMELINE", "a line", got->str);
    for (size_t i = 0; i < got->elements; i++) {
        const redisReply *from = field(got->element[i], "valid_from"), *to = field(got->element[i], "valid_to");
        long long begin = from->type == REDIS_REPLY_NIL ? OPEN_FROM : from->integer, end = to->type == REDIS_REPLY_NIL ? OPEN_TO : to->integer;
        if (begin < before || begin >= end) fail("DTIMELINE", "stretches in order", "another");
        if (begin == before && i && field(got->element[i - 1], "seq")->integer == field(got->element[i], "seq")->integer)
            fail("DTIMELINE", "maximal stretches", "one cut in two");
        before = end;
    }
    for (long long t = -3; t < 2 * INSTANTS; t++) {
        const struct version *v = valid_state(k, at, t);
        const char *want = v->kind == DOCUMENT ? v->text : NULL, *found = NULL;
        for (size_t i = 0; i < got->elements; i++) {
            const redisReply *from = field(got->element[i], "valid_from"), *to = field(got->element[i], "valid_to");
            if ((from->type == REDIS_REPLY_NIL || from->integer <= t) && (to->type == REDIS_REPLY_NIL || t < to->integer)) {
                found = text_of(field(got->element[i], "data"));
                expect_int("DTIMELINE seq", v->seq, field(got->element[i], "seq")->integer);
            }
        }
        expect_str("DTIMELINE", want, found);
    }
    freeReplyObject(got);
}

/* ---- all versions of a key ---- */

static inline void check_row(const redisReply *row, const struct key *k, const struct version *v)
{
    const redisReply *data = field(row, "data");
    if (v->may_go && strcmp(field(row, "state")->str, "pruned") == 0) return; /* a hole before versions that a tag or a token holds */
    check_node(row, k, v);
    bool live = v == last_of(k) && v->kind != ABSENT;
    expect_str("state", v->kind == ABSENT ? "deleted" : live ? "live" : "old", field(row, "state")->str);
    if (data->type == REDIS_REPLY_STRING || v->kind == DOCUMENT) expect_str("data", v->kind == ABSENT ? NULL : v->text, text_of(data));
}

static inline void check_history(void)
{
    struct key *k = &keys[content()][rnd(KEYS)];
    bool up = rnd(2);
    redisReply *got = query("DHISTORY %s %sCOUNT 100000 WITHDATA", k->name, up ? "REV " : "");
    last_reply = got;
    size_t i = 0, rows = got->elements;
    bool pruned = rows && strcmp(field(got->element[rows - 1], "state")->str, "pruned") == 0;
    if (pruned) rows--;
    for (size_t n = 0; n < k->n; n++) {
        const struct version *v = &k->v[up ? n : k->n - 1 - n];
        if (v->flush) continue;
        bool here = i < rows && field(got->element[i], "seq")->integer == v->seq;
        if (here) check_row(got->element[i++], k, v);
        else if (!v->may_go && getenv("FT")) fprintf(stderr, "missing seq %lld i %zu of %zu db %d, next %lld %d\n", v->seq, n, k->n, k->db, v[1].seq, v[1].kind);
        if (!here && !v->may_go) fail("a version is missing in DHISTORY", v->text, "none");
    }
    expect_int("rows of DHISTORY", (long long)i, (long long)rows);
    if (pruned && compactions == 0) fail("DHISTORY", "nothing pruned", "a row that says so");
    last_reply = NULL;
    freeReplyObject(got);
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

/* Other commands of the past: all at one point, by DRUN or in a view. */
static inline void check_view(void)
{
    long long seq = any_seq(), at = rounded(seq);
    int live = 0, db = content_at(at), coll = 0;
    bool known = true, view = rnd(2), same = content_at(at) == content();
    char point[100], mget[300] = "MGET", run[110] = "";
    for (int i = 0; i < KEYS; i++) {
        known = known && !may_be_pruned(&keys[db][i], at);
        live += state_at(&keys[db][i], at)->kind != ABSENT;
        coll += i < 7 && state_at(&keys[db][i], at)->kind == DOCUMENT;
        snprintf(mget + strlen(mget), sizeof mget - strlen(mget), " %s", keys[db][i].name);
    }
    if (!known || !same) return;
    point_text(seq, point);
    if (view) must_ok(query("DVIEW %s", point));
    else snprintf(run, sizeof run, "DRUN %s ", point);
    redisReply *v = query("%sMGET%s", run, mget + 4);
    if (is_error(v, "PRUNED") && compactions) goto out;
    if (v->type != REDIS_REPLY_ARRAY) fail("MGET of the past", "values", text_of(v) ? text_of(v) : "(nil)");
    for (int i = 0; i < KEYS; i++) {
        const struct version *s = state_at(&keys[db][i], at);
        expect_str("MGET of the past", s->kind == STRING ? s->text : NULL, text_of(v->element[i]));
    }
    freeReplyObject(v);
    v = query("%sDBSIZE", run);
    if (!is_error(v, "PRUNED") || !compactions) expect_int("DBSIZE of the past", live, v->integer);
    freeReplyObject(v);
    v = query("%sKEYS *", run);
    if (!is_error(v, "PRUNED") || !compactions) expect_int("KEYS of the past", live, (long long)v->elements);
    freeReplyObject(v);
    v = query("%sSCAN 0 COUNT 1000", run);
    if (!is_error(v, "PRUNED") || !compactions) expect_int("SCAN of the past", live, v->type == REDIS_REPLY_ARRAY ? (long long)v->element[1]->elements : -1);
    freeReplyObject(v);
    v = query("%sDCOUNT c", run);
    if (!is_error(v, "PRUNED") || !compactions) expect_int("DCOUNT of the past", coll, v->type == REDIS_REPLY_INTEGER ? v->integer : -1);
    if (view) {
        freeReplyObject(v);
        v = query("DPUT c:1 {}");
        if (!is_error(v, "READONLY")) fail("a write in a view", "READONLY", text_of(v) ? text_of(v) : "another");
    }
out:
    freeReplyObject(v);
    if (view) must_ok(query("DVIEW OFF"));
}

/* DDIFF, applied to a copy of the one, gives the other. */
static inline void check_diff(void)
{
    long long a = any_seq(), b = any_seq();
    struct key *k = &keys[content()][rnd(KEYS)];
    if (content_at(rounded(a)) != content() || content_at(rounded(b)) != content()) return;
    const struct version *x = state_at(k, a), *y = state_at(k, b);
    if (x->kind != DOCUMENT || y->kind != DOCUMENT || may_be_pruned(k, a) || may_be_pruned(k, b)) return;
    bool merge = rnd(2);
    redisReply *v = query("DDIFF %s %lld %lld %s", k->name, a, b, merge ? "MERGE" : "OPS"), *patched;
    if (v->type == REDIS_REPLY_ERROR) fail("DDIFF", "a patch", v->str);
    struct doc dx, dy;
    doc_parse(x->text, &dx), doc_parse(y->text, &dy);
    bool equal = dx.n == dy.n;
    for (int i = 0; equal && i < dx.n; i++) {
        struct member *m = doc_find(&dy, dx.m[i].name);
        equal = m && strcmp(m->value, dx.m[i].value) == 0;
    }
    if (equal != (v->type == REDIS_REPLY_NIL)) fail("DDIFF", equal ? "nil" : "a patch", text_of(v) ? text_of(v) : "(nil)");
    if (!equal) {
        char patch[TEXT * 8];
        snprintf(patch, sizeof patch, "%s", v->str);
        must_ok(query("MULTI"));
        must_ok(query("DPUT scratch %s", x->text));
        must_ok(query("DPATCH scratch %s %s", merge ? "MERGE" : "OPS", patch));
        must_ok(query("DGET scratch"));
        must_ok(query("DPUT scratch %s", y->text));
        must_ok(query("DEL scratch"));
        patched = query("EXEC");
        const redisReply *got = patched->elements > 2 ? patched->element[2] : patched;
        struct doc d = {0};
        if (text_of(got) == NULL || got->type == REDIS_REPLY_ERROR) fail("a patched document", y->text, got->str ? got->str : "(nil)");
        doc_parse(got->str, &d);
        expect_int("members of the patched document", dy.n, d.n);
        for (int i = 0; i < dy.n; i++) {
            struct member *m = doc_find(&d, dy.m[i].name);
            expect_str("a member of the patched document", dy.m[i].value, m ? m->value : NULL);
        }
        freeReplyObject(patched);
        long long size = head_seq();
        for (long long s = head + 1; s <= size; s++) *place_of(s) = (struct place){NULL, 0, head + 1, size};
        head = size;
    }
    freeReplyObject(v);
}

#endif
