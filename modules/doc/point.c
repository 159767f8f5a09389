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

/* Reads exactly n digits at *at. */
static bool take_digits(slice s, size_t *at, size_t n, int64_t *out)
{
    if (*at + n > s.n) return false;
    int64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t ch = s.p[*at + i];
        if (ch < '0' || ch > '9') return false;
        v = v * 10 + (ch - '0');
    }
    *at += n;
    *out = v;
    return true;
}

static bool take_char(slice s, size_t *at, char ch)
{
    if (*at >= s.n || s.p[*at] != (uint8_t)ch) return false;
    (*at)++;
    return true;
}

/* Days since 1970-01-01 of a proleptic Gregorian date (the well-known shift of the year's start to March). */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

static bool take_fraction(slice s, size_t *at, int64_t *ms)
{
    int64_t scale = 100;
    size_t start = *at;
    *ms = 0;
    while (*at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9') {
        *ms += (s.p[(*at)++] - '0') * scale;
        scale /= 10;
    }
    return *at > start;
}

static bool take_offset(slice s, size_t *at, int64_t *minutes)
{
    *minutes = 0;
    if (*at == s.n || (take_char(s, at, 'Z') || take_char(s, at, 'z'))) return *at == s.n;
    int64_t sign = s.p[*at] == '-' ? -1 : 1, h, m;
    if (!take_char(s, at, '+') && !take_char(s, at, '-')) return false;
    if (!take_digits(s, at, 2, &h)) return false;
    (void)take_char(s, at, ':');
    if (!take_digits(s, at, 2, &m) || h > 23 || m > 59) return false;
    *minutes = sign * (h * 60 + m);
    return *at == s.n;
}

static bool take_clock(slice s, size_t *at, int64_t *ms_of_day)
{
    int64_t h, m, sec = 0, ms = 0;
    if (!take_digits(s, at, 2, &h) || !take_char(s, at, ':') || !take_digits(s, at, 2, &m)) return false;
    if (take_char(s, at, ':')) {
        if (!take_digits(s, at, 2, &sec)) return false;
        if (take_char(s, at, '.') && !take_fraction(s, at, &ms)) return false;
    }
    if (h > 23 || m > 59 || sec > 59) return false;
    *ms_of_day = ((h * 60 + m) * 60 + sec) * 1000 + ms;
    return true;
}

bool doc_parse_iso(slice text, int64_t *ms)
{
    static const uint8_t month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    size_t at = 0;
    int64_t y, m, d, of_day = 0, offset = 0;
    if (!take_digits(text, &at, 4, &y) || !take_char(text, &at, '-') || !take_digits(text, &at, 2, &m) ||
        !take_char(text, &at, '-') || !take_digits(text, &at, 2, &d))
        return false;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (m < 1 || m > 12 || d < 1 || d > month_days[m - 1] || (m == 2 && d == 29 && !leap)) return false;
    if (take_char(text, &at, 'T') || take_char(text, &at, 't') || take_char(text, &at, ' ')) {
        if (!take_clock(text, &at, &of_day)) return false;
    }
    if (!take_offset(text, &at, &offset)) return false;
    *ms = days_of(y, m, d) * 86400000 + of_day - offset * 60000;
    return true;
}

bool doc_parse_instant(slice text, int64_t open, int64_t *ms)
{
    if (text.n == 1 && text.p[0] == '-') {
        *ms = open;
        return true;
    }
    return num_parse_i64(text, ms) || doc_parse_iso(text, ms);
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
    if (!num_parse_i64(digits, &ms) && !doc_parse_iso(digits, &ms))
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

bool doc_point(struct call *c, slice text, struct doc_place *out)
{
    slice rest = text;
    uint64_t at;
    out->ms = 0;
    if (slice_is(text, "head")) {
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

bool doc_point_seq(struct call *c, slice text, uint64_t *seq)
{
    struct doc_place at;
    if (!doc_point(c, text, &at)) return false;
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
    int r = ks_stat(&c->ks, key, true, &v);
    if (r == E_OK) {
        *seq = v.seq;
        return E_OK;
    }
    if (r != E_NOTFOUND) return r;
    struct version found;
    r = engine_catch_up(doc_engine(c), 0);
    if (r == E_OK) r = engine_find(doc_engine(c), SPACE_KEY, ks_db(&c->ks, c->ks.db).lineage, key, UINT64_MAX, FIND_ALL, &found);
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
