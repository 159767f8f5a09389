/* The document family's inside: what its files share. The contract with clients is in docs beside the commands' table rows. */
#ifndef VARVE_MODULES_DOC_H
#define VARVE_MODULES_DOC_H

#include "module.h"

#define DOC_CAUSES_MAX     128     /* CAUSEDBY refs of one write */
#define DOC_PATHS_MAX      64      /* paths of one read */
#define DOC_COUNT_MAX      1000000 /* COUNT, LIMIT, n of any list */
#define DOC_NOW            UINT64_MAX /* a point that means: the present */
/* The newest that the command may see: the point of its view, else the present. */
#define DOC_NEWEST(c) ((c)->ks.viewing ? (c)->ks.view_at : DOC_NOW)
#define DOC_SLICE_ROWS     512        /* rows per turn of a long command */

static inline struct engine *doc_engine(const struct call *c)
{
    return ks_engine(c->ks.ks);
}

/* ---- points and refs (point.c). Each replies its own error and returns false when it cannot. ---- */
/* A point: seq is rounded down to a commit's end and known to the index. ms: the instant meant where the text says one (time:T, head = now),
 * else 0; a key whose expiry it has reached is absent although no commit of that time is in the log yet. */
struct doc_place {
    uint64_t seq, ms;
};
bool doc_point(struct call *c, slice text, struct doc_place *out);
/* Has this transaction written something? It is not in the log before EXEC ends, so `head` is refused then (by doc_point, and by who means it without saying so). */
static inline bool doc_tx_wrote(const struct call *c) { return c->in_multi && c->ks.nodes > 0 && ks_in_batch(&c->ks); }
void doc_refuse_head(struct call *c);
bool doc_point_seq(struct call *c, slice text, uint64_t *seq); /* where only versions count; head is the log's, inside a transaction too */
static inline bool doc_expired(const struct doc_place *at, uint64_t expire_ms)
{
    return expire_ms != 0 && at->ms >= expire_ms;
}
/* A place from a cursor: false when the log has not come so far. */
bool doc_place_known(struct call *c, const struct doc_place *at);
/* A node that somebody points at. absent: what to do when there is none. */
enum doc_absent { DOC_ABSENT_NULL, DOC_ABSENT_NOCAUSE };
bool doc_ref(struct call *c, slice text, enum doc_absent absent, uint64_t *seq);
bool doc_hash_of(struct call *c, uint64_t seq, uint8_t hash[HASH_BYTES]);
/* An instant for VALID and VALIDAT: Unix ms, ISO 8601, or "-" for an open end (then `open` is given). */
bool doc_parse_instant(slice text, int64_t open, int64_t *ms);

/* ---- write options (options.c) ---- */
struct doc_options {
    bool nx, xx, has_ifseq, has_ifhash, if_changed;
    uint64_t if_seq;
    slice if_hash; /* hex digits */
    struct ks_write write;
    struct node_ref causes[DOC_CAUSES_MAX];
    struct receipt receipt;
    slice props; /* DLINK only */
};
enum doc_option_set {
    DOC_OPT_CONDITIONS = 1, /* NX XX IFCHANGED */
    DOC_OPT_VALID = 2,
    DOC_OPT_EXPIRY = 4,
    DOC_OPT_PROPS = 8,
    DOC_OPT_IF = 16, /* IFSEQ IFHASH */
};
/* Parses argv[from..]; CAUSEDBY, NOTE and IDEM are always allowed. Replies the error when false. */
bool doc_options_parse(struct call *c, int from, unsigned allowed, struct doc_options *o);
/* A token seen before within the idem-window? Then *refs gets the nodes of the first write as struct node_ref, oldest first. 1 yes, 0 no, <0 replied. */
int doc_idem_nodes(struct call *c, slice token, struct buf *refs);
/* The same, answered as a single write; true when that settled the call. */
bool doc_answered_before(struct call *c, slice token);

/* ---- what writing commands share (write.c) ---- */
/* NX, XX, IFSEQ and IFHASH, in this order, against the live version (NULL: none); false: nil or CONFLICT has been replied. */
bool doc_conditions_hold(struct call *c, slice key, const struct doc_options *o, const struct ks_value *v);
/* The live document under key: 1 and *v, 0 none, -1 replied. Bytes only when asked. */
int doc_live(struct call *c, slice key, bool bytes, struct ks_value *v);

/* ---- replies (reply_node.c) ---- */
void doc_reply_hash(struct call *c, const uint8_t hash[HASH_BYTES]);
void doc_reply_pair(struct call *c, uint64_t seq, const uint8_t hash[HASH_BYTES]); /* [seq, hash] */
bool doc_reply_written(struct call *c, uint64_t seq);                              /* the same for a node of the log */
void doc_reply_pruned(struct call *c, slice key, uint64_t oldest);
void doc_badjson(struct call *c, const struct json_fault *f);
enum doc_state { DOC_LIVE, DOC_OLD, DOC_DELETED, DOC_PRUNED };
struct doc_data {
    bool wanted; /* false: data is nil */
    bool given;  /* data is `bytes`; else it is rebuilt from the node */
    slice bytes;
};
#define DOC_MAP_FIELDS 17
/* A version as it is shown (node_map.h). */
struct doc_view {
    uint64_t seq;
    struct buf mem; /* holds the node's bytes */
    struct node node;
    enum doc_state state;
    uint8_t hash[HASH_BYTES];
    uint64_t commit_first, commit_last;
    bool pruned; /* only seq and hash are known */
    slice raw;   /* the node's bytes, in mem */
};
int doc_view_load(struct call *c, uint64_t seq,
                  struct doc_view *v) MUST_CHECK; /* E_NOTFOUND … ; v->mem to be released by fini in every case */
