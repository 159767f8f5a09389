/* What touches more than one key by itself: renames and copies, whole databases, time, reverts of many keys, restarts. */
#ifndef VARVE_TESTS_MODEL_FAMILY_WHOLE_H
#define VARVE_TESTS_MODEL_FAMILY_WHOLE_H

#include "tests/model/family_changes.h"
#include "tests/model/family_reads.h"
#include "tests/model/family_tag.h"

static inline struct version plain_copy(const struct version *v)
{
    struct version out = nothing;
    out.kind = v->kind, out.expire = v->expire, out.any_order = true;
    memcpy(out.text, v->text, sizeof out.text);
    return out;
}

static inline void do_rename(void)
{
    struct key *k = &keys[content()][rnd(KEYS)], *to = &keys[content()][rnd(KEYS)];
    struct version v = plain_copy(last_of(k)), gone = nothing;
    redisReply *got = query("RENAME %s %s", k->name, to->name);
    gone.any_order = true;
    if (!is_live(k)) {
        if (got->type != REDIS_REPLY_ERROR) fail("RENAME of nothing", "an error", "none");
    } else {
        expect_str("RENAME", "OK", text_of(got));
        if (to != k) push(k, &gone), push(to, &v);
    }
    settle();
    freeReplyObject(got);
}

static inline void do_copy(void)
{
    bool move = rnd(2), there = rnd(2);
    int target = there ? contents[1 - number] : content();
    struct key *k = &keys[content()][rnd(KEYS)], *to = &keys[target][move ? k->index : (int)rnd(KEYS)];
    struct version v = plain_copy(last_of(k)), gone = nothing;
    gone.any_order = true;
    long long want;
    if (move) {
        if (!there) return;
        want = is_live(k) && !is_live(to);
        expect_int("MOVE", want, query("MOVE %s %d", k->name, 1 - number)->integer);
        if (want) push(k, &gone);
    } else {
        if (to == k) return;
        bool replace = rnd(2);
        want = is_live(k) && (replace || !is_live(to));
        expect_int("COPY", want, query("COPY %s %s DB %d%s", k->name, to->name, there ? 1 - number : number, replace ? " REPLACE" : "")->integer);
    }
    if (want) push(to, &v);
    settle();
}

static inline void do_restore(void)
{
    struct key *k = &keys[content()][rnd(KEYS)], *to = &keys[content()][rnd(KEYS)];
    struct version v = plain_copy(last_of(k));
    v.expire = 0;
    if (!is_live(k)) return;
    redisReply *dump = query("DUMP %s", k->name);
    if (dump->type != REDIS_REPLY_STRING) fail("DUMP", "bytes", text_of(dump) ? text_of(dump) : "(nil)");
    redisReply *got = ask(r, "RESTORE %s 0 %b REPLACE", to->name, dump->str, dump->len);
    expect_str("RESTORE", "OK", text_of(got));
    last_reply = NULL;
    if (is_live(to)) last_reply = NULL;
    push(to, &v);
    settle();
    freeReplyObject(dump);
    freeReplyObject(got);
}

static inline void push_flush(int db, long long seq)
{
    struct version v = nothing;
    v.flush = true, v.seq = seq;
    places[seq].flush[db] = true;
    newest_flush[db] = seq;
    for (int i = 0; i < KEYS; i++) push(&keys[db][i], &v);
    for (int i = 0; i < KEYS * RELS * KEYS; i++) {
        struct key *l = &links[db][i / (RELS * KEYS)][i / KEYS % RELS][i % KEYS];
        if (l->n) push(l, &v);
    }
}

static inline void do_flush(void)
{
    bool all = rnd(3) == 0;
    int which = content();
    must_ok(query(all ? "FLUSHALL" : "FLUSHDB"));
    settle_other(true, "flush", NULL);
    for (int d = 0; d < DBS; d++)
        if (all || d == which) push_flush(d, head);
}

static inline void do_swap(void)
{
    if (n_swaps == SWAPS_MAX) return;
    must_ok(query("SWAPDB 0 1"));
    settle_other(true, "swap", NULL);
    int was = contents[0];
    contents[0] = contents[1], contents[1] = was;
    swaps[n_swaps++] = head;
    places[head].swap = true;
}

/* Two commits right behind each other, so that most have one time. */
static inline void do_pair(void)
{
    struct version v = nothing;
    struct key *a = &keys[content()][rnd(KEYS)], *b = &keys[content()][rnd(KEYS)];
    v.kind = DOCUMENT;
    snprintf(v.text, sizeof v.text, "{\"b\":%d}", (int)rnd(9));
    if (last_of(a)->kind == STRING || last_of(b)->kind == STRING) return;
    redisReply *one = query("DPUT %s %s", a->name, v.text), *two = query("DPUT %s %s", b->name, v.text);
    must_ok(one), must_ok(two);
    push(a, &v), push(b, &v);
    settle_as(false);
}

