/* The oracle of the model test of the D* family: what every key and link was at every seq, and what each node has to say.
 *
 * Versions of a key stand in the order of the log. A version is pushed when the command that writes it is made, with the seq that it must get, and is settled when the
 * server has answered: then every node of the log behind the last known one is read by DNODE and has to be one of those pushed, field by field. So no node comes unasked, none
 * is missing, and what later reads show can be compared with versions whose seq, hash and cause are known.
 *
 * A flush writes one node for all keys; here it is a version of each key, without a place in the log. `gone` marks versions that compaction has dropped, `forgotten` those
 * of them that the index does not know any more either (family_keep.h). */
#ifndef VARVE_TESTS_MODEL_FAMILY_H
#define VARVE_TESTS_MODEL_FAMILY_H

#include "tests/support/server.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS      12
#define RELS      2
#define DBS       2
#define TEXT      200
#define CAUSES    3
#define OPEN_FROM (-1000000LL)
#define OPEN_TO   1000000LL
#define INSTANTS  60 /* of valid time that writes name */

enum kind { ABSENT, STRING, DOCUMENT, LINKED };
struct version {
    enum kind kind;
    char text[TEXT];
    long long expire; /* Unix ms, 0 = none */
    long long from, to;
    bool flush, meta, expired, any_order, partial, token; /* partial: written with VALID */
    bool gone, forgotten;
    char note[12];
    int n_causes;
    long long cause[CAUSES];
    /* known once settled */
    long long seq, ver, first, last, ts;
    char hash[72], op[12];
    bool document, typeless; /* what the node says; a tombstone need not say what it ended */
};
struct key {
    char name[40];
    bool link;
    int db, index, rel, other; /* a link leads from key `index` to key `other` */
    struct version *v;
    size_t n, cap;
};
struct place { /* what is known of a seq */
    struct key *key; /* NULL: a node without a key */
    size_t i;
    long long first, last, ts;
    char hash[72];
    bool swap, flush[DBS]; /* a swap; contents that a flush ended */
};
struct ref {
    struct key *key;
    size_t i;
};

static struct key keys[DBS][KEYS], links[DBS][KEYS][RELS][KEYS];
static const char *const rels[RELS] = {"of", "to"};
static struct place *places;
static size_t places_cap;
static long long head;
static struct ref pending[400];
static int n_pending;
static long long started_ms;
static int number, contents[DBS] = {0, 1}; /* the number selected; which content a number names */
#define SWAPS_MAX 400
static long long swaps[SWAPS_MAX];
static int n_swaps;
static uint64_t rng;
static struct server server;
static redisContext *r;
static int resp = 2;
static unsigned long checks, step_no;
static char command[4000];

static inline uint64_t rnd(uint64_t below)
{
    rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
    return below ? rng % below : 0;
}

static const redisReply *last_reply; /* shown when something fails while it is judged */

static void show(const redisReply *v, int depth)
{
    if (v->type == REDIS_REPLY_INTEGER) fprintf(stderr, " %lld", v->integer);
    else if (v->str) fprintf(stderr, " %.100s", v->str);
    else if (v->type == REDIS_REPLY_NIL) fprintf(stderr, " (nil)");
    if (v->elements && depth < 4) {
        fprintf(stderr, " [");
        for (size_t i = 0; i < v->elements && i < 40; i++) show(v->element[i], depth + 1);
        fprintf(stderr, " ]");
    }
}

/* With FT in the environment: what the oracle has of the keys that are named in a text. */
static void show_keys(const char *text)
{
    for (int i = 0; getenv("FT") && i < DBS * KEYS; i++) {
        const struct key *k = &keys[i / KEYS][i % KEYS];
        if (strstr(text, k->name) == NULL) continue;
        fprintf(stderr, "  %s of content %d, number %d:", k->name, k->db, contents[0] == k->db ? 0 : 1);
        for (size_t j = 0; j < k->n; j++) {
            const struct version *v = &k->v[j];
            fprintf(stderr, " %lld %s %lld..%lld%s%s%s", v->seq, v->flush ? "flush" : v->op, v->from, v->to, v->gone ? " gone" : "", v->forgotten ? " forgotten" : "", j + 1 < k->n ? "," : "\n");
        }
    }
}

_Noreturn static void fail(const char *what, const char *want, const char *got)
{
    fprintf(stderr, "step %lu: %s\n  asked    %s\n  expected %s\n  got      %s\n", step_no, what, command, want, got);
    if (last_reply) fprintf(stderr, "  answered"), show(last_reply, 0), fprintf(stderr, "\n");
    show_keys(got), show_keys(command);
    server_log_tail(&server);
    printf("family: %lu passed, 1 failed\n", checks);
    if (getenv("FAMILY_KEEP") == NULL) server_remove(&server);
    exit(1);
}

