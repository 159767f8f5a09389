/* The one header that a command family sees.
 *
 * A family is a folder in modules/ with one `const struct family NAME_family`. Built in, it is listed in src/server/families.c; built as a
 * .so (MODULE LOAD) it exports `varve_module`. Both come from the same source.
 *
 * A command is one function and one table row. The server checks arity, ACL, OOM, MULTI and so on from the row, takes the locks of the keys
 * that the row names, opens a batch when the row says CMD_MANY, and calls fn. fn reads and writes through ks_* with `&c->ks` and replies exactly once. An
 * error reply must come before any write. After a negative return of a ks_* or engine_* function: `return reply_failure(c, code)`. */
#ifndef VARVE_MODULE_H
#define VARVE_MODULE_H

#include "base/buf.h"
#include "base/codec.h"
#include "base/glob.h"
#include "base/instant.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/slice.h"
#include "base/thread.h"
#include "base/words.h"
#include "keyspace/keyspace.h"

#define MODULE_ABI 3

/* One running command. argv[0] is the command's name (for a sub-command argv[1] is its name). */
struct call {
    int argc;
    const slice *argv;
    int resp;                 /* 2 or 3 */
    struct ks_ctx ks;         /* database, time, user; what was written */
    bool in_multi;            /* inside EXEC or a script: must not block */
    struct client *client;    /* opaque here */
};

/* ---- replies: exactly one, nested ones complete ---- */
API void reply_ok(struct call *c);
API void reply_status(struct call *c, const char *text);
API void reply_int(struct call *c, int64_t v);
API void reply_bulk(struct call *c, slice s);
API void reply_str(struct call *c, const char *s);          /* bulk */
API void reply_fmt(struct call *c, const char *fmt, ...) PRINTF_LIKE(2, 3); /* bulk */
/* Bulk of the 64 digits of a hash that ks_put has just given, late or not (ks_write.late_hash). Not between reply_begin and reply_end_*. */
API void reply_hash(struct call *c, const struct receipt *r);
API void reply_null(struct call *c);                        /* RESP2 $-1, RESP3 _ */
API void reply_null_array(struct call *c);                  /* RESP2 *-1, RESP3 _ */
API void reply_array(struct call *c, size_t n);
API void reply_map(struct call *c, size_t n);               /* n pairs; RESP2: array of 2n */
API void reply_set(struct call *c, size_t n);
API void reply_bool(struct call *c, bool v);                /* RESP2: 0/1 */
API void reply_double(struct call *c, double v);            /* RESP2: bulk */
API void reply_encoded(struct call *c, slice bytes);         /* whole elements that the family has encoded itself, for c->resp */
API void reply_verbatim(struct call *c, const char *format3, slice s);
API void reply_error(struct call *c, const char *fmt, ...) PRINTF_LIKE(2, 3); /* whole text with its code: "ERR syntax error" */
API void reply_failure(struct call *c, int code);           /* the standard error of an err code: MISCONF, CORRUPT, TOOBIG … */
API void reply_wrongtype(struct call *c);
API void reply_syntax(struct call *c);                      /* ERR syntax error */
API void reply_not_integer(struct call *c);                 /* ERR value is not an integer or out of range */
/* An array or map whose length is known only afterwards: returns a token for reply_end_*. */
API size_t reply_begin(struct call *c);
API void reply_end_array(struct call *c, size_t token, size_t n);
API void reply_end_map(struct call *c, size_t token, size_t n);

/* ---- replies made over several turns ----
 * Between begin and end, both in one step, the reply_* functions add whole elements to the pile and not to the reply: an error can still be that. When all are there,
 * comes the reply: what goes before the elements, and give, in one step, which empties the pile. */
struct reply_pile;
API struct reply_pile *reply_pile_new(void);
API void reply_pile_free(struct reply_pile **p);
API void reply_pile_begin(struct call *c, struct reply_pile *p);
API void reply_pile_end(struct call *c, struct reply_pile *p);
/* Elements that the family encodes itself (reply_encoded) are appended to this buffer, outside of begin and end; after some of them comes grown, and open anew. */
API struct buf *reply_pile_open(struct reply_pile *p);
API void reply_pile_grown(struct reply_pile *p);
API void reply_pile_clear(struct reply_pile *p);
API void reply_pile_give(struct call *c, struct reply_pile *p);

/* ---- arguments ---- */
API bool arg_i64(struct call *c, int i, int64_t *out);      /* replies the standard error when false */
API bool arg_range(struct call *c, int i, int64_t lo, int64_t hi, int64_t *out);
static inline bool arg_is(const struct call *c, int i, const char *word) { return i < c->argc && slice_is(c->argv[i], word); }

/* ---- configuration that families heed ---- */
API uint64_t limit_string_bytes(void);                      /* proto-max-bulk-len: the longest string a command may build */
API uint64_t limit_query_scan(void);                        /* query-max-scan: documents that one page of a query may look at without an index; 0 = any number */
API uint64_t limit_idem_window_ms(void);                    /* idem-window: how long an idempotency token counts, at most ENGINE_TOKEN_WINDOW_MS */
API bool limit_lfu(void);                                   /* maxmemory-policy is one of the LFU ones */

/* ---- going on later ----
 * A command that has to wait or works long returns after call_later(); the server calls step() on the same loop, each turn (LATER_TURN), or when engine marks move
 * and at least every 10 ms (LATER_WAIT), until it returns true: then step must have replied. The client is blocked meanwhile; other clients run. No locks are held
 * between steps: step takes them with ks_enter/ks_leave. drop() frees state after the last step or when the client goes. argv is valid in step. Not inside MULTI or a script (c->in_multi). */
