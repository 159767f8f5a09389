/* The model test: random commands against a small oracle in this program, for strings, documents, expiry, history and restarts.
 *
 * The oracle keeps, for each key, every version with the seq at which it became true. What the server answers now, and as of any
 * remembered seq, must be what the oracle says. The server is stopped in order, or killed, every so often; nothing acknowledged may change.
 *
 *   model [--steps N] [--seed S] [--resp 2|3]      prints the seed first, so that a failure can be repeated */
#include "tests/support/server.h"
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 24
#define POINTS 400
#define VALUE_MAX 400

enum kind { ABSENT, STRING, DOCUMENT };
struct state {
    enum kind kind;
    char value[VALUE_MAX];
    long long expire_ms; /* 0 = none */
};
struct version {
    long long seq; /* state holds from here on */
    struct state s;
};
struct key {
    char name[32];
    struct state now;
    struct version *versions;
    size_t n, cap;
};
static struct key keys[KEYS];
static long long points[POINTS];
static size_t n_points;
static uint64_t rng;
static struct server server;
static redisContext *r;
static int resp = 2;
static unsigned long checks, steps_done;

static uint64_t rnd(uint64_t below)
{
    rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
    return below ? rng % below : 0;
}

_Noreturn static void fail(const char *what, const char *key, const char *want, const char *got)
{
    fprintf(stderr, "step %lu: %s, key %s\n  expected %s\n  got      %s\n", steps_done, what, key, want, got);
    server_log_tail(&server);
    printf("model: %lu passed, 1 failed\n", checks);
    server_remove(&server);
    exit(1);
}

static void expect_text(const char *what, const char *key, const char *want, const redisReply *v)
{
    checks++;
    if (want == NULL ? v->type != REDIS_REPLY_NIL : (v->str == NULL || v->type == REDIS_REPLY_ERROR || strcmp(want, v->str) != 0))
        fail(what, key, want ? want : "(nil)", v->str ? v->str : v->type == REDIS_REPLY_NIL ? "(nil)" : "another type");
}

/* ---- the oracle ---- */
static long long head_seq(void)
{
    redisReply *v = ask(r, "DHEAD");
    redisReply *size = map_get(v, "size");
    if (size == NULL) fail("DHEAD", "-", "a map", v->str ? v->str : "?");
    long long n = size->integer;
    freeReplyObject(v);
    return n;
}

static void record_at(struct key *k, long long seq)
{
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 16;
        k->versions = realloc(k->versions, k->cap * sizeof *k->versions);
        if (!k->versions) abort();
    }
    k->versions[k->n++] = (struct version){seq, k->now};
}

static void record(struct key *k) { record_at(k, head_seq()); }

static const struct state *state_at(const struct key *k, long long seq)
{
    static const struct state none = {ABSENT, "", 0};
    for (size_t i = k->n; i > 0; i--)
        if (k->versions[i - 1].seq <= seq) return &k->versions[i - 1].s;
    return &none;
}

static long long server_ms(void)
{
    redisReply *v = ask(r, "TIME");
    long long ms = strtoll(v->element[0]->str, NULL, 10) * 1000 + strtoll(v->element[1]->str, NULL, 10) / 1000;
    freeReplyObject(v);
    return ms;
}

/* The oracle's own clock moves a key to absent when its time has come. Keys near the edge are waited out by the caller. */
static void expire_due(void)
{
    long long now = server_ms();
    for (int i = 0; i < KEYS; i++)
        if (keys[i].now.kind != ABSENT && keys[i].now.expire_ms && keys[i].now.expire_ms <= now) {
            keys[i].now = (struct state){ABSENT, "", 0};
            /* The time is what ends it at past points; see check_past. */
        }
}

/* No key may expire between a question and the oracle's judgement: short expiries are waited out at once. */
static void wait_for_expiry(struct key *k)
{
    while (server_ms() <= k->now.expire_ms) continue;
    redisReply *v = ask(r, "EXISTS %s", k->name); /* the lazy way; the cycle may have been first */
    if (v->integer != 0) fail("an expired key still exists", k->name, "0", "1");
    freeReplyObject(v);
    k->now = (struct state){ABSENT, "", 0};
    record(k);
}

/* ---- checks ---- */
static void check_now(struct key *k)
{
    redisReply *v = k->now.kind == DOCUMENT ? ask(r, "DGET %s", k->name) : ask(r, "GET %s", k->name);
    expect_text("the present", k->name, k->now.kind == ABSENT ? NULL : k->now.value, v);
    freeReplyObject(v);
    v = ask(r, "TYPE %s", k->name);
    expect_text("TYPE", k->name, k->now.kind == ABSENT ? "none" : k->now.kind == STRING ? "string" : "document", v);
    freeReplyObject(v);
}