/* Loading in two steps, of which the second is cheaper for many at once. Read: all but hash and state. Finish: those, for n <= DOC_VIEWS_MAX views that were read;
 * code[i] is the i-th view's result. */
#define DOC_VIEWS_MAX 16
int doc_view_read(struct call *c, uint64_t seq, struct doc_view *v) MUST_CHECK;
void doc_views_finish(struct call *c, struct doc_view *v, size_t n, int *code);
void doc_view_fini(struct doc_view *v);
/* The hash of a node whose bytes are at hand (empty: they are not): short ones are hashed anew, which costs less than a look into the tree. */
int doc_node_hash(struct call *c, uint64_t seq, slice raw, uint8_t hash[HASH_BYTES]) MUST_CHECK;
void doc_reply_map(struct call *c, const struct doc_view *v, const struct doc_data *data);
/* The value that a version left behind; *mem holds it where the node does not. E_NOTFOUND: none, or no longer to be had. */
int doc_view_data(struct call *c, const struct doc_view *v, struct buf *mem, slice *data) MUST_CHECK;
static inline bool doc_node_has_key(const struct node *n)
{
    return n->op != NODE_FLUSH && n->op != NODE_SWAP && n->op != NODE_FILLER;
}
int doc_is_logged(struct call *c, uint64_t seq) MUST_CHECK;                            /* E_NOTFOUND: handed out, but only in this transaction */
void doc_reply_unlogged(struct call *c); /* a version of this transaction is asked for */

/* ---- lists of documents at points of which not all is left (readable.c) ---- */
/* A seq behind `at` at which the list of the documents under a prefix can be read: the oldest, as far as that is known without a long search. */
uint64_t doc_list_oldest(struct call *c, slice prefix, uint64_t at);
/* Replies PRUNED for a list of documents under a prefix (empty: all) that cannot be read at `at`: `what` names it in the error (empty: '*'). */
void doc_refuse_list(struct call *c, slice what, slice prefix, uint64_t at);
void doc_refuse_colls(struct call *c, uint64_t at); /* the same for the counts of all collections */
/* Below the horizon of documents what is gone may be forgotten, and a list would leave it out in silence. False: refused. */
bool doc_list_readable(struct call *c, slice what, slice prefix, uint64_t at);

/* ---- small parsers (doc.c) ---- */
bool doc_count(struct call *c, slice text, uint64_t *n); /* 1..DOC_COUNT_MAX, replies */
/* The option words met so far. Zero-initialise. No command has so many options as there is room for. */
#define DOC_WORDS_MAX 24
struct doc_words {
    int n, at[DOC_WORDS_MAX];
};
/* argv[i] is an option word, or none at all and about to be refused. False when it was met before: the syntax error is replied. */
bool doc_stands_once(struct call *c, struct doc_words *met, int i);
/* A path without a leading `$.`, so that an index has one name; `$.$` keeps it: the field `$` is not the whole document. */
slice doc_plain_path(slice path);
slice doc_collection(slice key);
/* Picks paths from a document; replies value, array or null. */
void doc_reply_paths(struct call *c, slice json, const slice *paths, size_t n);
bool doc_check_paths(struct call *c, const slice *paths, size_t n);

/* ---- commands ---- */
void cmd_dput(struct call *c);
void cmd_ddel(struct call *c);
void cmd_dpatch(struct call *c);
void cmd_dmput(struct call *c);
void cmd_dincrby(struct call *c);
void cmd_dget(struct call *c);
void cmd_dmget(struct call *c);
void cmd_dasof(struct call *c);
void cmd_dscan(struct call *c);
void cmd_dcolls(struct call *c);
void cmd_dhistory(struct call *c);
void cmd_dnode(struct call *c);
/* The forms of DREVERT that name no single key. False: it is not one of them. */
bool doc_revert_many(struct call *c);
void cmd_drun(struct call *c);
void cmd_dview(struct call *c);
void cmd_ddiff(struct call *c);
void cmd_drevert(struct call *c);
void cmd_dtimeline(struct call *c);
void cmd_dtrace(struct call *c);
void cmd_dchanges(struct call *c);
void cmd_dtraverse(struct call *c);
void cmd_dlink(struct call *c);
void cmd_dunlink(struct call *c);
void cmd_dlinks(struct call *c);
void cmd_dindex_create(struct call *c);
void cmd_dindex_drop(struct call *c);
void cmd_dindex_list(struct call *c);
void cmd_dindex_wait(struct call *c);
void cmd_dindex_help(struct call *c);
void cmd_dtop(struct call *c);
void cmd_dquery(struct call *c);
void cmd_dcount(struct call *c);
void cmd_dtag_set(struct call *c);
void cmd_dtag_del(struct call *c);
void cmd_dtag_get(struct call *c);
void cmd_dtag_list(struct call *c);
void cmd_dtag_help(struct call *c);
void cmd_dretain_set(struct call *c);
void cmd_dretain_get(struct call *c);
void cmd_dretain_del(struct call *c);
void cmd_dretain_list(struct call *c);
void cmd_dretain_help(struct call *c);
void cmd_dcompact(struct call *c);
void cmd_dhead(struct call *c);
void cmd_dprove(struct call *c);
void cmd_dverify(struct call *c);
void cmd_dinfo(struct call *c);
void cmd_dsync(struct call *c);

#endif
