/* Retention: rules and compaction at random times. What goes is computed here from what the manual promises, and has to be what the server counts; from then on all else
 * must be there, and nothing of what went. */
#ifndef VARVE_TESTS_MODEL_FAMILY_KEEP_H
#define VARVE_TESTS_MODEL_FAMILY_KEEP_H

#include "tests/model/family_tag.h"

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
        settle_other(rule->set, "unretain", rule->pattern);
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
        settle_other(true, "retain", rule->pattern);
        rule->set = true;
    }
    const char *name = keys[0][rnd(KEYS)].name;
    const struct rule *best = rule_of(name);
    redisReply *v = query("DRETAIN GET %s", name);
    expect_str("the rule of a key", best ? best->pattern : NULL, text_of(field(v, "pattern")));
    if (best) expect_int("VERSIONS", best->versions, field(v, "versions")->type == REDIS_REPLY_NIL ? 0 : field(v, "versions")->integer);
    freeReplyObject(v);
}

/* How far a key may be cut. A version goes when `versions` newer ones of its key are there, or when it was superseded at or before `before`. */
struct keep {
    long long versions; /* 0: not for that */
    long long before;   /* 0: not for that */
};

static long long dropped, held;

/* Of a key that ever was a document: as far as the index remembers. */
static inline bool ever_document(const struct key *k)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->v[i].document && !k->v[i].forgotten) return true;
    return false;
}

static inline struct keep keep_of(const struct key *k, const struct keep *given)
{
    if (given) return *given;
    const struct rule *rule = rule_of(keys[k->db][k->index].name);
    if (rule) return (struct keep){rule->versions, rule->age ? head : 0}; /* every commit is older than such an age */
    return (struct keep){k->link || ever_document(k) ? 0 : 1, 0};         /* the default: documents and links keep all */
}

/* Does a tag stand on a point in [from, before)? */
static inline bool pinned(long long from, long long before)
{
    for (int t = 0; t < TAGS; t++)
        if (tags[t].seq >= from && tags[t].seq < before) return true;
    return false;
}

static inline bool tombstone(const struct version *v) { return v->kind == ABSENT; }
static inline bool stands_alone(const struct version *v) { return strcmp(v->op, "effect") != 0 && strcmp(v->op, "meta") != 0; }

static inline void drop(struct key *k, struct version *v, bool document)
{
    v->gone = true;
    dropped++, nodes_gone++;
    if (v->seq > horizon.changes) horizon.changes = v->seq;
    if (document && v->seq > horizon.document_changes) horizon.document_changes = v->seq;
}

/* Nothing that could say what the key was before seq will be left. */
static inline void raise_horizon(const struct key *k, long long seq, bool document, bool ever)
{
    if (seq > horizon.keys) horizon.keys = seq;
    if (document && seq > horizon.documents) horizon.documents = seq;
    if ((document || ever) && seq > horizon.documents_most) horizon.documents_most = seq;
}

/* What the newest version that says so calls the key. */
static inline bool called_document(struct version *const *v, int n)
{
    for (int i = 0; i < n; i++)
        if (!v[i]->typeless) return v[i]->document;
    return false;
}

/* v: newest first. How many stay; *superseded: when the newest was, LLONG_MAX: it is not. */
static inline int judge_versions(struct key *k, struct version **v, int n, const struct keep *keep, long long *superseded)
{
    long long flush = newest_flush[k->db], newer = INT64_MAX, rank = 0;
    bool chain = false, chain_held = false, shows = false, counted = false;
    int stay = 0;
    bool document = k->link || called_document(v, n);
    for (int i = 0; i < n; i++) {
        long long ended = flush > v[i]->seq && flush < newer ? flush : newer;
        if (flush > v[i]->seq && !counted) counted = true, rank++; /* it counts as a newer version */
        if (i == 0) *superseded = ended;
        bool may = !v[i]->gone && ended <= head && ((keep->versions && rank >= keep->versions) || (keep->before && ended <= keep->before));
        shows = (shows && ended == newer) || pinned(v[i]->seq, newer); /* at a tag's point, or at an instant of valid time there */
        bool is_held = shows || v[i]->token, stays = !v[i]->gone && (!may || is_held || chain);
        if (stays && may) held += is_held || chain_held;
        if (may && !stays) drop(k, v[i], k->link || v[i]->document || (v[i]->typeless && document));
        stay += stays;
        if (stays) chain_held = may ? is_held || chain_held : false;
        chain = stays && !stands_alone(v[i]); /* what it stands on stays */
        shows = shows && stays && (v[i]->partial || chain);
        newer = v[i]->seq;
        rank++;
    }
    return stay;
}