/* A key whose time comes soon, and is waited for. */
static inline void do_expire(void)
{
    struct key *k = &keys[content()][rnd(KEYS)];
    struct version v = nothing, gone = nothing;
    bool text = last_of(k)->kind == STRING || rnd(3) == 0;
    v.kind = text ? STRING : DOCUMENT;
    snprintf(v.text, sizeof v.text, text ? "soon" : "{\"a\":%d}", (int)rnd(4));
    v.expire = server_ms() + 25;
    redisReply *got = text ? query("SET %s %s PXAT %lld", k->name, v.text, v.expire) : query("DPUT %s %s PXAT %lld", k->name, v.text, v.expire);
    if (got->type == REDIS_REPLY_ERROR) fail("a write", "none", got->str);
    freeReplyObject(got);
    push(k, &v);
    bool late = head_seq() > head + 1; /* a slow machine: its end is in the log already */
    if (!late) settle();
    while (server_ms() <= v.expire) continue;
    expect_int("EXISTS of what has run out", 0, query("EXISTS %s", k->name)->integer);
    gone.expired = true;
    push(k, &gone);
    for (int i = 0; i < 1000 && head_seq() < head + n_pending; i++) freeReplyObject(query("EXISTS %s", k->name));
    settle_as(false);
}

/* ---- DREVERT of many ---- */

static inline bool revert_one(struct key *k, int then_db, const struct point *p, int *restored, int *deleted, bool dry)
{
    const struct key *t = k->link ? &links[then_db][k->index][k->rel][k->other] : &keys[then_db][k->index];
    const struct version *then = k->link ? version_at(t, p->seq) : state_at(t, p), *now = last_of(k);
    if (!(k->link ? readable_link(t, p->seq) : readable(t, p->seq))) return false;
    struct version v = plain_copy(then);
    bool back = then->kind != ABSENT && (then->expire == 0 || then->expire > started_ms + 3000000); /* what has run out stays away */
    if (!back && now->kind == ABSENT) return true;
    bool same = back && now->kind == then->kind && strcmp(now->text, then->text) == 0;
    if (same && now->expire == then->expire) return true;
    if (back) ++*restored;
    else ++*deleted;
    if (!back) v = nothing, v.any_order = true;
    v.meta = same;
    snprintf(v.note, sizeof v.note, same ? "" : "all");
    if (!dry) push(k, &v);
    return true;
}

static inline void do_revert_many(void)
{
    static const char *const prefixes[] = {"c:", "d:", "k", "c:1", ""};
    struct point p;
    any_point(&p);
    if (rnd(3)) seq_point(exact(head > 40 ? head - (long long)rnd(40) : head), &p);
    const char *prefix = prefixes[rnd(5)];
    int then_db = content_at(p.seq), restored = 0, deleted = 0;
    bool dry = rnd(2), good = true;
    if (then_db != content() && rnd(4)) return;
    for (int i = 0; good && i < KEYS; i++) {
        struct key *k = &keys[content()][i];
        if (strncmp(k->name, prefix, strlen(prefix)) != 0) continue;
        good = revert_one(k, then_db, &p, &restored, &deleted, dry);
        for (int j = 0; good && j < RELS * KEYS; j++) good = revert_one(&links[content()][i][j / KEYS][j % KEYS], then_db, &p, &restored, &deleted, dry);
        if (n_pending > 300) good = false;
    }
    if (!good) {
        forget_pending();
        return;
    }
    char what[32] = "ALL";
    if (prefix[0]) snprintf(what, sizeof what, "PREFIX %s", prefix);
    redisReply *v = query("DREVERT %s %s%s NOTE all", what, p.text, dry ? " DRYRUN" : "");
    last_reply = v;
    if (is_error(v, "PRUNED") && !readable_all(then_db, p.seq)) { /* it lists the whole database then, not the prefix alone */
        forget_pending();
    } else {
        if (v->type == REDIS_REPLY_ERROR) fail("DREVERT of many", "a map", v->str);
        expect_int("restored", restored, field(v, "restored")->integer);
        expect_int("deleted", deleted, field(v, "deleted")->integer);
        expect_int("changed", restored + deleted, field(v, "changed")->integer);
        if (!dry && n_pending) {
            expect_int("first_seq", head + 1, field(v, "first_seq")->integer);
            expect_int("last_seq", head + n_pending, field(v, "last_seq")->integer);
        }
    }
    settle();
    last_reply = NULL;
    freeReplyObject(v);
}

static inline void do_select(void)
{
    number = 1 - number;
    must_ok(query("SELECT %d", number));
}

static inline void do_restart(void)
{
    waiter_close();
    redisFree(r);
    if (rnd(2)) server_stop(&server);
    else server_kill(&server);
    server_again(&server);
    r = server_connect(&server, resp);
    must_ok(query("SELECT %d", number));
    expect_int("the log after a restart", head, head_seq());
    check_tags();
    check_info();
}

#endif
