#include "tool/past.h"

#include "base/codec.h"
#include "base/instant.h"
#include "base/logline.h"
#include "base/num.h"
#include "tool/tool.h"

int past_open(const char *command, const char *dir, uint16_t db, struct past *out)
{
    struct engine_options o = {.dir = dir, .read_only = true, .no_threads = true};
    struct engine_report found = {0};
    struct engine_marks marks;
    *out = (struct past){.command = command};
    log_set_level(LOG_NOTHING);
    int rc = engine_open(&o, &out->e, &found);
    if (rc == E_LOCKED)
        return tool_trouble(command, "a server has '%s' open; stop it first, or ask it (DHISTORY, DNODE, DDIFF)", dir);
    if (rc == E_NOTFOUND) return tool_trouble(command, "'%s' is not a Varve data directory", dir);
    if (rc < 0) return tool_trouble(command, "'%s' cannot be opened: %s", dir, found.where[0] ? found.where : err_text(rc));
    struct ks_options k = {.engine = out->e, .databases = ENGINE_DATABASES_MAX, .loops = 1};
    rc = ks_open(&k, &out->ks);
    if (rc < 0) {
        past_close(out);
        return tool_trouble(command, "'%s' cannot be read: %s", dir, err_text(rc));
    }
    engine_get_marks(out->e, &marks);
    out->newest = marks.last_seq;
    out->c = (struct ks_ctx){.ks = out->ks, .db = db, .now_ms = engine_now_ms(out->e)};
    return EXIT_YES;
}

void past_close(struct past *p)
{
    if (p->ks) ks_close(&p->ks);
    if (p->e && engine_close(&p->e) < 0) p->e = NULL; /* it was only read: nothing is lost by a failing close */
    buf_fini(&p->mem);
}

static bool digits(slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    return s.n > 0;
}

static bool strip(slice s, const char *prefix, slice *rest)
{
    slice p = slice_str(prefix);
    if (!slice_starts(s, p)) return false;
    *rest = slice_of(s.p + p.n, s.n - p.n);
    return true;
}

static bool bad(struct past *p, const char *text, const char *why)
{
    (void)tool_trouble(p->command, "'%s': %s", text, why);
    return false;
}

static bool tag_seq(struct past *p, const char *text, slice name, uint64_t *seq)
{
    struct version v;
    struct node n;
    int rc = engine_find(p->e, SPACE_TAG, 0, name, UINT64_MAX, FIND_ALL, &v);
    if (rc == E_OK && v.op != NODE_PUT) rc = E_NOTFOUND;
    if (rc == E_OK) rc = past_node(p, v.seq, &n);
    if (rc == E_OK && n.payload.n != 8) rc = E_CORRUPT;
    if (rc < 0) return bad(p, text, rc == E_NOTFOUND ? "there is no such tag" : err_text(rc));
    *seq = get_u64(n.payload.p);
    return true;
}

/* The seq that a text names, not rounded to a commit. */
static bool named_seq(struct past *p, const char *text, uint64_t *seq)
{
    slice t = slice_str(text), rest = t;
    int64_t ms;
    int rc;
    if (slice_is(t, "head")) {
        *seq = p->newest;
    } else if (digits(t) || strip(t, "seq:", &rest)) {
        if (!num_parse_u64(rest, seq)) return bad(p, text, "a seq is a number from 0");
        if (*seq > p->newest) return bad(p, text, "the log does not reach so far");
    } else if (strip(t, "time:", &rest)) {
        if (!instant_parse(rest, &ms)) return bad(p, text, "a time is Unix milliseconds or ISO 8601");
        rc = engine_seq_by_time(p->e, ms < 0 ? 0 : (uint64_t)ms, seq);
        if (rc < 0) return bad(p, text, err_text(rc));
    } else if (strip(t, "hash:", &rest)) {
        rc = engine_seq_by_hash(p->e, rest, seq);
        if (rc == E_SYNTAX) return bad(p, text, "a hash is 8 to 64 hex digits");
        if (rc < 0)
            return bad(p, text,
                       rc == E_NOTFOUND    ? "no node has this hash"
                       : rc == E_AMBIGUOUS ? "more than one node begins so"
                                           : err_text(rc));
    } else if (strip(t, "tag:", &rest)) {
        return tag_seq(p, text, rest, seq);
    } else {
        return bad(p, text, "a point is a seq, seq:N, time:T, hash:H, tag:NAME or head");
    }
    return true;
}

bool past_point(struct past *p, const char *text, uint64_t *at)
{
    uint64_t seq;
    if (!named_seq(p, text, &seq)) return false;
    int rc = engine_round_down(p->e, seq, at);
    return rc < 0 ? bad(p, text, err_text(rc)) : true;
}

bool past_commit(struct past *p, const char *text, uint64_t *first, uint64_t *last)
{
    uint64_t seq;
    if (!named_seq(p, text, &seq)) return false;
    if (seq == 0) return bad(p, text, "nothing was written yet");
    int rc = engine_commit_of(p->e, seq, first, last);
    if (rc == E_PRUNED) {
        *first = *last = seq;
        return true;
    }
    return rc < 0 ? bad(p, text, err_text(rc)) : true;
}

int past_node(struct past *p, uint64_t seq, struct node *out)
{
    p->mem.n = 0;
    return engine_read(p->e, seq, &p->mem, out);
}

int past_value(struct past *p, slice key, uint64_t at, struct buf *mem, struct ks_value *out, uint64_t *oldest)
{
    if (at == 0) return E_NOTFOUND;
    int rc = ks_get_at(&p->c, key, at, KS_ANY_VALID, mem, out);
    if (rc == E_PRUNED) *oldest = out->seq;
    return rc;
}

int past_trouble(struct past *p, int code, slice key, uint64_t oldest)
{
    if (code == E_PRUNED)
        return tool_trouble(p->command, "oldest readable seq of '%.*s' is %llu", (int)key.n, (const char *)key.p,
                            (unsigned long long)oldest);
    return tool_trouble(p->command, "'%.*s': %s", (int)key.n, (const char *)key.p, err_text(code));
}
