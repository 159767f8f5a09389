/* Points (places in history), refs (nodes somebody points at) and instants (valid time), from text. */
#include "modules/doc/doc.h"

static bool all_digits(slice s)
{
    if (s.n == 0 || s.n > 20) return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    return true;
}

static bool take_prefix(slice s, const char *prefix, slice *rest)
{
    slice p = slice_str(prefix);
    if (!slice_starts(s, p)) return false;
    *rest = (slice){s.p + p.n, s.n - p.n};
    return true;
}

bool doc_parse_instant(slice text, int64_t open, int64_t *ms)
{
    if (text.n == 1 && text.p[0] == '-') {
        *ms = open;
        return true;
    }
    return instant_parse(text, ms);
}

static bool bad_point(struct call *c, slice text, const char *why)
{
    reply_error(c, "BADPOINT '%.*s': %s", (int)(text.n > 80 ? 80 : text.n), (const char *)text.p, why);
    return false;
}

/* Finishes a point at any seq: indexed up to it, rounded down. */
static bool settle(struct call *c, uint64_t seq, uint64_t *point)
{
    struct engine *e = doc_engine(c);
    struct engine_marks m;
    engine_get_marks(e, &m);
    if (seq > m.last_seq) seq = m.last_seq;
    int r = engine_catch_up(e, seq);
    if (r == E_OK) r = engine_round_down(e, seq, point);
    if (r == E_OK) return true;
    reply_failure(c, r);
    return false;
}

static bool tag_seq(struct call *c, slice name, slice text, uint64_t *seq)
{
    struct engine *e = doc_engine(c);
    struct version v;
    struct buf mem = {0};
    struct node n;
    bool ok = false;
    int r = engine_catch_up(e, 0);
    if (r == E_OK) r = engine_find(e, SPACE_TAG, 0, name, UINT64_MAX, FIND_ALL, &v);
    if (r == E_NOTFOUND || r == E_PRUNED || (r == E_OK && v.op != NODE_PUT)) {
        bad_point(c, text, "no such tag");
    } else if (r != E_OK || (r = engine_read(e, v.seq, &mem, &n)) != E_OK) {
        reply_failure(c, r);
    } else if (n.payload.n != 8) {
        reply_failure(c, E_CORRUPT);
    } else {
        *seq = get_u64(n.payload.p);
        ok = true;
    }
    buf_fini(&mem);
    return ok;
}

static bool hash_seq(struct call *c, slice digits, slice text, uint64_t *seq)
{
    int r = engine_catch_up(doc_engine(c), 0);
    if (r == E_OK) r = engine_seq_by_hash(doc_engine(c), digits, seq);
    if (r == E_OK) return true;
    if (r == E_SYNTAX) return bad_point(c, text, "a hash is 8 to 64 hex digits");
    if (r == E_NOTFOUND) return bad_point(c, text, "no node has this hash");
    if (r == E_AMBIGUOUS) return bad_point(c, text, "more than one node begins so");
    reply_failure(c, r);
    return false;
}

static bool time_point(struct call *c, slice digits, slice text, struct doc_place *out)
{
    int64_t ms;
    uint64_t at;
    if (!instant_parse(digits, &ms))
        return bad_point(c, text, "a time is Unix milliseconds or ISO 8601");
    if (ms < 0) ms = 0;
    int r = engine_catch_up(doc_engine(c), 0);
    if (r == E_OK) r = engine_seq_by_time(doc_engine(c), (uint64_t)ms, &at);
    if (r != E_OK) {
        reply_failure(c, r);
        return false;
    }
    /* What lies ahead is not known: a time to come means now. */
    out->ms = (uint64_t)ms < c->ks.now_ms ? (uint64_t)ms : c->ks.now_ms;
    return settle(c, at, &out->seq);
}

void doc_refuse_head(struct call *c)
{
    reply_error(c, "ERR what this transaction has written is not in the log before EXEC ends: name an earlier point, or ask after EXEC");
}

