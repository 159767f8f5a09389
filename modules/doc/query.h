/* DQUERY's inside: one query from its arguments to a page of rows.
 *
 *   query.c         the commands: arguments, the cursor, turns, the reply
 *   query_plan.c    which index, by estimated rows
 *   query_source.c  candidates: names of rows, streamed
 *   query_row.c     a candidate's version at the point, as NQL sees it
 *   query_walk.c    TRAVERSE and TRACE: from the rows that were selected to those that are reached
 *   query_keep.c    the smallest places of a result, in bounded memory
 *   query_run.c     the stages, in slices
 *   query_cursor.c  the text between two pages
 *
 * Invariants:
 *   1. Everything is read at one pinned point (query_view), on this page and on every later one.
 *   2. A row's *name* tells it from all others and leads back to it: a document's key, a link's link_key, a version's seq (8 bytes, big-endian; TRACE).
 *      A row's *place* (query_row_place) is where it stands in the result; places are bytes that compare as the rows do.
 *   3. A plan yields a superset of the rows that match; every candidate is judged by nql_match and the words of SEARCH. So the rows and their order are
 *      the same with any plan.
 *   4. Memory: one page, QUERY_KEEP_BYTES_MAX of places, QUERY_WALK_BYTES_MAX of reached names, NQL_GROUP_BYTES_MAX of groups. */
#ifndef VARVE_MODULES_DOC_QUERY_H
#define VARVE_MODULES_DOC_QUERY_H

#include "modules/doc/nql.h"
#include "modules/doc/query_cursor.h"
#include "modules/doc/query_keep.h"
#include "modules/doc/rows.h"

#define QUERY_COUNT_DEFAULT    100
#define QUERY_PAGE_BYTES_MAX   (16u << 20)  /* a page that holds so much ends early */
#define QUERY_KEEP_BYTES_MAX   (32u << 20)
#define QUERY_KEEP_ROWS_MAX    DOC_COUNT_MAX
#define QUERY_WALK_NAMES_MAX   1000000      /* documents or versions that TRAVERSE or TRACE may reach, those it starts from included */
#define QUERY_WALK_BYTES_MAX   (128u << 20)
#define QUERY_INLINE_SCAN_MAX  1000000      /* documents looked at inside a transaction, which cannot wait */
#define QUERY_SLICE_US         1000         /* of work before other clients get their turn */
#define QUERY_SLICE_ROWS       64           /* looked at between two looks at the clock */
#define QUERY_INDEXES_MAX      64          /* of one collection that are considered */
#define QUERY_AHEAD            32           /* candidates whose cache lines are fetched together */

/* ---- where a query reads ---- */
struct query_view {
    struct doc_place at;
    int64_t valid_at;   /* or KS_ANY_VALID */
    struct db_view db;  /* at the point */
    bool held;          /* this turn values may be taken from memory: the database number still means that lineage */
};

/* ---- plans ---- */
enum query_plan_kind {
    QUERY_SCAN, QUERY_NOTHING, QUERY_KEYS, QUERY_KEY_RANGE, QUERY_EQUALITY, QUERY_RANGE, QUERY_ORDER, QUERY_TEXT,
    QUERY_LINKS_OUT, QUERY_LINKS_IN,
};
struct query_plan {
    enum query_plan_kind kind;
    struct buf index;          /* path of the index, empty when none is used */
    struct nql_bounds bounds;  /* of the path that is looked up; kind ALL when there is none */
    enum nql_kind key_kind;    /* NQL_KEY or NQL_ID: what the bounds of KEYS and KEY_RANGE are about */
    bool descending;
    bool in_order;             /* candidates come in the order of their places */
    uint32_t word;             /* TEXT: number of the word of SEARCH */
    uint64_t est_rows;         /* candidates, about */
};

/* ---- one row ---- */
struct query_row {
    struct nql_row nql;  /* slices into mem, name, shown or the keyspace's memory; until the next read */
    slice name;
    struct buf mem, node_mem, shown, value;
    uint8_t hash[HASH_BYTES];
};

struct query_ahead { /* candidates taken together, so that the fetches of their values overlap */
    struct buf names;
    slice at[QUERY_AHEAD];
    size_t bytes[QUERY_AHEAD];
    size_t n;
};

/* ---- one query ---- */
enum query_stage { QUERY_SELECT, QUERY_WALKING, QUERY_REACHED, QUERY_KEPT, QUERY_GROUPED, QUERY_DONE };

struct query_source;
struct query_walk;

struct query {
    struct nql_query *nql;
    struct words_query *words; /* of SEARCH; NULL: none */
    uint64_t count;            /* rows a page */
    uint64_t timeout_ms, deadline_us; /* 0: none */
    bool noscan, explain, counting, resumed; /* resumed: a page behind another one */
    struct query_view view;

    struct query_plan plan;
    struct query_source *source;
    enum query_stage stage;
    struct query_row row;
    struct query_ahead ahead;

