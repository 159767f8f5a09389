/* DCOMPACT: history that its owner no longer wants is given back. */
#include "modules/doc/doc.h"

/* Of the last one that ended, or of the one that runs. */
static const char *result_word(const struct compact_stats *s)
{
    if (s->running) return "running";
    if (s->result == E_NOTFOUND) return "none";
    return s->result == E_OK ? "ok" : s->result == E_CANCELLED ? "cancelled" : err_text(s->result);
}

static void reply_stats(struct call *c, const struct compact_stats *s, bool progress)
{
    reply_map(c, progress ? 11 : 7);
    reply_str(c, "live"), reply_int(c, (int64_t)s->live);
    reply_str(c, "dropped"), reply_int(c, (int64_t)s->dropped);
    reply_str(c, "held"), reply_int(c, (int64_t)s->held);
    reply_str(c, "bytes_before"), reply_int(c, (int64_t)s->bytes_before);
    reply_str(c, "bytes_after"), reply_int(c, (int64_t)s->bytes_after);
    reply_str(c, "horizon"), reply_int(c, (int64_t)s->horizon);
    reply_str(c, "segments"), reply_int(c, (int64_t)s->segments);
    if (!progress) return;
    reply_str(c, "running"), reply_bool(c, s->running);
    reply_str(c, "done"), reply_int(c, (int64_t)s->done);
    reply_str(c, "total"), reply_int(c, (int64_t)s->total);
    reply_str(c, "result"), reply_str(c, result_word(s));
}

static bool parse_compact(struct call *c, struct compact_options *o, bool *async)
{
    int64_t n;
    struct doc_words met = {0};
    for (int i = 1; i < c->argc; i++) {
        bool value = i + 1 < c->argc;
        if (!doc_stands_once(c, &met, i)) return false;
        if (value && arg_is(c, i, "KEEP") && !o->before) {
            if (!arg_range(c, ++i, 1, INT64_MAX, &n)) return false;
            o->keep_versions = (uint64_t)n;
        } else if (value && arg_is(c, i, "BEFORE") && !o->keep_versions) {
            if (!doc_point_seq(c, c->argv[++i], &o->before)) return false;
            if (o->before == 0) {
                reply_error(c, "BADPOINT nothing lies before the first seq");
                return false;
            }
        } else if (value && arg_is(c, i, "PREFIX")) {
            o->prefix = c->argv[++i];
        } else if (arg_is(c, i, "DRYRUN")) {
            o->dry_run = true;
        } else if (arg_is(c, i, "ASYNC")) {
            *async = true;
        } else {
            reply_syntax(c);
            return false;
        }
    }
    return true;
}

static bool compact_step(struct call *c, void *state)
{
    (void)state;
    struct compact_stats s;
    engine_compact_status(doc_engine(c), &s);
    if (s.running) return false;
    if (s.result == E_CANCELLED)
        reply_error(c, "ERR the compaction was cancelled");
    else if (s.result != E_OK)
        reply_failure(c, s.result);
    else
        reply_stats(c, &s, false);
    return true;
}

static void start(struct call *c, const struct compact_options *o, bool async)
{
    int r = engine_compact_start(doc_engine(c), o);
    if (r == E_BUSY)
        reply_error(c, "ERR a compaction is running already; see DCOMPACT STATUS");
    else if (r != E_OK)
        reply_failure(c, r);
    else if (async)
        reply_ok(c);
    else
        call_later(c, LATER_WAIT, compact_step, NULL, NULL);
}

void cmd_dcompact(struct call *c)
{
    struct compact_options o = {0};
    struct compact_stats s;
    bool async = false;
    if (c->argc == 2 && arg_is(c, 1, "STATUS")) {
        engine_compact_status(doc_engine(c), &s);
        reply_stats(c, &s, true);
    } else if (c->argc == 2 && arg_is(c, 1, "CANCEL")) {
        engine_compact_cancel(doc_engine(c));
        reply_ok(c);
    } else if (parse_compact(c, &o, &async)) {
        if (c->in_multi && !async)
            reply_error(c, "ERR inside a transaction DCOMPACT needs ASYNC");
        else
            start(c, &o, async);
    }
}
