/* The options that every writing D* command shares, and idempotency tokens. */
#include "modules/doc/doc.h"

/* Where the parser stands. */
struct cursor {
    struct call *c;
    int at;
    unsigned allowed;
    struct doc_options *o;
    bool expiry_given;
};

static bool fail_syntax(struct call *c)
{
    reply_syntax(c);
    return false;
}

static bool more_args(const struct cursor *k, int n)
{
    return k->at + n < k->c->argc;
}

static bool parse_valid(struct cursor *k)
{
    if (!more_args(k, 2)) return fail_syntax(k->c);
    struct ks_write *w = &k->o->write;
    if (!doc_parse_instant(k->c->argv[k->at + 1], INT64_MIN, &w->valid_from) ||
        !doc_parse_instant(k->c->argv[k->at + 2], INT64_MAX, &w->valid_to)) {
        reply_error(k->c, "BADVALID an end is Unix milliseconds, ISO 8601 or -");
        return false;
    }
    if (w->valid_from >= w->valid_to) {
        reply_error(k->c, "BADVALID the interval is empty");
        return false;
    }
    w->has_valid = true;
    k->at += 3;
    return true;
}

/* A cause is stored with its hash. A document that is in memory already has it there; anything else is asked of the log. */
static bool load_cause(struct cursor *k, slice text, struct node_ref *out)
{
    struct ks_value v;
    slice key_prefix = slice_str("key:");
    if (slice_starts(text, key_prefix)) {
        int r = ks_stat_other(&k->c->ks, (slice){text.p + key_prefix.n, text.n - key_prefix.n}, out->hash, &v);
        if (r == E_OK && v.hash != NULL) {
            out->seq = v.seq;
            return true;
        }
    }
    return doc_ref(k->c, text, DOC_ABSENT_NOCAUSE, &out->seq) && doc_hash_of(k->c, out->seq, out->hash);
}

static bool parse_causes(struct cursor *k)
{
    int64_t n;
    if (!more_args(k, 1)) return fail_syntax(k->c);
    if (!arg_range(k->c, k->at + 1, 1, DOC_CAUSES_MAX, &n)) return false;
    if (!more_args(k, 1 + (int)n)) return fail_syntax(k->c);
    for (int i = 0; i < n; i++)
        if (!load_cause(k, k->c->argv[k->at + 2 + i], &k->o->causes[i])) return false;
    k->o->write.causes = k->o->causes;
    k->o->write.n_causes = (uint32_t)n;
    k->at += 2 + (int)n;
    return true;
}

static bool parse_expiry(struct cursor *k, int64_t unit_ms, bool relative)
{
    int64_t v;
    struct call *c = k->c;
    if (k->expiry_given || !more_args(k, 1)) return fail_syntax(c);
    if (!arg_i64(c, k->at + 1, &v)) return false;
    int64_t now = (int64_t)c->ks.now_ms;
    if (v <= 0 || v > INT64_MAX / unit_ms || (relative && v * unit_ms > INT64_MAX - now)) {
        reply_error(c, "ERR invalid expire time in '%.*s' command", (int)c->argv[0].n, (const char *)c->argv[0].p);
        return false;
    }
    k->o->write.expiry = KS_EXPIRY_SET;
    k->o->write.expire_ms = (uint64_t)(v * unit_ms + (relative ? now : 0));
    k->expiry_given = true;
    k->at += 2;
    return true;
}

static bool parse_if_seq(struct cursor *k)
{
    if (!more_args(k, 1) || k->o->has_ifhash) return fail_syntax(k->c);
    if (!num_parse_u64(k->c->argv[k->at + 1], &k->o->if_seq)) {
        reply_not_integer(k->c);
        return false;
    }
    k->o->has_ifseq = true;
    k->at += 2;
    return true;
}

static bool parse_if_hash(struct cursor *k)
{
    uint8_t bytes[HASH_BYTES];
    if (!more_args(k, 1) || k->o->has_ifseq) return fail_syntax(k->c);
    slice h = k->c->argv[k->at + 1];
    if (h.n != 2 * HASH_BYTES || !hex_decode(bytes, (const char *)h.p, HASH_BYTES)) {
        reply_error(k->c, "BADREF IFHASH takes the 64 hex digits of a hash");
        return false;
    }
    k->o->if_hash = h;
    k->o->has_ifhash = true;
    k->at += 2;
    return true;
}

