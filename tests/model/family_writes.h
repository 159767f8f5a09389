/* Random writes, alone or inside MULTI: each is made as words and as the answer it must get, and what it does is pushed to the oracle at once. */
#ifndef VARVE_TESTS_MODEL_FAMILY_WRITES_H
#define VARVE_TESTS_MODEL_FAMILY_WRITES_H

#include "tests/model/family_doc.h"
#include "tests/model/family_point.h"

enum want { WANT_OK, WANT_INT, WANT_TEXT, WANT_NIL, WANT_ERROR, WANT_PAIR, WANT_SUM, WANT_PAIRS };
struct act {
    char words[2000];
    size_t n;
    enum want want;
    long long number;
    char text[TEXT]; /* of WANT_TEXT; of WANT_ERROR how it begins; of WANT_SUM the value */
    bool no_text;    /* WANT_SUM: nil */
    struct ref ref[4];
    int n_refs;
};

#define TOKENS 60
static struct token {
    char name[16];
    int db;
    struct ref ref[4];
    int n_refs;
} tokens[TOKENS];
static int n_tokens, token_number;
static bool in_multi;
static long long multi_head; /* of the log, outside the transaction */

static inline void word(struct act *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void word(struct act *a, const char *format, ...)
{
    va_list ap;
    if (a->n) a->words[a->n++] = ' ';
    va_start(ap, format);
    a->n += (size_t)vsnprintf(a->words + a->n, sizeof a->words - a->n, format, ap);
    va_end(ap);
}

static inline bool ends(struct act *a, enum want want, const char *text)
{
    a->want = want;
    snprintf(a->text, sizeof a->text, "%s", text ? text : "");
    return false;
}

static inline void answer_pair(struct act *a, struct key *k, size_t i)
{
    a->want = WANT_PAIR;
    a->ref[0] = (struct ref){k, i};
    a->n_refs = 1;
}

/* ---- options of a write ---- */

enum { CONDITIONS = 1, VALID = 2, EXPIRY = 4, IFS = 8, NEED_LIVE = 16 };

static inline void random_causes(struct act *a, struct version *v)
{
    if (rnd(4) || head < 2) return;
    v->n_causes = 1 + (int)rnd(CAUSES);
    word(a, "CAUSEDBY %d", v->n_causes);
    for (int i = 0; i < v->n_causes; i++) {
        do v->cause[i] = 1 + (long long)rnd((uint64_t)(in_multi ? multi_head : head));
        while (places[v->cause[i]].key == NULL && rnd(50));
        const struct place *at = &places[v->cause[i]];
        if (at->key && rnd(3) == 0) word(a, "hash:%s", at->key->v[at->i].hash);
        else word(a, "seq:%lld", v->cause[i]);
    }
}

static inline void random_note(struct act *a, struct version *v)
{
    if (rnd(6)) return;
    snprintf(v->note, sizeof v->note, "n%d", (int)rnd(1000));
    word(a, "NOTE %s", v->note);
}

static inline void random_interval(struct act *a, struct version *v)
{
    v->from = rnd(6) ? (long long)rnd(INSTANTS) : OPEN_FROM;
    v->to = rnd(6) ? (v->from < 0 ? 0 : v->from) + 1 + (long long)rnd(INSTANTS / 2) : OPEN_TO;
    char from[16] = "-", to[16] = "-";
    if (v->from != OPEN_FROM) snprintf(from, sizeof from, "%lld", v->from);
    if (v->to != OPEN_TO) snprintf(to, sizeof to, "%lld", v->to);
    v->partial = true;
    word(a, "VALID %s %s", from, to);
}

static inline void random_expiry(struct act *a, const struct key *k, struct version *v)
{
    long long at = started_ms + 3600000 + (long long)rnd(100000);
    switch (rnd(12)) {
    case 0: v->expire = at / 1000 * 1000, word(a, "EXAT %lld", at / 1000); break;
    case 1: v->expire = at, word(a, "PXAT %lld", at); break;
    case 2: v->expire = is_live(k) ? last_of(k)->expire : 0, word(a, "KEEPTTL"); break;
    default: break;
    }
}

/* A token, new or used before. True: it was used, so that is the answer. */
static inline bool used_token(struct act *a, struct token **mine)
{
    *mine = NULL;
    if (rnd(10)) return false;
    if (n_tokens && rnd(2)) {
        struct token *t = &tokens[rnd((uint64_t)n_tokens)];
        if (t->db == content() && t->n_refs) {
            word(a, "IDEM %s", t->name);
            memcpy(a->ref, t->ref, sizeof a->ref);
            a->n_refs = t->n_refs;
            return true;
        }
    }
    if (n_tokens == TOKENS) return false;
    *mine = &tokens[n_tokens++];
    **mine = (struct token){.db = content()};
    snprintf((*mine)->name, sizeof (*mine)->name, "t%d", token_number++);
    word(a, "IDEM %s", (*mine)->name);
    return false;
}

static inline void keep_token(struct token *t, struct key *k)
{
    if (t == NULL) return;
    k->v[k->n - 1].token = true;
    t->ref[t->n_refs++] = (struct ref){k, k->n - 1};
}

/* Conditions on what is live; false: the answer is settled. Those of one kind are judged in the order of the server: NX and XX, then IFSEQ and IFHASH. */
static inline bool conditions(struct act *a, const struct key *k, unsigned allowed)
{
    bool live = is_live(k), go = true, nil = false;
    const struct version *v = last_of(k);
    if ((allowed & CONDITIONS) && rnd(8) == 0) {
        bool nx = rnd(2);
        word(a, nx ? "NX" : "XX");
        nil = nx ? live : !live;
    }
    if ((allowed & IFS) && rnd(6) == 0 && !(in_multi && v->seq > multi_head)) {
        long long found = live ? v->seq : 0, want = rnd(3) ? found : rnd(2) ? 0 : (long long)rnd((uint64_t)head + 1);
        word(a, "IFSEQ %lld", want);
        if (want != found) {
            char text[TEXT];
            snprintf(text, sizeof text, "CONFLICT %s expected %lld found %lld", k->name, want, found);
            go = ends(a, WANT_ERROR, text);
        }
    } else if ((allowed & IFS) && rnd(8) == 0 && head && !(in_multi && v->seq > multi_head)) {
        const struct place *other = &places[1 + rnd((uint64_t)(in_multi ? multi_head : head))];
        const char *hash = live && rnd(3) ? v->hash : other->key ? other->key->v[other->i].hash : NULL;
        if (hash) {
            word(a, "IFHASH %s", hash);
            if (!live || strcmp(hash, v->hash) != 0) go = ends(a, WANT_ERROR, "CONFLICT ");
        }
    }
    return nil ? ends(a, WANT_NIL, NULL) : go;
}

static inline bool wrong_type(struct act *a, const struct key *k)
{
    if (last_of(k)->kind != STRING) return false;
    ends(a, WANT_ERROR, "WRONGTYPE");
    return true;
}

/* Everything that DPUT, DPATCH and DINCRBY share. new_text NULL: the change itself fails with `why`. */
static inline void write_doc(struct act *a, struct key *k, unsigned allowed, const char *new_text, const char *why, const char *sum)
{
    struct version v = nothing;
    struct token *mine;
    v.kind = DOCUMENT;
    snprintf(v.text, sizeof v.text, "%s", new_text ? new_text : "");
    int saved = n_tokens;
    bool go, seen = used_token(a, &mine), same = rnd(8) == 0;
    if (same) word(a, "IFCHANGED");
    go = conditions(a, k, allowed);
    if (rnd(6) == 0) random_interval(a, &v);
    random_note(a, &v);
    random_causes(a, &v);
    random_expiry(a, k, &v);
    if (seen) {
        a->want = sum ? WANT_SUM : WANT_PAIR;
        struct ref *last = &a->ref[a->n_refs - 1];
        *a->ref = *last, a->n_refs = 1;
        return;
    }
    if (wrong_type(a, k)) go = false;
    else if (go && (allowed & NEED_LIVE) && !is_live(k)) go = ends(a, WANT_NIL, NULL);
    else if (go && new_text == NULL) go = ends(a, WANT_ERROR, why);
    if (!go) {
        n_tokens = saved;
        return;
    }
    if (sum) snprintf(a->text, sizeof a->text, "%s", sum);
    if (same && is_live(k) && strcmp(last_of(k)->text, v.text) == 0) {
        n_tokens = saved;
    } else {
        push(k, &v);
        keep_token(mine, k);
    }
    answer_pair(a, k, k->n - 1);
    if (sum) a->want = WANT_SUM;
}

/* The value of the first word of a path in what a token's first use left; DINCRBY answers it again. */
static inline void again_sum(struct act *a, const struct key *k, char name)
{
    struct doc d;
    const struct version *v = &a->ref[0].key->v[a->ref[0].i];
    struct member *m = NULL;
    bool stands = v == last_of(k) && v->kind == DOCUMENT;
    if (in_multi && v->seq > multi_head && !stands) { /* only the log will have what was written with this token */
        ends(a, WANT_ERROR, "ERR this version is not in the log");
        return;
    }
    if (v->kind == DOCUMENT) doc_parse(v->text, &d), m = doc_find(&d, name);
    a->no_text = m == NULL;
    if (m) snprintf(a->text, sizeof a->text, "%s", m->value);
}

static inline void make_put(struct act *a, struct key *k)
{
    struct doc d;
    char text[TEXT];
    random_doc(&d);
    doc_print(&d, text);
    if (is_doc(k) && rnd(5) == 0) snprintf(text, sizeof text, "%s", last_of(k)->text);
    word(a, "DPUT %s %s", k->name, text);
    if (rnd(3)) {
        write_doc(a, k, CONDITIONS | VALID | EXPIRY | IFS, text, NULL, NULL);
        return;
    }
    struct version v = nothing; /* the short way */
    v.kind = DOCUMENT;
    memcpy(v.text, text, sizeof text);
    if (wrong_type(a, k)) return;
    push(k, &v);
    answer_pair(a, k, k->n - 1);
}

static inline void make_patch(struct act *a, struct key *k)
{
    struct doc d = {0};
    char patch[700], text[TEXT];
    bool good = true, merge = rnd(2);
    if (is_doc(k)) doc_parse(last_of(k)->text, &d);
    if (merge) random_merge(&d, patch);
    else good = random_ops(&d, patch, sizeof patch);
    doc_print(&d, text);
    word(a, "DPATCH %s %s %s", k->name, merge ? "MERGE" : "OPS", patch);
    write_doc(a, k, CONDITIONS | VALID | EXPIRY | IFS | NEED_LIVE, good ? text : NULL, "BADPATCH op ", NULL);
}

static inline void make_incr(struct act *a, struct key *k)
{
    struct doc d = {0};
    char text[TEXT], sum[20], name = random_name();
    int by = (int)rnd(9) - 4;
    if (is_doc(k)) doc_parse(last_of(k)->text, &d);
    struct member *m = doc_find(&d, name);
    bool good = !m || m->value[0] != '"';
    snprintf(sum, sizeof sum, "%lld", (m && good ? strtoll(m->value, NULL, 10) : 0) + by);
    if (good) doc_set(&d, name, sum);
    doc_print(&d, text);
    word(a, "DINCRBY %s %c %d", k->name, name, by);
    write_doc(a, k, CONDITIONS | VALID | EXPIRY | IFS | NEED_LIVE, good ? text : NULL, "BADPATH", sum);
    if (a->want == WANT_SUM) again_sum(a, k, name);
}

static inline void make_ddel(struct act *a, struct key *k)
{
    struct version v = nothing;
    struct token *mine;
    int saved = n_tokens;
    word(a, "DDEL %s", k->name);
    bool seen = used_token(a, &mine), go = conditions(a, k, IFS), interval = rnd(3) == 0;
    const struct version *last = last_of(k);
    bool part = !is_live(k) && !last->flush && !last->expired && last->document && last->partial;
    if (in_multi && !is_live(k)) interval = false;
    if (interval) random_interval(a, &v);
    random_note(a, &v);
    random_causes(a, &v);
    if (seen) {
        a->want = WANT_PAIR;
        a->ref[0] = a->ref[a->n_refs - 1], a->n_refs = 1;
        return;
    }
    if (wrong_type(a, k)) go = false;
    else if (go && !is_live(k) && !(interval && part)) go = ends(a, WANT_NIL, NULL);
    if (!go) {
        n_tokens = saved;
        return;
    }
    push(k, &v);
    keep_token(mine, k);
    answer_pair(a, k, k->n - 1);
}

static inline void make_mput(struct act *a)
{
    int n = 1 + (int)rnd(3);
    struct version v[4];
    struct key *k[4];
    bool wrong = false, conflict = false;
    char why[TEXT] = "";
    word(a, "DMPUT %d", n);
    for (int i = 0; i < n; i++) {
        struct doc d;
        k[i] = i && rnd(4) == 0 ? k[i - 1] : &keys[content()][rnd(KEYS)];
        random_doc(&d);
        v[i] = nothing, v[i].kind = DOCUMENT;
        doc_print(&d, v[i].text);
        long long found = is_live(k[i]) ? last_of(k[i])->seq : 0, want = found;
        for (int j = 0; j < i; j++)
            if (k[j] == k[i]) found = want = head + n_pending + 1 + j;
        if (rnd(12) == 0) want = (long long)rnd((uint64_t)head + 1);
        word(a, "%s %s", k[i]->name, v[i].text);
        if (rnd(3) == 0) {
            word(a, "*");
        } else {
            word(a, "%lld", want);
            if (want != found && !conflict) {
                conflict = true;
                snprintf(why, sizeof why, "CONFLICT %s expected %lld found %lld", k[i]->name, want, found);
            }
        }
        if (last_of(k[i])->kind == STRING) wrong = true;
    }
    struct token *mine;
    int saved = n_tokens;
    bool seen = used_token(a, &mine);
    random_note(a, &v[0]);
    random_causes(a, &v[0]);
    a->want = WANT_PAIRS;
    if (seen) return;
    if (wrong || conflict) {
        ends(a, WANT_ERROR, wrong ? "WRONGTYPE" : why);
        n_tokens = saved;
        return;
    }
    for (int i = 0; i < n; i++) {
        memcpy(v[i].note, v[0].note, sizeof v[0].note);
        memcpy(v[i].cause, v[0].cause, sizeof v[0].cause);
        v[i].n_causes = v[0].n_causes;
        push(k[i], &v[i]);
        keep_token(mine, k[i]);
        a->ref[a->n_refs++] = (struct ref){k[i], k[i]->n - 1};
    }
}

static inline void make_revert(struct act *a, struct key *k)
{
    struct point p;
    do any_point(&p);
    while (in_multi && (p.beyond || strcmp(p.text, "head") == 0 || p.ms > places[head].ts)); /* the newest point is refused once a transaction has written */
    struct key *then_key = &keys[content_at(p.seq)][k->index];
    const struct version *then = version_at(then_key, p.seq);
    if (then->expire || !readable(then_key, p.seq) || content_at(p.seq) != content()) {
        word(a, "PING x"), ends(a, WANT_TEXT, "x");
        return;
    }
    struct version v = nothing;
    v.kind = then->kind;
    memcpy(v.text, then->text, sizeof v.text);
    word(a, "DREVERT %s %s", k->name, p.text);
    bool go = conditions(a, k, CONDITIONS | IFS);
    random_note(a, &v);
    if (rnd(5) == 0) random_interval(a, &v);
    random_causes(a, &v);
    if (!go) return;
    if (v.kind == last_of(k)->kind && (v.kind == ABSENT || strcmp(v.text, last_of(k)->text) == 0)) {
        ends(a, WANT_NIL, NULL);
        return;
    }
    push(k, &v);
    answer_pair(a, k, k->n - 1);
}

/* ---- links ---- */

static inline void make_link(struct act *a, struct key *from)
{
    struct key *to = &keys[content()][rnd(KEYS)], *l = &links[content()][from->index][rnd(RELS)][to->index];
    struct version v = nothing;
    struct token *mine;
    int saved = n_tokens;
    v.kind = LINKED;
    word(a, "DLINK %s", l->name);
    if (rnd(2)) {
        snprintf(v.text, sizeof v.text, "{\"p\":%d}", (int)rnd(3));
        word(a, "PROPS %s", v.text);
    }
    if (rnd(8) == 0) random_interval(a, &v);
    bool seen = used_token(a, &mine);
    random_note(a, &v);
    random_causes(a, &v);
    if (seen) {
        a->want = WANT_PAIR;
        a->ref[0] = a->ref[a->n_refs - 1], a->n_refs = 1;
        return;
    }
    n_tokens = saved;
    const struct key *bad = is_doc(from) ? to : from;
    if (!is_doc(bad)) {
        ends(a, WANT_ERROR, is_live(bad) ? "WRONGTYPE" : "NOKEY");
        return;
    }
    n_tokens = saved + (mine != NULL);
    const struct version *old = last_of(l);
    bool same = old->partial == v.partial && old->from == v.from && old->to == v.to; /* an interval without ends is an interval */
    if (same && !in_multi && old->kind == LINKED && strcmp(old->text, v.text) == 0) {
        n_tokens = saved;
        answer_pair(a, l, l->n - 1);
        return;
    }
    push(l, &v);
    keep_token(mine, l);
    answer_pair(a, l, l->n - 1);
}

static inline void make_unlink(struct act *a, struct key *from)
{
    struct key *l = &links[content()][from->index][rnd(RELS)][rnd(KEYS)];
    struct version v = nothing;
    for (int i = 0; i < 8 && !is_live(l); i++) l = &links[content()][from->index][rnd(RELS)][rnd(KEYS)];
    word(a, "DUNLINK %s", l->name);
    a->want = WANT_INT;
    a->number = is_live(l);
    if (is_live(l)) push(l, &v);
}

/* ---- ordinary commands ---- */

static inline void make_string(struct act *a, struct key *k)
{
    struct version v = nothing, old = *last_of(k);
    char text[16];
    snprintf(text, sizeof text, "v%d", (int)rnd(500));
    v.kind = STRING;
    if (rnd(3) && old.kind == STRING && strlen(old.text) < 100) {
        word(a, "APPEND %s %s", k->name, text);
        v.expire = old.expire;
        snprintf(v.text, sizeof v.text, "%.100s%s", old.text, text);
        a->want = WANT_INT, a->number = (long long)strlen(v.text);
    } else {
        word(a, "SET %s %s", k->name, text);
        snprintf(v.text, sizeof v.text, "%s", text);
        a->want = WANT_OK;
    }
    push(k, &v);
}

static inline void make_del(struct act *a, struct key *k)
{
    word(a, "%s %s", rnd(2) ? "DEL" : "UNLINK", k->name);
    a->want = WANT_INT, a->number = is_live(k);
    if (is_live(k)) push(k, &nothing);
}

static inline void make_expire(struct act *a, struct key *k)
{
    struct version v = *last_of(k);
    long long at = started_ms + 3600000 + (long long)rnd(100000);
    bool persist = rnd(3) == 0;
    v.meta = true, v.partial = v.token = false, v.n_causes = 0, v.note[0] = 0;
    v.from = OPEN_FROM, v.to = OPEN_TO;
    a->want = WANT_INT, a->number = is_live(k);
    if (persist) {
        word(a, "PERSIST %s", k->name);
        a->number = is_live(k) && v.expire;
        v.expire = 0;
    } else {
        word(a, "PEXPIREAT %s %lld", k->name, at);
        v.expire = at;
    }
    if (a->number) push(k, &v);
}

/* A read; inside a transaction it sees what was written before. */
static inline void make_read(struct act *a, struct key *k)
{
    const struct version *v = last_of(k);
    char name = random_name();
    struct doc d;
    struct member *m = NULL;
    a->want = WANT_TEXT;
    snprintf(a->text, sizeof a->text, "%s", v->text);
    switch (rnd(4)) {
    case 0:
        word(a, "EXISTS %s", k->name);
        a->want = WANT_INT, a->number = is_live(k);
        return;
    case 1:
        word(a, "TYPE %s", k->name);
        ends(a, WANT_TEXT, v->kind == STRING ? "string" : v->kind == DOCUMENT ? "document" : "none");
        return;
    case 2:
        word(a, v->kind == STRING ? "GET %s" : "DGET %s %c", k->name, name);
        if (v->kind == DOCUMENT) {
            doc_parse(v->text, &d), m = doc_find(&d, name);
            if (m) snprintf(a->text, sizeof a->text, "%s", m->value);
            else a->want = WANT_NIL;
        }
        break;
    default: word(a, v->kind == STRING ? "GET %s" : "DGET %s", k->name); break;
    }
    if (v->kind == ABSENT) a->want = WANT_NIL;
}

static inline void make_any(struct act *a)
{
    struct key *k = &keys[content()][rnd(KEYS)];
    *a = (struct act){0};
    switch (rnd(20)) {
    case 0: case 1: case 2: case 3: make_put(a, k); break;
    case 4: case 5: case 6: make_patch(a, k); break;
    case 7: make_incr(a, k); break;
    case 8: case 9: make_ddel(a, k); break;
    case 10: make_mput(a); break;
    case 11: make_revert(a, k); break;
    case 12: case 13: make_link(a, k); break;
    case 14: make_unlink(a, k); break;
    case 15: make_string(a, rnd(3) ? &keys[content()][10 + rnd(2)] : k); break;
    case 16: make_del(a, k); break;
    case 17: make_expire(a, k); break;
    default: make_read(a, k); break;
    }
}

/* ---- answers ---- */

static inline void judge_pair(const redisReply *seq, const redisReply *hash, const struct ref *ref)
{
    const struct version *v = &ref->key->v[ref->i];
    expect_int("the seq of the reply", v->seq, seq->integer);
    expect_str("the hash of the reply", v->hash, text_of(hash));
}

/* After settle, so that seqs and hashes are known. */
static inline void judge(const struct act *a, const redisReply *v)
{
    char begin[TEXT] = "";
    switch (a->want) {
    case WANT_OK: expect_str("the reply", "OK", text_of(v)); break;
    case WANT_NIL: expect_str("the reply", NULL, v->type == REDIS_REPLY_ARRAY ? "an array" : text_of(v)); break;
    case WANT_TEXT: expect_str("the reply", a->text, text_of(v)); break;
    case WANT_INT:
        if (v->type != REDIS_REPLY_INTEGER) fail("the reply", "an integer", text_of(v));
        expect_int("the reply", a->number, v->integer);
        break;
    case WANT_ERROR:
        snprintf(begin, sizeof begin, "%.*s", (int)strlen(a->text), v->str ? v->str : "(no error)");
        expect_str("the error", a->text, v->type == REDIS_REPLY_ERROR ? begin : "no error");
        break;
    case WANT_PAIR:
        if (v->type != REDIS_REPLY_ARRAY || v->elements != 2) fail("the reply", "[seq, hash]", text_of(v) ? text_of(v) : "(nil)");
        judge_pair(v->element[0], v->element[1], &a->ref[0]);
        break;
    case WANT_SUM:
        if (v->type != REDIS_REPLY_ARRAY || v->elements != 3) fail("the reply", "[value, seq, hash]", text_of(v) ? text_of(v) : "(nil)");
        expect_str("the sum", a->no_text ? NULL : a->text, text_of(v->element[0]));
        judge_pair(v->element[1], v->element[2], &a->ref[0]);
        break;
    case WANT_PAIRS:
        if (v->type != REDIS_REPLY_ARRAY) fail("the reply", "an array", text_of(v) ? text_of(v) : "(nil)");
        expect_int("pairs", a->n_refs, (long long)v->elements);
        for (int i = 0; i < a->n_refs; i++) judge_pair(v->element[i]->element[0], v->element[i]->element[1], &a->ref[i]);
        break;
    }
}

static inline void do_one(void)
{
    struct act a;
    make_any(&a);
    redisReply *v = query("%s", a.words);
    if (v->type == REDIS_REPLY_ERROR && a.want != WANT_ERROR) fail("an error", "none", v->str);
    last_reply = v;
    settle();
    judge(&a, v);
    last_reply = NULL;
    freeReplyObject(v);
}

static inline void do_multi(void)
{
    static struct act a[6];
    int n = 1 + (int)rnd(5), saved = n_tokens;
    bool discard = rnd(5) == 0;
    char all[sizeof command] = "MULTI";
    size_t len = 5;
    must_ok(query("MULTI"));
    in_multi = true, multi_head = head;
    for (int i = 0; i < n; i++) {
        make_any(&a[i]);
        redisReply *v = query("%s", a[i].words);
        len += (size_t)snprintf(all + len, sizeof all - len, " | %.600s", a[i].words);
        expect_str("queued", "QUEUED", text_of(v));
        freeReplyObject(v);
    }
    in_multi = false;
    redisReply *v = query(discard ? "DISCARD" : "EXEC");
    memcpy(command, all, sizeof command);
    if (discard) forget_pending(), n_tokens = saved;
    last_reply = v;
    settle();
    if (!discard) {
        if (v->type != REDIS_REPLY_ARRAY) fail("EXEC", "an array", text_of(v) ? text_of(v) : "(nil)");
        expect_int("EXEC", n, (long long)v->elements);
        for (int i = 0; i < n; i++) judge(&a[i], v->element[i]);
    }
    last_reply = NULL;
    freeReplyObject(v);
}

#endif
