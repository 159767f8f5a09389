/* NQL, the query language of DQUERY and DCOUNT: from text to a tree, and what the tree says about one row.
 *
 * Knows no store, no index and no client: the planner and executor feed it rows. A parsed query is never changed, so it may be used by
 * several threads at once. The grammar and the meaning of every operator stand in the manual (README.md, "Queries").
 *
 * Every place in a query that names a path holds its number in q->path[]; equal paths ($.a, a, ["a"]) have one number. */
#ifndef VARVE_MODULES_DOC_NQL_H
#define VARVE_MODULES_DOC_NQL_H

#include "modules/doc/doc.h"

#define NQL_BYTES_MAX       (64u << 10)   /* of a query's text */
#define NQL_PARAM_BYTES_MAX (1u << 20)    /* of all parameters' values */
#define NQL_PARAMS_MAX      64
#define NQL_NESTING_MAX     64            /* parentheses and NOT */
#define NQL_TERMS_MAX       256           /* comparisons of one WHERE */
#define NQL_VALUES_MAX      4096          /* values of one WHERE, those of IN lists together */
#define NQL_PATHS_MAX       64            /* different paths of one query */
#define NQL_FIELDS_MAX      64
#define NQL_ORDER_MAX       8             /* ORDER BY items */
#define NQL_GROUP_MAX       8             /* GROUP BY paths */
#define NQL_AGGREGATES_MAX  16
#define NQL_LIKE_PIECE_MAX  64            /* bytes between two % when there is a _ among them */
#define NQL_LIMIT_MAX       DOC_COUNT_MAX
#define NQL_OFFSET_MAX      1000000000
#define NQL_HOPS_MAX        DOC_COUNT_MAX /* DEPTH */
#define NQL_GROUPS_MAX      100000        /* groups of one result … */
#define NQL_GROUP_BYTES_MAX (256u << 20)  /* … and the bytes they hold */
#define NQL_WHY_MAX         160

#define NQL_LIKE_ANY 0xff /* % and _ in a compiled LIKE pattern: bytes that UTF-8 never has */
#define NQL_LIKE_ONE 0xfe

/* ---- the tree ---- */

/* What a path means. All but NQL_DOC are of the version, not of its JSON; NQL_FROM, _REL and _TO only in the collection __links__
 * (elsewhere `_from` is a field like any other). Strings: _id _key _hash (64 hex digits) _by _from _rel _to; numbers: _seq _ver _ts (ms).
 * _id is the key behind its first colon (all of it when there is none), _key the whole key. */
enum nql_kind { NQL_DOC, NQL_ID, NQL_KEY, NQL_SEQ, NQL_VER, NQL_TS, NQL_HASH, NQL_BY, NQL_FROM, NQL_REL, NQL_TO };
struct nql_path {
    enum nql_kind kind;
    slice text;                   /* as first written, without a leading "$." (kept where the rest alone would mean another path: $._id, $.count) */
    const struct json_path *json; /* NQL_DOC only; may hold fewer than JSON_PATH_MAX steps of memory: never copy the struct */
};

/* A value of the text or a parameter. */
struct nql_value {
    enum json_type type;
    slice json; /* checked, without white space around it; strings in one spelling */
    slice text; /* a string's unescaped bytes; of a LIKE pattern its compiled form, with NQL_LIKE_ANY and NQL_LIKE_ONE */
    bool whole; /* a number that is this int64 */
    int64_t i64;
};

enum nql_op {
    NQL_AND, NQL_OR, NQL_NOT, /* kids */
    NQL_EQ, NQL_NE, NQL_LT, NQL_LE, NQL_GT, NQL_GE, NQL_LIKE, NQL_CONTAINS, /* 1 value */
    NQL_BETWEEN,              /* 2 values */
    NQL_IN, NQL_NOT_IN,       /* 1 or more values, sorted by json_compare, each once */
    NQL_NULL, NQL_NOT_NULL, NQL_EXISTS,
};
struct nql_expr {
    enum nql_op op;
    uint32_t path;                 /* terms: number of the path */
    uint32_t n;                    /* values, or kids */
    const struct nql_value *value; /* [n] */
    struct nql_expr *kid;          /* first of n; AND and OR have 2 or more (never directly below the same op), NOT has 1 */
    struct nql_expr *next;         /* the next kid of the same parent */
};

