/* Retention: rules and compaction at random times. Afterwards `may_go` says what was allowed to be dropped; everything else must be there still. */
#ifndef VARVE_TESTS_MODEL_FAMILY_KEEP_H
#define VARVE_TESTS_MODEL_FAMILY_KEEP_H

#include "tests/model/family_reads.h"

static struct rule {
    const char *pattern, *prefix; /* every pattern here is a prefix and a star */
    int versions;                 /* 0: no limit */
    bool age;                     /* of one millisecond */
    bool set;
} rules[] = {{"*", "", 0, false, false}, {"c:*", "c:", 0, false, false}, {"d:*", "d:", 0, false, false}, {"k*", "k", 0, false, false}, {"c:1*", "c:1", 0, false, false}};
#define RULES (sizeof rules / sizeof *rules)

static inline const struct rule *rule_of(const char *name)
{
    const struct rule *best = NULL;
    for (size_t i = 0; i < RULES; i++)
        if (rules[i].set && strncmp(name, rules[i].prefix, strlen(rules[i].prefix)) == 0 && (!best || strlen(rules[i].pattern) > strlen(best->pattern)))
            best = &rules[i];
    return best;
}

static inline void do_rule(void)
{
    struct rule *rule = &rules[rnd(RULES)];
    if (rnd(3) == 0) {
        expect_int("DRETAIN DEL", rule->set, query("DRETAIN DEL %s", rule->pattern)->integer);
        settle_others(rule->set);
        rule->set = false;
    } else {
        rule->versions = rnd(4) ? 1 + (int)rnd(4) : 0;
        rule->age = rule->versions == 0 || rnd(5) == 0;
        char more[40] = "";
        if (rule->versions) snprintf(more, sizeof more, " VERSIONS %d", rule->versions);
        if (rule->age) snprintf(more + strlen(more), sizeof more - strlen(more), " AGE 1");
        redisReply *v = query("DRETAIN SET %s%s", rule->pattern, more);
        expect_str("DRETAIN SET", "OK", text_of(v));
        freeReplyObject(v);
        settle_others((int)(head_seq() - head));
        rule->set = true;
    }
    const char *name = keys[0][rnd(KEYS)].name;
    const struct rule *best = rule_of(name);
    redisReply *v = query("DRETAIN GET %s", name);
    expect_str("the rule of a key", best ? best->pattern : NULL, text_of(field(v, "pattern")));
    if (best) expect_int("VERSIONS", best->versions, field(v, "versions")->type == REDIS_REPLY_NIL ? 0 : field(v, "versions")->integer);
    freeReplyObject(v);
}

struct keep {
    int versions;     /* 0: no limit */
    long long before; /* superseded at or before it; -1: not by point */
    bool superseded;  /* whatever is */
};

/* Does version i show at a point of a tag, plainly or at some instant? */
static inline bool tagged(const struct key *k, size_t i)
{
    for (int t = 0; t < TAGS; t++) {
        if (tags[t].seq < 0 || k->v[i].seq > tags[t].seq) continue;
        if (version_at(k, tags[t].seq) == &k->v[i]) return true;
        bool hidden = false; /* behind one that is gone nobody can look */
        for (size_t j = i + 1; j < k->n && k->v[j].seq <= tags[t].seq; j++) hidden |= k->v[j].may_go;
        for (long long v = -1; v <= 2 * INSTANTS && !hidden; v++)
            if (version_valid(k, tags[t].seq, v) == &k->v[i]) return true;
    }
    return false;
}

static inline void allow(struct key *k, const struct keep *keep)
{
    for (size_t i = 0; i < k->n; i++) {
        struct version *v = &k->v[i];
        bool newest = i + 1 == k->n;
        /* Behind a version there is another, or a flush; the tombstone of a key that is no document may go by itself. */
        bool go = (keep->versions && k->n - 1 - i >= (size_t)keep->versions) || (keep->before >= 0 && !newest && k->v[i + 1].seq <= keep->before) ||
                  (keep->superseded && !newest);
        if (newest && v->kind == ABSENT && !k->link && !v->flush && (keep->versions == 1 || keep->superseded || keep->before >= 0)) go = true;
        if (go && !v->flush && !tagged(k, i)) v->may_go = true;
    }
}

static inline struct keep keep_of(const struct key *k, const struct keep *given)
{
    if (given) return *given;
    const struct rule *rule = rule_of(keys[k->db][k->index].name);
    if (rule) return (struct keep){rule->versions, -1, rule->age};
    /* Where no rule speaks, a key whose newest value is a document keeps all, another one version. */
    bool document = k->link;
    for (size_t i = k->n; i > 0 && !k->link; i--)
        if (k->v[i - 1].kind != ABSENT) {
            document = k->v[i - 1].kind == DOCUMENT;
            break;
        }
    return (struct keep){document ? 0 : 1, -1, false};
}

static inline void allow_all(const struct keep *given, const char *prefix)
{
    for (int d = 0; d < DBS; d++)
        for (int i = 0; i < KEYS; i++) {
            if (strncmp(keys[d][i].name, prefix, strlen(prefix)) != 0) continue;
            struct keep keep = keep_of(&keys[d][i], given);
            allow(&keys[d][i], &keep);
            for (int j = 0; j < RELS * KEYS; j++) {
                struct key *l = &links[d][i][j / KEYS][j % KEYS];
                keep = keep_of(l, given);
                allow(l, &keep);
            }
        }
}

static inline void do_compact(void)
{
    struct keep keep = {0, -1, false};
    static const char *const prefixes[] = {"", "c:", "k", "d:"};
    const char *prefix = prefixes[rnd(2) ? 0 : rnd(4)];
    char how[60] = "";
    int form = (int)rnd(3);
    if (form == 0) keep.versions = 1 + (int)rnd(5), snprintf(how, sizeof how, " KEEP %d", keep.versions);
    if (form == 1) keep.before = exact((long long)rnd((uint64_t)head + 1)), snprintf(how, sizeof how, " BEFORE %lld", keep.before);
    if (prefix[0]) snprintf(how + strlen(how), sizeof how - strlen(how), " PREFIX %s", prefix);
    if (form == 1) keep.before = rounded(keep.before);
    for (long long until = server_ms() + 3; server_ms() < until;) continue; /* ages count in milliseconds: none may be reached in between */
    redisReply *dry = query("DCOMPACT%s DRYRUN", how), *done = query("DCOMPACT%s", how);
    static const char *const fields[] = {"live", "dropped", "held", "bytes_before", "bytes_after", "horizon", "segments"};
    if (dry->type == REDIS_REPLY_ERROR || done->type == REDIS_REPLY_ERROR) fail("DCOMPACT", "maps", done->str ? done->str : dry->str);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) expect_int(fields[i], field(dry, fields[i])->integer, field(done, fields[i])->integer);
    freeReplyObject(dry);
    freeReplyObject(done);
    compactions++;
    if (getenv("FT")) {
        fprintf(stderr, "step %lu DCOMPACT%s head %lld", step_no, how, head);
        for (size_t i = 0; i < RULES; i++) if (rules[i].set) fprintf(stderr, " %s %d %d", rules[i].pattern, rules[i].versions, rules[i].age);
        for (int i = 0; i < TAGS; i++) fprintf(stderr, " t%lld", tags[i].seq);
        fprintf(stderr, "\n");
    }
    allow_all(form == 2 ? NULL : &keep, prefix);
    expect_int("the log after compaction", head, head_seq());
}

#endif