static inline void expect_int(const char *what, long long want, long long got)
{
    char w[32], g[32];
    checks++;
    if (want == got) return;
    snprintf(w, sizeof w, "%lld", want);
    snprintf(g, sizeof g, "%lld", got);
    fail(what, w, g);
}

static inline void expect_str(const char *what, const char *want, const char *got)
{
    checks++;
    if (want == got || (want && got && strcmp(want, got) == 0)) return;
    fail(what, want ? want : "(nil)", got ? got : "(nil)");
}

static inline redisReply *query(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Words are separated by single spaces; none contains one. */
static inline redisReply *query(const char *format, ...)
{
    char text[4000], *word[40], *rest = text;
    int n = 0;
    va_list ap;
    va_start(ap, format);
    vsnprintf(command, sizeof command, format, ap);
    va_end(ap);
    snprintf(text, sizeof text, "%s", command);
    while (n < 40 && (word[n] = strsep(&rest, " "))) n++;
    const char *many = "%s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s";
    for (int i = n; i < 40; i++) word[i] = text;
    return ask(r, many + (40 - n) * 3, word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7], word[8], word[9], word[10], word[11], word[12], word[13],
               word[14], word[15], word[16], word[17], word[18], word[19], word[20], word[21], word[22], word[23], word[24], word[25], word[26], word[27], word[28], word[29],
               word[30], word[31], word[32], word[33], word[34], word[35], word[36], word[37], word[38], word[39]);
}

static inline const char *text_of(const redisReply *v)
{
    return v == NULL ? "(no such field)" : v->type == REDIS_REPLY_NIL ? NULL : v->str ? v->str : "(another type)";
}

static inline bool is_error(const redisReply *v, const char *code)
{
    return v->type == REDIS_REPLY_ERROR && strncmp(v->str, code, strlen(code)) == 0;
}

static inline void expect_error(const char *code, redisReply *v)
{
    checks++;
    if (!is_error(v, code)) fail("what must be refused", code, text_of(v) ? text_of(v) : "(nil)");
    freeReplyObject(v);
}

static inline void must_ok(redisReply *v)
{
    if (v->type == REDIS_REPLY_ERROR) fail("an error", "none", v->str);
    freeReplyObject(v);
}

static inline long long server_ms(void)
{
    redisReply *v = ask(r, "TIME");
    long long ms = strtoll(v->element[0]->str, NULL, 10) * 1000 + strtoll(v->element[1]->str, NULL, 10) / 1000;
    freeReplyObject(v);
    return ms;
}

static inline long long head_seq(void)
{
    redisReply *v = ask(r, "DHEAD");
    redisReply *size = map_get(v, "size");
    if (size == NULL) fail("DHEAD", "a map", v->str ? v->str : "?");
    long long n = size->integer;
    freeReplyObject(v);
    return n;
}

/* ---- versions ---- */

static inline int content(void) { return contents[number]; }
/* What the number selected named at a point: each swap exchanges the two. */
static inline int content_at(long long seq)
{
    int later = 0;
    for (int i = 0; i < n_swaps; i++) later += swaps[i] > seq;
    return later % 2 ? contents[1 - number] : contents[number];
}

static const struct version nothing = {.kind = ABSENT, .from = OPEN_FROM, .to = OPEN_TO};

static inline const struct version *last_of(const struct key *k) { return k->n ? &k->v[k->n - 1] : &nothing; }
static inline bool is_live(const struct key *k) { return last_of(k)->kind != ABSENT; }
static inline bool is_doc(const struct key *k) { return last_of(k)->kind == DOCUMENT; }

static inline const struct version *version_at(const struct key *k, long long seq)
{
    for (size_t i = k->n; i > 0; i--)
        if (k->v[i - 1].seq <= seq) return &k->v[i - 1];
    return &nothing;
}

/* A point inside a commit is the end of the one before. */
static inline long long rounded(long long seq)
{
    if (seq > head) return head;
    return seq > 0 && places[seq].last > seq ? places[seq].first - 1 : seq;
}

static inline bool is_gone(long long seq) { return places[seq].key && places[seq].key->v[places[seq].i].gone; }

/* Is anything of its commit left? Then the server knows that from end to end. */
static inline bool commit_is_left(long long seq)
{
    for (long long s = places[seq].first; s <= places[seq].last; s++)
        if (!is_gone(s)) return true;
    return false;
}