enum nql_aggregate_kind { NQL_COUNT, NQL_SUM, NQL_AVG, NQL_MIN, NQL_MAX };
struct nql_aggregate {
    enum nql_aggregate_kind kind;
    uint32_t path; /* not for COUNT */
    slice name;    /* of its column: COUNT, SUM(price) */
};
/* Without GROUP BY: a path. With it: a path of GROUP BY or an aggregate of the query. */
struct nql_order {
    bool descending, of_aggregate;
    uint32_t path;      /* when not of_aggregate */
    uint32_t aggregate; /* index into q->aggregate when of_aggregate */
};

struct nql_query {
    slice coll;
    bool links;           /* coll is __links__ */
    slice as_of;          /* a point's text, not looked at; p NULL: not given. */
    slice valid_as_of;    /* an instant's text, not looked at; p NULL: not given */
    const struct nql_expr *where; /* NULL: every row */
    struct {
        bool given, has_path;
        slice words;      /* unescaped; words_query_parse takes it */
        uint32_t path;    /* when has_path: only strings at that path (in its value and below); else any string of the document */
    } search;             /* not looked at by nql_match */
    struct {
        bool given, reverse;
        slice rel;
        uint64_t depth;   /* 1 … NQL_HOPS_MAX; 1 when not given */
    } traverse;
    struct {
        bool given, reverse;
        uint64_t depth;   /* NQL_HOPS_MAX when not given */
    } trace;              /* never together with traverse */
    bool grouped;
    uint32_t n_group, n_aggregates, n_order, n_fields; /* aggregates only when grouped; fields only when not */
    uint32_t group[NQL_GROUP_MAX];
    struct nql_aggregate aggregate[NQL_AGGREGATES_MAX];
    struct nql_order order[NQL_ORDER_MAX];
    uint32_t fields[NQL_FIELDS_MAX];
    bool has_limit;
    uint64_t limit, offset; /* limit 1 … NQL_LIMIT_MAX when has_limit; offset 0 when not given */
    uint32_t n_paths;
    struct nql_path path[NQL_PATHS_MAX];
    struct json_picker *picker; /* finds the fields that WHERE names, numbered as in path[]; NULL: it names none of the document */
    uint32_t needs;       /* bits 1 << enum nql_kind of the kinds that occur anywhere: what a row has to bring */
};

/* ---- parsing (nql_lex.c, nql_parse.c) ---- */

/* `name` without the dollar sign. `value` is JSON when it is valid JSON, else a plain string: 7 is a number, "7" (with quotes) and x7 strings. */
struct nql_param {
    slice name, value;
};
struct nql_fault {
    size_t at; /* byte offset of the word that cannot be right, from 0; the text's length when something is missing, or for faults of parameters */
    char why[NQL_WHY_MAX];
};
/* Parses a whole query. E_SYNTAX fills *fault: the reply is nql_fault_reply's. The text and the parameters need not outlive the call. */
int nql_parse(slice text, const struct nql_param *params, size_t n, struct nql_query **out, struct nql_fault *fault) MUST_CHECK;
/* The same for DCOUNT: a collection and the expression behind WHERE (an empty slice with p NULL: none). Offsets count from the expression. */
int nql_parse_where(slice coll, slice expr, const struct nql_param *params, size_t n, struct nql_query **out,
                    struct nql_fault *fault) MUST_CHECK;
void nql_free(struct nql_query **q); /* NULL inside is fine */
static inline void nql_fault_reply(struct call *c, const struct nql_fault *fault)
{
    reply_error(c, "BADQUERY at byte %zu: %s", fault->at, fault->why);
}
/* Appends the query in one spelling with its parameters filled in; parsed again it gives the same tree. Equal queries print equally, so
 * the text, or its digest, tells whether a cursor belongs to a query. as_of is left out when `without_point`. */
void nql_print(const struct nql_query *q, bool without_point, struct buf *out);
uint64_t nql_digest(const struct nql_query *q, bool without_point); /* of that text; the same in every process and version */
/* Number of the path that an index path text means, or -1: the query does not name it (or only as a pseudo path). */
int nql_path_number(const struct nql_query *q, slice index_path);