enum later_kind { LATER_TURN, LATER_WAIT };
API void call_later(struct call *c, enum later_kind kind, bool (*step)(struct call *c, void *state), void (*drop)(void *state), void *state);
/* Behind call_later, or in a step that returns false: no step before the log may be shown beyond `seq` (engine_safe_seq), or timeout_ms have passed since the command
 * began (0 = no limit) and later_timed_out says so. Thousands may sleep: they cost nothing while nothing is written. */
API void later_sleep(struct call *c, uint64_t seq, uint64_t timeout_ms);
API bool later_timed_out(const struct call *c); /* also what CLIENT UNBLOCK says to one that waits (LATER_WAIT) */

/* ---- reading the past ----
 * Points are ends of commits that the index knows; ms as for ks_view. Each replies. */
API void view_set(struct call *c, uint64_t seq, uint64_t ms);             /* this connection reads as of the point from now on; writes are refused */
API void view_end(struct call *c);
API void view_run(struct call *c, uint64_t seq, uint64_t ms, int from);   /* runs the command in argv[from..] as of the point: its reply is the reply */

/* ---- notification ---- */
API void notify_dirty(struct call *c, int64_t changes);     /* rdb_changes_since_last_save */

/* ---- command table ---- */
enum command_flag {
    CMD_WRITE = 1 << 0, CMD_READONLY = 1 << 1, CMD_DENYOOM = 1 << 2, CMD_ADMIN = 1 << 3, CMD_PUBSUB = 1 << 4, CMD_NOSCRIPT = 1 << 5,
    CMD_BLOCKING = 1 << 6, CMD_LOADING = 1 << 7, CMD_STALE = 1 << 8, CMD_SKIP_MONITOR = 1 << 9, CMD_SKIP_SLOWLOG = 1 << 10, CMD_ASKING = 1 << 11,
    CMD_FAST = 1 << 12, CMD_NO_AUTH = 1 << 13, CMD_MAY_REPLICATE = 1 << 14, CMD_NO_ASYNC_LOADING = 1 << 15, CMD_NO_MULTI = 1 << 16,
    CMD_MOVABLEKEYS = 1 << 17, CMD_ALLOW_BUSY = 1 << 18, CMD_SENTINEL = 1 << 19, CMD_ONLY_SENTINEL = 1 << 20, CMD_NO_MANDATORY_KEYS = 1 << 21,
    /* ours, not shown by COMMAND */
    CMD_MANY = 1 << 24,      /* may write more than one node: runs exclusively, in a batch */
    CMD_WHOLE = 1 << 25,     /* looks at or changes the whole keyspace: runs exclusively, without a batch */
    CMD_UNGATED = 1 << 26,   /* its reply does not wait for the log (PING …) */
    CMD_WRAPS = 1 << 28,     /* another command begins where the first key spec does, and its keys are this one's: they are read as of a point, and not locked */
    CMD_LATE_HASH = 1 << 27, /* hashes of documents that commands before it wrote may still be to come when it runs: it only looks at its key, and puts */
};
/* Key positions: begin_search index/keyword and find_keys range/keynum, as in COMMAND INFO of Redis 7. */
struct key_spec {
    const char *flags;       /* "RW ACCESS UPDATE" … empty = row unused */
    int begin;               /* index of the first key; <0 with keyword: where to start looking from the end */
    const char *keyword;     /* begin_search keyword, NULL = by index */
    int last, step, limit;   /* range: relative last key (-1 = to the end), step, limit */
    int keynum;              /* >0: find_keys keynum: 1 + index of the number, relative to begin; then first key follows at keynum_first */
    int keynum_first, keynum_step;
};
#define KEYS_ONE(flagtext) {{flagtext, 1, 0, 0, 1, 0}}
#define KEY_SPECS_MAX 4
struct command {
    const char *name;        /* lower case */
    void (*fn)(struct call *c); /* NULL: only a container of sub-commands */
    int arity;               /* as Redis: negative = at least */
    uint32_t flags;          /* enum command_flag */
    const char *categories;  /* ACL categories beyond those that flags imply: "string keyspace" … */
    struct key_spec keys[KEY_SPECS_MAX];
    const char *summary, *since, *group, *complexity;
    const char *syntax;      /* arguments in the usual notation: "key value [NX|XX] [GET] [EX seconds|PX milliseconds|KEEPTTL]"; COMMAND DOCS arguments come from it */
    const struct command *sub; /* sub-commands, ended by a row with name NULL */
    int (*find_keys)(const slice *argv, int argc, int *positions, int max); /* where the specs, which stay for COMMAND INFO, cannot say it: all of the keys; NULL */
    const char *tips;        /* as COMMAND INFO lists them, a space between two; NULL = none */
    const char *(*use_keys)(const slice *argv, int argc); /* where a spec says VARIABLE_FLAGS, and beside find_keys: what these arguments make of the keys; NULL */
};
struct family {
    int abi;                 /* MODULE_ABI */
    const char *name;
    int version;
    const struct command *const *tables; /* ended by NULL; each table by a row with name NULL */
    size_t call_bytes;       /* sizeof(struct call), checked at load */
};
#define FAMILY(ident, ...) \
    extern const struct family ident##_family; \
    static const struct command *const ident##_tables[] = {__VA_ARGS__, NULL}; \
    const struct family ident##_family = {MODULE_ABI, #ident, 1, ident##_tables, sizeof(struct call)}
/* In a shared build a family also says: EXPORT_MODULE(ident) */
#ifdef VARVE_MODULE_SHARED
#define EXPORT_MODULE(ident) \
    API const struct family *varve_module(void); \
    const struct family *varve_module(void) { return &ident##_family; }
#else
#define EXPORT_MODULE(ident)
#endif

#endif