static long long time_of_point(long long seq)
{
    redisReply *v = ask(r, "DNODE seq:%lld", seq);
    redisReply *ts = map_get(v, "ts");
    long long ms = ts && ts->type == REDIS_REPLY_INTEGER ? ts->integer : -1;
    freeReplyObject(v);
    return ms;
}

static void check_past(struct key *k, long long seq)
{
    const struct state *s = state_at(k, seq);
    bool gone = s->kind == ABSENT || (s->expire_ms && s->expire_ms <= time_of_point(seq));
    redisReply *v = ask(r, "DASOF %s seq:%lld", k->name, seq);
    expect_text("the past", k->name, gone ? NULL : s->value, v);
    freeReplyObject(v);
}

static void check_history(struct key *k)
{
    redisReply *v = ask(r, "DHISTORY %s COUNT 1000 WITHDATA", k->name);
    long long before = INT64_MAX, ver = INT64_MAX;
    for (size_t i = 0; i < v->elements; i++) {
        redisReply *seq = map_get(v->element[i], "seq"), *n = map_get(v->element[i], "ver"), *data = map_get(v->element[i], "data");
        if (!seq || seq->integer >= before) fail("DHISTORY order", k->name, "falling seqs", "another");
        if (!n || (ver != INT64_MAX && n->integer != ver - 1)) fail("DHISTORY ver", k->name, "one less each row", "a gap");
        before = seq->integer;
        ver = n->integer;
        redisReply *commit = map_get(v->element[i], "commit"); /* the oracle knows a commit by its end */
        const struct state *s = state_at(k, commit->element[1]->integer);
        if (data->type == REDIS_REPLY_STRING && s->kind != ABSENT) expect_text("DHISTORY data", k->name, s->value, data);
    }
    if (v->elements && v->elements < 1000 && ver != 1) fail("DHISTORY", k->name, "down to version 1", "cut");
    freeReplyObject(v);
}

static void check_scan(void)
{
    size_t live = 0, seen = 0;
    char cursor[32] = "0";
    for (int i = 0; i < KEYS; i++) live += keys[i].now.kind != ABSENT;
    do {
        redisReply *v = ask(r, "SCAN %s COUNT 5", cursor);
        (void)snprintf(cursor, sizeof cursor, "%s", v->element[0]->str);
        seen += v->element[1]->elements;
        freeReplyObject(v);
    } while (strcmp(cursor, "0") != 0);
    checks++;
    if (seen != live) fail("SCAN", "-", "every live key once", "another number");
    if ((size_t)ask_int(r, "DBSIZE") != live) fail("DBSIZE", "-", "the live keys", "another number");
}

static void check_all(void)
{
    expire_due();
    for (int i = 0; i < KEYS; i++) check_now(&keys[i]);
    for (int i = 0; i < 6 && n_points; i++) check_past(&keys[rnd(KEYS)], points[rnd(n_points)]);
    check_history(&keys[rnd(KEYS)]);
    check_scan();
}

/* ---- operations ---- */
static void random_json(char out[VALUE_MAX])
{
    (void)snprintf(out, VALUE_MAX, "{\"n\":%" PRIu64 ",\"s\":\"%.*s\",\"a\":[%" PRIu64 ",null,true]}", rnd(1000), (int)rnd(40),
                   "the quick brown fox jumps over the lazy dog", rnd(9));
}

static void random_text(char out[VALUE_MAX])
{
    size_t n = rnd(60);
    for (size_t i = 0; i < n; i++) out[i] = (char)('a' + rnd(26));
    out[n] = 0;
}

static void op_put(struct key *k)
{
    char json[VALUE_MAX];
    random_json(json);
    redisReply *v = ask(r, "DPUT %s %s", k->name, json);
    if (k->now.kind == STRING) {
        if (v->type != REDIS_REPLY_ERROR || strncmp(v->str, "WRONGTYPE", 9) != 0) fail("DPUT on a string", k->name, "WRONGTYPE", v->str ? v->str : "?");
        freeReplyObject(v);
        return;
    }
    if (v->type != REDIS_REPLY_ARRAY || v->elements != 2) fail("DPUT", k->name, "[seq, hash]", v->str ? v->str : "?");
    freeReplyObject(v);
    k->now = (struct state){DOCUMENT, "", 0};
    memcpy(k->now.value, json, sizeof json);
    record(k);
}