/* ---- rows (nql_eval.c) ---- */

/* One version as the query sees it; all borrowed. What q->needs does not ask for may be left zero. */
struct nql_row {
    slice json;          /* checked JSON; n 0: there is none, every field is missing (a link without props) */
    slice key;           /* whole; also the tie-breaker of every order. Links: any bytes that name the link */
    uint64_t seq, ver, ts_ms;
    const uint8_t *hash; /* HASH_BYTES; NULL: missing */
    slice by;            /* p NULL: missing */
    slice from, rel, to; /* links only */
};

/* Whether WHERE holds. Allocates nothing for scalar values. */
bool nql_match(const struct nql_query *q, const struct nql_row *row);
/* The value at a path as JSON text, appended; false: missing, nothing appended. Pseudo paths as string or number; bytes that are not UTF-8
 * become U+FFFD. */
bool nql_value_json(const struct nql_query *q, const struct nql_row *row, uint32_t path, struct buf *out);
/* FIELDS: {"<path text>":<value>,…} in the order written, missing ones left out. Only when n_fields > 0. */
void nql_project(const struct nql_query *q, const struct nql_row *row, struct buf *out);

/* Appends the row's place in the result: bytes whose order is ORDER BY's, then the key. Every row has another one, and the bytes say
 * all that a cursor needs to go on behind the row. Not when grouped. Length: about that of the values and the key. */
void nql_sort_key(const struct nql_query *q, const struct nql_row *row, struct buf *out);
/* The order of two rows (<0, 0, >0): that of their sort keys, without making them. */
int nql_compare_rows(const struct nql_query *q, const struct nql_row *a, const struct nql_row *b);

/* ---- what WHERE says about one path (nql_bounds.c) ---- */

/* A superset: every row for which WHERE holds has a value there, in json_compare's order with missing as null, that is one of the points or
 * lies in the range. An index yields candidates; nql_match decides. */
enum nql_bounds_kind {
    NQL_BOUNDS_ALL,    /* says nothing */
    NQL_BOUNDS_NONE,   /* no row can match */
    NQL_BOUNDS_POINTS, /* = and IN: n values, sorted, each once */
    NQL_BOUNDS_RANGE,
};
struct nql_bounds {
    enum nql_bounds_kind kind;
    const slice *points; /* JSON values */
    size_t n;
    bool has_lo, has_hi, lo_open, hi_open; /* open: the bound itself is outside */
    slice lo, hi;                          /* JSON values; LIKE 'ab%' has lo "ab", hi "ac" open */
    void *mem;                             /* what the slices borrow from, beside the query */
};
/* Fills *out (which need not be initialised) for the path with this number. */
void nql_bounds(const struct nql_query *q, uint32_t path, struct nql_bounds *out);
void nql_bounds_fini(struct nql_bounds *b);

/* ---- GROUP BY (nql_group.c) ---- */

/* Takes the rows that match, in any order, then gives one row per group. What comes out does not depend on the order that rows came in. */
struct nql_groups;
struct nql_column {
    slice name; /* a path's text or an aggregate's name */
    slice json; /* valid until the next call */
};
struct nql_groups *nql_groups_new(const struct nql_query *q); /* q must stay */
void nql_groups_free(struct nql_groups **g);
/* E_TOOBIG: over NQL_GROUPS_MAX or NQL_GROUP_BYTES_MAX; the row is not in. */
int nql_groups_add(struct nql_groups *g, const struct nql_row *row) MUST_CHECK;
/* Puts up to `steps` groups into order; E_AGAIN until all are, then E_OK. No row may be added after the first call. */
int nql_groups_finish(struct nql_groups *g, size_t steps) MUST_CHECK;
/* After finish: the next row, n_group + n_aggregates columns: GROUP BY's paths, then the aggregates, as written. Order: ORDER BY, then the
 * groups' values. E_END behind the last. */
int nql_groups_next(struct nql_groups *g, struct nql_column *column) MUST_CHECK;
/* The place of the row that next gave last: as nql_sort_key for rows. Rows come in ascending order of it. */
slice nql_groups_place(const struct nql_groups *g);
size_t nql_groups_count(const struct nql_groups *g);

#endif