static inline bool lost_its_end(long long seq) { return seq > 0 && places[seq].last > seq && !commit_is_left(seq); }
/* The first point at which what happened at a seq shows. */
static inline long long rounded_up(long long seq) { return seq > 0 && commit_is_left(seq) ? places[seq].last : seq; }

static inline long long exact(long long seq) { return lost_its_end(seq) ? rounded(seq) : seq; }

static inline bool holds(const struct version *v, long long instant) { return v->flush || (v->from <= instant && instant < v->to); }

/* At a point and an instant of valid time. */
static inline const struct version *version_valid(const struct key *k, long long seq, long long instant)
{
    for (size_t i = k->n; i > 0; i--) {
        const struct version *v = &k->v[i - 1];
        if (v->seq <= seq && !v->meta && holds(v, instant)) return v;
    }
    return &nothing;
}

static inline struct version *push(struct key *k, const struct version *v)
{
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 16;
        k->v = realloc(k->v, k->cap * sizeof *k->v);
        if (!k->v) abort();
    }
    struct version *out = &k->v[k->n++];
    *out = *v;
    if (!v->flush) {
        if (n_pending == 400) abort();
        pending[n_pending++] = (struct ref){k, k->n - 1};
        out->seq = head + n_pending;
        out->ver = 0;
    }
    return out;
}

static inline void forget_pending(void)
{
    while (n_pending > 0) pending[--n_pending].key->n--;
}

/* ---- nodes of the log ---- */

static inline struct place *place_of(long long seq)
{
    if ((size_t)seq >= places_cap) {
        size_t cap = places_cap ? places_cap * 2 : 4096;
        places = realloc(places, cap * sizeof *places);
        if (!places) abort();
        memset(places + places_cap, 0, (cap - places_cap) * sizeof *places);
        places_cap = cap;
    }
    return &places[seq];
}

static inline const char *op_of(const struct key *k, const struct version *v)
{
    if (k->link) return v->kind == LINKED ? "link" : "unlink";
    return v->expired ? "expire" : v->kind == ABSENT ? "delete" : v->meta ? "meta" : "put";
}

static inline bool op_fits(const struct key *k, const struct version *v, const char *op)
{
    if (v->kind == STRING) return strcmp(op, "put") == 0 || strcmp(op, "effect") == 0 || strcmp(op, "meta") == 0;
    return strcmp(op, op_of(k, v)) == 0;
}

static inline const redisReply *field(const redisReply *map, const char *name)
{
    const redisReply *v = map_get(map, name);
    if (v == NULL) fail("a node map", name, map->str ? map->str : "(no such field)");
    return v;
}

static inline void check_interval(const redisReply *map, const struct version *v)
{
    const redisReply *from = field(map, "valid_from"), *to = field(map, "valid_to");
    expect_int("valid_from", v->from, from->type == REDIS_REPLY_NIL ? OPEN_FROM : from->integer);
    expect_int("valid_to", v->to, to->type == REDIS_REPLY_NIL ? OPEN_TO : to->integer);
}

/* Everything that a node map says of a settled version, but data and state. */
static inline void check_node(const redisReply *map, const struct key *k, const struct version *v)
{
    expect_str("key", k->name, text_of(field(map, "key")));
    expect_int("seq", v->seq, field(map, "seq")->integer);
    expect_int("ver", v->ver, field(map, "ver")->integer);
    expect_str("hash", v->hash, text_of(field(map, "hash")));
    expect_int("ts", v->ts, field(map, "ts")->integer);
    if (!op_fits(k, v, field(map, "op")->str)) fail("op", op_of(k, v), field(map, "op")->str);
    expect_str("note", v->note[0] ? v->note : NULL, text_of(field(map, "note")));
    check_interval(map, v);
    const redisReply *causes = field(map, "caused_by");
    expect_int("caused_by", v->n_causes, (long long)causes->elements);
    for (int i = 0; i < v->n_causes; i++) {
        const struct place *at = &places[v->cause[i]];
        expect_int("a cause's seq", v->cause[i], causes->element[i]->element[0]->integer);
        if (at->key) expect_str("a cause's hash", at->key->v[at->i].hash, causes->element[i]->element[1]->str);
    }
    expect_int("commit begins", v->first, field(map, "commit")->element[0]->integer);
    expect_int("commit ends", v->last, field(map, "commit")->element[1]->integer);
}

static inline struct ref *pending_for(const redisReply *map)
{
    const char *name = text_of(field(map, "key")), *op = field(map, "op")->str;
    for (int i = 0; i < n_pending; i++) {
        struct key *k = pending[i].key;
        struct version *v = &k->v[pending[i].i];
        if (v->ver == 0 && name && strcmp(k->name, name) == 0 && op_fits(k, v, op)) return &pending[i];
    }
    char said[80];
    snprintf(said, sizeof said, "%s %s", op, name ? name : "(nil)");
    fail("a node that nobody wrote", "one of those pushed", said);
}