static void op_ddel(struct key *k)
{
    redisReply *v = ask(r, "DDEL %s", k->name);
    checks++;
    if (k->now.kind == DOCUMENT) {
        if (v->type != REDIS_REPLY_ARRAY) fail("DDEL", k->name, "[seq, hash]", v->str ? v->str : "?");
        k->now = (struct state){ABSENT, "", 0};
        record(k);
    } else if (k->now.kind == ABSENT ? v->type != REDIS_REPLY_NIL : v->type != REDIS_REPLY_ERROR) {
        fail("DDEL", k->name, k->now.kind == ABSENT ? "nil" : "WRONGTYPE", v->str ? v->str : "?");
    }
    freeReplyObject(v);
}

static void op_set(struct key *k)
{
    char text[VALUE_MAX];
    random_text(text);
    if (!ask_ok(r, "SET %s %s", k->name, text)) fail("SET", k->name, "OK", "another");
    k->now = (struct state){STRING, "", 0};
    memcpy(k->now.value, text, sizeof text);
    record(k);
}

static void op_append(struct key *k)
{
    char text[VALUE_MAX];
    random_text(text);
    size_t n = k->now.kind == STRING ? strlen(k->now.value) : 0, more = strlen(text);
    if (n + more >= VALUE_MAX || k->now.kind == DOCUMENT) return;
    long long len = ask_int(r, "APPEND %s %s", k->name, text);
    if (len != (long long)(n + more)) fail("APPEND", k->name, "the new length", "another");
    if (k->now.kind == ABSENT) k->now = (struct state){STRING, "", 0};
    memcpy(k->now.value + n, text, more + 1);
    record(k);
}

static void op_set_range(struct key *k)
{
    if (k->now.kind != STRING || strlen(k->now.value) < 3) return;
    size_t at = rnd(strlen(k->now.value) - 1);
    (void)ask_int(r, "SETRANGE %s %d %s", k->name, (int)at, "#");
    k->now.value[at] = '#';
    record(k);
}

static void op_del(struct key *k)
{
    long long n = ask_int(r, rnd(2) ? "DEL %s" : "UNLINK %s", k->name);
    checks++;
    if (n != (k->now.kind != ABSENT)) fail("DEL", k->name, "0 or 1 as the key lives", "another");
    if (n == 0) return;
    k->now = (struct state){ABSENT, "", 0};
    record(k);
}

static void op_expire_long(struct key *k)
{
    long long at = server_ms() + 3600000 + (long long)rnd(1000);
    long long n = ask_int(r, "PEXPIREAT %s %lld", k->name, at);
    if (n != (k->now.kind != ABSENT)) fail("PEXPIREAT", k->name, "0 or 1 as the key lives", "another");
    if (n == 0) return;
    k->now.expire_ms = at;
    record(k);
    if (ask_int(r, "PEXPIRETIME %s", k->name) != at) fail("PEXPIRETIME", k->name, "the time set", "another");
}

static void op_persist(struct key *k)
{
    long long n = ask_int(r, "PERSIST %s", k->name);
    if (n != (k->now.kind != ABSENT && k->now.expire_ms != 0)) fail("PERSIST", k->name, "1 when it had an expiry", "another");
    if (n == 0) return;
    k->now.expire_ms = 0;
    record(k);
}

static void op_expire_short(struct key *k)
{
    char text[VALUE_MAX];
    if (k->now.kind == DOCUMENT) return;
    random_text(text);
    k->now = (struct state){STRING, "", server_ms() + 4};
    memcpy(k->now.value, text, sizeof text);
    record_at(k, head_seq() + 1); /* nobody else writes, and the removal may follow at once */
    if (!ask_ok(r, "SET %s %s PXAT %lld", k->name, text, k->now.expire_ms)) fail("SET PXAT", k->name, "OK", "another");
    wait_for_expiry(k);
}

static void op_rename(struct key *k)
{
    struct key *to = &keys[rnd(KEYS)];
    if (k->now.kind == ABSENT || to == k) return;
    if (!ask_ok(r, "RENAME %s %s", k->name, to->name)) fail("RENAME", k->name, "OK", "another");
    to->now = k->now;
    k->now = (struct state){ABSENT, "", 0};
    record(k);
    record(to);
}

static void op_copy(struct key *k)
{
    struct key *to = &keys[rnd(KEYS)];
    if (k->now.kind == ABSENT || to == k) return;
    if (ask_int(r, "COPY %s %s REPLACE", k->name, to->name) != 1) fail("COPY", k->name, "1", "0");
    to->now = k->now;
    record(to);
}