static bool parse_text(struct cursor *k, slice *out, size_t max, const char *what)
{
    if (!more_args(k, 1)) return fail_syntax(k->c);
    slice s = k->c->argv[k->at + 1];
    if (s.n == 0 || s.n > max) {
        reply_error(k->c, "TOOBIG %s takes 1 to %zu bytes", what, max);
        return false;
    }
    *out = s;
    k->at += 2;
    return true;
}

static bool parse_props(struct cursor *k)
{
    struct json_fault fault;
    if (!more_args(k, 1)) return fail_syntax(k->c);
    if (json_check(k->c->argv[k->at + 1], &k->o->props, &fault) != E_OK) {
        doc_badjson(k->c, &fault);
        return false;
    }
    if (json_type_of(k->o->props) != JSON_OBJECT) {
        reply_error(k->c, "BADJSON at byte 0: PROPS takes an object");
        return false;
    }
    k->at += 2;
    return true;
}

static bool flag(struct cursor *k, bool *field)
{
    *field = true;
    k->at++;
    return true;
}

static bool parse_one(struct cursor *k)
{
    slice w = k->c->argv[k->at];
    struct doc_options *o = k->o;
    if (slice_is(w, "CAUSEDBY")) return parse_causes(k);
    if (slice_is(w, "NOTE")) return parse_text(k, &o->write.note, NODE_NOTE_MAX, "NOTE");
    if (slice_is(w, "IDEM")) return parse_text(k, &o->write.idem, NODE_IDEM_MAX, "IDEM");
    if (k->allowed & DOC_OPT_CONDITIONS) {
        if (slice_is(w, "NX") && !o->xx) return flag(k, &o->nx);
        if (slice_is(w, "XX") && !o->nx) return flag(k, &o->xx);
        if (slice_is(w, "IFCHANGED")) return flag(k, &o->if_changed);
    }
    if (k->allowed & DOC_OPT_IF) {
        if (slice_is(w, "IFSEQ")) return parse_if_seq(k);
        if (slice_is(w, "IFHASH")) return parse_if_hash(k);
    }
    if ((k->allowed & DOC_OPT_VALID) && slice_is(w, "VALID")) return parse_valid(k);
    if ((k->allowed & DOC_OPT_PROPS) && slice_is(w, "PROPS")) return parse_props(k);
    if (k->allowed & DOC_OPT_EXPIRY) {
        if (slice_is(w, "EX")) return parse_expiry(k, 1000, true);
        if (slice_is(w, "PX")) return parse_expiry(k, 1, true);
        if (slice_is(w, "EXAT")) return parse_expiry(k, 1000, false);
        if (slice_is(w, "PXAT")) return parse_expiry(k, 1, false);
        if (slice_is(w, "KEEPTTL") && !k->expiry_given) {
            o->write.expiry = KS_EXPIRY_KEEP;
            return flag(k, &k->expiry_given);
        }
    }
    return fail_syntax(k->c);
}

/* NX and XX are as those of SET, which may be said again. */
static bool is_condition_word(const struct cursor *k)
{
    return arg_is(k->c, k->at, "NX") || arg_is(k->c, k->at, "XX");
}

bool doc_options_parse(struct call *c, int from, unsigned allowed, struct doc_options *o)
{
    struct cursor k = {c, from, allowed, o, false};
    struct doc_words met = {0};
    /* The causes array is large and only read up to n_causes: it is left as it is. */
    o->nx = o->xx = o->has_ifseq = o->has_ifhash = o->if_changed = false;
    o->if_seq = 0;
    o->if_hash = o->props = (slice){0};
    memset(&o->write, 0, sizeof o->write);
    o->write.want_hash = true;
    o->write.receipt = &o->receipt;
    while (k.at < c->argc)
        if ((!is_condition_word(&k) && !doc_stands_once(c, &met, k.at)) || !parse_one(&k)) return false;
    return true;
}

int doc_idem_nodes(struct call *c, slice token, struct buf *refs)
{
    if (token.n == 0) return 0;
    int r = ks_token_nodes(&c->ks, token, limit_idem_window_ms(), refs);
    if (r == E_OK) return 1;
    if (r == E_NOTFOUND) return 0;
    reply_failure(c, r);
    return -1;
}

bool doc_answered_before(struct call *c, slice token)
{
    struct buf refs = {0};
    struct node_ref newest;
    int seen = doc_idem_nodes(c, token, &refs);
    if (seen > 0) {
        memcpy(&newest, refs.p + refs.n - sizeof newest, sizeof newest);
        doc_reply_pair(c, newest.seq, newest.hash);
    }
    buf_fini(&refs);
    return seen != 0;
}