/* What every node has, those without a key too. */
static inline struct place *settle_place(const redisReply *map, long long first, long long last)
{
    struct place *at = place_of(field(map, "seq")->integer);
    *at = (struct place){.first = first, .last = last, .ts = field(map, "ts")->integer};
    snprintf(at->hash, sizeof at->hash, "%s", field(map, "hash")->str);
    return at;
}

static inline void settle_node(long long seq, long long first, long long end)
{
    redisReply *map = query("DNODE seq:%lld", seq);
    struct ref *p = pending_for(map);
    struct version *v = &p->key->v[p->i];
    const struct version *before = NULL;
    for (size_t i = p->i; i > 0 && before == NULL; i--)
        if (!p->key->v[i - 1].flush) before = &p->key->v[i - 1];
    if (before && before->forgotten) before = NULL; /* nothing is left */
    if (!v->any_order) expect_int("the seq of a node", v->seq, seq);
    v->seq = seq;
    v->ver = before ? before->ver + 1 : 1;
    v->first = first, v->last = end;
    v->ts = field(map, "ts")->integer;
    snprintf(v->hash, sizeof v->hash, "%s", field(map, "hash")->str);
    snprintf(v->op, sizeof v->op, "%s", field(map, "op")->str);
    const char *type = text_of(field(map, "type"));
    v->document = type && strcmp(type, "document") == 0, v->typeless = type == NULL;
    if ((v->kind == DOCUMENT) != (v->document && v->kind != ABSENT)) fail("type", op_of(p->key, v), type ? type : "(nil)");
    const redisReply *prev = field(map, "prev");
    if (!before ? prev->type != REDIS_REPLY_NIL : prev->integer != before->seq) fail("prev", before ? "the version before" : "nil", "another");
    struct place *at = settle_place(map, first, end);
    at->key = p->key, at->i = p->i;
    check_node(map, p->key, v);
    freeReplyObject(map);
}

/* All that has been pushed must be in the log now, as one commit or each node as its own, and nothing else. */
static inline void settle_as(bool together)
{
    char asked[sizeof command];
    memcpy(asked, command, sizeof asked);
    long long size = head_seq();
    expect_int("the number of nodes written", n_pending, size - head);
    for (long long s = head + 1; s <= size; s++) settle_node(s, together ? head + 1 : s, together ? size : s);
    head = size;
    n_pending = 0;
    memcpy(command, asked, sizeof asked);
}

static inline void settle(void) { settle_as(true); }

struct other {
    const char *op, *name; /* of a tag, a rule; NULL: of the whole database */
};

/* After a command whose n nodes are of no key or link, one commit. */
static inline void settle_others(int n, const struct other *nodes)
{
    char asked[sizeof command];
    memcpy(asked, command, sizeof asked);
    long long size = head_seq();
    expect_int("the number of nodes written", n, size - head);
    for (long long s = head + 1; s <= size; s++) {
        redisReply *map = query("DNODE seq:%lld", s);
        expect_str("op", nodes[s - head - 1].op, text_of(field(map, "op")));
        expect_str("key", nodes[s - head - 1].name, text_of(field(map, "key")));
        expect_int("commit begins", head + 1, field(map, "commit")->element[0]->integer);
        expect_int("commit ends", size, field(map, "commit")->element[1]->integer);
        (void)settle_place(map, head + 1, size);
        freeReplyObject(map);
    }
    head = size;
    memcpy(command, asked, sizeof asked);
}

static inline void settle_other(bool written, const char *op, const char *name) { settle_others(written, &(struct other){op, name}); }

static inline void oracle_init(void)
{
    for (int d = 0; d < DBS; d++)
        for (int i = 0; i < KEYS; i++) {
            struct key *k = &keys[d][i];
            k->db = d, k->index = i;
            snprintf(k->name, sizeof k->name, i < 7 ? "c:%d" : i < 10 ? "d:%d" : "k%d", i);
        }
    for (int d = 0; d < DBS; d++)
        for (int i = 0; i < KEYS * RELS * KEYS; i++) {
            int from = i / (RELS * KEYS), rel = i / KEYS % RELS, to = i % KEYS;
            struct key *k = &links[d][from][rel][to];
            k->db = d, k->index = from, k->rel = rel, k->other = to, k->link = true;
            snprintf(k->name, sizeof k->name, "%.10s %s %.10s", keys[d][from].name, rels[rel], keys[d][to].name);
        }
    *place_of(0) = (struct place){0};
}

#endif