static inline void judge_key(struct key *k, const struct keep *given)
{
    static struct version *v[10000];
    struct keep keep = keep_of(k, given);
    long long superseded = INT64_MAX;
    bool ever = k->link;
    int n = 0;
    for (size_t i = k->n; i > 0; i--) {
        ever |= k->v[i - 1].document;
        if (k->v[i - 1].flush || k->v[i - 1].forgotten) continue;
        if (n == 10000) abort();
        v[n++] = &k->v[i - 1];
    }
    if (n == 0) return;
    bool document = k->link || called_document(v, n);
    int stay = judge_versions(k, v, n, &keep, &superseded);
    if (stay == 0 && superseded != INT64_MAX) raise_horizon(k, superseded, document, ever);
    if (stay == 1 && !k->link && !v[0]->gone && tombstone(v[0]) && !v[0]->document && !v[0]->token && !pinned(v[0]->seq, INT64_MAX) &&
        (keep.versions == 1 || v[0]->seq <= keep.before)) { /* all that is left is the tombstone of a key that is no document */
        drop(k, v[0], document);
        raise_horizon(k, v[0]->seq, document, ever);
    }
    for (int i = n; i > 0 && v[i - 1]->gone; i--) v[i - 1]->forgotten = true, nodes_forgotten++;
}

static inline void judge_all(const struct keep *given, const char *prefix)
{
    dropped = held = 0;
    for (int d = 0; d < DBS; d++)
        for (int i = 0; i < KEYS; i++) {
            if (strncmp(keys[d][i].name, prefix, strlen(prefix)) != 0) continue;
            judge_key(&keys[d][i], given);
            for (int j = 0; j < RELS * KEYS; j++) judge_key(&links[d][i][j / KEYS][j % KEYS], given);
        }
}

static inline void tell_compaction(const char *how)
{
    if (getenv("FT") == NULL) return;
    fprintf(stderr, "step %lu DCOMPACT%s head %lld", step_no, how, head);
    for (size_t i = 0; i < RULES; i++)
        if (rules[i].set) fprintf(stderr, " %s %d %d", rules[i].pattern, rules[i].versions, rules[i].age);
    for (int i = 0; i < TAGS; i++) fprintf(stderr, " t%lld", tags[i].seq);
    fprintf(stderr, " dropped %lld held %lld keys %lld documents %lld changes %lld\n", dropped, held, horizon.keys, horizon.documents, horizon.changes);
}

static inline void check_compaction(const char *how, const struct keep *given, const char *prefix)
{
    static const char *const fields[] = {"live", "dropped", "held", "bytes_before", "bytes_after", "horizon", "segments"};
    redisReply *dry = query("DCOMPACT%s DRYRUN", how), *done = query("DCOMPACT%s", how), *status = query("DCOMPACT STATUS"), *info = query("DINFO");
    if (dry->type == REDIS_REPLY_ERROR || done->type == REDIS_REPLY_ERROR) fail("DCOMPACT", "maps", done->str ? done->str : dry->str);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        expect_int(fields[i], field(dry, fields[i])->integer, field(done, fields[i])->integer);
        expect_int(fields[i], field(status, fields[i])->integer, field(done, fields[i])->integer);
    }
    judge_all(given, prefix);
    tell_compaction(how);
    last_reply = done;
    long long at = field(done, "horizon")->integer, was = field(info, "horizon")->integer;
    snprintf(command, sizeof command, "DCOMPACT%s; commits of the horizons: %lld..%lld, %lld..%lld", how, places[at].first, places[at].last, places[was].first, places[was].last);
    expect_int("nodes dropped", dropped, field(done, "dropped")->integer);
    expect_int("nodes held", held, field(done, "held")->integer);
    expect_int("nodes that stay", head - nodes_gone, field(done, "live")->integer);
    expect_int("the horizon", field(info, "horizon")->integer, field(done, "horizon")->integer);
    check_horizon(field(info, "horizon")->integer);
    last_reply = NULL;
    freeReplyObject(dry), freeReplyObject(done), freeReplyObject(status), freeReplyObject(info);
}

static inline void do_compact(void)
{
    struct keep keep = {0};
    static const char *const prefixes[] = {"", "c:", "k", "d:"};
    const char *prefix = prefixes[rnd(2) ? 0 : rnd(4)];
    char how[160] = "";
    int form = (int)rnd(3);
    struct point before;
    any_point(&before);
    if (form == 0) keep.versions = 1 + (int)rnd(5), snprintf(how, sizeof how, " KEEP %lld", keep.versions);
    if (form == 1) keep.before = before.seq, snprintf(how, sizeof how, " BEFORE %s", before.text);
    if (form == 1 && before.seq == 0) {
        expect_error("BADPOINT", query("DCOMPACT%s", how));
        return;
    }
    if (prefix[0]) snprintf(how + strlen(how), sizeof how - strlen(how), " PREFIX %s", prefix);
    for (long long until = clock_ms() + 3; clock_ms() < until;) continue; /* ages count in milliseconds: all that is there must have reached them */
    compactions++;
    check_compaction(how, form == 2 ? NULL : &keep, prefix);
    expect_int("the log after compaction", head, head_seq());
}

#endif