static void op_multi(struct key *k)
{
    struct key *other = &keys[rnd(KEYS)];
    char json[VALUE_MAX], text[VALUE_MAX];
    if (other == k || other->now.kind == STRING) return;
    random_json(json);
    random_text(text);
    freeReplyObject(ask(r, "MULTI"));
    freeReplyObject(ask(r, "SET %s %s", k->name, text));
    freeReplyObject(ask(r, "DPUT %s %s", other->name, json));
    bool discard = rnd(4) == 0;
    redisReply *v = ask(r, discard ? "DISCARD" : "EXEC");
    if (!discard) {
        if (v->type != REDIS_REPLY_ARRAY || v->elements != 2 || v->element[1]->type != REDIS_REPLY_ARRAY) fail("EXEC", k->name, "two replies", "another");
        k->now = (struct state){STRING, "", 0};
        memcpy(k->now.value, text, sizeof text);
        other->now = (struct state){DOCUMENT, "", 0};
        memcpy(other->now.value, json, sizeof json);
        record(k);
        record(other);
    }
    freeReplyObject(v);
}

static void op_flush(void)
{
    if (rnd(40)) return;
    if (!ask_ok(r, rnd(2) ? "FLUSHALL" : "FLUSHDB")) fail("FLUSH", "-", "OK", "another");
    for (int i = 0; i < KEYS; i++) {
        keys[i].now = (struct state){ABSENT, "", 0};
        record(&keys[i]);
    }
}

static void op_remember(void)
{
    long long seq = head_seq();
    if (seq == 0) return;
    points[n_points < POINTS ? n_points++ : rnd(POINTS)] = seq;
}

static void op_conditions(struct key *k)
{
    redisReply *v = ask(r, "DPUT %s {\"x\":1} IFSEQ 999999999", k->name);
    if (v->type != REDIS_REPLY_ERROR) fail("IFSEQ", k->name, "CONFLICT", "no error");
    freeReplyObject(v);
    v = ask(r, "DPUT %s {\"x\":1} %s", k->name, k->now.kind == ABSENT ? "XX" : "NX");
    if (k->now.kind != STRING && v->type != REDIS_REPLY_NIL) fail("NX or XX unmet", k->name, "nil", v->str ? v->str : "?");
    freeReplyObject(v);
    v = ask(r, "DPUT %s {broken", k->name);
    if (v->type != REDIS_REPLY_ERROR || strncmp(v->str, "BADJSON", 7) != 0) fail("bad JSON", k->name, "BADJSON", v->str ? v->str : "?");
    freeReplyObject(v);
}

static void restart(void)
{
    redisFree(r);
    if (rnd(2))
        server_stop(&server);
    else
        server_kill(&server);
    server_again(&server);
    r = server_connect(&server, resp);
}

static void step(void)
{
    struct key *k = &keys[rnd(KEYS)];
    switch (rnd(20)) {
    case 0: case 1: case 2: op_put(k); break;
    case 3: op_ddel(k); break;
    case 4: case 5: op_set(k); break;
    case 6: op_append(k); break;
    case 7: op_set_range(k); break;
    case 8: op_del(k); break;
    case 9: op_expire_long(k); break;
    case 10: op_persist(k); break;
    case 11: if (rnd(4) == 0) op_expire_short(k); break;
    case 12: op_rename(k); break;
    case 13: op_copy(k); break;
    case 14: op_multi(k); break;
    case 15: op_flush(); break;
    case 16: op_conditions(k); break;
    default: op_remember(); break;
    }
}

int main(int argc, char **argv)
{
    unsigned long steps = 6000;
    uint64_t seed = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--steps") == 0) steps = strtoul(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--resp") == 0) resp = (int)strtol(argv[i + 1], NULL, 10);
    }
    printf("model: seed %" PRIu64 ", %lu steps, RESP%d\n", seed, steps, resp);
    fflush(stdout);
    rng = seed * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < KEYS; i++) (void)snprintf(keys[i].name, sizeof keys[i].name, i % 3 ? "coll%d:key%d" : "key%d%d", i % 5, i);
    static const char *const args[] = {"--appendfsync", "everysec", NULL};
    server_start(&server, NULL, args);
    r = server_connect(&server, resp);
    for (steps_done = 0; steps_done < steps; steps_done++) {
        step();
        if (steps_done % 50 == 49) check_all();
        if (steps_done % 700 == 699) {
            restart();
            check_all();
        }
    }
    for (int i = 0; i < KEYS; i++)
        for (size_t p = 0; p < n_points; p += 7) check_past(&keys[i], points[p]);
    redisFree(r);
    server_stop(&server);
    server_remove(&server);
    for (int i = 0; i < KEYS; i++) free(keys[i].versions);
    printf("model: %lu passed, 0 failed\n", checks);
    return 0;
}
