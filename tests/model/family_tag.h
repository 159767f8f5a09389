/* Tags: names for points, in every form of DTAG, alone and in a transaction, against what was set. What a tag names stays readable (family_keep.h). */
#ifndef VARVE_TESTS_MODEL_FAMILY_TAG_H
#define VARVE_TESTS_MODEL_FAMILY_TAG_H

#include "tests/model/family_point.h"
#include <fnmatch.h>

static inline void check_tag(const redisReply *map, const struct tag *t)
{
    expect_str("a tag's name", t->name, text_of(field(map, "name")));
    expect_int("a tag's seq", t->seq, field(map, "seq")->integer);
    expect_int("when a tag was set", t->ts, field(map, "ts")->integer);
    expect_str("the hash at a tag's point", places[t->seq].hash, text_of(field(map, "hash")));
    expect_str("who set a tag", "default", text_of(field(map, "by")));
}

/* All whose name matches, in the order of their names. */
static inline void check_tag_list(const redisReply *list, const char *glob)
{
    size_t n = 0;
    if (list->type != REDIS_REPLY_ARRAY) fail("DTAG LIST", "an array", text_of(list) ? text_of(list) : "(nil)");
    for (int i = 0; i < TAGS; i++) {
        if (tags[i].seq < 0 || (glob && fnmatch(glob, tags[i].name, 0) != 0)) continue;
        if (n >= list->elements) fail("DTAG LIST", tags[i].name, "no more");
        check_tag(list->element[n++], &tags[i]);
    }
    expect_int("tags in DTAG LIST", (long long)n, (long long)list->elements);
}

static inline void check_tag_get(const redisReply *v, const struct tag *t)
{
    if (t->seq < 0) expect_str("DTAG GET", NULL, v->type == REDIS_REPLY_NIL ? NULL : "another");
    else check_tag(v, t);
}

static inline void check_tags(void)
{
    static const char *const globs[] = {"*", "t*", "t?", "[tT]*", "T9", "\\[a\\]\\**", "*0", "v/*", "none", "t1"};
    const char *glob = rnd(3) ? globs[rnd(sizeof globs / sizeof *globs)] : NULL;
    redisReply *v = glob ? query("DTAG LIST %s", glob) : query("DTAG LIST");
    check_tag_list(v, glob);
    freeReplyObject(v);
    for (int i = 0; i < TAGS; i++) {
        v = query("DTAG GET %s", tags[i].name);
        check_tag_get(v, &tags[i]);
        freeReplyObject(v);
    }
    v = query("DTAG GET nobody");
    expect_str("DTAG GET of nobody", NULL, v->type == REDIS_REPLY_NIL ? NULL : "another");
    freeReplyObject(v);
    expect_int("DTAG DEL of nobody", 0, query("DTAG DEL nobody")->integer);
}

/* What is refused leaves the tag as it was. */
static inline void refuse_tag(const struct tag *t)
{
    static const struct {
        const char *words, *code;
    } bad[] = {{"0 FORCE", "BADPOINT"}, {"time:0 FORCE", "BADPOINT"}, {"hash:zz", "BADPOINT"}, {"tag:nobody FORCE", "BADPOINT"}, {"1 2", "ERR syntax"}, {"1 FORCE 2", "ERR syntax"}};
    size_t i = rnd(sizeof bad / sizeof *bad);
    expect_error(bad[i].code, query("DTAG SET %s %s", t->name, bad[i].words));
    expect_error("ERR", query("DTAG LIST a b"));
    expect_error("ERR", query("DTAG GET"));
    settle_other(false, "tag", NULL);
}

static inline void set_tag(struct tag *t)
{
    struct point p;
    bool here = rnd(4) == 0, force = rnd(2);
    any_point(&p);
    if (rnd(2)) seq_point(head, &p);
    if (here) p.seq = head, p.text[0] = 0;
    if (p.seq == 0) return;
    redisReply *v = query("DTAG SET %s%s%s%s", t->name, here ? "" : " ", p.text, force ? " FORCE" : "");
    bool good = t->seq < 0 || force;
    if (good) expect_str("DTAG SET", "OK", text_of(v));
    else if (!is_error(v, "ERR tag ")) fail("DTAG SET", "an error", text_of(v) ? text_of(v) : "(nil)");
    freeReplyObject(v);
    settle_other(good, "tag", t->name);
    if (good) t->seq = p.seq, t->ts = places[head].ts;
}

/* Inside a transaction what stands is what stood before it. */
static inline void tags_together(struct tag *a, struct tag *b)
{
    struct other nodes[] = {{"tag", a->name}, {"untag", b->name}};
    if (a == b || head < 2) return;
    must_ok(query("MULTI"));
    must_ok(query("DTAG SET %s %lld FORCE", a->name, head));
    must_ok(query("DTAG DEL %s", b->name));
    must_ok(query("DTAG GET %s", a->name));
    must_ok(query("DTAG LIST"));
    redisReply *v = query("EXEC");
    if (v->type != REDIS_REPLY_ARRAY || v->elements != 4) fail("EXEC", "four answers", text_of(v) ? text_of(v) : "(nil)");
    expect_str("DTAG SET", "OK", text_of(v->element[0]));
    expect_int("DTAG DEL", b->seq >= 0, v->element[1]->integer);
    check_tag_get(v->element[2], a);
    check_tag_list(v->element[3], NULL);
    freeReplyObject(v);
    long long point = head;
    settle_others(b->seq >= 0 ? 2 : 1, nodes);
    a->seq = point, a->ts = places[head].ts;
    b->seq = -1;
}

static inline void do_tag(void)
{
    struct tag *t = &tags[rnd(TAGS)];
    switch (rnd(8)) {
    case 0:
        expect_int("DTAG DEL", t->seq >= 0, query("DTAG DEL %s", t->name)->integer);
        settle_other(t->seq >= 0, "untag", t->name);
        t->seq = -1;
        break;
    case 1: tags_together(t, &tags[rnd(TAGS)]); break;
    case 2: refuse_tag(t); break;
    default: set_tag(t); break;
    }
    check_tags();
}

#endif
