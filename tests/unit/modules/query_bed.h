/* A query's inside without the command: parsed, its view set to head, to be planned, opened and stepped by a test. */
#ifndef TESTS_UNIT_MODULES_QUERY_BED_H
#define TESTS_UNIT_MODULES_QUERY_BED_H

#include "unit/modules/doc_bed.h"

#include "modules/doc/query.h"

struct prepared {
    struct call c;
    struct query q;
};

static inline void prepare_query(struct bed *b, struct prepared *p, const char *text)
{
    struct nql_fault fault = {0};
    *p = (struct prepared){.c = probe(b, NULL, 0)};
    if (nql_parse(slice_str(text), NULL, 0, &p->q.nql, &fault) != E_OK) fail_msg("%s: byte %zu: %s", text, fault.at, fault.why);
    assert_int_equal(engine_catch_up(b->server.engine, 0), E_OK);
    p->q.count = QUERY_COUNT_DEFAULT;
    p->q.view.at.seq = head_of(b);
    p->q.view.valid_at = KS_ANY_VALID;
    if (p->q.nql->valid_as_of.p) assert_true(instant_parse(p->q.nql->valid_as_of, &p->q.view.valid_at));
    engine_db_at(b->server.engine, 0, p->q.view.at.seq, &p->q.view.db);
    p->q.skip = p->q.nql->offset;
    if (p->q.nql->search.given) {
        p->q.words = mem_alloc(sizeof *p->q.words);
        assert_int_equal(words_query_parse(p->q.nql->search.words, p->q.words), E_OK);
    }
}

static inline void prepared_fini(struct prepared *p)
{
    query_fini(&p->q);
    ks_view_release(&p->c.ks);
}

/* Names of the plan's kind, as EXPLAIN has them. */
static inline const char *plan_of(struct bed *b, const char *text, bool no_scan, uint64_t *rows)
{
    static char out[80];
    struct prepared p;
    struct buf words = {0};
    prepare_query(b, &p, text);
    p.q.explain = true; /* so that rows are estimated whatever the plan */
    int err = query_plan_make(&p.c, &p.q, no_scan);
    if (err == E_OK) {
        query_plan_text(&p.q, &words);
        snprintf(out, sizeof out, "%.*s%s%.*s", (int)words.n, (char *)words.p, p.q.plan.index.n ? " by " : "",
                 (int)p.q.plan.index.n, (char *)p.q.plan.index.p);
        if (rows) *rows = p.q.plan.est_rows;
    } else {
        assert_int_equal(err, E_NOTFOUND);
        snprintf(out, sizeof out, "none");
    }
    buf_fini(&words);
    prepared_fini(&p);
    return out;
}

#endif