    /* the result */
    uint64_t given;            /* rows on the pages before */
    uint64_t skip, skip_begun; /* of OFFSET, still to be left out; the same when the selection began */
    bool has_position, behind; /* behind: rows come in order, and the position has been passed */
    struct buf position;       /* place of the last row given or left out */
    struct buf position_name;
    struct buf place;          /* of the row at hand */
    struct query_keep keep;
    size_t next;               /* kept entry, or reached name, to look at next */
    struct nql_groups *groups;
    struct query_walk *walk;
    uint64_t total;            /* DCOUNT */

    struct rows page;          /* key and JSON, or columns when grouped */
    uint64_t page_rows;
    bool more;                 /* rows are left behind the page */
    struct buf last;           /* name of the page's last row */

    uint64_t looked;           /* candidates of this page */
    uint64_t full_at;          /* of them when the page was full; a little further is looked whether anything follows */
    uint64_t scan_max;         /* of them without an index; 0: any number */
    /* why it failed, beyond the code */
    struct buf failed_key;     /* E_PRUNED */
    uint64_t oldest;
    uint64_t failed_seq;       /* E_PRUNED of a node that a walk over causes met: no other point has it */
};

/* Codes beyond those of the engine, for the reply. */
enum {
    QUERY_NOINDEX = -1000,
    QUERY_INLINE = -1001, /* looked at too much inside a transaction */
    QUERY_REPLAN = -1002, /* the plan's index has gone: never leaves query_run */
};

/* ---- query.c ---- */
void query_fini(struct query *q); /* releases what a query holds, at any stage */

/* ---- query_plan.c ---- */
/* Fills q->plan. no_scan: an index, or E_NOTFOUND when none serves. May be called again, with the same or another no_scan. */
int query_plan_make(struct call *c, struct query *q, bool no_scan) MUST_CHECK;
void query_plan_fini(struct query_plan *p);
/* "range, then sort": for EXPLAIN. */
void query_plan_text(const struct query *q, struct buf *out);
bool query_plan_scans(const struct query_plan *p); /* looks at a whole collection */
/* "DINDEX CREATE user plan": what would have helped; false: nothing would. */
bool query_plan_advice(const struct query *q, struct buf *out);
/* Key of a document from a bound of _key or _id. False: no key is that value. */
bool query_plan_key(const struct query *q, enum nql_kind kind, slice json, struct buf *out);
/* Rows come out as candidates come in, when those are in order: nothing has to be kept, walked or grouped first. */
bool query_streams(const struct query *q);

/* ---- query_source.c ---- */
/* By q->plan, behind q->position_name when in order. QUERY_REPLAN, here and below: the index was dropped meanwhile. */
int query_source_open(struct call *c, struct query *q) MUST_CHECK;
/* The next candidate's name, valid until the next call. E_END. E_AGAIN: much was looked at without one. */
int query_source_next(struct call *c, struct query *q, slice *name) MUST_CHECK;
void query_source_close(struct query_source **s);

/* ---- query_row.c ---- */
/* What cannot be read is this one link: fills q->failed_key and q->oldest. E_PRUNED. */
int query_link_pruned(struct call *c, struct query *q, slice name) MUST_CHECK;
/* Fills q->row with the version of this name at the point. E_NOTFOUND: nothing is there. E_PRUNED fills q->failed_key and q->oldest, or q->failed_seq. */
int query_row_read(struct call *c, struct query *q, slice name) MUST_CHECK;
int query_row_version(struct call *c, struct query *q, slice name) MUST_CHECK; /* the same for the version that a TRACE reached */
bool query_row_found(struct query *q); /* SEARCH holds */
void query_row_place(struct query *q, struct buf *out); /* of q->row; replaces *out */
void query_row_fini(struct query_row *r);
/* The version of a link that holds at the view's point and instant. E_NOTFOUND. */
int query_link_at(struct call *c, const struct query_view *v, slice key, struct buf *mem, struct node *n) MUST_CHECK;

/* ---- query_walk.c ---- */
struct query_walk *query_walk_new(void);
void query_walk_free(struct query_walk **w);
int query_walk_start(struct query_walk *w, slice name) MUST_CHECK; /* E_TOOBIG */
/* Expands about `budget` links or causes. E_AGAIN: more to do. E_OK: done. E_TOOBIG, E_PRUNED (q->failed_key and q->oldest, or q->failed_seq). */
int query_walk_step(struct call *c, struct query *q, size_t budget) MUST_CHECK;
/* The i-th name from 0: false behind the last. *reached: it is a result, not only a start. */
bool query_walk_at(const struct query_walk *w, size_t i, slice *name, bool *reached);

/* ---- query_run.c ---- */
/* Works for about a millisecond. E_AGAIN: not done. E_OK: the page is there. */
int query_run(struct call *c, struct query *q) MUST_CHECK;

#endif