static bool point_of_log(struct call *c, slice text, struct doc_place *out)
{
    slice rest = text;
    uint64_t at;
    out->ms = 0;
    if (slice_is(text, "head")) {
        if (c->ks.viewing) {
            *out = (struct doc_place){.seq = c->ks.view_at, .ms = c->ks.view_ms};
            return true;
        }
        out->ms = c->ks.now_ms;
        return settle(c, UINT64_MAX, &out->seq);
    }
    if (all_digits(text) || take_prefix(text, "seq:", &rest)) {
        if (!all_digits(rest) || !num_parse_u64(rest, &at)) return bad_point(c, text, "a seq is a number from 0");
        return settle(c, at, &out->seq);
    }
    if (take_prefix(text, "time:", &rest)) return time_point(c, rest, text, out);
    if (take_prefix(text, "hash:", &rest)) return hash_seq(c, rest, text, &at) && settle(c, at, &out->seq);
    if (take_prefix(text, "tag:", &rest)) return tag_seq(c, rest, text, &at) && settle(c, at, &out->seq);
    return bad_point(c, text, "use a seq, seq:N, time:T, hash:H, tag:NAME or head");
}

bool doc_point(struct call *c, slice text, struct doc_place *out)
{
    if (!doc_tx_wrote(c) || !slice_is(text, "head")) return point_of_log(c, text, out);
    doc_refuse_head(c);
    return false;
}

bool doc_point_seq(struct call *c, slice text, uint64_t *seq)
{
    struct doc_place at;
    if (!point_of_log(c, text, &at)) return false;
    *seq = at.seq;
    return true;
}

bool doc_place_known(struct call *c, const struct doc_place *at)
{
    struct engine_marks m;
    uint64_t point;
    engine_get_marks(doc_engine(c), &m);
    return at->seq <= m.last_seq && engine_catch_up(doc_engine(c), at->seq) == E_OK &&
           engine_round_down(doc_engine(c), at->seq, &point) == E_OK && point == at->seq;
}

static bool no_such_node(struct call *c, slice text, enum doc_absent absent)
{
    if (absent == DOC_ABSENT_NULL)
        reply_null(c);
    else
        reply_error(c, "NOCAUSE no node %.*s", (int)(text.n > 200 ? 200 : text.n), (const char *)text.p);
    return false;
}

static bool bad_ref(struct call *c, slice text)
{
    reply_error(c, "BADREF '%.*s': use seq:N, hash:H or key:NAME", (int)(text.n > 80 ? 80 : text.n), (const char *)text.p);
    return false;
}

/* The newest version of a key: the live one, or the tombstone that ended it. */
static int newest_of(struct call *c, slice key, uint64_t *seq)
{
    struct ks_value v;
    uint8_t hash[HASH_BYTES];
    int r = ks_stat_other(&c->ks, key, hash, &v);
    if (r == E_OK) {
        *seq = v.seq;
        return E_OK;
    }
    if (r != E_NOTFOUND) return r;
    struct version found;
    r = engine_catch_up(doc_engine(c), 0);
    if (r == E_OK) r = engine_find(doc_engine(c), SPACE_KEY, ks_db(&c->ks, c->ks.db).lineage, key, DOC_NEWEST(c), FIND_ALL, &found);
    if (r == E_OK) *seq = found.seq;
    return r;
}

bool doc_ref(struct call *c, slice text, enum doc_absent absent, uint64_t *seq)
{
    struct engine_marks m;
    slice rest;
    int r;
    if (take_prefix(text, "seq:", &rest)) {
        if (!num_parse_u64(rest, seq)) return bad_ref(c, text);
        engine_get_marks(doc_engine(c), &m);
        r = *seq == 0 || *seq > m.last_seq ? E_NOTFOUND : E_OK;
    } else if (take_prefix(text, "hash:", &rest)) {
        r = engine_catch_up(doc_engine(c), 0);
        if (r == E_OK) r = engine_seq_by_hash(doc_engine(c), rest, seq);
        if (r == E_SYNTAX) return bad_ref(c, text);
        if (r == E_AMBIGUOUS) {
            reply_error(c, "BADREF '%.*s': more than one node begins so", (int)text.n, (const char *)text.p);
            return false;
        }
    } else if (take_prefix(text, "key:", &rest)) {
        r = newest_of(c, rest, seq);
    } else {
        return bad_ref(c, text);
    }
    if (r == E_NOTFOUND) return no_such_node(c, text, absent);
    if (r == E_OK) return true;
    reply_failure(c, r);
    return false;
}

bool doc_hash_of(struct call *c, uint64_t seq, uint8_t hash[HASH_BYTES])
{
    int r = engine_catch_up(doc_engine(c), seq);
    if (r == E_OK) r = engine_hash(doc_engine(c), seq, hash);
    if (r == E_OK) return true;
    if (r == E_NOTFOUND)
        doc_reply_unlogged(c);
    else
        reply_failure(c, r);
    return false;
}
