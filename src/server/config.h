/* The parameters of the server: one table, one value each, text in and text out.
 *
 * Knows nothing of the server: whoever owns a config gives it `apply`, which is told of every value that was set at run time and may refuse it.
 * Threads: numbers are read with one relaxed load from anywhere; texts are copied out under a mutex. Setting is done by one thread at a time
 * (another mutex). Values from clients are checked as Redis checks them and with its sentences. */
#ifndef VARVE_SERVER_CONFIG_H
#define VARVE_SERVER_CONFIG_H

#include "base/buf.h"
#include "base/slice.h"
#include "base/thread.h"
#include <stdatomic.h>

enum config_id {
#define BOOL(id, ...) CFG_##id,
#define ENUM(id, ...) CFG_##id,
#define INT(id, ...) CFG_##id,
#define MEM(id, ...) CFG_##id,
#define TEXT(id, ...) CFG_##id,
#include "server/config_table.h"
#undef BOOL
#undef ENUM
#undef INT
#undef MEM
#undef TEXT
    CFG_COUNT
};

enum config_flag { CONFIG_FIXED = 1, CONFIG_GUARDED = 2, CONFIG_SECRET = 4, CONFIG_IDLE = 8, CONFIG_HIDDEN = 16, CONFIG_OWN = 32, CONFIG_OR_ZERO = 64, CONFIG_POWER = 128 };
#define CONFIG_ERROR_MAX 512

struct config {
    _Atomic int64_t number[CFG_COUNT]; /* BOOL, ENUM (index of the word), INT, MEM */
    slice text[CFG_COUNT];             /* TEXT: owned, with a NUL behind it; others have none */
    bool from_file[CFG_COUNT];         /* named in the file: REWRITE keeps its line even at the default */
    char *file;                        /* absolute path of the file read, or NULL */
    struct buf modules;                /* paths of `loadmodule` lines, each ended by a NUL */
    struct buf renames;                /* of `rename-command` lines: two names each, each ended by a NUL */
    int includes_deep;                 /* files being read that include one another */
    struct mutex mutex;
    struct mutex setting;              /* held through a config_set, `apply` included */
    /* May refuse: false with *why set. Called without the mutex, with `setting` held. NULL until the server runs. */
    bool (*apply)(void *ctx, enum config_id id, const char **why);
    void *ctx;
};

void config_init(struct config *c);
void config_fini(struct config *c);
static inline int64_t config_num(struct config *c, enum config_id id) { return atomic_load_explicit(&c->number[id], memory_order_relaxed); }
void config_text(struct config *c, enum config_id id, struct buf *out);  /* replaces *out, adds a NUL behind n */
bool config_text_is(struct config *c, enum config_id id, slice s);
int config_find(slice name);               /* id of a name or second name; -1. */
const char *config_name(enum config_id id);
unsigned config_flags(enum config_id id);
void config_show(struct config *c, enum config_id id, struct buf *out); /* appends the value as CONFIG GET shows it */
/* Names and values that match, one call each; both names of a parameter are shown. Hidden ones only when asked for by exact name. */
void config_each(struct config *c, slice pattern, void (*fn)(void *ctx, const char *name, slice value), void *ctx);

/* At start: anything may be set. Returns NULL or why not (static or in `error`). */
const char *config_preset(struct config *c, enum config_id id, slice value, char error[CONFIG_ERROR_MAX]);
/* At run time, all or nothing. `local`: the client's connection may set guarded ones when they are allowed locally. On failure error holds the whole reply
 * text ("ERR CONFIG SET failed …") and nothing has changed. */
bool config_set(struct config *c, const slice *pairs, size_t n_pairs, bool local, char error[CONFIG_ERROR_MAX]);

/* client-output-buffer-limit, decoded. */
struct output_limit { uint64_t hard, soft; uint64_t soft_seconds; };
enum client_class { CLASS_NORMAL, CLASS_REPLICA, CLASS_PUBSUB, CLASS_COUNT };
void config_output_limits(struct config *c, struct output_limit out[CLASS_COUNT]);

/* ---- files and flags (config_file.c) ---- */
/* Reads lines "name value…" from text; `where` names it in errors. On failure *error holds a sentence with the line. */
bool config_read(struct config *c, slice text, const char *where, struct buf *error);
bool config_read_file(struct config *c, const char *path, struct buf *error); /* "-" = standard input */
/* "--port 7000 --bind a b" as a file's text. */
void config_flags_to_text(int argc, const char *const *argv, struct buf *text);
/* Writes the file again: known lines keep their place and comments stay. `all`: parameters at their default, too. Returns NULL or why not. */
const char *config_rewrite(struct config *c, bool all);

#endif
